//! A log as its writer leaves it, some of whose bytes somebody changed: what must still be there. Every parcel up to the
//! highest mark that can be seen is served if its bytes are whole, is told as damaged if they are not, and is never
//! another one than was written. Heads that no writer makes are `journal`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidemill_core::{
    CursorId, Damaged, Delivery, Durability, Hold, HoldAction, Journal, Parcel, Record, Seq, StreamId,
};
use tidemill_ground::{Ground, Open, Simulation, create_dirs};
use tidemill_journal::frame::{
    FRAME_HEAD_BYTES, FrameHead, FrameKind, SEGMENT_HEAD_BYTES, SegmentHead, encode,
};
use tidemill_journal::{Log, Writer};

use crate::journal::{Input, examine_as_files, settings};

const SEGMENTS_MAX: u8 = 3;
const FRAMES_MAX: u8 = 8;
const CHANGES_MAX: u8 = 5;
const FOLDER: &str = "/log";

/// One parcel as it was written.
struct Written {
    segment: usize,
    bytes: Range<usize>,
    parcel: Parcel,
    /// Somebody wrote another payload over it, with right checksums: nobody can tell, and nothing is asked of it.
    exchanged: bool,
}

/// One segment as it was written, and as it is.
struct File {
    id: u32,
    written: Vec<u8>,
    now: Vec<u8>,
    /// Where its frames end; behind that stands what the file held in an earlier life.
    end: usize,
    /// Frames: where their heads begin, and the marks in them.
    heads: Vec<(usize, u64)>,
    durable: u64,
    gone: bool,
}

#[derive(Default)]
struct Model {
    files: Vec<File>,
    parcels: BTreeMap<u64, Written>,
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut model = Model::default();
    let mut seq = 1;
    for id in 1..=1 + u32::from(input.byte() % SEGMENTS_MAX) {
        model.write_segment(id, &mut seq, &mut input);
    }
    for _ in 0..input.byte() % CHANGES_MAX {
        model.change(&mut input);
    }
    let again = input.byte() % 4 == 1;
    model.examine();
    if !crate::is_opened(data) {
        return;
    }
    let (ground, simulation) = Ground::simulated(1);
    model.put(&ground);
    let (log, mut writer) = open(&ground);
    let served = served(&log);
    model.check(&log.damage(), &served);
    if again {
        go_on(&log, &mut writer, &simulation, &served);
    }
}

impl Model {
    /// A segment as the writer makes it: groups of parcels, whose frames carry the mark of the groups before.
    fn write_segment(&mut self, id: u32, seq: &mut u64, input: &mut Input<'_>) {
        let tag = u64::from(input.byte()) << 32 | u64::from(id);
        let kept = self.parcels.keys().next_back().copied().unwrap_or(0);
        let bits = input.byte();
        // Numbers that were given and never committed are void.
        *seq += u64::from(bits >> 4 & 3);
        let reused = bits & 1 != 0;
        let head = SegmentHead {
            tag,
            kept: Seq(kept),
            durable: Seq(kept),
            next: Seq(*seq),
            opened: i64::from(bits),
            skipped: 0,
            reused,
            relaxed: bits & 2 != 0,
        };
        let mut bytes = head.to_bytes().to_vec();
        let mut file = File {
            id,
            written: Vec::new(),
            now: Vec::new(),
            end: 0,
            heads: Vec::new(),
            durable: kept,
            gone: false,
        };
        let (mut durable, mut last) = (kept, kept);
        for _ in 0..input.byte() % FRAMES_MAX {
            let shape = input.byte();
            if shape & 1 != 0 {
                durable = last;
            }
            file.heads.push((bytes.len(), durable));
            if shape & 14 == 14 {
                append(&mut bytes, tag, FrameKind::Mark, last, durable, &[]);
                continue;
            }
            let parcel = parcel(*seq, usize::from(shape >> 4) * 5, input);
            let from = bytes.len();
            let mut payload = Vec::new();
            encode(&parcel, &mut payload);
            append(&mut bytes, tag, FrameKind::Parcel, *seq, durable, &payload);
            let whole = from..from + FRAME_HEAD_BYTES + payload.len();
            let written = Written { segment: self.files.len(), bytes: whole, parcel, exchanged: false };
            self.parcels.insert(*seq, written);
            last = *seq;
            *seq += 1;
        }
        file.end = bytes.len();
        if reused {
            // Frames of an earlier segment, which the file was: whole, and none of this one.
            let old = tag ^ 0x55_0000_0040;
            for number in 0..u64::from(input.byte() % 4) {
                let mut payload = Vec::new();
                encode(&parcel(number, 9, input), &mut payload);
                append(&mut bytes, old, FrameKind::Parcel, *seq + number, *seq + number, &payload);
            }
        }
        file.now.clone_from(&bytes);
        file.written = bytes;
        self.files.push(file);
    }

