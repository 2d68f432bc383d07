//! Reads audit files line by line and judges each: does it follow from the line before? A line that does not is named,
//! and the scan goes on behind it, so that one damaged entry is one finding and not the end of the report.

use std::fmt;

use super::file_name;
use super::line::{Chain, Hash, Header, seq_of, split};
use super::mark::Marks;
use super::verify::said_version;

/// How many findings a report lists one by one; more are counted.
pub(crate) const FINDINGS_MAX: usize = 1000;

/// Something that is wrong with the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// At which line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub what: What,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// This entry is not what was written.
    Altered(u64),
    /// These entries are not there.
    Missing(u64, u64),
    /// This entry stands again, or not in its place.
    OutOfPlace(u64),
    /// Here stands no entry; this one was expected.
    Unreadable(u64),
    /// The first line of the file is not what was written.
    Header,
    /// The same; it says that a newer version wrote it, and its hash does not bear that out.
    Claims(u64),
    /// The chain begins with this entry, and no entry says that the ones before were removed by retention.
    Beginning(u64),
    /// The mark says that the chain went on to this entry.
    EndMissing(u64, u64),
    /// The mark remembers another entry here: the chain was written anew.
    Rewritten(u64),
    /// The mark cannot be read, so a cut end would not be noticed.
    MarkUnreadable,
    /// There are entries and no mark, so a cut end would not be noticed.
    MarkMissing,
    /// A file that does not belong here.
    Stray,
    /// A file that bears a number of the chain and is no part of it.
    Foreign,
    /// The chain begins anew here, and what it was before is gone.
    BegunAnew(u64),
    /// There are tokens, whose making is always recorded, and neither entries nor a mark.
    Gone,
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Altered(seq) => write!(out, "entry {seq} was altered"),
            What::Missing(from, to) if from == to => write!(out, "entry {from} is missing before this line"),
            What::Missing(from, to) => write!(out, "entries {from} to {to} are missing before this line"),
            What::OutOfPlace(seq) => write!(out, "entry {seq} stands again, or not in its place"),
            What::Unreadable(seq) => write!(out, "no entry can be read where entry {seq} should stand"),
            What::Header => out.write_str("the first line of the file was altered"),
            What::Claims(found) => write!(
                out,
                "the first line of the file was altered: it says format {found}, which its hash does not bear out (this version \
                 reads formats up to {})",
                super::VERSION
            ),
            What::Beginning(seq) => {
                write!(
                    out,
                    "the chain begins with entry {seq}, and no entry records that earlier ones were removed"
                )
            }
            What::EndMissing(from, to) => {
                write!(
                    out,
                    "entries {from} to {to} are missing at the end: the mark says that they were there"
                )
            }
            What::Rewritten(seq) => {
                write!(out, "entry {seq} is not the one that the mark remembers: the chain was written anew")
            }
            What::MarkUnreadable => out.write_str("the mark cannot be read, so a cut end may go unnoticed"),
            What::MarkMissing => out.write_str("the mark is missing, so a cut end may go unnoticed"),
            What::Stray => {
                out.write_str("the file does not belong here: find out who put it there, and move it elsewhere")
            }
            What::Foreign => out.write_str(
                "the file is no part of the chain: find out who put it there, and move it elsewhere (the next start \
                 moves it to data/guard/audit.foreign)",
            ),
            What::BegunAnew(seq) => write!(
                out,
                "entry {seq} records that all entries before were gone and the chain began anew: find out who removed them, and \
                 look for them in a backup"
            ),
            What::Gone => out.write_str(
                "there are tokens, whose making is always recorded, and no entries: put the folder back from a backup",
            ),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file, self.what),
            line => write!(out, "{} line {line}: {}", self.file, self.what),
        }
    }
}

/// What is known about the line before the next one.
enum Before {
    /// Nothing: whatever comes cannot be checked.
    Unknown,
    /// Its hash is this one.
    Known(Hash),
    /// It was altered: either its body, then the hash that it states is right; or that hash, then the computed one is.
    Either(Hash, Hash),
}

