//! What clients of the PostgreSQL protocol say (version 3), read from foreign bytes: the packets that open a connection, and
//! messages after it (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). What is not here: any state.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

use crate::Error;

/// The longest packet that opens a connection, as PostgreSQL has it.
pub(crate) const OPENING_BYTES_MAX: usize = 10_000;
/// The most parameters and formats of one `Bind`, as the protocol counts them.
const COUNT_MAX: usize = 65_535;

const CANCEL: u32 = 80_877_102;
const ENCRYPT: u32 = 80_877_103;
const ENCRYPT_GSS: u32 = 80_877_104;
/// The protocol that is spoken: 3.0.
const MAJOR: u32 = 3;

/// A packet that opens a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Wants TLS.
    Encrypt,
    /// Wants GSSAPI encryption.
    EncryptGss,
    /// Wants another connection's statement stopped.
    Cancel {
        /// Which connection.
        process: i32,
        /// Its secret; protocol 3.0 has four bytes.
        secret: Vec<u8>,
    },
    /// Begins a session.
    Start {
        /// The minor version that is wished for.
        minor: u32,
        /// Names and values: `user`, `database`, and settings.
        parameters: Vec<(String, String)>,
    },
}

/// What is prepared or portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Statements to run at once.
    Query(String),
    /// A statement to prepare, with the types of its parameters as far as they are given.
    Parse {
        /// The statement's name; empty for the unnamed one.
        name: String,
        /// Its text.
        text: String,
        /// Numbers of types; 0 where nothing is said.
        types: Vec<u32>,
    },
    /// Values for a prepared statement.
    Bind {
        /// The portal's name.
        portal: String,
        /// The statement's.
        statement: String,
        /// Which values are in binary: none, one for all, or one each.
        formats: Vec<bool>,
        /// The values; none for NULL.
        values: Vec<Option<Vec<u8>>>,
        /// Which columns of the answer are wanted in binary.
        results: Vec<bool>,
    },
    /// Asks what something gives.
    Describe(Target, String),
    /// Runs a portal.
    Execute {
        /// Its name.
        portal: String,
        /// At most so many rows; 0 for all.
        rows: u32,
    },
    /// Forgets something.
    Close(Target, String),
    /// Ends a group of messages.
    Sync,
    /// Wants what is there.
    Flush,
    /// A password.
    Password(String),
    /// Says good-bye.
    Terminate,
    /// Data for COPY FROM, which never runs here.
    Copy,
    /// An old way to call functions.
    Call,
    /// One whose texts are not UTF-8: it is refused, and the session goes on as after any other that failed.
    NotUtf8 {
        /// Whether it was a `Query`, which is a group by itself.
        simple: bool,
    },
}

/// The length of a packet or message that begins with it, itself included, if all four bytes are there.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

/// Reads an opening packet, behind its length.
///
/// # Errors
/// It is none.
pub(crate) fn opening(bytes: &[u8]) -> Result<Opening, Error> {
    let mut bytes = Bytes(bytes);
    match bytes.number()? {
        ENCRYPT => bytes.end(Opening::Encrypt),
        ENCRYPT_GSS => bytes.end(Opening::EncryptGss),
        CANCEL => {
            let process = bytes.signed()?;
            Ok(Opening::Cancel { process, secret: bytes.0.to_vec() })
        }
        version if version >> 16 == MAJOR => {
            let mut parameters = Vec::new();
            loop {
                let name = bytes.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, bytes.text()?));
            }
            bytes.end(Opening::Start { minor: version & 0xFFFF, parameters })
        }
        _ => Err(Error::Protocol("this version of the protocol is not spoken; version 3 is")),
    }
}

/// Reads a message by its first byte and what follows its length.
///
/// # Errors
/// It is none: where the next one begins cannot be trusted any more.
pub(crate) fn message(tag: u8, bytes: &[u8]) -> Result<Message, Error> {
    match read(tag, bytes) {
        Err(Error::NotUtf8) if tag != b'p' => Ok(Message::NotUtf8 { simple: tag == b'Q' }),
        read => read,
    }
}

