//! A file as a stream of UTF-8: unpacking gzip and zstd, recognising the encoding, decoding, counting what was read. What the
//! text means is not looked at.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::ends::{Ended, WholeLines, WithoutZeros};
use super::foreign::Foreign;

/// Opens the file from its beginning. Called once for each pass: recognising, deciding, reading.
pub type Open = Box<dyn FnMut() -> io::Result<Box<dyn Read + Send>> + Send>;

/// How the characters of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// With characters beyond ASCII seen, so that a line which is none is damaged.
    Utf8,
    /// Only ASCII seen so far: a later line that is not UTF-8 is Windows-1252.
    Ascii,
    Utf16Le,
    Utf16Be,
    /// Also what is called Latin-1.
    Windows1252,
}

impl Encoding {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 | Encoding::Ascii => "UTF-8",
            Encoding::Utf16Le => "UTF-16 LE",
            Encoding::Utf16Be => "UTF-16 BE",
            Encoding::Windows1252 => "Windows-1252",
        }
    }

    /// The encoding that a file's first bytes show.
    pub(super) fn recognise(head: &[u8]) -> Encoding {
        if head.starts_with(&[0xEF, 0xBB, 0xBF]) {
            return Encoding::Utf8;
        }
        if head.starts_with(&[0xFF, 0xFE]) {
            return Encoding::Utf16Le;
        }
        if head.starts_with(&[0xFE, 0xFF]) {
            return Encoding::Utf16Be;
        }
        // Without a mark: text of western languages in UTF-16 is every other byte zero.
        let some = head.get(..head.len().min(1000) & !1).unwrap_or_default();
        let zeros = |odd: usize| some.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
        let (even, odd) = (zeros(0), zeros(1));
        if some.len() >= 8 && odd * 10 > some.len() * 4 && even * 10 < some.len() {
            return Encoding::Utf16Le;
        }
        if some.len() >= 8 && even * 10 > some.len() * 4 && odd * 10 < some.len() {
            return Encoding::Utf16Be;
        }
        match std::str::from_utf8(head) {
            Ok(text) if text.is_ascii() => Encoding::Ascii,
            Ok(_) => Encoding::Utf8,
            // A character cut at the end of the head is no fault.
            Err(error) if error.error_len().is_none() => Encoding::Utf8,
            Err(_) => Encoding::Windows1252,
        }
    }

    fn decoder(self) -> Option<Decoder> {
        match self {
            Encoding::Utf8 | Encoding::Ascii => None,
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_with_bom_removal()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_with_bom_removal()),
            Encoding::Windows1252 => Some(WINDOWS_1252.new_decoder_without_bom_handling()),
        }
    }

    /// The stream as UTF-8. What is declared UTF-8 comes as it is: its reader judges each line.
    pub(super) fn decode(self, source: Box<dyn Read + Send>) -> Box<dyn BufRead + Send> {
        match self.decoder() {
            None => Box::new(BufReader::with_capacity(BUFFER_BYTES, source)),
            Some(decoder) => Box::new(Decoded::new(source, decoder)),
        }
    }
}

/// Whether bytes stand there that are no characters of Windows-1252, as in those of Japan and of DOS.
pub(super) fn is_no_windows_1252(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D))
}

const BUFFER_BYTES: usize = 64 << 10;

/// A stream that is decoded as it is read.
struct Decoded {
    source: Box<dyn Read + Send>,
    decoder: Decoder,
    /// Read and not yet decoded.
    input: Vec<u8>,
    /// Decoded and, from `start`, not yet taken.
    output: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Decoded {
    fn new(source: Box<dyn Read + Send>, decoder: Decoder) -> Decoded {
        Decoded { source, decoder, input: Vec::new(), output: Vec::new(), start: 0, ended: false }
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start >= self.output.len() && !self.ended {
            self.ended = self.source.read_once(&mut self.input)? == 0;
            let bytes_max = self.decoder.max_utf8_buffer_length(self.input.len()).unwrap_or(BUFFER_BYTES);
            self.output.resize(bytes_max, 0);
            let (_, read, written, _) =
                self.decoder.decode_to_utf8(&self.input, &mut self.output, self.ended);
            self.output.truncate(written);
            self.input.drain(..read.min(self.input.len()));
            self.start = 0;
        }
        Ok(self.output.get(self.start..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }
}

impl Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = Read::read(&mut self.fill_buf()?, out)?;
        self.consume(count);
        Ok(count)
    }
}

/// One read into a vector's spare room.
trait ReadOnce {
    fn read_once(&mut self, into: &mut Vec<u8>) -> io::Result<usize>;
}

impl<R: Read> ReadOnce for R {
    fn read_once(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.resize(before + BUFFER_BYTES, 0);
        let count = loop {
            match self.read(into.get_mut(before..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        into.truncate(before + *count.as_ref().unwrap_or(&0));
        count
    }
}

/// Counts the bytes of the file itself, for progress.
struct Counted {
    source: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A file that is read from its beginning as often as it is needed.
pub(super) struct Source {
    open: Open,
    /// What was read of the file itself.
    pub(super) bytes: Arc<AtomicU64>,
    /// What its rows are turned from.
    pub(super) foreign: Option<Foreign>,
    /// How it ended, once it was read to its end.
    pub(super) ended: Ended,
}

impl Source {
    pub(super) fn new(open: Open) -> Source {
        Source { open, bytes: Arc::new(AtomicU64::new(0)), foreign: None, ended: Ended::default() }
    }

    /// The file's content from the beginning.
    pub(super) fn read(&mut self) -> io::Result<Box<dyn Read + Send>> {
        let content = unpacked(&mut self.open, &self.bytes, &self.ended)?;
        let content = Box::new(WithoutZeros::new(content, self.ended.clone()));
        Ok(match &self.foreign {
            Some(foreign) => foreign.convert(content),
            None => content,
        })
    }
}

/// A window that a packed stream may ask for: 128 MiB, what `zstd --long` writes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The file's bytes from the beginning, unpacked if they are gzip or zstd; `bytes` counts what was read of the file.
fn unpacked(open: &mut Open, bytes: &Arc<AtomicU64>, ended: &Ended) -> io::Result<Box<dyn Read + Send>> {
    bytes.store(0, Ordering::Relaxed);
    let mut source = Counted { source: open()?, bytes: Arc::clone(bytes) };
    let mut magic = [0; 4];
    let mut have = 0;
    while have < magic.len() {
        match source.read(magic.get_mut(have..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let start = io::Cursor::new(magic.get(..have).unwrap_or_default().to_vec());
    let whole = start.chain(source);
    if magic == [0x28, 0xB5, 0x2F, 0xFD] {
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, whole))?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        return Ok(Box::new(WholeLines::new(decoder, ended.clone())));
    }
    if magic.starts_with(&[0x1F, 0x8B]) {
        let decoder = flate2::read::MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole));
        return Ok(Box::new(WholeLines::new(decoder, ended.clone())));
    }
    Ok(Box::new(whole))
}

/// The first bytes, unpacked.
pub(super) fn head(source: &mut dyn Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.take(bytes_max as u64).read_to_end(&mut head)?;
    Ok(head)
}
