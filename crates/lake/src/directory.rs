//! Where each signal's rows are in a file: kept in the file itself, between the data and the Parquet footer, so that
//! a question touches the rows it asks for and no page of the signal column. What does not live here: anything that
//! another reader needs; to it these bytes are nobody's.

use tidemill_core::SignalId;

/// The rows of one signal in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) signal: SignalId,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    /// The time of the first row.
    pub(crate) from: i64,
    /// The time of the last row.
    pub(crate) last: i64,
}

const ENTRY_BYTES: usize = 36;

/// All signals of a file, and the numbers of the sources that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Sorted by signal id.
    pub(crate) entries: Vec<Entry>,
    /// (number, name).
    pub(crate) sources: Vec<(u32, String)>,
}

impl Directory {
    /// The rows of a signal.
    pub(crate) fn find(&self, signal: SignalId) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&signal, |entry| entry.signal).ok()?;
        self.entries.get(index)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
            + self.sources.iter().map(|(_, name)| name.len() + 40).sum::<usize>()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * ENTRY_BYTES + 8);
        out.extend((self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.extend(entry.signal.get().to_le_bytes());
            out.extend(entry.first_row.to_le_bytes());
            out.extend(entry.rows.to_le_bytes());
            out.extend(entry.from.to_le_bytes());
            out.extend(entry.last.to_le_bytes());
        }
        for (number, name) in &self.sources {
            out.extend(number.to_le_bytes());
            out.extend((name.len() as u32).to_le_bytes());
            out.extend(name.as_bytes());
        }
        out
    }

    /// None where the bytes are no directory.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Directory> {
        let count = u32::from_le_bytes(take(&mut bytes)?) as usize;
        let mut directory = Directory::default();
        directory.entries.reserve(count.min(bytes.len() / ENTRY_BYTES));
        for _ in 0..count {
            directory.entries.push(Entry {
                signal: SignalId::new(u32::from_le_bytes(take(&mut bytes)?))?,
                first_row: u64::from_le_bytes(take(&mut bytes)?),
                rows: u64::from_le_bytes(take(&mut bytes)?),
                from: i64::from_le_bytes(take(&mut bytes)?),
                last: i64::from_le_bytes(take(&mut bytes)?),
            });
        }
        while !bytes.is_empty() {
            let number = u32::from_le_bytes(take(&mut bytes)?);
            let len = u32::from_le_bytes(take(&mut bytes)?) as usize;
            let (name, rest) = bytes.split_at_checked(len)?;
            bytes = rest;
            directory.sources.push((number, std::str::from_utf8(name).ok()?.to_owned()));
        }
        Some(directory)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
