//! The rows that could not be read, written so that they can be mended and imported again: each as it stood, below a
//! remark that says why. An import passes over the remarks.

/// A row, or a part of one, that is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The line of the file, from 1.
    pub(crate) line: u64,
    /// The column, where one is to blame.
    pub(crate) column: Option<String>,
    /// As it stands in the file.
    pub(crate) raw: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// How a remark begins. Line protocol takes it for a comment.
const REMARK: &str = "#rejected ";

/// Whether a line is such a remark.
pub(super) fn is_remark(line: &str) -> bool {
    line.starts_with(REMARK)
}

impl Reject {
    /// Where and why, in one line.
    pub(crate) fn remark(&self) -> String {
        let column = self.column.as_ref().map(|column| format!(", column '{column}'")).unwrap_or_default();
        let text = format!("line {}{column}: {}", self.line, self.reason);
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
    }

    /// Appends the remark and the row.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(REMARK.as_bytes());
        out.extend_from_slice(self.remark().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.raw.as_bytes());
        out.push(b'\n');
    }
}

/// The name of the file that takes the rejects of another.
pub(crate) fn rejected_name(file: &str) -> String {
    format!("{file}.rejected")
}
