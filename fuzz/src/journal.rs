//! What stands on a disk that somebody else wrote to: payloads, heads, and whole folders of segments whose frames have
//! right checksums over wrong contents. Every execution reads them as bytes, and some open the log over a simulated disk.
//! Neither panics, what is damaged is told, and the log goes on. What must survive in a log that its own writer made is
//! `survival`.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::{
    CursorId, Damaged, Durability, Hold, HoldAction, Journal, Parcel, Record, Seq, StreamId,
};
use tidemill_ground::{File, Ground, Open, create_dirs};
use tidemill_journal::frame::{FrameHead, FrameKind, SEGMENT_HEAD_BYTES, SegmentHead, encode};
use tidemill_journal::{Examined, Log, Malformed, Memory, Settings, decode, examine};

/// Parcels that are read back of one log.
const READ_MAX: u64 = 64;
const STEPS_MAX: usize = 1_000;

pub(crate) fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    match first % 4 {
        0 => payload(rest),
        1 => heads(rest),
        2 => segments(rest),
        _ => crate::survival::run(rest),
    }
}

/// A payload whose checksum was right.
fn payload(bytes: &[u8]) {
    let Ok(parcel) = decode(bytes) else { return };
    let mut again = Vec::new();
    encode(&parcel, &mut again);
    let read = decode(&again).expect("what was written is read");
    let mut twice = Vec::new();
    encode(&read, &mut twice);
    // Bytes, not parcels: a NaN differs from itself.
    assert_eq!(again, twice, "a parcel is the same after a second writing");
}

fn heads(bytes: &[u8]) {
    if let Some(head) = FrameHead::parse(bytes) {
        assert_eq!(FrameHead::parse(&head.to_bytes()), Some(head));
    }
    if let Ok(head) = SegmentHead::parse(bytes) {
        assert_eq!(SegmentHead::parse(&head.to_bytes()), Ok(head));
    }
}

