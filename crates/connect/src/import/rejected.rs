//! The rows that could not be read, written so that they can be mended and imported again: each as it stood, below a
//! remark that says why. An import passes over the remarks.

use super::lineprotocol::Context;

/// A row, or a part of one, that is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The line of the file, from 1.
    pub line: u64,
    /// The column, where one is to blame.
    pub column: Option<String>,
    /// As it stands in the file.
    pub raw: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How a remark begins. Line protocol takes it for a comment.
const REMARK: &str = "#rejected ";

/// Whether a line is such a remark.
pub(super) fn is_remark(line: &str) -> bool {
    line.starts_with(REMARK)
}

impl Reject {
    /// Where and why, in one line.
    pub fn remark(&self) -> String {
        let column = self.column.as_ref().map(|column| format!(", column '{column}'")).unwrap_or_default();
        let text = format!("line {}{column}: {}", self.line, self.reason);
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
    }

    /// Appends the remark and the row.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(REMARK.as_bytes());
        out.extend_from_slice(self.remark().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.raw.as_bytes());
        out.push(b'\n');
    }
}

/// The rows of one part as they stand in the file: the plant may refuse what could be read here.
#[derive(Debug, Default)]
pub struct Originals {
    /// Of line protocol: from which database they are.
    pub context: Context,
    text: String,
    /// The line of each row, and where it ends in the text.
    rows: Vec<(u64, usize)>,
}

impl Originals {
    /// None so far, from there.
    pub(super) fn of(context: Context) -> Originals {
        Originals { context, ..Originals::default() }
    }

    pub(super) fn add(&mut self, line: u64, raw: &str) {
        self.text.push_str(raw);
        self.rows.push((line, self.text.len()));
    }

    /// The number of the row that is added next.
    pub(super) fn next_row(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    fn row(&self, number: u32) -> Option<(u64, &str)> {
        let number = number as usize;
        let (line, end) = *self.rows.get(number)?;
        let start = number.checked_sub(1).and_then(|before| self.rows.get(before)).map_or(0, |(_, end)| *end);
        Some((line, self.text.get(start..end)?))
    }

    /// What could not be read and what the plant refused, by row and reason in the order of the file: each row once.
    pub fn rejects(&self, mut rejects: Vec<Reject>, refused: &[(u32, String)]) -> Vec<Reject> {
        let unread = rejects.len();
        for of_row in refused.chunk_by(|one, other| one.0 == other.0) {
            let Some((line, raw)) = of_row.first().and_then(|(row, _)| self.row(*row)) else { continue };
            let mut reasons: Vec<&str> = of_row.iter().map(|(_, reason)| reason.as_str()).collect();
            reasons.dedup();
            let reason = reasons.join("; ");
            // They are in the order of the file; several objects may stand on one line.
            let unread = rejects.get_mut(..unread).unwrap_or_default();
            let from = unread.partition_point(|reject| reject.line < line);
            let on_it = unread.iter_mut().skip(from).take_while(|reject| reject.line == line);
            match on_it.into_iter().find(|reject| reject.raw == raw) {
                Some(reject) => reject.reason = format!("{}; {reason}", reject.reason),
                None => rejects.push(Reject { line, column: None, raw: raw.to_owned(), reason }),
            }
        }
        rejects.sort_by_key(|reject| reject.line);
        rejects
    }
}

/// The text without the remarks and blank lines before the first row.
pub(super) fn first_row(text: &str) -> &str {
    let mut rest = text.trim_start();
    while is_remark(rest) {
        rest = rest.split_once(['\n', '\r']).map_or("", |(_, rest)| rest).trim_start();
    }
    rest
}

/// The name of the file that takes the rejects of another.
pub fn rejected_name(file: &str) -> String {
    format!("{file}.rejected")
}
