//! The name that somebody meant who wrote another: for hints. What does not live here: what the names are.

/// So many characters of a name are compared.
const COMPARED_MAX: usize = 64;

/// The name that is nearest to the one that was wanted, if any is near: of three characters one may differ, and one more.
/// Capitals do not count.
pub fn nearest<'a, T: AsRef<str> + ?Sized + 'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a T>,
) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| (distance(&wanted, &name.as_ref().to_lowercase()), name.as_ref()))
        .min()
        .filter(|(distance, _)| *distance <= 1 + wanted.chars().count() / 3)
        .map(|(_, name)| name)
}

/// How many insertions, removals and changes lie between two words (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(COMPARED_MAX).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().take(COMPARED_MAX).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (there, above) in other.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(letter != *there)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_and_what_is_far_is_not() {
        let names = ["commit_window", "durability", "keep", "free_min"];
        for (wanted, found) in [
            ("comit_window", Some("commit_window")),
            ("KEEP", Some("keep")),
            ("kep", Some("keep")),
            ("durabilty", Some("durability")),
            ("durable", None),
            ("memory", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, names), found, "{wanted}");
        }
        assert_eq!(nearest("samples", &["sample".to_owned()]), Some("sample"));
        assert_eq!(nearest::<str>("samples", []), None);
    }
}
