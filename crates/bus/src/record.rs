//! Definitions as bytes: the records of stream REGISTRY in the log, and the same bytes in the snapshot. The page is
//! docs/spec/registry.md. What to believe when records disagree is the registry's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::{Meta, NumberKind, Record, Signal, SignalId, SignalPath, SourceId, StreamId};

use crate::error::Error;

/// The newest form of a definition that this version reads and writes.
pub(crate) const RECORD_VERSION: u8 = 1;

const KEY_SIGNAL: u8 = b'S';
const KEY_SOURCE: u8 = b'W';

const RETIRED: u8 = 1;
const INTEGER: u8 = 2;
const STEPPED_SET: u8 = 4;
const STEPPED: u8 = 8;

/// What a record of the registry says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Definition {
    /// All that is known of a signal, as of its `revision`th state.
    Signal { revision: u32, signal: Signal },
    /// The name behind the number of a source.
    Source { id: SourceId, name: Arc<str> },
}

pub(crate) fn signal_record(revision: u32, signal: &Signal) -> Record {
    let mut value = Vec::with_capacity(96);
    write_signal(&mut value, revision, signal);
    Record { stream: StreamId::REGISTRY, key: key(KEY_SIGNAL, signal.id.get()), value: value.into() }
}

/// Records of signals that go into one parcel. They share their memory: a piece for each would be larger than what is in it, and
/// new signals come by thousands.
#[derive(Default)]
pub(crate) struct SignalRecords {
    bytes: Vec<u8>,
    /// Where the key of each ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl SignalRecords {
    pub(crate) fn add(&mut self, revision: u32, signal: &Signal) {
        self.bytes.extend_from_slice(&key_bytes(KEY_SIGNAL, signal.id.get()));
        let key_end = self.bytes.len();
        write_signal(&mut self.bytes, revision, signal);
        self.ends.push((key_end, self.bytes.len()));
    }

    pub(crate) fn finish(self) -> impl Iterator<Item = Record> {
        let bytes = Bytes::from(self.bytes.into_boxed_slice());
        let mut begin = 0;
        self.ends.into_iter().map(move |(key_end, end)| {
            let key = bytes.slice(std::mem::replace(&mut begin, end)..key_end);
            Record { stream: StreamId::REGISTRY, key, value: bytes.slice(key_end..end) }
        })
    }
}

pub(crate) fn source_record(id: SourceId, name: &str) -> Record {
    let mut out = vec![RECORD_VERSION];
    put_text(&mut out, name);
    Record { stream: StreamId::REGISTRY, key: key(KEY_SOURCE, id.0), value: out.into() }
}

fn key(kind: u8, number: u32) -> Bytes {
    Bytes::copy_from_slice(&key_bytes(kind, number))
}

fn key_bytes(kind: u8, number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_le_bytes();
    [kind, a, b, c, d]
}

/// Reads a record of the registry.
///
/// # Errors
/// [`Error::Newer`]: a later version wrote it. `Ok(None)`: it cannot be read, though it has a known version.
pub(crate) fn read_record(record: &Record) -> Result<Option<Definition>, Error> {
    let (Some((&kind, number)), Some(&version)) = (record.key.split_first(), record.value.first()) else {
        return Ok(None);
    };
    if version > RECORD_VERSION || !matches!(kind, KEY_SIGNAL | KEY_SOURCE) {
        return Err(Error::Newer {
            what: format!("a record of the registry ({:?})", char::from(kind)),
            found: u32::from(version),
            known: u32::from(RECORD_VERSION),
        });
    }
    let Ok(number) = number.try_into().map(u32::from_le_bytes) else { return Ok(None) };
    let mut input = Input(record.value.get(1..).unwrap_or_default());
    Ok(match kind {
        KEY_SIGNAL => SignalId::new(number).and_then(|id| read_signal(&mut input, id)),
        _ => input.text().map(|name| Definition::Source { id: SourceId(number), name: name.into() }),
    })
}

/// Version, then the fields in the order of the page.
pub(crate) fn write_signal(out: &mut Vec<u8>, revision: u32, signal: &Signal) {
    let meta = &signal.meta;
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = flag(signal.retired, RETIRED)
        | flag(meta.number == NumberKind::Integer, INTEGER)
        | flag(meta.stepped.is_some(), STEPPED_SET)
        | flag(meta.stepped == Some(true), STEPPED);
    out.push(RECORD_VERSION);
    out.extend_from_slice(&revision.to_le_bytes());
    out.push(flags);
    out.extend_from_slice(&signal.created.to_le_bytes());
    out.extend_from_slice(&meta.stale_after_ns.to_le_bytes());
    for text in
        [signal.path.as_str(), &signal.creator, &meta.owner, &meta.unit, &meta.unit_ucum, &meta.description]
    {
        put_text(out, text);
    }
    put_len(out, signal.aliases.len());
    signal.aliases.iter().for_each(|alias| put_text(out, alias.as_str()));
    put_len(out, meta.tags.len());
    for (name, value) in &meta.tags {
        put_text(out, name);
        put_text(out, value);
    }
}

