//! A measured number, what it is to be seen beside, and how several runs of the same become one: the median.

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub name: &'static str,
    pub value: f64,
    decimals: usize,
    unit: &'static str,
    /// A limit, a goal or another program, measured in the same run where it can be.
    pub beside: String,
    /// The least and the greatest of several runs.
    spread: Option<(f64, f64)>,
}

pub(super) fn figure(
    name: &'static str,
    value: f64,
    unit: &'static str,
    beside: impl Into<String>,
) -> Figure {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    Figure { name, value, decimals, unit, beside: beside.into(), spread: None }
}

/// Of each figure the middle one, with what stood beside that one, in the order of the first run.
pub(super) fn medians(runs: &[Vec<Figure>]) -> Vec<Figure> {
    let median = |first: &Figure| {
        let mut all: Vec<&Figure> =
            runs.iter().flatten().filter(|figure| figure.name == first.name).collect();
        all.sort_by(|one, other| one.value.total_cmp(&other.value));
        let middle = all.get(all.len() / 2).map_or_else(|| first.clone(), |figure| (*figure).clone());
        let spread = all.first().zip(all.last()).map(|(low, high)| (low.value, high.value));
        Figure { spread: spread.filter(|_| all.len() > 1), ..middle }
    };
    runs.first().map_or_else(Vec::new, |run| run.iter().map(median).collect())
}

/// The same figures of several programs, the first one's with the others beside them and their shares of it.
pub(super) fn beside(all: &[(&str, Vec<Figure>)]) {
    let Some(((first, figures), others)) = all.split_first() else { return };
    println!("\n{first}, and the others with the share that it is of them");
    for figure in figures {
        let mut beside = vec![figure.beside.clone()];
        for (name, theirs) in others {
            if let Some(their) = theirs.iter().find(|their| their.name == figure.name) {
                let share = figure.value / their.value;
                let share = if share.is_finite() { format!(" ({share:.2})") } else { String::new() };
                beside.push(format!("{name} {}{share}", their.shown()));
            }
        }
        beside.retain(|part| !part.is_empty());
        println!("{}", line(&Figure { beside: beside.join("; "), ..figure.clone() }));
    }
}

pub(super) fn print(figures: &[Figure]) {
    println!();
    for figure in figures {
        println!("{}", line(figure));
    }
}

impl Figure {
    fn shown(&self) -> String {
        let Figure { value, decimals, unit, .. } = self;
        format!("{value:.decimals$} {unit}").trim_end().to_owned()
    }
}

fn line(figure: &Figure) -> String {
    let Figure { name, decimals, beside, spread, .. } = figure;
    let shown = figure.shown();
    let spread =
        spread.map_or_else(String::new, |(low, high)| format!("({low:.decimals$} to {high:.decimals$})"));
    format!("{name:<36} {shown:>16} {spread:<18} {beside}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_with_its_own_neighbour_and_the_spread_of_all() {
        let run =
            |value, beside: &str| vec![figure("time", value, "ms", beside), figure("size", 1.0, "MiB", "")];
        let all = medians(&[run(30.0, "c"), run(10.0, "a"), run(20.0, "b")]);
        assert_eq!(
            line(&all[0]).split_whitespace().collect::<Vec<_>>().join(" "),
            "time 20.0 ms (10.0 to 30.0) b"
        );
        assert_eq!(all.len(), 2);
        assert_eq!(medians(&[run(7.0, "x")])[0], figure("time", 7.0, "ms", "x"));
        assert_eq!(medians(&[]), []);
    }
}
