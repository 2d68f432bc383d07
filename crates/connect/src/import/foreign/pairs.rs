//! Tables with a pair of columns for each signal, its times and its values, as PI DataLink fills them: the names stand above
//! the pairs, and the rows of one pair have nothing to do with those of another.

use super::super::records::Record;
use super::super::words::{self, Meaning};
use super::{ByRecord, row};

/// How far down the header may stand.
const LINES_MAX: usize = 10;

/// Pairs that are turned into rows of signal, time and value.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    pub(super) separator: char,
    /// The signals, and where their times stand; the values stand beside.
    signals: Vec<(String, usize)>,
    /// The header, behind which the rows begin.
    header: String,
    begun: bool,
}

impl Pairs {
    /// If a header says nothing but time and value several times, and names stand above.
    pub(super) fn of(text: &str) -> Option<Pairs> {
        let mut record = Record::default();
        for separator in ['\t', ';', ','] {
            let mut above: Vec<String> = Vec::new();
            for line in text.lines().take(LINES_MAX) {
                record.split(1, line, separator);
                let meanings: Vec<Option<Meaning>> = record.fields().map(words::meaning).collect();
                let is_time = |at: &usize| {
                    let pair =
                        (meanings.get(*at).copied().flatten(), meanings.get(at + 1).copied().flatten());
                    pair == (Some(Meaning::Time), Some(Meaning::Value))
                };
                let times: Vec<usize> = (0..meanings.len()).filter(is_time).collect();
                let name = |at: &usize| {
                    let here = [*at, at + 1].into_iter().filter_map(|at| above.get(at));
                    Some((here.into_iter().find(|name| !name.is_empty())?.clone(), *at))
                };
                let signals: Option<Vec<(String, usize)>> = times.iter().map(name).collect();
                if times.len() >= 2
                    && let Some(signals) = signals
                {
                    return Some(Pairs { separator, signals, header: line.trim().to_owned(), begun: false });
                }
                above = record.fields().map(str::to_owned).collect();
            }
        }
        None
    }
}

impl ByRecord for Pairs {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = record.raw.trim() == self.header;
            if self.begun {
                out.extend_from_slice(b"signal,time,value\n");
            }
            return;
        }
        for (name, at) in &self.signals {
            let (time, value) = (record.field(*at), record.field(at + 1));
            if !(time.is_empty() && value.is_empty()) {
                row([name.as_str(), time, value], out);
            }
        }
    }
}
