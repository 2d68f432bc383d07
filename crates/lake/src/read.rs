//! Opens files of samples: what stands in a footer, and a bounded cache of those that were used last. What does not live
//! here: their bytes (`checked`), decoding rows (`lane`), putting several files together (`merge_rows`, `view`).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedRowGroupWriter;
use tidemill_core::SourceId;
use tidemill_ground::{Counter, Disk, Metrics, Open, read_exact_at};

use super::checked::{Bytesource, Checked, Piece, Trouble};
use super::damage::DamagedFiles;
use super::directory::Directory;
use super::files::FileEntry;
use super::lane::Want;
use super::pages::{narrow, time_pages};
use super::schema::{FORMAT, FORMAT_KEY, column};
use super::sink::{BLOCK_BYTES, Sink};
use super::write::DIRECTORY_KEY;
use crate::Error;

/// A footer with its directory is at most so large; a larger one is damage.
const TAIL_BYTES_MAX: u64 = 256 << 20;

/// What is known of an open file.
pub(crate) struct Footer {
    pub(crate) source: Checked,
    pub(crate) parquet: ArrowReaderMetadata,
    pub(crate) directory: Directory,
    bytes: usize,
}

impl Footer {
    /// What an error of Parquet's stands for: only the bytes below know the range. Damage is noted.
    pub(crate) fn failed(&self, source: ParquetError) -> Error {
        let error = self.told(source);
        self.source.0.damaged.met(&error);
        error
    }

    /// Checks every block of data in a stretch of the file.
    fn check(&self, from: u64, to: u64) -> Result<(), Error> {
        let source = &self.source.0;
        let mut at = from;
        while at < to.min(source.tail_at) {
            let length = BLOCK_BYTES.min((source.tail_at - at) as usize);
            source.get(at, length).map_err(|error| self.told(error))?;
            at += length as u64;
        }
        Ok(())
    }

    fn told(&self, source: ParquetError) -> Error {
        let bytes = &self.source.0;
        let trouble = bytes.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let file = bytes.name.clone();
        match trouble {
            Some(Trouble::Damage(from, to, detail)) => Error::Damaged { file, from, to, detail },
            Some(Trouble::Disk(kind, text)) => {
                Error::Disk { what: "read", path: file.into(), source: io::Error::new(kind, text) }
            }
            None => Error::Format { what: "decoded", file, source },
        }
    }
}

impl Footer {
    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the pages that a reader of these columns holds at once, unpacked: one of each, in the row group where
    /// they are largest.
    pub(crate) fn page_bytes(&self, columns: &[usize]) -> usize {
        let metadata = self.parquet.metadata();
        let groups = metadata.row_groups().iter().enumerate().map(|(index, group)| {
            let page = |column: &usize| {
                let bytes = group.columns().get(*column)?.uncompressed_size().unsigned_abs() as usize;
                let pages = metadata.offset_index()?.get(index)?.get(*column)?.page_locations().len();
                Some(bytes.div_ceil(pages.max(1)))
            };
            columns.iter().filter_map(page).sum()
        });
        groups.max().unwrap_or(0)
    }
}

/// Row groups as they stand, for those who copy them.
impl Footer {
    /// The rows of each row group.
    pub(crate) fn groups(&self) -> Vec<Range<u64>> {
        let mut end = 0;
        let groups = self.parquet.metadata().row_groups().iter();
        groups
            .map(|group| {
                let start = end;
                end += group.num_rows().unsigned_abs();
                start..end
            })
            .collect()
    }

    /// The first and the last path by name in a row group; long ones are cut, outwards.
    pub(crate) fn paths_of_group(&self, index: usize) -> Option<(String, String)> {
        let group = self.parquet.metadata().row_groups().get(index)?;
        let statistics = group.columns().get(column::SIGNAL)?.statistics()?;
        let text = |bytes: Option<&[u8]>| Some(std::str::from_utf8(bytes?).ok()?.to_owned());
        Some((text(statistics.min_bytes_opt())?, text(statistics.max_bytes_opt())?))
    }

    /// See [`narrow`].
    pub(crate) fn narrow(&self, want: &mut Want, from: i64, last: i64) {
        narrow(&time_pages(&self.parquet), want, from, last);
    }