/// The fields after the version.
pub(crate) fn read_signal(input: &mut Input<'_>, id: SignalId) -> Option<Definition> {
    let revision = input.u32()?;
    let flags = input.u8()?;
    let created = input.i64()?;
    let stale_after_ns = input.i64()?;
    let path = SignalPath::new(input.text()?).ok()?;
    let mut next = || input.text().map(Arc::<str>::from);
    let (creator, owner, unit, unit_ucum, description) = (next()?, next()?, next()?, next()?, next()?);
    let aliases = (0..input.len()?)
        .map(|_| input.text().and_then(|text| SignalPath::new(text).ok()))
        .collect::<Option<Vec<_>>>()?;
    let tags = (0..input.len()?)
        .map(|_| Some((input.text()?.into(), input.text()?.into())))
        .collect::<Option<BTreeMap<_, _>>>()?;
    let number = if flags & INTEGER != 0 { NumberKind::Integer } else { NumberKind::Float };
    let stepped = (flags & STEPPED_SET != 0).then_some(flags & STEPPED != 0);
    let meta = Meta { unit, unit_ucum, description, number, stepped, owner, stale_after_ns, tags };
    let signal = Signal { id, path, aliases, meta, creator, created, retired: flags & RETIRED != 0 };
    Some(Definition::Signal { revision, signal })
}

pub(crate) fn put_len(out: &mut Vec<u8>, mut len: usize) {
    while len >= 0x80 {
        out.push(len.to_le_bytes()[0] | 0x80);
        len >>= 7;
    }
    out.push(len.to_le_bytes()[0]);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Bytes that are read from the front; every read may find that there are too few.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A length in LEB128; never more than there are bytes left, for everything counted takes at least one.
    pub(crate) fn len(&mut self) -> Option<usize> {
        let mut len = 0usize;
        for shift in (0..28).step_by(7) {
            let byte = self.u8()?;
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return (len <= self.0.len()).then_some(len);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Arc<str>> {
        "\\PC{0,12}".prop_map(Arc::from)
    }

    fn path_of(number: u32) -> SignalPath {
        SignalPath::new(&format!("ä/b/{number}")).unwrap()
    }

    #[test]
    fn records_of_one_parcel_share_their_memory() {
        let signal = |number| Signal {
            id: SignalId::new(number).unwrap(),
            path: path_of(number),
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "token:a".into(),
            created: 0,
            retired: false,
        };
        let mut records = SignalRecords::default();
        (1..=3).for_each(|number| records.add(number, &signal(number)));
        let records: Vec<Record> = records.finish().collect();
        for (record, number) in records.iter().zip(1..) {
            assert_eq!(*record, signal_record(number, &signal(number)));
        }
        let pieces: Vec<&Bytes> = records.iter().flat_map(|record| [&record.key, &record.value]).collect();
        assert!(pieces.windows(2).all(|pair| pair[0].as_ptr_range().end == pair[1].as_ptr()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (id, revision, created, stale_after_ns) in (1u32.., any::<u32>(), any::<i64>(), any::<i64>()),
            (unit, unit_ucum, description, owner, creator) in (texts(), texts(), texts(), texts(), texts()),
            tags in proptest::collection::btree_map(texts(), texts(), 0..5),
            aliases in proptest::collection::vec(any::<u32>(), 0..4),
            (retired, integer, stepped) in (any::<bool>(), any::<bool>(), any::<Option<bool>>()),
        ) {
            let number = if integer { NumberKind::Integer } else { NumberKind::Float };
            let meta = Meta { unit, unit_ucum, description, number, stepped, owner, stale_after_ns, tags };
            let aliases = aliases.into_iter().map(path_of).collect();
            let signal = Signal { id: SignalId::new(id).unwrap(), path: path_of(id), aliases, meta, creator, created, retired };
            let record = signal_record(revision, &signal);
            prop_assert_eq!(read_record(&record).unwrap(), Some(Definition::Signal { revision, signal }));
            for end in 0..record.value.len() {
                let cut = Record { value: record.value.slice(..end), ..record.clone() };
                prop_assert!(read_record(&cut).unwrap().is_none(), "cut at {}", end);
            }
        }

        #[test]
        fn no_bytes_panic(key in proptest::collection::vec(any::<u8>(), 0..7), value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_record(&Record { stream: StreamId::REGISTRY, key: key.into(), value: value.into() });
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        let mut record = source_record(SourceId(3), "token:x");
        assert_eq!(
            read_record(&record).unwrap(),
            Some(Definition::Source { id: SourceId(3), name: "token:x".into() })
        );
        record.value = Bytes::from_static(&[2, 0]);
        expect_test::expect![
            "a record of the registry ('W') has format 2, and this version reads formats up to 1"
        ]
        .assert_eq(&read_record(&record).unwrap_err().to_string());
    }
}
