//! One line of an audit file and its place in the chain. A line is a JSON object whose last member is `hash`: the
//! SHA-256 of the previous line's hash (32 bytes) and of this line's bytes before `,"hash":`. Nothing needs to be put
//! into a canonical form: the bytes in the file are the canonical ones.

use std::fmt::{self, Write};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tidemill_core::{AuditEntry, format_rfc3339};

use super::{DETAIL_BYTES_MAX, TARGET_BYTES_MAX};

const HASH_BEFORE: &[u8] = b",\"hash\":\"";
const HASH_AFTER: &[u8] = b"\"}";
const TAIL_BYTES: usize = HASH_BEFORE.len() + 64 + HASH_AFTER.len();

/// A SHA-256 that is a link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    /// What comes before the first line of all.
    pub(crate) const ZERO: Hash = Hash([0; 32]);

    pub(crate) fn parse(text: &str) -> Option<Hash> {
        unhex(text.as_bytes()).map(Hash)
    }

    /// The hash of a line whose bytes before its own hash are `body`.
    pub(crate) fn after(prev: &Hash, body: &[u8]) -> Hash {
        Hash(Sha256::new().chain_update(prev.0).chain_update(body).finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// How far the chain has come: the last entry and the hash of the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

impl Chain {
    pub(crate) const EMPTY: Chain = Chain { seq: 0, hash: Hash::ZERO };
}

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    #[serde(rename = "tidemill-audit")]
    pub(crate) version: u64,
    /// The sequence of the first entry.
    pub(crate) first: u64,
    /// Whether the file before it ends in bytes that were never durable: what stands there after entry `first - 1` is
    /// void.
    pub(crate) reopened: bool,
    prev: String,
}

impl Header {
    pub(crate) fn prev(&self) -> Option<Hash> {
        Hash::parse(&self.prev)
    }

    /// Reads a first line, without its hash.
    pub(crate) fn parse(body: &[u8]) -> Option<Header> {
        let mut whole = body.to_vec();
        whole.push(b'}');
        serde_json::from_slice(&whole).ok()
    }

    /// The header that a line, without its newline, is; none if it is another line or was altered.
    pub(crate) fn of(line: &[u8]) -> Option<Header> {
        let (body, hash) = split(line)?;
        let header = Header::parse(body)?;
        (Hash::after(&header.prev()?, body) == hash).then_some(header)
    }

    /// Appends a first line to `out`, and gives its hash.
    pub(crate) fn write(out: &mut Vec<u8>, chain: Chain, reopened: bool) -> Hash {
        let first = chain.seq + 1;
        let version = super::VERSION;
        let body = format!(
            "{{\"tidemill-audit\":{version},\"first\":{first},\"reopened\":{reopened},\"prev\":\"{}\"",
            chain.hash
        );
        seal(out, &chain.hash, body.as_bytes())
    }
}

/// Appends a line to `out`, and gives its hash.
pub(crate) fn seal(out: &mut Vec<u8>, prev: &Hash, body: &[u8]) -> Hash {
    let hash = Hash::after(prev, body);
    out.extend_from_slice(body);
    out.extend_from_slice(HASH_BEFORE);
    out.extend_from_slice(hex(&hash.0).as_bytes());
    out.extend_from_slice(HASH_AFTER);
    out.push(b'\n');
    hash
}

/// A line without its newline as its body and its hash; none if it is not of that form.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL_BYTES)?)?;
    let digits = tail.strip_prefix(HASH_BEFORE)?.strip_suffix(HASH_AFTER)?;
    Some((body, Hash(unhex(digits)?)))
}

/// The sequence that the body of an entry states.
pub(crate) fn seq_of(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(b"{\"seq\":")?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    let seq: u64 = std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()?;
    (1..super::SEQ_MAX).contains(&seq).then_some(seq)
}

/// The body of an entry: everything but its hash. The order of the members is part of the format.
pub(crate) fn entry_body(seq: u64, time: i64, entry: &AuditEntry) -> String {
    let mut body = format!("{{\"seq\":{seq},\"time\":\"");
    format_rfc3339(time, &mut body);
    body.push('"');
    let address = entry.who.peer.address.map(|address| address.to_string()).unwrap_or_default();
    let (target, result) = (cut(&entry.target, TARGET_BYTES_MAX), entry.result.name());
    for (name, text) in [
        ("who", &*entry.who.name),
        ("door", entry.who.peer.door),
        ("address", &address),
        ("action", entry.action),
        ("target", &target),
        ("result", result),
    ] {
        // A failing `write!` to a String does not exist; `Value` is what escapes a text as JSON.
        let _ = write!(body, ",\"{name}\":{}", Value::from(text));
    }
    if let Some(detail) = detail_of(&entry.detail) {
        let _ = write!(body, ",\"detail\":{detail}");
    }
    body
}

/// The detail as one line of JSON. What is none, or too long, is kept as a text.
pub(crate) fn detail_of(detail: &str) -> Option<Value> {
    if detail.is_empty() {
        return None;
    }
    if detail.len() > DETAIL_BYTES_MAX {
        return Some(Value::from(cut(detail, DETAIL_BYTES_MAX)));
    }
    Some(serde_json::from_str(detail).unwrap_or_else(|_| Value::from(detail)))
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}… ({} bytes in all)", text.get(..end).unwrap_or_default(), text.len())
}

/// What is read back of an entry, for retention.
#[derive(Deserialize)]
pub(crate) struct Time {
    pub(crate) time: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 64 lower-case digits as 32 bytes. Upper case is refused: one hash has one spelling, so that a changed letter is
/// always noticed.
pub(crate) fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}