/// Goes through the files in order.
pub(crate) struct Scanner {
    before: Before,
    /// The next entry that should come.
    expected: u64,
    marks: Marks,
    pub(crate) findings: Vec<Finding>,
    pub(crate) findings_more: u64,
    pub(crate) entries: u64,
    /// The last line that was accepted.
    pub(crate) end: Chain,
    /// Where the oldest file begins: its first entry and the hash before it.
    pub(crate) beginning: Option<(u64, Hash)>,
    /// `audit.trim` entries seen: the last entry removed, and the hash behind it.
    pub(crate) trims: Vec<(u64, String)>,
}

/// Where a file's lines end.
pub(crate) struct FileEnd {
    /// Behind the last line that was accepted.
    pub(crate) sound_bytes: u64,
    /// Whether what follows can be a write that was cut off: nothing that the mark vouches for.
    pub(crate) torn: bool,
    /// The header, if it could be read.
    pub(crate) header: Option<Header>,
}

/// How a file ends, which decides what may stand behind its last sound line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Another follows: the lines must go on to its end.
    Followed,
    /// Another follows that was begun after a failed write: what stands behind this entry is void.
    VoidAfter(u64),
    /// It is the last: a torn write may stand at its end.
    Last,
}

impl Scanner {
    pub(crate) fn new(marks: Marks) -> Scanner {
        Scanner {
            before: Before::Unknown,
            expected: 0,
            marks,
            findings: Vec::new(),
            findings_more: 0,
            entries: 0,
            end: Chain::EMPTY,
            beginning: None,
            trims: Vec::new(),
        }
    }

