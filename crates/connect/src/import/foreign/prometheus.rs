//! Prometheus' text format and OpenMetrics, with times: what `promtool tsdb dump` and exporters write.

use super::as_it_is;
use super::points::{Point, instant};

/// How many of the first lines are looked at.
const LINES_MAX: usize = 200;

/// A sample: its name, labels, value, and time.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: &'a str,
    time: Option<&'a str>,
}

/// Whether most of the first lines are samples, and one of them has labels or a time.
pub(super) fn is_one(text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(LINES_MAX);
    let (mut all, mut good, mut sure) = (0, 0, text.starts_with("# HELP ") || text.starts_with("# TYPE "));
    for line in lines {
        all += 1;
        if let Some(sample) = sample(line) {
            good += 1;
            sure |= line.contains('{') && !sample.labels.is_empty();
        }
    }
    sure && good > 0 && good * 10 >= all * 6
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    let end = line.find(['{', ' ', '\t'])?;
    let (mut name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = pairs(inner, &mut labels)?;
    }
    // What stands behind the mark of an exemplar tells of another sample.
    let mut words = rest.split(" # ").next().unwrap_or_default().split_whitespace();
    let (value, time) = (words.next()?, words.next());
    if let Some(at) = labels.iter().position(|(label, _)| *label == "__name__").filter(|_| name.is_empty()) {
        name = line.get(line.find("__name__=\"")? + 10..)?.split('"').next()?;
        labels.remove(at);
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    let is_name =
        !name.is_empty() && name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit());
    let is_number = value.parse::<f64>().is_ok();
    (is_name && is_number && words.next().is_none()).then_some(Sample { name, labels, value, time })
}

/// Reads `a="b", c="d"}`, and gives what follows.
fn pairs<'a>(mut rest: &'a str, labels: &mut Vec<(&'a str, String)>) -> Option<&'a str> {
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        loop {
            match characters.next()?.1 {
                '"' => break,
                '\\' => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                other => value.push(other),
            }
        }
        rest = characters.as_str();
        labels.push((name.trim(), value));
    }
}

/// A line as a point.
pub(super) fn line(text: &str, out: &mut Vec<u8>) {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return;
    }
    let Some(sample) = sample(text) else { return as_it_is(text, out) };
    let tags = sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let fields = vec![("value", sample.value.to_owned())];
    let point = Point { measurement: sample.name, tags, fields, time: sample.time.and_then(instant) };
    if !point.write(out) {
        as_it_is(text, out);
    }
}
