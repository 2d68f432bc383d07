//! The name that somebody meant who wrote another: for hints. What does not live here: what the names are.

/// So many characters of a name are compared. Of longer ones, such as paths of many levels, what both begin with is left out.
const COMPARED_MAX: usize = 64;

/// The name that is nearest to the one that was wanted, if any is near: of three characters one may differ, and one more.
/// Capitals do not count.
pub fn nearest<'a, T: AsRef<str> + ?Sized + 'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a T>,
) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let far = |name: &str| {
        let name = name.to_lowercase();
        let (wanted, name) = differing(&wanted, &name);
        (distance(wanted, name), wanted.chars().count())
    };
    let all = names.into_iter().map(|name| (far(name.as_ref()), name.as_ref()));
    all.min().filter(|((distance, compared), _)| *distance <= 1 + compared / 3).map(|(_, name)| name)
}

/// Two words without what both begin with, where more than can be compared would be left.
fn differing<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    if one.chars().count().max(other.chars().count()) <= COMPARED_MAX {
        return (one, other);
    }
    let alike = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let bytes: usize = alike.map(|(letter, _)| letter.len_utf8()).sum();
    // Whole levels of a path: how near words are is a matter of how long they are.
    let level = one.get(..bytes).and_then(|alike| alike.rfind('/')).map(|slash| slash + 1);
    let bytes = level.unwrap_or(bytes);
    (one.get(bytes..).unwrap_or_default(), other.get(bytes..).unwrap_or_default())
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
        let of = |name: &str| format!("{}/{name}", "site/area/machine/".repeat(5));
        let (pressure, level) = (of("pressure"), of("level"));
        for (wanted, found) in [("presure", Some(&pressure)), ("levle", Some(&level)), ("temperature", None)]
        {
            let found = found.map(String::as_str);
            assert_eq!(nearest(&of(wanted), [&pressure, &level]), found, "names that begin alike: {wanted}");
        }
        assert_eq!(nearest("samples", &["sample".to_owned()]), Some("sample"));
        assert_eq!(nearest::<str>("samples", []), None);
    }
}