    pub(crate) fn find(&mut self, file: &str, line: u64, what: What) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { file: file.to_owned(), line, what });
        } else {
            self.findings_more += 1;
        }
    }

    /// Judges the lines of one file.
    pub(crate) fn file(&mut self, first: u64, bytes: &[u8], ending: Ending) -> FileEnd {
        let name = file_name(first);
        let mut end = FileEnd { sound_bytes: 0, torn: false, header: None };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1..);
        match lines.next() {
            Some((line, _)) if self.header(&name, first, line, &mut end) => {}
            first_line
                if ending == Ending::Last
                    && first > self.marks.seq()
                    && !first_line.is_some_and(|(line, _)| is_header(line)) =>
            {
                end.torn = true;
                return end;
            }
            _ => {
                let claims = said_version(bytes).filter(|found| *found > super::VERSION);
                self.find(&name, 1, claims.map_or(What::Header, What::Claims));
                self.before = Before::Unknown;
                self.expected = first;
                end.sound_bytes = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
            }
        }
        let mut at = end.sound_bytes;
        for (line, number) in lines {
            if ending == Ending::VoidAfter(self.expected.saturating_sub(1)) {
                return end;
            }
            at += line.len() as u64;
            let whole = line.strip_suffix(b"\n");
            let sound = whole.is_some_and(|line| self.follows(line));
            if !sound
                && ending == Ending::Last
                && self.expected > self.marks.seq()
                && !whole.is_some_and(|line| self.stands_elsewhere(line))
            {
                // All that the mark vouches for has been seen: this is the write that a crash cut off.
                end.torn = true;
                return end;
            }
            match whole.and_then(|line| split(line).zip(split(line).and_then(|(body, _)| seq_of(body)))) {
                Some(((body, hash), seq)) => self.judge(&name, number, body, hash, seq, sound),
                None => {
                    self.find(&name, number, What::Unreadable(self.expected));
                    self.expected += 1;
                    self.before = Before::Unknown;
                }
            }
            end.sound_bytes = at;
        }
        end
    }

    /// Takes the first line; false if it is none.
    fn header(&mut self, name: &str, first: u64, line: &[u8], end: &mut FileEnd) -> bool {
        let Some(line_body) = line.strip_suffix(b"\n") else { return false };
        let Some((header, (_, hash))) = Header::of(line_body).zip(split(line_body)) else { return false };
        let Some(prev) = header.prev() else { return false };
        if header.first != first {
            return false;
        }
        if self.beginning.is_none() {
            self.beginning = Some((first, prev));
            self.expected = first;
            self.end = Chain { seq: first.saturating_sub(1), hash: prev };
        } else {
            if first > self.expected {
                self.find(name, 1, What::Missing(self.expected, first - 1));
            } else if !self.continues(&header) {
                self.find(name, 1, What::OutOfPlace(first));
            }
            self.expected = first;
        }
        self.before = Before::Known(hash);
        self.end.hash = hash;
        end.sound_bytes = line.len() as u64;
        end.header = Some(header);
        true
    }

    /// Whether a file that begins so goes on where the lines so far end.
    pub(crate) fn continues(&self, header: &Header) -> bool {
        let prev = header.prev();
        let follows = match self.before {
            Before::Unknown => true,
            Before::Known(before) => prev == Some(before),
            Before::Either(one, other) => prev == Some(one) || prev == Some(other),
        };
        header.first == self.expected && follows
    }

    /// Whether a line is the next entry, and whole.
    fn follows(&self, line: &[u8]) -> bool {
        let Some((body, hash)) = split(line) else { return false };
        let follows = match &self.before {
            Before::Unknown => false,
            Before::Known(before) => Hash::after(before, body) == hash,
            Before::Either(one, other) => Hash::after(one, body) == hash || Hash::after(other, body) == hash,
        };
        follows && seq_of(body) == Some(self.expected)
    }

    /// Whether a line is a whole one from another place. A write that was cut off holds later entries, never earlier.
    fn stands_elsewhere(&self, line: &[u8]) -> bool {
        let Some((body, _)) = split(line) else { return false };
        seq_of(body).is_some_and(|seq| seq < self.expected) || Header::parse(body).is_some()
    }

    fn judge(&mut self, name: &str, line: u64, body: &[u8], hash: Hash, seq: u64, sound: bool) {
        if sound {
            self.before = Before::Known(hash);
            if self.note_own(body) {
                self.find(name, line, What::BegunAnew(seq));
            }
        } else if seq < self.expected {
            // It is not in the chain: the next line must follow from the one before it.
            self.find(name, line, What::OutOfPlace(seq));
            return;
        } else if seq > self.expected {
            self.find(name, line, What::Missing(self.expected, seq - 1));
            self.before = Before::Known(hash);
        } else {
            self.before = match self.before {
                // Behind an unreadable line nothing can be checked; that line is a finding already.
                Before::Unknown => Before::Known(hash),
                Before::Known(before) | Before::Either(before, _) => {
                    self.find(name, line, What::Altered(seq));
                    Before::Either(hash, Hash::after(&before, body))
                }
            };
        }
        if sound && self.marks.contradict(Chain { seq, hash }) {
            self.find(name, line, What::Rewritten(seq));
        }
        self.entries += 1;
        self.expected = seq + 1;
        self.end = Chain { seq, hash };
    }

    /// Reads what the guard recorded of its own files; whether that is a chain that begins anew.
    fn note_own(&mut self, body: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Own {
            action: String,
            who: String,
            detail: Detail,
        }
        #[derive(serde::Deserialize)]
        struct Detail {
            through: Option<u64>,
            hash: Option<String>,
            missing: Option<String>,
        }
        // Looked for before parsing: a chain has millions of entries and a handful of these.
        if ![TRIM, DAMAGE].iter().any(|action| body.windows(action.len()).any(|window| window == *action)) {
            return false;
        }
        let mut whole = body.to_vec();
        whole.push(b'}');
        let Ok(own) = serde_json::from_slice::<Own>(&whole) else { return false };
        if own.who != super::writer::WHO {
            return false;
        }
        if let (Some(through), Some(hash), "audit.trim") =
            (own.detail.through, own.detail.hash, own.action.as_str())
        {
            self.trims.push((through, hash));
        }
        own.action == "audit.damage" && own.detail.missing.as_deref() == Some(ALL_MISSING)
    }
}

/// What `audit.damage` says is missing where a chain begins anew.
pub(crate) const ALL_MISSING: &str = "all";

/// Whether a line is a whole first line, if perhaps of another file.
fn is_header(line: &[u8]) -> bool {
    line.strip_suffix(b"\n").and_then(split).is_some_and(|(body, _)| Header::parse(body).is_some())
}

const TRIM: &[u8] = b"\"action\":\"audit.trim\"";
const DAMAGE: &[u8] = b"\"action\":\"audit.damage\"";