    /// One thing that happens to a file.
    fn change(&mut self, input: &mut Input<'_>) {
        let (kind, place) = (input.byte(), usize::from(input.byte()) % self.files.len());
        let at = usize::from(input.byte()) << 2 | usize::from(input.byte() & 3);
        let Some(file) = self.files.get_mut(place) else { return };
        let at = at % file.now.len().max(1);
        match kind % 8 {
            // A sector that reads as zeros, as after a torn write.
            0 => {
                let sector = at & !511;
                let end = (sector + 512).min(file.now.len());
                file.now[sector..end].fill(0);
            }
            1 => file.now.truncate(at),
            // Not the first one: a log begins with what is there.
            2 => file.gone = place > 0,
            3 => self.exchange(place, at, input.byte()),
            _ => {
                if let Some(byte) = file.now.get_mut(at) {
                    *byte ^= input.byte().max(1);
                }
            }
        }
    }

    /// Another payload in a parcel's place, with right checksums.
    fn exchange(&mut self, place: usize, at: usize, with: u8) {
        let hit = |one: &&mut Written| one.segment == place && one.bytes.contains(&at);
        let Some(written) = self.parcels.values_mut().find(hit) else { return };
        let Some(bytes) = self.files[place].now.get_mut(written.bytes.clone()) else { return };
        let (head, payload) = bytes.split_at_mut(FRAME_HEAD_BYTES);
        let Some(known) = FrameHead::parse(head) else { return };
        let inside = at.saturating_sub(written.bytes.start) % payload.len().max(1);
        payload[inside] ^= with;
        head.copy_from_slice(&FrameHead { payload_crc: crc32c::crc32c(payload), ..known }.to_bytes());
        written.exchanged = true;
    }

    fn put(&self, ground: &Ground) {
        let folder = Path::new(FOLDER);
        create_dirs(ground.disk.as_ref(), folder).expect("the simulated disk is empty");
        for file in self.files.iter().filter(|file| !file.gone) {
            let open = ground.disk.open(&path(file.id), Open::CreateNew).expect("a new file");
            open.write_at(&file.now, 0).and_then(|()| open.sync_all()).expect("written");
        }
        ground.disk.sync_dir(folder).expect("synced");
    }

    /// The highest mark in any head that is whole and can be found.
    fn mark(&self) -> u64 {
        let marks = self.files.iter().filter(|file| file.is_known()).flat_map(|file| {
            let head = file.has_head().then_some(file.durable);
            let frames = file.heads.iter().filter(|(at, _)| file.is_whole(*at..at + FRAME_HEAD_BYTES));
            head.into_iter().chain(frames.map(|(_, mark)| *mark))
        });
        marks.max().unwrap_or(0)
    }

    /// What the bytes alone give.
    fn examine(&self) {
        let files = self.files.iter().filter(|file| !file.gone);
        let segments: Vec<(u32, Vec<u8>)> = files.map(|file| (file.id, file.now.clone())).collect();
        examine_as_files(&segments, |examined, parcels| {
            let mut served = BTreeMap::new();
            let mut last = 0;
            for (seq, parcel) in parcels {
                assert!(seq.0 > last, "{} comes after {last}", seq.0);
                last = seq.0;
                // A payload that was exchanged need not be one.
                if let Ok(parcel) = parcel {
                    served.insert(last, Arc::new(parcel));
                }
            }
            self.check(&examined.damage, &served);
        });
    }