    /// Writes a row group as it stands: the same pages, statistics and page index at their new place.
    pub(crate) fn copy_group(
        &self,
        index: usize,
        into: &mut SerializedRowGroupWriter<'_, Sink>,
    ) -> Result<(), ParquetError> {
        let metadata = self.parquet.metadata();
        let group = metadata.row_group(index);
        for (at, column) in group.columns().iter().enumerate() {
            let (start, length) = column.byte_range();
            let bytes = self.source.get_bytes(start, length as usize)?;
            let close = ColumnCloseResult {
                bytes_written: length,
                rows_written: group.num_rows().unsigned_abs(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: metadata.column_index().and_then(|all| all.get(index)?.get(at)).cloned(),
                offset_index: metadata.offset_index().and_then(|all| all.get(index)?.get(at)).cloned(),
            };
            into.append_column(&Piece { start, bytes }, close)?;
        }
        Ok(())
    }
}

/// Opens files, and remembers the footers of those used last.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// For messages.
    name: String,
    bytes_max: usize,
    cache: Mutex<Cache>,
    /// By number, of all files that were opened.
    sources: Mutex<BTreeMap<u32, Arc<str>>>,
    opened: Counter,
    damaged: Arc<DamagedFiles>,
}

#[derive(Default)]
struct Cache {
    footers: HashMap<String, (Arc<Footer>, u64)>,
    bytes: usize,
    uses: u64,
}

