//! The state of the namespace in one file, so that a start reads little of the log: signals, sources, the clock of
//! stamps, publishes known by number, and last values. The page is docs/spec/registry.md. The file may be ahead of the
//! place it names, never behind: reading the log again from there changes nothing that is already known.

use std::path::Path;

use tidemill_core::{ProducerId, Seq, SignalId, SourceId};
use tidemill_ground::{Disk, read, replace};

use crate::error::Error;
use crate::last::LastValues;
use crate::once::{Key, ONCE_MAX};
use crate::record::{Definition, Input, RECORD_VERSION, put_text, read_signal, write_signal};
use crate::registry::{Entry, Registry};
use crate::stamp::Stamper;

/// The snapshot in the bus's folder.
pub(crate) const FILE_NAME: &str = "registry.tms";
const MAGIC: &[u8; 4] = b"TMRG";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 6;
const SUM_BYTES: usize = 4;

/// What a snapshot holds.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) seq: Seq,
    pub(crate) stamper: Option<Stamper>,
    pub(crate) registry: Registry,
    pub(crate) once: Vec<(Key, Seq)>,
    pub(crate) last: LastValues,
}

/// Builds the bytes of a snapshot, part by part in this order, so that no lock is held for the whole of it.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    counting: usize,
    count: u32,
}

impl Builder {
    pub(crate) fn new(seq: Seq, stamper: Stamper) -> Builder {
        let mut bytes = Vec::with_capacity(1 << 16);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&seq.0.to_le_bytes());
        let (last, wall) = stamper.parts();
        bytes.extend_from_slice(&last.to_le_bytes());
        bytes.extend_from_slice(&wall.to_le_bytes());
        Builder { bytes, counting: 0, count: 0 }
    }

    /// Begins the next of the four lists: sources, signals, publishes, last values.
    pub(crate) fn list(&mut self) {
        self.end_list();
        self.counting = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
    }

    fn end_list(&mut self) {
        let count = std::mem::take(&mut self.count).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(self.counting..self.counting + 4)
            && self.counting > 0
        {
            place.copy_from_slice(&count);
        }
    }

    pub(crate) fn source(&mut self, id: SourceId, name: &str) {
        self.count += 1;
        self.bytes.extend_from_slice(&id.0.to_le_bytes());
        put_text(&mut self.bytes, name);
    }

    pub(crate) fn signal(&mut self, entry: &Entry) {
        self.count += 1;
        self.bytes.extend_from_slice(&entry.id.get().to_le_bytes());
        write_signal(&mut self.bytes, entry.revision, &entry.signal());
    }

    pub(crate) fn once(&mut self, ((producer, number), seq): (Key, Seq)) {
        self.count += 1;
        for word in [producer.0, number, seq.0] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    pub(crate) fn last(&mut self, values: &LastValues, id: SignalId) {
        self.count += u32::from(values.write(id, &mut self.bytes));
    }

    /// Writes the file, durably and at once.
    pub(crate) fn write(mut self, disk: &dyn Disk, dir: &Path) -> Result<usize, Error> {
        self.end_list();
        let sum = crc32c::crc32c(&self.bytes);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        let file = dir.join(FILE_NAME);
        replace(disk, &file, &self.bytes).map_err(|source| Error::File {
            file,
            action: "written",
            source,
        })?;
        Ok(self.bytes.len())
    }
}

/// Reads the snapshot of a folder; an empty state where there is none. It must reach as far as `needed`: the cursor of
/// the log moves only after the snapshot that covers it is durable, so a shorter one is not the one that was written
/// last, and what it lacks may be nowhere else.
pub(crate) fn open(
    disk: &dyn Disk,
    dir: &Path,
    texts_bytes_max: u64,
    needed: Option<Seq>,
) -> Result<State, Error> {
    let file = dir.join(FILE_NAME);
    let failed = |source| Error::File { file: file.clone(), action: "read", source };
    let there = disk.exists(&file).map_err(failed)?;
    let state = match there {
        true => parse(&read(disk, &file).map_err(failed)?, &file, texts_bytes_max)?,
        false => State::default(),
    };
    match needed.filter(|needed| state.seq < *needed) {
        None => Ok(state),
        Some(needed) => {
            let found = match there {
                true => format!("ends at parcel {}", state.seq.0),
                false => "is missing".to_owned(),
            };
            Err(Error::Missing { file, found, needed: needed.0 })
        }
    }
}