fn read(tag: u8, bytes: &[u8]) -> Result<Message, Error> {
    let mut bytes = Bytes(bytes);
    let message = match tag {
        b'Q' => Message::Query(bytes.text()?),
        b'P' => {
            let (name, text) = (bytes.text()?, bytes.text()?);
            let types = bytes.list(Bytes::number)?;
            Message::Parse { name, text, types }
        }
        b'B' => {
            let (portal, statement) = (bytes.text()?, bytes.text()?);
            let formats = bytes.list(Bytes::format)?;
            let values = bytes.list(Bytes::value)?;
            let results = bytes.list(Bytes::format)?;
            Message::Bind { portal, statement, formats, values, results }
        }
        b'D' => Message::Describe(bytes.target()?, bytes.text()?),
        b'C' => Message::Close(bytes.target()?, bytes.text()?),
        b'E' => {
            let portal = bytes.text()?;
            // A negative count means all, as none does.
            Message::Execute { portal, rows: u32::try_from(bytes.signed()?).unwrap_or(0) }
        }
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'p' => Message::Password(bytes.text()?),
        b'X' => Message::Terminate,
        // Whatever they hold is thrown away.
        b'd' | b'c' | b'f' => return Ok(Message::Copy),
        b'F' => return Ok(Message::Call),
        _ => return Err(Error::Protocol("a message begins with an unknown letter")),
    };
    bytes.end(message)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

const SHORT: Error = Error::Protocol("a message ends too early");

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| SHORT)
    }

    fn number(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn signed(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn format(&mut self) -> Result<bool, Error> {
        match u16::from_be_bytes(self.array()?) {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Protocol("a format is neither text (0) nor binary (1)")),
        }
    }

    /// Text to its closing zero.
    fn text(&mut self) -> Result<String, Error> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
        let bytes = self.take(end)?;
        self.take(1)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Error::NotUtf8),
        }
    }

    fn value(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.signed()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| SHORT)?;
                Ok(Some(self.take(length)?.to_vec()))
            }
        }
    }

    fn target(&mut self) -> Result<Target, Error> {
        match self.array::<1>()? {
            [b'S'] => Ok(Target::Statement),
            [b'P'] => Ok(Target::Portal),
            _ => Err(Error::Protocol("neither a statement nor a portal is meant")),
        }
    }

    /// A count of 16 bits and so many items. Room is made as they come: a count alone asks for nothing.
    fn list<T>(&mut self, item: fn(&mut Bytes<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = usize::from(u16::from_be_bytes(self.array()?)).min(COUNT_MAX);
        (0..count).map(|_| item(self)).collect()
    }

    fn end<T>(&self, read: T) -> Result<T, Error> {
        if self.0.is_empty() {
            Ok(read)
        } else {
            Err(Error::Protocol("a message is longer than what it says"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings() {
        let start = |text: &[u8]| opening(&[&196_608_u32.to_be_bytes()[..], text].concat());
        assert_eq!(
            start(b"user\0anna\0database\0press\0\0").unwrap(),
            Opening::Start {
                minor: 0,
                parameters: vec![("user".into(), "anna".into()), ("database".into(), "press".into())]
            }
        );
        assert_eq!(opening(&ENCRYPT.to_be_bytes()).unwrap(), Opening::Encrypt);
        let cancel = [&CANCEL.to_be_bytes()[..], &[0, 0, 0, 7], &[1, 2, 3, 4]].concat();
        assert_eq!(opening(&cancel).unwrap(), Opening::Cancel { process: 7, secret: vec![1, 2, 3, 4] });
        for bad in [&b"user\0anna"[..], b"user\0anna\0\0x", b"\xff\0\0", b""] {
            assert!(start(bad).is_err(), "{bad:?}");
        }
        assert!(opening(b"GET / HTTP/1.1\r\n").is_err());
        assert!(opening(&[]).is_err());
    }

    #[test]
    fn messages() {
        let bind = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x03abc\xff\xff\xff\xff\0\0";
        assert_eq!(
            message(b'B', bind).unwrap(),
            Message::Bind {
                portal: "p".into(),
                statement: "s".into(),
                formats: vec![true],
                values: vec![Some(b"abc".to_vec()), None],
                results: vec![]
            }
        );
        assert_eq!(
            message(b'P', b"\0SELECT $1\0\0\x01\0\0\0\x17").unwrap(),
            Message::Parse { name: String::new(), text: "SELECT $1".into(), types: vec![23] }
        );
        assert_eq!(
            message(b'E', b"\0\xff\xff\xff\xff").unwrap(),
            Message::Execute { portal: String::new(), rows: 0 }
        );
        for (tag, bad) in [
            (b'B', &b"p\0s\0\xff\xff"[..]),
            (b'B', b"p\0s\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"p\0s\0\0\x01\0\x07"),
            (b'Q', b"no end"),
            (b'S', b"more"),
            (b'D', b"X\0"),
            (b'?', b""),
        ] {
            assert!(message(tag, bad).is_err(), "{tag} {bad:?}");
        }
    }
}