impl Files {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        name: &str,
        bytes_max: usize,
        metrics: &Metrics,
    ) -> Files {
        Files {
            disk,
            dir,
            name: name.into(),
            bytes_max,
            cache: Mutex::default(),
            sources: Mutex::default(),
            opened: metrics.counter("historian_footers_read", "Footers of files that were read from disk."),
            damaged: Arc::new(DamagedFiles::new(metrics)),
        }
    }

    /// The footer of a file.
    pub(crate) fn footer(&self, file: &FileEntry) -> Result<Arc<Footer>, Error> {
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.uses += 1;
            let uses = cache.uses;
            if let Some((footer, used)) = cache.footers.get_mut(file.name()) {
                *used = uses;
                return Ok(footer.clone());
            }
        }
        let footer = Arc::new(self.open(file).inspect_err(|error| self.damaged.met(error))?);
        self.opened.add(1);
        self.note_sources(&footer.directory);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let used = cache.uses;
        cache.bytes += footer.bytes;
        if let Some((old, _)) = cache.footers.insert(file.name().to_owned(), (footer.clone(), used)) {
            cache.bytes = cache.bytes.saturating_sub(old.bytes);
        }
        while cache.bytes > self.bytes_max && cache.footers.len() > 1 {
            let Some(oldest) =
                cache.footers.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone())
            else {
                break;
            };
            if let Some((old, _)) = cache.footers.remove(&oldest) {
                cache.bytes = cache.bytes.saturating_sub(old.bytes);
            }
        }
        Ok(footer)
    }

    /// The name of a source as files have it: whoever rewrites one can ask for every source in it. Empty where none has it.
    pub(crate) fn source(&self, id: SourceId) -> Arc<str> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(&id.0).cloned().unwrap_or_default()
    }

    fn note_sources(&self, directory: &Directory) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // There are no more than a plant may have, which the bus limits.
        for (number, name) in directory.sources.iter().filter(|(_, name)| !name.is_empty()) {
            sources.entry(*number).or_insert_with(|| name.as_str().into());
        }
    }

    /// Those that cannot be read.
    pub(crate) fn damaged(&self) -> Arc<DamagedFiles> {
        self.damaged.clone()
    }

    /// Reads a file whole and checks every block of it. What is kept of other files stays as it is.
    pub(crate) fn verify(&self, entry: &FileEntry) -> Result<(), Error> {
        self.present(entry)
            .and_then(|()| self.open(entry))
            .and_then(|footer| footer.check(0, u64::MAX))
            .inspect_err(|error| self.damaged.met(error))
    }

    /// Whether a file is whole in which these bytes were not to be believed: the others are only read where they are.
    pub(crate) fn look_again(&self, entry: &FileEntry, (from, to): (u64, u64)) -> Result<(), Error> {
        self.present(entry)?;
        let footer = self.open(entry)?;
        footer.check(from, to).and_then(|()| footer.check(0, u64::MAX))
    }

    /// Whether a file stands there in its length.
    pub(crate) fn present(&self, entry: &FileEntry) -> Result<(), Error> {
        let (name, bytes, path) = (entry.name(), entry.add.size, self.dir.join(entry.name()));
        let damaged = |detail| {
            Err(Error::Damaged { file: format!("{}/{name}", self.name), from: 0, to: bytes, detail })
        };
        match self.disk.len(&path) {
            Ok(len) if len == bytes => Ok(()),
            Ok(len) => damaged(format!("it has {len} bytes instead of {bytes}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => damaged("it is missing".to_owned()),
            Err(source) => Err(Error::Disk { what: "looked at", path, source }),
        }
    }

    /// Forgets a file that is about to be removed.
    pub(crate) fn forget(&self, name: &str) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((old, _)) = cache.footers.remove(name) {
            cache.bytes = cache.bytes.saturating_sub(old.bytes);
        }
    }

    fn open(&self, entry: &FileEntry) -> Result<Footer, Error> {
        let path = self.dir.join(entry.name());
        let name = format!("{}/{}", self.name, entry.name());
        let disk = |what: &'static str| {
            let path = path.clone();
            move |source: io::Error| Error::Disk { what, path, source }
        };
        let damaged = |from: u64, to: u64, detail: &str| Error::Damaged {
            file: name.clone(),
            from,
            to,
            detail: detail.to_owned(),
        };
        let file = match self.disk.open(&path, Open::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(0, entry.add.size, "it is missing"));
            }
            other => other.map_err(disk("opened"))?,
        };
        let len = file.len().map_err(disk("read"))?;
        let (tail_at, sum) = entry.tail.unwrap_or((0, 0));
        if len != entry.add.size || tail_at > len || len - tail_at > TAIL_BYTES_MAX {
            return Err(damaged(len.min(entry.add.size), len.max(entry.add.size), "its length differs"));
        }
        let mut tail = vec![0; (len - tail_at) as usize];
        read_exact_at(&*file, &mut tail, tail_at).map_err(disk("read"))?;
        if crc32c::crc32c(&tail) != sum {
            return Err(damaged(tail_at, len, "the checksum of the footer differs"));
        }
        let mut source = Bytesource {
            file,
            name: name.clone(),
            len,
            tail_at,
            tail: tail.into(),
            blocks: Vec::new(),
            trouble: Mutex::default(),
            damaged: self.damaged.clone(),
        };
        // The tail is checked as a whole, so that what follows can only fail where the writer was wrong.
        let probe = Checked(Arc::new(Bytesource {
            file: source.file.clone(),
            name: name.clone(),
            tail: source.tail.clone(),
            blocks: Vec::new(),
            trouble: Mutex::default(),
            damaged: self.damaged.clone(),
            ..source
        }));
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let parquet = ArrowReaderMetadata::load(&probe, options).map_err(|source| Error::Format {
            what: "decoded",
            file: name.clone(),
            source,
        })?;
        let keys = parquet.metadata().file_metadata().key_value_metadata();
        let key = |key: &str| keys?.iter().find(|pair| pair.key == key)?.value.as_deref();
        let found = key(FORMAT_KEY).and_then(|format| format.parse().ok()).unwrap_or(0);
        if found > FORMAT {
            return Err(Error::NewerFormat { file: name, found, known: FORMAT });
        }
        let (directory, blocks) = key(DIRECTORY_KEY)
            .and_then(|place| tail_parts(&source, place))
            .ok_or_else(|| damaged(tail_at, len, "it has no directory of signals"))?;
        source.blocks = blocks;
        let bytes = parquet.metadata().memory_size()
            + directory.bytes()
            + source.blocks.len() * 4
            + source.tail.len();
        Ok(Footer { source: Checked(Arc::new(source)), parquet, directory, bytes })
    }
}

fn tail_parts(source: &Bytesource, place: &str) -> Option<(Directory, Vec<u32>)> {
    let mut numbers = place.split(',').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (offset, directory, blocks) = (next()?, next()?, next()?);
    let at = usize::try_from(offset.checked_sub(source.tail_at)?).ok()?;
    let (directory, blocks) = (usize::try_from(directory).ok()?, usize::try_from(blocks).ok()?);
    let packed = source.tail.get(at..at.checked_add(directory)?)?;
    let sums = source.tail.get(at + directory..(at + directory).checked_add(blocks)?)?;
    let unpacked = zstd::stream::decode_all(packed).ok()?;
    let sums = sums.as_chunks::<4>().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
    Some((Directory::decode(&unpacked)?, sums))
}
