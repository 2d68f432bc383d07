//! What is written is read, foreign bytes harm nobody, and docs/spec/journal.md says what the code does.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tidemill_core::{
    BatchBuilder, Damaged, Flags, Message, OriginId, Parcel, ProducerId, Quality, Record, SampleBatch, Seq,
    SignalId, SourceId, Stamp, StreamId, Value,
};
use tidemill_ground::File;

use crate::encode;
use crate::frame::{self, BadHead, FrameHead, FrameKind, SEQ_MAX, SegmentHead};
use crate::{Malformed, Memory, decode};

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        (-5000_i32..5000).prop_map(|number| Value::Float(f64::from(number) / 4.0)),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<bool>().prop_map(Value::Bool),
        "\\PC{0,12}".prop_map(|text| Value::Text(text.into())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

fn batches() -> impl Strategy<Value = SampleBatch> {
    let quality = prop_oneof![3 => Just(0_u32), 1 => any::<u32>()];
    let time = prop_oneof![(0_i64..5000).prop_map(|step| 1_767_225_600_000_000_000 + step), any::<i64>()];
    let rows = proptest::collection::vec((1_u32.., time, values(), quality), 0..80);
    (rows, any::<u32>(), any::<i64>(), any::<u8>()).prop_map(|(rows, source, received, flags)| {
        let mut builder = BatchBuilder::new(SourceId(source), Flags(flags));
        for (signal, time, value, quality) in &rows {
            let signal = SignalId::new(*signal).unwrap();
            builder.push(signal, Stamp::At(*time), value.as_ref(), Quality(*quality)).unwrap();
        }
        builder.finish(received, Flags::default())
    })
}

fn some_bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn parcels() -> impl Strategy<Value = Parcel> {
    let message = (some_bytes(), some_bytes(), some_bytes(), any::<bool>(), 0_u8..3, any::<u32>()).prop_map(
        |(topic, payload, properties, retain, qos, origin)| Message {
            topic,
            payload,
            properties,
            retain,
            qos,
            origin: OriginId(origin),
        },
    );
    let record = (any::<u16>(), some_bytes(), some_bytes()).prop_map(|(stream, key, value)| Record {
        stream: StreamId(stream),
        key,
        value,
    });
    (
        proptest::option::of(batches().prop_map(Arc::new)),
        proptest::collection::vec(message, 0..4),
        proptest::collection::vec(record, 0..4),
        proptest::option::of((any::<u64>().prop_map(ProducerId), any::<u64>())),
    )
        .prop_map(|(samples, messages, records, once)| Parcel { samples, messages, records, once })
}

fn encoded(parcel: &Parcel) -> Vec<u8> {
    let mut out = Vec::new();
    encode::parcel(parcel, &mut out);
    out
}

/// A whole segment with these parcels.
fn segment(parcels: &[Parcel]) -> Vec<u8> {
    let tag = 0xFEED_0000_0001;
    let head = SegmentHead { tag, next: Seq(1), ..SegmentHead::default() };
    let mut out = head.to_bytes().to_vec();
    for (number, parcel) in parcels.iter().enumerate() {
        let payload = encoded(parcel);
        let seq = Seq(number as u64 + 1);
        let head = FrameHead {
            kind: FrameKind::Parcel,
            payload_bytes: payload.len() as u32,
            tag,
            seq,
            durable: Seq(number as u64),
            payload_crc: crc32c::crc32c(&payload),
        };
        out.extend_from_slice(&head.to_bytes());
        out.extend_from_slice(&payload);
        out.resize(out.len().next_multiple_of(frame::FRAME_ALIGN), 0);
    }
    out
}

proptest! {
    // Each case builds whole segments; the fuzz target does the many.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(parcel in parcels()) {
        let read = decode(&encoded(&parcel)).unwrap();
        prop_assert!(read == parcel, "{read:?} {parcel:?}");
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let mut known = vec![encode::PAYLOAD_VERSION];
        known.extend(&bytes);
        let _ = decode(&known);
        let _ = examine(1, &bytes);
    }

    #[test]
    fn a_changed_payload_is_refused_or_sound(parcel in parcels(), at in any::<prop::sample::Index>(), bits in 1_u8..) {
        let mut bytes = encoded(&parcel);
        *at.get_mut(&mut bytes[..]) ^= bits;
        if let Ok(read) = decode(&bytes) {
            prop_assert!(read.samples.is_none_or(|batch| batch.is_sound()));
        }
    }

    #[test]
    fn no_part_of_a_payload_is_a_payload(parcel in parcels(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&parcel);
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_flipped_bit_costs_one_parcel_at_most(
        parcels in proptest::collection::vec(parcels(), 1..6),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let whole = segment(&parcels);
        prop_assert_eq!(examine(1, &whole).parcels.len(), parcels.len());
        let mut bytes = whole.clone();
        *at.get_mut(&mut bytes[..]) ^= 1 << bit;
        let found = examine(1, &bytes);
        prop_assert!(found.parcels.len() + 1 >= parcels.len());
        prop_assert!(found.unknown.is_empty());
        for (seq, parcel) in &found.parcels {
            prop_assert!(parcel == &parcels[seq.0 as usize - 1], "served wrong data at {seq:?}");
        }
        // The last parcel has no mark behind it: without it, that is a torn tail and no damage.
        let missing = (1..parcels.len() as u64).filter(|seq| !found.parcels.iter().any(|(have, _)| have.0 == *seq));
        for seq in missing {
            prop_assert!(found.damage.iter().any(|range| range.first.0 <= seq && seq <= range.last.0), "{seq} is not reported");
        }
    }

    #[test]
    fn mutated_segments_panic_nobody(
        parcels in proptest::collection::vec(parcels(), 1..4),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = segment(&parcels);
        for (at, value) in changes {
            *at.get_mut(&mut bytes[..]) = value;
        }
        for (seq, parcel) in examine(1, &bytes).parcels {
            prop_assert!(parcel == parcels[seq.0 as usize - 1]);
        }
    }
}

/// One segment, examined.
#[derive(Default)]
struct Found {
    parcels: Vec<(Seq, Parcel)>,
    unknown: Vec<Seq>,
    damage: Vec<Damaged>,
    newer: Option<u32>,
}

fn examine(id: u32, bytes: &[u8]) -> Found {
    let file = Memory(bytes);
    let segments: [(u32, &dyn File); 1] = [(id, &file)];
    let examined = match crate::examine(&segments) {
        Ok(examined) => examined,
        Err(newer) => return Found { newer: Some(newer.format), ..Found::default() },
    };
    let mut found = Found { damage: examined.damage.clone(), ..Found::default() };
    for (seq, read) in examined.parcels(&segments) {
        match read {
            Ok(parcel) => found.parcels.push((seq, parcel)),
            Err(_) => found.unknown.push(seq),
        }
    }
    found
}

#[test]
fn a_frame_within_a_payload_does_not_pass_for_one() {
    let inner = segment(&[Parcel::of_record(StreamId(1), "evil", "evil")]);
    let mut forged = inner[frame::SEGMENT_HEAD_BYTES..].to_vec();
    // Whoever writes a value does not know the segment's tag.
    forged[8..16].copy_from_slice(&0xBAD_0000_0001_u64.to_le_bytes());
    let crc = crc32c::crc32c(&forged[..36]);
    forged[36..40].copy_from_slice(&crc.to_le_bytes());
    let honest = Parcel::of_record(StreamId(1), "k", forged);
    let mut bytes = segment(&[honest.clone(), honest]);
    bytes[frame::SEGMENT_HEAD_BYTES + 20] ^= 1;
    let found = examine(1, &bytes);
    assert_eq!(found.parcels.iter().map(|(seq, _)| seq.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn later_formats_are_told_from_damage() {
    let head = SegmentHead { tag: 1, next: Seq(1), ..SegmentHead::default() };
    let mut later = head.to_bytes();
    later[8..12].copy_from_slice(&9_u32.to_le_bytes());
    assert_eq!(SegmentHead::parse(&later), Err(BadHead::Damaged));
    let crc = crc32c::crc32c(&later[..60]);
    later[60..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHead::parse(&later), Err(BadHead::Newer(9)));
    assert_eq!(examine(1, &later).newer, Some(9));
    assert_eq!(decode(&[2, 0]), Err(Malformed::Newer(2)));
}

#[test]
fn few_bytes_never_ask_for_much_memory() {
    // 65,536 rows in a payload of 20 bytes; a million messages in six.
    let rows = [1, 2, 0x80, 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(&rows), Err(Malformed::Impossible("number of rows")));
    assert_eq!(decode(&[1, 4, 0xC0, 0x84, 0x3D, 0]), Err(Malformed::Short("messages")));
}

/// The parcel that docs/spec/journal.md spells out.
fn example() -> Parcel {
    let mut builder = BatchBuilder::new(SourceId(3), Flags::BACKFILL);
    for (signal, second, value) in [(7, 0, 20.5), (8, 0, 20.75), (7, 1, 21.0)] {
        let time = Stamp::At(1_767_225_600_000_000_000 + second * 1_000_000_000);
        builder
            .push(SignalId::new(signal).unwrap(), time, tidemill_core::ValueRef::Float(value), Quality::GOOD)
            .unwrap();
    }
    let samples = Some(Arc::new(builder.finish(1_767_225_600_000_000_000, Flags::default())));
    let records = vec![Record { stream: StreamId(1), key: "k".into(), value: "v".into() }];
    Parcel { samples, messages: Vec::new(), records, once: Some((ProducerId(5), 6)) }
}

#[test]
fn the_document_says_what_the_code_does() {
    let text = include_str!("../../../docs/spec/journal.md");
    let block =
        text.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example in hex");
    let written: Vec<u8> = block
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let found = examine(1, &written);
    assert_eq!(found.parcels, [(Seq(1), example())]);
    let made = segment(&[example()]);
    let mut shown = String::new();
    for line in made.chunks(16) {
        line.iter().for_each(|byte| write!(shown, "{byte:02x} ").unwrap());
        shown.push('\n');
    }
    assert!(made == written, "the example in the document is not what is written now, which is\n{shown}");
}

#[test]
fn places_that_nobody_counts_to_are_damage() {
    let head = SegmentHead { tag: 1, next: Seq(1), ..SegmentHead::default() };
    assert_eq!(
        SegmentHead::parse(&SegmentHead { next: Seq(SEQ_MAX), ..head }.to_bytes()).map(|head| head.id()),
        Ok(1)
    );
    for wrong in [
        SegmentHead { kept: Seq(SEQ_MAX + 1), ..head },
        SegmentHead { durable: Seq(u64::MAX), ..head },
        SegmentHead { next: Seq(u64::MAX), ..head },
    ] {
        assert_eq!(SegmentHead::parse(&wrong.to_bytes()), Err(BadHead::Damaged));
    }
    let (seq, durable) = (Seq(SEQ_MAX), Seq(0));
    let frame = FrameHead { kind: FrameKind::Mark, payload_bytes: 0, tag: 1, seq, durable, payload_crc: 0 };
    assert_eq!(FrameHead::parse(&frame.to_bytes()), Some(frame));
    assert_eq!(FrameHead::parse(&FrameHead { seq: Seq(u64::MAX), ..frame }.to_bytes()), None);
    assert_eq!(FrameHead::parse(&FrameHead { durable: Seq(SEQ_MAX + 1), ..frame }.to_bytes()), None);
}
