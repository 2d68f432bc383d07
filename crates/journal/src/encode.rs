//! A parcel to bytes: the payload of a frame, laid out as docs/spec/journal.md says. Runs in the caller's thread, outside
//! every lock. The way back is `decode`; heads and checksums are `frame`.

use tidemill_core::{Column, Message, Parcel, Quality, Record, SampleBatch};

/// The version of the payload's layout: its first byte.
pub(crate) const PAYLOAD_VERSION: u8 = 1;
/// Rows that share one width.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Bits of the second byte: which parts follow.
pub(crate) mod part {
    pub(crate) const ONCE: u8 = 1;
    pub(crate) const SAMPLES: u8 = 2;
    pub(crate) const MESSAGES: u8 = 4;
    pub(crate) const RECORDS: u8 = 8;
    pub(crate) const ALL: u8 = ONCE | SAMPLES | MESSAGES | RECORDS;
}

/// Bits that say which columns have one value for each row.
pub(crate) mod each {
    pub(crate) const KIND: u8 = 1;
    pub(crate) const QUALITY: u8 = 2;
    pub(crate) const ALL: u8 = KIND | QUALITY;
}

/// Appends the payload of a parcel to `out`.
pub(crate) fn parcel(parcel: &Parcel, out: &mut Vec<u8>) {
    let mut parts = 0;
    parts |= if parcel.once.is_some() { part::ONCE } else { 0 };
    parts |= if parcel.samples.is_some() { part::SAMPLES } else { 0 };
    parts |= if parcel.messages.is_empty() { 0 } else { part::MESSAGES };
    parts |= if parcel.records.is_empty() { 0 } else { part::RECORDS };
    out.extend_from_slice(&[PAYLOAD_VERSION, parts]);
    if let Some((producer, number)) = parcel.once {
        out.extend_from_slice(&producer.0.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
    }
    if let Some(batch) = &parcel.samples {
        samples(batch, out);
    }
    if !parcel.messages.is_empty() {
        messages(&parcel.messages, out);
    }
    if !parcel.records.is_empty() {
        records(&parcel.records, out);
    }
}

fn samples(batch: &SampleBatch, out: &mut Vec<u8>) {
    let rows = batch.len();
    varint(rows as u64, out);
    varint(u64::from(batch.source.0), out);
    out.extend_from_slice(&batch.received.to_le_bytes());
    let mut columns = 0;
    columns |= if matches!(batch.kind, Column::Each(_)) { each::KIND } else { 0 };
    columns |= if matches!(batch.quality, Column::Each(_)) { each::QUALITY } else { 0 };
    out.extend_from_slice(&[batch.flags.0, columns]);
    let mut before = 0;
    pack(&batch.signal, out, |signal| {
        let id = i64::from(signal.get());
        zigzag(id - std::mem::replace(&mut before, id))
    });
    let mut before = batch.received;
    pack(&batch.time, out, |time| zigzag(time.wrapping_sub(std::mem::replace(&mut before, *time))));
    match &batch.kind {
        Column::Same(kind) => out.push(*kind as u8),
        Column::Each(kinds) => out.extend(kinds.iter().map(|kind| *kind as u8)),
    }
    match &batch.quality {
        Column::Same(quality) => varint(u64::from(quality.0), out),
        Column::Each(qualities) => pack(qualities, out, |Quality(code)| u64::from(*code)),
    }
    pack(&batch.bits, out, |bits| *bits);
    bytes(&batch.heap, out);
}

fn messages(messages: &[Message], out: &mut Vec<u8>) {
    varint(messages.len() as u64, out);
    for message in messages {
        out.push(message.qos << 1 | u8::from(message.retain));
        varint(u64::from(message.origin.0), out);
        bytes(&message.topic, out);
        bytes(&message.payload, out);
        bytes(&message.properties, out);
    }
}

fn records(records: &[Record], out: &mut Vec<u8>) {
    varint(records.len() as u64, out);
    for record in records {
        varint(u64::from(record.stream.0), out);
        bytes(&record.key, out);
        bytes(&record.value, out);
    }
}

pub(crate) fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// LEB128: seven bits a byte, the lowest first, the top bit set while more follow.
pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign become small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Writes a column in blocks of [`BLOCK_ROWS`]: one byte that says how many low bytes of every value in the block are
/// zero and left out (high half) and how many are written (low half), then those bytes. Constant steps cost nothing,
/// a lone far value costs its own block only, and there is no branch per row.
fn pack<T>(column: &[T], out: &mut Vec<u8>, mut value: impl FnMut(&T) -> u64) {
    let mut block = [0_u64; BLOCK_ROWS];
    for rows in column.chunks(BLOCK_ROWS) {
        let mut used = 0;
        for (slot, row) in block.iter_mut().zip(rows) {
            *slot = value(row);
            used |= *slot;
        }
        let block = &block[..rows.len()];
        if used == 0 {
            out.push(0);
            continue;
        }
        let skip = used.trailing_zeros() / 8;
        let width = (u64::BITS - used.leading_zeros()).div_ceil(8) - skip;
        out.push((skip << 4 | width) as u8);
        let shift = skip * 8;
        match width {
            1 => write::<1>(block, shift, out),
            2 => write::<2>(block, shift, out),
            3 => write::<3>(block, shift, out),
            4 => write::<4>(block, shift, out),
            5 => write::<5>(block, shift, out),
            6 => write::<6>(block, shift, out),
            7 => write::<7>(block, shift, out),
            _ => write::<8>(block, shift, out),
        }
    }
}

fn write<const WIDTH: usize>(block: &[u64], shift: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + block.len() * WIDTH, 0);
    let (slots, _) = out[start..].as_chunks_mut::<WIDTH>();
    for (slot, value) in slots.iter_mut().zip(block) {
        slot.copy_from_slice(&(value >> shift).to_le_bytes()[..WIDTH]);
    }
}
