//! An Arrow IPC stream cut into its messages, without Arrow: each is a marker, a length, a flatbuffer and a body whose
//! length the flatbuffer says (Arrow's columnar format, "Encapsulated message format"). Flight sends flatbuffer and body
//! as they are. What is not here: what the columns hold.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use bytes::{Bytes, BytesMut};

/// What stands before the length of a message.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
/// The union `MessageHeader` of Message.fbs: a schema.
pub(super) const SCHEMA: u8 = 1;
/// Of a table: the vtable's places of the fields of `Message`, in bytes.
const HEADER_TYPE: usize = 6;
const BODY_LENGTH: usize = 10;
/// The marker and the length.
const PREFIX_BYTES: usize = 8;

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The flatbuffer, padded.
    pub(super) header: Bytes,
    /// The buffers; empty for a schema.
    pub(super) body: Bytes,
}

impl Message {
    /// Whether it tells the columns.
    pub(super) fn is_schema(&self) -> bool {
        header_type(&self.header) == Some(SCHEMA)
    }

    /// As it stands in a stream, but for the body.
    pub(super) fn encapsulated(&self) -> Vec<u8> {
        let length = u32::try_from(self.header.len()).unwrap_or(u32::MAX);
        [&CONTINUATION[..], &length.to_le_bytes(), &self.header].concat()
    }
}

/// Cuts a stream that comes in pieces. A message that stands whole in one piece is not copied.
#[derive(Default)]
pub(super) struct Cutter {
    rest: Bytes,
    ended: bool,
}

/// The stream is no Arrow IPC stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoStream;

impl Cutter {
    /// One more piece.
    pub(super) fn feed(&mut self, piece: Bytes) {
        if self.rest.is_empty() {
            self.rest = piece;
        } else {
            let mut joined = BytesMut::with_capacity(self.rest.len().saturating_add(piece.len()));
            joined.extend_from_slice(&self.rest);
            joined.extend_from_slice(&piece);
            self.rest = joined.freeze();
        }
    }

    /// The next message that is whole; none until more was fed, or at the end.
    pub(super) fn next(&mut self) -> Result<Option<Message>, NoStream> {
        if self.ended {
            return Ok(None);
        }
        let Some(prefix) = self.rest.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let [a, b, c, d, length @ ..] = *prefix;
        if [a, b, c, d] != CONTINUATION {
            return Err(NoStream);
        }
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| NoStream)?;
        if length == 0 {
            self.ended = true;
            return Ok(None);
        }
        let body_from = PREFIX_BYTES.checked_add(length).ok_or(NoStream)?;
        if self.rest.len() < body_from {
            return Ok(None);
        }
        let header = self.rest.slice(PREFIX_BYTES..body_from);
        let body_to = body_from.checked_add(body_bytes(&header).ok_or(NoStream)?).ok_or(NoStream)?;
        if self.rest.len() < body_to {
            return Ok(None);
        }
        let body = self.rest.slice(body_from..body_to);
        self.rest = self.rest.slice(body_to..);
        Ok(Some(Message { header, body }))
    }
}

/// The first message of a stream: its columns.
pub(super) fn schema_of(stream: &Bytes) -> Option<Message> {
    let mut cutter = Cutter::default();
    cutter.feed(stream.clone());
    cutter.next().ok().flatten().filter(Message::is_schema)
}

/// Where a field of the flatbuffer's root table stands; none where it has its default.
fn field(flatbuffer: &[u8], place: usize) -> Option<Option<&[u8]>> {
    let root = usize::try_from(u32::from_le_bytes(*flatbuffer.first_chunk()?)).ok()?;
    let table = flatbuffer.get(root..)?;
    let back = i64::from(i32::from_le_bytes(*table.first_chunk()?));
    let vtable = i64::try_from(root).ok()?.checked_sub(back)?;
    let vtable = flatbuffer.get(usize::try_from(vtable).ok()?..)?;
    let bytes = usize::from(u16::from_le_bytes(*vtable.first_chunk()?));
    let end = place.checked_add(2)?;
    if end > bytes {
        return Some(None);
    }
    let offset = usize::from(u16::from_le_bytes(*vtable.get(place..end)?.first_chunk()?));
    if offset == 0 {
        return Some(None);
    }
    table.get(offset..).map(Some)
}

fn header_type(flatbuffer: &[u8]) -> Option<u8> {
    field(flatbuffer, HEADER_TYPE)??.first().copied()
}

fn body_bytes(flatbuffer: &[u8]) -> Option<usize> {
    let Some(length) = field(flatbuffer, BODY_LENGTH)? else { return Some(0) };
    usize::try_from(i64::from_le_bytes(*length.first_chunk()?)).ok()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may fail")]
mod tests {
    use super::super::table::{self, INT32, Kind, Values, column};
    use super::*;

    fn stream() -> (Vec<Message>, Vec<u8>) {
        let columns = [column("name", Kind::Text), column("number", INT32)];
        let values = [Values::texts(&[Some("a"), Some("bc")]), Values::int32s(&[Some(1), None])];
        let messages = table::table(&columns, &values);
        let mut stream: Vec<u8> = messages
            .iter()
            .flat_map(|message| [message.encapsulated(), message.body.to_vec()].concat())
            .collect();
        stream.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        (messages, stream)
    }

    #[test]
    fn a_stream_is_cut_wherever_its_pieces_end() {
        let (messages, stream) = stream();
        assert!(messages[0].is_schema() && !messages[1].is_schema());
        for piece_bytes in [1, 7, 64, stream.len()] {
            let (mut cutter, mut found) = (Cutter::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                cutter.feed(Bytes::copy_from_slice(piece));
                while let Some(message) = cutter.next().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "{piece_bytes}");
        }
        assert_eq!(schema_of(&Bytes::from(stream)), Some(messages[0].clone()));
    }

    #[test]
    fn what_is_broken_never_panics() {
        let (_, stream) = stream();
        for place in 0..stream.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = stream.clone();
                broken[place] = byte;
                let mut cutter = Cutter::default();
                cutter.feed(Bytes::from(broken));
                while let Ok(Some(_)) = cutter.next() {}
            }
            let mut cutter = Cutter::default();
            cutter.feed(Bytes::copy_from_slice(&stream[..place]));
            while let Ok(Some(_)) = cutter.next() {}
        }
    }
}