fn parse(bytes: &[u8], file: &Path, texts_bytes_max: u64) -> Result<State, Error> {
    let damaged = |what| Error::Damaged { file: file.to_owned(), what };
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(|| damaged("it is too short"))?;
    if !head.starts_with(MAGIC) {
        return Err(damaged("it does not begin as it should"));
    }
    let version = head.last_chunk().copied().map(u16::from_le_bytes).unwrap_or_default();
    if version > VERSION {
        let what = file.display().to_string();
        return Err(Error::Newer { what, found: u32::from(version), known: u32::from(VERSION) });
    }
    let (body, sum) = rest.split_last_chunk::<SUM_BYTES>().ok_or_else(|| damaged("it is too short"))?;
    let summed = bytes.get(..bytes.len() - SUM_BYTES).map(crc32c::crc32c);
    if summed != Some(u32::from_le_bytes(*sum)) {
        return Err(damaged("its checksum does not hold"));
    }
    let mut input = Input(body);
    let state = read_state(&mut input, texts_bytes_max).filter(|_| input.0.is_empty());
    state.ok_or_else(|| damaged("its parts do not fit together"))
}

fn read_state(input: &mut Input<'_>, texts_bytes_max: u64) -> Option<State> {
    let seq = Seq(input.u64()?);
    let stamper = Some(Stamper::from_parts(input.i64()?, input.i64()?));
    let mut state = State { seq, stamper, ..State::default() };
    for _ in 0..input.u32()? {
        state.registry.put_source(SourceId(input.u32()?), input.text()?.into());
    }
    for _ in 0..input.u32()? {
        let id = SignalId::new(input.u32()?)?;
        if input.u8()? != RECORD_VERSION {
            return None;
        }
        let Definition::Signal { revision, signal } = read_signal(input, id)? else { return None };
        state.registry.put(revision, signal);
    }
    for _ in 0..input.u32()?.min(ONCE_MAX as u32) {
        state.once.push(((ProducerId(input.u64()?), input.u64()?), Seq(input.u64()?)));
    }
    let end = state.registry.signals_end();
    for _ in 0..input.u32()? {
        state.last.read(input, end, texts_bytes_max)?;
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidemill_core::{Meta, Signal, SignalPath};
    use tidemill_ground::Ground;

    fn sample() -> Builder {
        let mut builder = Builder::new(Seq(7), Stamper::from_parts(8, 9));
        builder.list();
        builder.source(SourceId(1), "token:a");
        builder.list();
        let signal = Signal {
            id: SignalId::new(3).unwrap(),
            path: SignalPath::new("a/b").unwrap(),
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "token:a".into(),
            created: 5,
            retired: false,
        };
        let mut registry = Registry::default();
        registry.put(2, signal);
        registry.entries(0).for_each(|entry| builder.signal(entry));
        builder.list();
        builder.once(((ProducerId(1), 2), Seq(3)));
        builder.list();
        builder
    }

    fn rewrite(ground: &Ground, change: impl FnOnce(&mut Vec<u8>)) -> Result<State, Error> {
        let (disk, dir) = (ground.disk.as_ref(), Path::new("/data"));
        disk.create_dir_all(dir).unwrap();
        sample().write(disk, dir).unwrap();
        let path = dir.join(FILE_NAME);
        let mut bytes = read(disk, &path).unwrap();
        change(&mut bytes);
        replace(disk, &path, &bytes).unwrap();
        open(disk, dir, 1 << 20, None)
    }

    #[test]
    fn what_is_written_is_read() {
        let (ground, _) = Ground::simulated(1);
        let state = rewrite(&ground, |_| {}).unwrap();
        assert_eq!((state.seq, state.stamper), (Seq(7), Some(Stamper::from_parts(8, 9))));
        assert_eq!(state.registry.find("a/b").unwrap().revision, 2);
        assert_eq!(state.registry.source_id("token:a"), Some(SourceId(1)));
        assert_eq!(state.once, [((ProducerId(1), 2), Seq(3))]);
    }

    #[test]
    fn newer_formats_are_refused_by_name() {
        let (ground, _) = Ground::simulated(1);
        let refused = rewrite(&ground, |bytes| bytes[4] = 2).err().unwrap();
        assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
    }

    proptest! {
        #[test]
        fn damage_is_told(at in 0usize..500, bit in 0u32..8, cut in any::<bool>()) {
            let (ground, _) = Ground::simulated(1);
            let result = rewrite(&ground, |bytes| {
                let at = at % bytes.len();
                if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            });
            prop_assert!(result.is_err());
        }
    }
}
