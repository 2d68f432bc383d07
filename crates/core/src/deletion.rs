//! Samples that are to go, as a record in the log: it has its place in the order of things, and is done again after a crash.
//! Who writes it: the historian for a stretch of time, the bus for a signal, in the parcel that retires its name. What does not
//! live here: taking samples out of files.

use bytes::Bytes;

use crate::parcel::{Record, StreamId};
use crate::signal::SignalId;

/// The key of the record.
const KEY: &[u8] = b"deletion.1";

/// Takes the samples of some signals in a stretch of time away: everything that arrived before it, nothing that came later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Whose, sorted.
    pub signals: Vec<SignalId>,
    /// From this time (ns UTC), included.
    pub from: i64,
    /// To this time (ns UTC), included.
    pub last: i64,
    /// Who wants it.
    pub who: String,
    /// Why, as they said.
    pub reason: String,
    /// When it was asked for (ns UTC).
    pub when: i64,
}

impl Deletion {
    /// Whether samples of a signal are among it.
    pub fn concerns(&self, signal: SignalId) -> bool {
        self.signals.binary_search(&signal).is_ok()
    }

    /// The record: three times of 8 bytes, who and why with their lengths in 4, and ids of 4, little endian.
    pub fn record(&self) -> Record {
        let mut value = Vec::new();
        for time in [self.from, self.last, self.when] {
            value.extend(time.to_le_bytes());
        }
        for text in [&self.who, &self.reason] {
            value.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            value.extend(text.as_bytes());
        }
        self.signals.iter().for_each(|signal| value.extend(signal.get().to_le_bytes()));
        Record { stream: StreamId::CORRECTIONS, key: Bytes::from_static(KEY), value: value.into() }
    }

    /// None where a record is no deletion.
    pub fn of(record: &Record) -> Option<Deletion> {
        if record.stream != StreamId::CORRECTIONS || record.key != KEY {
            return None;
        }
        let mut bytes = &*record.value;
        let from = i64::from_le_bytes(take(&mut bytes)?);
        let last = i64::from_le_bytes(take(&mut bytes)?);
        let when = i64::from_le_bytes(take(&mut bytes)?);
        let (who, reason) = (text(&mut bytes)?, text(&mut bytes)?);
        let mut signals = Vec::with_capacity(bytes.len() / 4);
        while !bytes.is_empty() {
            signals.push(SignalId::new(u32::from_le_bytes(take(&mut bytes)?))?);
        }
        signals.sort_unstable();
        Some(Deletion { signals, from, last, who, reason, when })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let len = u32::from_le_bytes(take(bytes)?) as usize;
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(std::str::from_utf8(head).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_deletion_comes_back_and_bytes_by_chance_break_nothing(
            ids in proptest::collection::btree_set(1u32.., 0..5), times: (i64, i64, i64), who in ".{0,9}", reason in ".{0,9}",
            cut in 0usize..200, bytes: Vec<u8>,
        ) {
            let signals = ids.into_iter().filter_map(SignalId::new).collect();
            let deletion = Deletion { signals, from: times.0, last: times.1, who, reason, when: times.2 };
            let record = deletion.record();
            prop_assert_eq!(Deletion::of(&record), Some(deletion));
            let short = record.value.slice(..cut.min(record.value.len()));
            let _ = Deletion::of(&Record { value: short, ..record.clone() });
            let _ = Deletion::of(&Record { value: bytes.into(), ..record.clone() });
            prop_assert_eq!(Deletion::of(&Record { stream: StreamId::AUDIT, ..record }), None);
        }
    }
}
