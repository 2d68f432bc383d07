//! Protocol Buffers' wire format: fields of a message one after the other, and messages written field by field. What the
//! fields mean stands in `messages`. Unknown fields are passed over, as the format demands.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use bytes::{Buf, Bytes};

use crate::Error;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A varint, or a number of four or eight bytes.
    Number(u64),
    /// Text, bytes, or a message: a slice of what was read.
    Bytes(Bytes),
}

impl Field {
    /// The bytes; none of them where it is a number, as other readers take it.
    pub(super) fn bytes(self) -> Bytes {
        match self {
            Field::Bytes(bytes) => bytes,
            Field::Number(_) => Bytes::new(),
        }
    }

    /// The text.
    pub(super) fn text(self) -> Result<String, Error> {
        String::from_utf8(self.bytes().to_vec()).map_err(|_| Error::Protocol("a text is not UTF-8"))
    }

    /// The number; 0 where it is bytes.
    pub(super) fn number(&self) -> u64 {
        match self {
            Field::Number(number) => *number,
            Field::Bytes(_) => 0,
        }
    }
}

/// The fields of a message, in the order they were sent.
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn of(message: &Bytes) -> Fields {
        Fields(message.clone())
    }

    fn field(&mut self) -> Result<(u64, Field), Error> {
        let key = varint(&mut self.0)?;
        let number = key >> 3;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut self.0)?),
            1 => Field::Number(self.0.try_get_u64_le().map_err(|_| SHORT)?),
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len());
                Field::Bytes(self.0.split_to(length.ok_or(SHORT)?))
            }
            5 => Field::Number(u64::from(self.0.try_get_u32_le().map_err(|_| SHORT)?)),
            _ => return Err(Error::Protocol("a field of a message has no known type")),
        };
        Ok((number, field))
    }
}

const SHORT: Error = Error::Protocol("a message ends within a field");

impl Iterator for Fields {
    type Item = Result<(u64, Field), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0.clear();
        }
        Some(field)
    }
}

/// Seven bits a byte, the lowest first; ten bytes at most.
pub(super) fn varint(bytes: &mut Bytes) -> Result<u64, Error> {
    let mut number = 0u64;
    for place in 0..10u32 {
        let byte = bytes.try_get_u8().map_err(|_| SHORT)?;
        number |= u64::from(byte & 0x7f) << place.saturating_mul(7);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Error::Protocol("a number of a message is longer than 64 bits"))
}

/// A message being written. As in proto3, what is empty, 0 or false is not written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Writer {
        Writer::default()
    }

    pub(super) fn number(mut self, field: u64, number: u64) -> Writer {
        if number != 0 {
            self.varint(field << 3);
            self.varint(number);
        }
        self
    }

    pub(super) fn bytes(self, field: u64, bytes: &[u8]) -> Writer {
        if bytes.is_empty() { self } else { self.message(field, bytes) }
    }

    /// Also where it is empty: a message that is there.
    pub(super) fn message(mut self, field: u64, bytes: &[u8]) -> Writer {
        self = self.head(field, bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    /// The head of a field whose bytes follow by another way.
    pub(super) fn head(mut self, field: u64, length: usize) -> Writer {
        self.varint(field << 3 | 2);
        self.varint(u64::try_from(length).unwrap_or(u64::MAX));
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes().first().copied().unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes().first().copied().unwrap_or_default());
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may fail")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = Writer::new()
            .number(1, 300)
            .number(2, 0)
            .bytes(3, b"text")
            .bytes(4, b"")
            .message(1000, b"")
            .number(5, u64::MAX)
            .done();
        let fields: Result<Vec<_>, _> = Fields::of(&Bytes::from(message)).collect();
        let bytes = |text: &'static [u8]| Field::Bytes(Bytes::from_static(text));
        assert_eq!(
            fields.unwrap(),
            [(1, Field::Number(300)), (3, bytes(b"text")), (1000, bytes(b"")), (5, Field::Number(u64::MAX))]
        );
    }

    #[test]
    fn what_is_broken_ends_with_an_error() {
        let table: [(&[u8], &str); 7] = [
            (&[0x08], "a message ends within a field"),
            (&[0x0a, 5, 1], "a message ends within a field"),
            (&[0x09, 1, 2], "a message ends within a field"),
            (&[0x0d, 1], "a message ends within a field"),
            (&[0x0b], "a field of a message has no known type"),
            (
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
                "a number of a message is longer than 64 bits",
            ),
            (&[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 127], "a message ends within a field"),
        ];
        for (bytes, why) in table {
            let mut fields = Fields::of(&Bytes::from_static(bytes));
            let error = fields.next().unwrap().unwrap_err().to_string();
            assert!(error.ends_with(why), "{error}");
            assert!(fields.next().is_none(), "{bytes:?}");
        }
    }
}
