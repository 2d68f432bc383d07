//! The list and the content of a ZIP archive (APPNOTE 6.3): stored and deflated members, ZIP64, each checked by its
//! checksum. What a member holds is the business of others; nothing is written to disk.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// Members that an archive may have.
const MEMBERS_MAX: usize = 10_000;

/// How far from its end an archive's last record begins: it ends with a remark of up to 64 KiB.
const TAIL_BYTES: u64 = (64 << 10) + 22;

/// The list of members is no longer than this.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// What begins an archive.
pub const MAGIC: &[u8] = b"PK\x03\x04";

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As the archive spells it, with `/` between folders.
    pub name: String,
    /// Its packed bytes.
    pub packed_bytes: u64,
    /// Its bytes, as the archive says.
    pub bytes: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
    at: u64,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged: {what}"))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|two| Some(u16::from_le_bytes(two.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?)))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|eight| Some(u64::from_le_bytes(eight.try_into().ok()?)))
}

/// The files of an archive, in their order; folders are left out.
///
/// # Errors
/// It is damaged, or has too many members.
pub fn members<R: Read + Seek>(input: &mut R) -> io::Result<Vec<Member>> {
    let length = input.seek(SeekFrom::End(0))?;
    let begin = length.saturating_sub(TAIL_BYTES);
    input.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    (&mut *input).take(TAIL_BYTES).read_to_end(&mut tail)?;
    let end =
        tail.windows(4).rposition(|four| four == b"PK\x05\x06").ok_or_else(|| bad("its end is missing"))?;
    let record = tail.get(end..).unwrap_or_default();
    let short = || bad("its last record is cut");
    let (mut bytes, mut at) =
        (u64::from(u32_at(record, 12).ok_or_else(short)?), u64::from(u32_at(record, 16).ok_or_else(short)?));
    // ZIP64: a locator stands right before.
    let locator =
        end.checked_sub(20).and_then(|from| tail.get(from..end)).filter(|it| it.starts_with(b"PK\x06\x07"));
    if let Some(place) = locator.and_then(|locator| u64_at(locator, 8)) {
        input.seek(SeekFrom::Start(place))?;
        let mut record = [0; 56];
        input.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(bad("its ZIP64 record is missing"));
        }
        bytes = u64_at(&record, 40).ok_or_else(short)?;
        at = u64_at(&record, 48).ok_or_else(short)?;
    }
    if bytes > LIST_BYTES_MAX {
        return Err(bad("its list of files is longer than 16 MiB"));
    }
    input.seek(SeekFrom::Start(at))?;
    let mut list = Vec::new();
    (&mut *input).take(bytes).read_to_end(&mut list)?;
    listed(&list)
}

fn listed(mut list: &[u8]) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    while list.starts_with(b"PK\x01\x02") {
        let short = || bad("its list of files is cut");
        let short_u16 = |at| u16_at(list, at).ok_or_else(short);
        let (name, extra, remark) = (short_u16(28)?, short_u16(30)?, short_u16(32)?);
        let (name, extra, remark) = (usize::from(name), usize::from(extra), usize::from(remark));
        let text = list.get(46..46 + name).ok_or_else(short)?;
        let fields = list.get(46 + name..46 + name + extra).ok_or_else(short)?;
        let field = |at| u32_at(list, at).map(u64::from).ok_or_else(short);
        let mut member = Member {
            name: String::from_utf8_lossy(text).into_owned(),
            packed_bytes: field(20)?,
            bytes: field(24)?,
            method: short_u16(10)?,
            encrypted: short_u16(8)? & 1 == 1,
            crc: u32_at(list, 16).ok_or_else(short)?,
            at: field(42)?,
        };
        member.widen(fields);
        if !member.name.ends_with('/') {
            members.push(member);
        }
        if members.len() > MEMBERS_MAX {
            return Err(bad("it has more than 10,000 files"));
        }
        list = list.get(46 + name + extra + remark..).unwrap_or_default();
    }
    Ok(members)
}

impl Member {
    /// Takes what did not fit in 32 bits from the extra fields.
    fn widen(&mut self, mut fields: &[u8]) {
        while let (Some(id), Some(bytes)) = (u16_at(fields, 0), u16_at(fields, 2)) {
            let content = fields.get(4..4 + usize::from(bytes)).unwrap_or_default();
            if id == 1 {
                let mut at = 0;
                for value in [&mut self.bytes, &mut self.packed_bytes, &mut self.at] {
                    if *value == u64::from(u32::MAX) {
                        *value = u64_at(content, at).unwrap_or(*value);
                        at += 8;
                    }
                }
            }
            fields = fields.get(4 + usize::from(bytes)..).unwrap_or_default();
        }
    }

    /// Its content from the beginning. A wrong checksum or length is an error at the end.
    ///
    /// # Errors
    /// It is encrypted or packed in a way that is not known here, or the archive is damaged.
    pub fn open<R: Read + Seek + Send + 'static>(&self, mut input: R) -> io::Result<Box<dyn Read + Send>> {
        let cannot = |what: &str| {
            let text =
                format!("{} in the archive is {what}: unpack it with another program first", self.name);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        if self.encrypted {
            return cannot("encrypted");
        }
        input.seek(SeekFrom::Start(self.at))?;
        let mut head = [0; 30];
        input.read_exact(&mut head)?;
        if !head.starts_with(MAGIC) {
            return Err(bad("a file does not stand where the list says"));
        }
        let skip = u16_at(&head, 26)
            .zip(u16_at(&head, 28))
            .map_or(0, |(name, extra)| i64::from(name) + i64::from(extra));
        input.seek(SeekFrom::Current(skip))?;
        let packed = BufReader::with_capacity(64 << 10, input.take(self.packed_bytes));
        let content: Box<dyn Read + Send> = match self.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(packed)),
            _ => return cannot("packed in a way that is not known here"),
        };
        Ok(Box::new(Checked { content, crc: Crc::new(), expected: self.crc, bytes: self.bytes }))
    }
}

/// Content whose checksum and length are seen to be right; more than the archive says is never read.
struct Checked {
    content: Box<dyn Read + Send>,
    crc: Crc,
    expected: u32,
    bytes: u64,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(into)?;
        self.bytes =
            self.bytes.checked_sub(count as u64).ok_or_else(|| bad("a file is longer than it says"))?;
        self.crc.update(into.get(..count).unwrap_or_default());
        if count == 0 && !into.is_empty() && (self.crc.sum() != self.expected || self.bytes > 0) {
            return Err(bad("a file does not have its checksum"));
        }
        Ok(count)
    }
}