/// Takes numbers from the input, zeros when it is used up.
pub(crate) struct Input<'a> {
    left: &'a [u8],
    /// A head said something that no writer says. Then nothing may panic, but nothing is promised either.
    forged: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(left: &'a [u8]) -> Input<'a> {
        Input { left, forged: false }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        // Small numbers mostly, so that sequences meet; now and then an extreme one.
        match self.byte() {
            255 => u64::MAX - u64::from(self.byte()),
            254 => u64::from(self.byte()) << 56,
            small => u64::from(small),
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.left.split_at(count.min(self.left.len()));
        self.left = rest;
        taken
    }
}

/// Builds a few segments as the input says, heads and frames with right checksums, then damages some bytes. They are
/// examined as bytes, and opened where that is due.
fn segments(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = u64::from(input.byte());
    let count = input.byte() % 4;
    let mut seq = 1;
    let segments: Vec<(u32, Vec<u8>)> =
        (1..=u32::from(count)).map(|id| (id, segment(&mut input, id, &mut seq))).collect();
    examine_as_files(&segments, |examined, parcels| {
        sound(&examined.damage);
        let (served, above): (Vec<_>, Vec<_>) =
            parcels.iter().map(|(seq, _)| *seq).partition(|seq| *seq <= examined.durable);
        if !input.forged {
            assert!(served.is_sorted_by(|one, other| one < other), "out of order: {served:?}");
        }
        assert!(above.is_sorted_by(|one, other| one.0 + 1 == other.0), "the tail has a hole: {above:?}");
    });
    if !crate::is_opened(data) {
        return;
    }
    let (ground, simulation) = Ground::simulated(seed);
    let folder = Path::new("/log");
    create_dirs(ground.disk.as_ref(), folder).expect("the simulated disk is empty");
    for (id, bytes) in &segments {
        let name = folder.join(format!("{id:010}.segment"));
        let file = ground.disk.open(&name, Open::CreateNew).expect("a new file");
        file.write_at(bytes, 0).and_then(|()| file.sync_all()).expect("written");
    }
    ground.disk.sync_dir(folder).expect("synced");
    if let Some(place) = live(&ground, folder, None) {
        simulation.disk.crash();
        live(&simulation.ground(77), folder, (!input.forged).then_some(place));
    }
}

type Read = (Seq, Result<Parcel, Malformed>);

/// Examines segments in memory; one of a later format ends it.
pub(crate) fn examine_as_files(segments: &[(u32, Vec<u8>)], look: impl FnOnce(&Examined, Vec<Read>)) {
    let files: Vec<(u32, Memory<'_>)> = segments.iter().map(|(id, bytes)| (*id, Memory(bytes))).collect();
    let files: Vec<(u32, &dyn File)> = files.iter().map(|(id, file)| (*id, file as &dyn File)).collect();
    if let Ok(examined) = examine(&files) {
        let parcels = examined.parcels(&files);
        look(&examined, parcels);
    }
}

fn sound(damage: &[Damaged]) {
    for damage in damage {
        assert!(damage.from <= damage.to && damage.first <= damage.last, "{damage}");
    }
}

fn segment(input: &mut Input<'_>, id: u32, seq: &mut u64) -> Vec<u8> {
    let tag = u64::from(input.byte()) << 32 | u64::from(id);
    let odd = input.byte();
    input.forged |= odd & 15 != 0;
    let field =
        |usual: u64, bit: u8, input: &mut Input<'_>| Seq(if odd & bit == 0 { usual } else { input.number() });
    let before = seq.saturating_sub(1);
    let head = SegmentHead {
        tag,
        kept: field(before, 1, input),
        durable: field(before, 2, input),
        next: field(*seq, 4, input),
        opened: input.number().cast_signed(),
        skipped: if odd & 8 == 0 { 0 } else { input.number() as u32 },
        reused: odd & 64 != 0,
        relaxed: odd & 128 != 0,
    };
    let mut bytes = head.to_bytes().to_vec();
    assert_eq!(bytes.len(), SEGMENT_HEAD_BYTES);
    for _ in 0..input.byte() % 8 {
        frame(input, tag, seq, &mut bytes);
    }
    for _ in 0..input.byte() % 4 {
        let (at, with) = (usize::from(input.byte()) * 4 + usize::from(input.byte() % 4), input.byte());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= with;
        }
    }
    if input.byte() % 4 == 1 {
        let cut = usize::from(input.byte());
        bytes.truncate(bytes.len().saturating_sub(cut));
    }
    bytes
}

fn frame(input: &mut Input<'_>, tag: u64, seq: &mut u64, bytes: &mut Vec<u8>) {
    let odd = input.byte();
    let mut payload = Vec::new();
    if odd & 1 == 0 {
        let record = Record {
            stream: StreamId(u16::from(input.byte())),
            key: Bytes::new(),
            value: Bytes::copy_from_slice(input.take(8)),
        };
        encode(&Parcel { records: vec![record], ..Parcel::default() }, &mut payload);
    } else {
        let length = usize::from(input.byte());
        payload.extend_from_slice(input.take(length));
    }
    input.forged |= odd & 62 != 0;
    let head = FrameHead {
        kind: if odd & 2 == 0 { FrameKind::Parcel } else { FrameKind::Mark },
        payload_bytes: if odd & 4 == 0 { payload.len() as u32 } else { input.number() as u32 },
        tag: if odd & 8 == 0 { tag } else { input.number() },
        seq: Seq(if odd & 16 == 0 { *seq } else { input.number() }),
        durable: Seq(if odd & 32 == 0 { seq.saturating_sub(1) } else { input.number() }),
        payload_crc: crc32c::crc32c(&payload),
    };
    *seq = head.seq.0.saturating_add(1);
    bytes.extend_from_slice(&head.to_bytes());
    bytes.extend_from_slice(&payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Small segments: what an execution costs is mostly what the simulated disk writes.
pub(crate) fn settings() -> Settings {
    Settings {
        free_min_bytes: 0,
        reserve_bytes: 0,
        segment_bytes: 8 << 10,
        unsynced_bytes_max: 8 << 10,
        ring_bytes_max: 1 << 16,
        ..Settings::default()
    }
}

/// One life: opens, reads what is there, writes one parcel more and gives its place. The parcel of the life before must
/// still be there. `None` if the log refuses to open or to take more, which it may where numbers are at their end.
fn live(ground: &Ground, folder: &Path, before: Option<Seq>) -> Option<Seq> {
    let opened = Log::open_stepped(ground, folder, settings());
    let (log, mut writer) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(before.is_none(), "what opened once opens again: {error}");
            return None;
        }
    };
    sound(&log.damage());
    // Without a cursor nobody needs anything, and it may go.
    let all = Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse };
    log.hold(CursorId("fuzz"), all);
    // What was not confirmed before the crash is served once it is written again.
    for _ in 0..STEPS_MAX {
        writer.step();
        if log.durable() >= before.unwrap_or_default() {
            break;
        }
    }
    let first = log.first().0;
    for seq in (first..=log.durable().0).take(READ_MAX as usize) {
        if let Err(damage) = now(log.read(Seq(seq))) {
            let _ = damage.to_string();
        }
    }
    if let Some(before) = before {
        let parcel =
            now(log.read(before)).unwrap_or_else(|damage| panic!("acknowledged, and gone: {damage}"));
        assert_eq!(*parcel, ours());
    }
    let commit = log.append(Arc::new(ours()), Durability::Commit).ok()?;
    let mut commit = std::pin::pin!(commit);
    for _ in 0..STEPS_MAX {
        writer.step();
        if let Poll::Ready(outcome) = commit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome.ok();
        }
    }
    panic!("a lone append on a good disk is committed");
}

fn ours() -> Parcel {
    let record =
        Record { stream: StreamId(7), key: Bytes::from_static(b"key"), value: Bytes::from_static(b"value") };
    Parcel { records: vec![record], ..Parcel::default() }
}

/// Reading from the simulated disk is done at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("reading waits for nobody"),
    }
}