    fn check(&self, damage: &[Damaged], served: &BTreeMap<u64, Arc<Parcel>>) {
        let mark = self.mark();
        for (seq, parcel) in served {
            let written = self.parcels.get(seq).unwrap_or_else(|| panic!("{seq} was never written"));
            assert!(written.exchanged || **parcel == written.parcel, "{seq} is another one");
            assert!(
                !damage.iter().any(|range| range.first.0 <= *seq && *seq <= range.last.0),
                "{seq} is there"
            );
        }
        for (seq, written) in self.parcels.range(..=mark).filter(|(_, written)| !written.exchanged) {
            let file = &self.files[written.segment];
            if file.is_known() && file.is_whole(written.bytes.clone()) {
                assert!(
                    served.contains_key(seq),
                    "{seq} is whole, below the mark {mark}, and lost: {damage:?}"
                );
            }
            let told = damage.iter().any(|range| range.first.0 <= *seq && *seq <= range.last.0);
            assert!(served.contains_key(seq) || told, "{seq} is gone in silence: {damage:?}");
        }
    }
}

impl File {
    fn is_whole(&self, range: Range<usize>) -> bool {
        !self.gone && self.now.get(range.clone()) == self.written.get(range)
    }

    fn has_head(&self) -> bool {
        self.is_whole(0..SEGMENT_HEAD_BYTES)
    }

    /// Whether its frames can be told: by its head, or by the first of them.
    fn is_known(&self) -> bool {
        let first = SEGMENT_HEAD_BYTES..SEGMENT_HEAD_BYTES + FRAME_HEAD_BYTES;
        self.has_head() || (self.end >= first.end && self.is_whole(first))
    }
}

fn path(id: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("{id:010}.segment"))
}

fn parcel(number: u64, len: usize, input: &mut Input<'_>) -> Parcel {
    let value = Bytes::copy_from_slice(input.take(len));
    let key = Bytes::copy_from_slice(&number.to_le_bytes());
    Parcel { records: vec![Record { stream: StreamId(9), key, value }], ..Parcel::default() }
}

fn append(bytes: &mut Vec<u8>, tag: u64, kind: FrameKind, seq: u64, durable: u64, payload: &[u8]) {
    let payload_bytes = payload.len() as u32;
    let payload_crc = if payload.is_empty() { 0 } else { crc32c::crc32c(payload) };
    let head = FrameHead { kind, payload_bytes, tag, seq: Seq(seq), durable: Seq(durable), payload_crc };
    bytes.extend_from_slice(&head.to_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn open(ground: &Ground) -> (Arc<Log>, Writer) {
    let (log, writer) =
        Log::open_stepped(ground, Path::new(FOLDER), settings()).expect("damage is no reason not to open");
    let all = Hold { bytes_max: u64::MAX, age_max: std::time::Duration::MAX, beyond: HoldAction::Refuse };
    log.hold(CursorId("fuzz"), all);
    (log, writer)
}

/// All that the log gives, in order.
fn served(log: &Log) -> BTreeMap<u64, Arc<Parcel>> {
    let mut feed = log.follow(CursorId("fuzz"), Some(Seq(0)));
    let mut all = BTreeMap::new();
    let mut last = 0;
    while let Poll::Ready(delivery) = feed.next().as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        match delivery {
            Delivery::Data { seq, parcel, .. } => {
                assert!(seq.0 > last, "{} comes after {last}", seq.0);
                last = seq.0;
                all.insert(last, parcel);
            }
            Delivery::Lagged { to, .. } => last = last.max(to.0),
            Delivery::Closed => break,
        }
    }
    all
}

/// One parcel more, a crash, and the log opens again with all that it had.
fn go_on(log: &Log, writer: &mut Writer, simulation: &Simulation, before: &BTreeMap<u64, Arc<Parcel>>) {
    let commit =
        log.append(Arc::new(parcel(77, 0, &mut Input::new(&[]))), Durability::Commit).expect("taken");
    writer.step();
    let seq = commit.wait(std::time::Duration::ZERO).expect("the disk is well").expect("the disk is well");
    assert!(before.keys().all(|known| *known < seq.0), "a number is given twice");
    simulation.disk.crash();
    let (log, _writer) = open(&simulation.ground(2));
    let after = served(&log);
    for (number, parcel) in before {
        assert_eq!(after.get(number), Some(parcel), "{number} was served before the crash");
    }
    assert!(after.contains_key(&seq.0) && after.len() == before.len() + 1, "one more, and no other");
}
