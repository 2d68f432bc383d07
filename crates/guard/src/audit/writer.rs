//! Appends groups of entries to the files: one write and one sync a group. Single-threaded and without a queue, so that
//! a test can crash it at every step; the queue stands in `log`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{AuditEntry, AuditResult, Identity, IdentityKind, Peer, parse_rfc3339};
use tidemill_ground::{Disk, File, Open, create_dirs};

use super::line::{Chain, Header, Time, entry_body, seal, split};
use super::mark::MarkFile;
use super::members::linked;
use super::recover::{foreign_detail, recover};
use super::rows::Row;
use super::verify::{Durable, Listed, file_bytes, files};
use super::{file_name, foreign_dir, mark_paths, table};
use crate::error::Error;
use crate::settings::Limits;

/// Who writes about the audit itself.
pub(crate) const WHO: &str = "house:guard";

/// An entry with its place in the chain.
pub(crate) struct Pending {
    pub(crate) seq: u64,
    pub(crate) time: i64,
    pub(crate) entry: AuditEntry,
    /// A file to be removed once this entry, which says so, is durable.
    pub(crate) removes: Option<u64>,
}

struct Current {
    file: Arc<dyn File>,
    first: u64,
    bytes: u64,
}

/// The files of the chain, and where it goes on.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: Limits,
    chain: Chain,
    current: Option<Current>,
    /// Whether the last file may end in bytes that were never durable.
    void_tail: bool,
    /// Whether there was no file at all at the start: until the first entry, nothing is durable.
    fresh: bool,
    rolled: bool,
    /// The file that was last begun here, or tried to be.
    attempted: Option<u64>,
    /// Files that are no part of the chain, to be moved away once the entry that says so is durable.
    foreign: Vec<u64>,
    /// Such files that were in the way of a new one and are moved away already, to be recorded.
    in_the_way: Vec<u64>,
    /// A file that somebody took away while it was written, to be recorded.
    taken: Option<u64>,
    marks: [Option<MarkFile>; 2],
    /// How often a mark could not be written: a cut end is then noticed only up to the mark before.
    pub(crate) mark_failures: u64,
}

/// An entry of the guard about its own files.
pub(crate) fn own_entry(action: &'static str, target: String, detail: &serde_json::Value) -> AuditEntry {
    AuditEntry {
        who: Identity {
            name: WHO.into(),
            kind: IdentityKind::House,
            peer: Peer { door: "house", address: None },
        },
        action,
        target,
        result: AuditResult::Done,
        detail: detail.to_string(),
    }
}

impl Writer {
    /// Finds the end of the chain, mends it, and gives what is to be written about that. Entries up to `handed_on` are in the
    /// table.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        limits: Limits,
        handed_on: u64,
    ) -> Result<(Writer, Vec<AuditEntry>), Error> {
        let recovered = recover(disk.as_ref(), &dir, handed_on)?;
        let mut current = None;
        if let Some((first, bytes)) = recovered.file {
            let path = dir.join(file_name(first));
            let file = disk.open(&path, Open::ReadWrite).map_err(Error::disk("opening", &path))?;
            // A process that was killed may leave bytes that only the page cache has: the chain must not go on from
            // what a power cut could still take.
            file.sync_all().map_err(Error::disk("syncing", &path))?;
            disk.sync_dir(&dir).map_err(Error::disk("syncing", &dir))?;
            current = Some(Current { file, first, bytes });
        }
        let fresh = recovered.file.is_none() && recovered.chain.seq == 0;
        let notes =
            recovered.notes.into_iter().map(|(action, detail)| own_entry(action, String::new(), &detail));
        let writer = Writer {
            disk,
            dir,
            limits,
            chain: recovered.chain,
            current,
            void_tail: false,
            fresh,
            rolled: false,
            attempted: None,
            foreign: recovered.foreign,
            in_the_way: Vec::new(),
            taken: None,
            marks: [None, None],
            mark_failures: 0,
        };
        Ok((writer, notes.collect()))
    }

    /// The last durable entry.
    pub(crate) fn chain(&self) -> Chain {
        self.chain
    }

    /// The file that is written, and how much of it is durable; before the first entry of all, no file and nothing.
    pub(crate) fn durable_end(&self) -> Option<Durable> {
        let nothing = (self.fresh && self.chain.seq == 0).then_some((0, 0));
        let (first, bytes) =
            self.current.as_ref().map(|current| (current.first, current.bytes)).or(nothing)?;
        Some(Durable { first, bytes, seq: self.chain.seq, writing: false })
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Appends a group and makes it durable. On an error none of it counts, and the next group goes to a new file: a
    /// failed sync is never tried again on the same one.
    pub(crate) fn append(&mut self, group: &[Pending]) -> Result<Vec<Row>, Error> {
        let roll =
            self.current.as_ref().is_none_or(|current| current.bytes >= self.limits.audit_file_bytes_max);
        let mut chain = self.chain;
        let mut bytes = Vec::new();
        let mut rows = Vec::with_capacity(group.len());
        if roll {
            chain.hash = Header::write(&mut bytes, chain, self.void_tail);
        }
        for pending in group {
            let body = entry_body(pending.seq, pending.time, &pending.entry);
            chain = Chain { seq: pending.seq, hash: seal(&mut bytes, &chain.hash, body.as_bytes()) };
            rows.push(Row { seq: pending.seq, json: table::row(pending, &chain.hash) });
        }
        let written = if roll { self.begin(&bytes) } else { self.extend(&bytes) };
        if let Err(error) = written {
            self.give_up();
            return Err(error);
        }
        self.chain = chain;
        self.write_mark();
        for first in std::mem::take(&mut self.foreign) {
            self.set_aside(first);
        }
        group.iter().filter_map(|pending| pending.removes).for_each(|first| self.remove(first));
        Ok(rows)
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let first = self.chain.seq + 1;
        let path = self.dir.join(file_name(first));
        create_dirs(self.disk.as_ref(), &self.dir).map_err(Error::disk("making", &self.dir))?;
        self.clear_the_way()?;
        let file = self.create(&path, first).map_err(Error::disk("making", &path))?;
        self.attempted = Some(first);
        // Room for the whole file now, so that a disk that fills later can still be audited. Not every file system can.
        let _ = file.allocate(self.limits.audit_file_bytes_max);
        let written = file.write_at(bytes, 0).and_then(|()| file.sync_all());
        written.and_then(|()| self.disk.sync_dir(&self.dir)).map_err(Error::disk("writing", &path))?;
        self.current = Some(Current { file, first, bytes: bytes.len() as u64 });
        self.void_tail = false;
        self.rolled = true;
        Ok(())
    }

    /// Moves away what bears a number behind the files of the chain, before the chain comes to that number and the file
    /// stands among its own.
    fn clear_the_way(&mut self) -> Result<(), Error> {
        let last = self.current.as_ref().map_or(self.chain.seq, |current| current.first);
        let Listed { named, odd, .. } = files(self.disk.as_ref(), &self.dir)?;
        let named = named.into_iter().filter(|first| self.attempted != Some(*first));
        for first in named.chain(odd).filter(|first| *first > last) {
            if self.set_aside(first) && !self.foreign.contains(&first) {
                self.in_the_way.push(first);
            }
        }
        Ok(())
    }

    /// What is to be recorded of files that were in the way, or that somebody took away.
    pub(crate) fn noticed(&mut self) -> Vec<AuditEntry> {
        let moved = std::mem::take(&mut self.in_the_way);
        let moved = (!moved.is_empty()).then(|| foreign_detail(&self.dir, &moved));
        let taken = self
            .taken
            .take_if(|_| self.current.is_some())
            .map(|first| serde_json::json!({ "missing": "file", "file": file_name(first) }));
        let entry = |detail| own_entry("audit.damage", String::new(), &detail);
        moved.into_iter().chain(taken).map(entry).collect()
    }

    fn create(&self, path: &Path, first: u64) -> io::Result<Arc<dyn File>> {
        match self.disk.open(path, Open::CreateNew) {
            // Left by an attempt that failed: nothing in it was acknowledged, for its first entry is the next one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.attempted == Some(first) => {
                self.disk.remove(path)?;
                self.disk.open(path, Open::CreateNew)
            }
            other => other,
        }
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let written = current.file.write_at(bytes, current.bytes).and_then(|()| current.file.sync_data());
        let path = self.dir.join(file_name(current.first));
        written.map_err(Error::disk("writing", &path))?;
        // The open file takes bytes after somebody removed or replaced it, and nobody would ever read them.
        let end = current.bytes + bytes.len() as u64;
        let named = match self.disk.len(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(Error::disk("reading", &path))?),
        };
        if named != Some(end) {
            self.taken = Some(current.first);
            // Theirs may be gone with the folder.
            self.marks = [None, None];
            let source = io::Error::new(io::ErrorKind::NotFound, "somebody removed or replaced the file");
            return Err(Error::Disk { action: "writing", path, source });
        }
        current.bytes = end;
        Ok(())
    }

    fn give_up(&mut self) {
        if let Some(current) = self.current.take() {
            // Best effort: should these bytes survive, the header of the next file says that they are void.
            let _ = current.file.set_len(current.bytes);
            self.void_tail = true;
        }
        // What was to be recorded of them is not: the next start tells of them again.
        self.foreign.clear();
    }

    /// Writes the marks behind the entries; they are synced by [`Writer::sync_mark`], after the entries were acknowledged.
    fn write_mark(&mut self) {
        for (mark, path) in self.marks.iter_mut().zip(mark_paths(&self.dir)) {
            if mark.is_none() {
                *mark = MarkFile::open(self.disk.as_ref(), &path).ok();
            }
            if !matches!(mark.as_mut().map(|mark| mark.write(self.chain)), Some(Ok(()))) {
                *mark = None;
                self.mark_failures += 1;
            }
        }
    }

    pub(crate) fn sync_mark(&mut self) {
        for mark in &mut self.marks {
            if mark.as_ref().is_some_and(|mark| mark.sync().is_err()) {
                *mark = None;
                self.mark_failures += 1;
            }
        }
    }

    /// Moves a file that is no part of the chain away, under a name that is free; false if it could not be.
    fn set_aside(&self, first: u64) -> bool {
        let (name, to) = (file_name(first), foreign_dir(&self.dir));
        let moved = create_dirs(self.disk.as_ref(), &to).and_then(|()| {
            let mut path = to.join(&name);
            for number in 2.. {
                if !self.disk.exists(&path)? {
                    break;
                }
                path = to.join(format!("{name}.{number}"));
            }
            self.disk.rename(&self.dir.join(&name), &path)?;
            self.disk.sync_dir(&to)?;
            self.disk.sync_dir(&self.dir)
        });
        match &moved {
            Ok(()) => {
                tracing::warn!(event = "audit.file_foreign", file = name, to = %to.display(), "a file that is no part of the audit was moved away: find out who put it there");
            }
            // It was in the way of a new file and is moved away already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(event = "audit.file_kept", file = name, %error, "a file that is no part of the audit could not be moved away; it is tried again at the next start");
            }
        }
        moved.is_ok()
    }

    fn remove(&self, first: u64) {
        let path = self.dir.join(file_name(first));
        if let Err(error) = self.disk.remove(&path).and_then(|()| self.disk.sync_dir(&self.dir)) {
            tracing::warn!(event = "audit.file_kept", file = %path.display(), %error, "an old audit file could not be removed; it is tried again later");
        }
    }

    /// After a new file was begun: the files that are older or more than may be kept, each with the entry that must be
    /// durable before it goes.
    pub(crate) fn trims(&mut self, now: i64) -> Result<Vec<(u64, AuditEntry)>, Error> {
        if !std::mem::take(&mut self.rolled) {
            return Ok(Vec::new());
        }
        let mut firsts = files(self.disk.as_ref(), &self.dir)?.named;
        // A foreign file put behind the one that is written would make it look like one that is closed.
        firsts.retain(|first| self.current.as_ref().is_some_and(|current| *first <= current.first));
        // Nor may one among them make room be wanted that the chain does not take, or be removed for it.
        let firsts = linked(self.disk.as_ref(), &self.dir, firsts)?;
        let mut lens = Vec::with_capacity(firsts.len());
        for first in &firsts {
            let path = self.dir.join(file_name(*first));
            lens.push(self.disk.len(&path).map_err(Error::disk("reading", &path))?);
        }
        let mut total: u64 = lens.iter().sum();
        let oldest_allowed = self
            .limits
            .audit_age_max
            .map(|age: Duration| now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
        let mut trims = Vec::new();
        for (window, len) in firsts.windows(2).zip(lens) {
            let [first, next] = window else { break };
            let next_bytes = file_bytes(self.disk.as_ref(), &self.dir, *next)?;
            let Some((header, time)) = beginning(&next_bytes) else { break };
            let too_old = oldest_allowed.is_some_and(|oldest| time < oldest);
            if total <= self.limits.audit_bytes_max && !too_old {
                break;
            }
            let Some(hash) = header.prev() else { break };
            let detail = serde_json::json!({ "through": next - 1, "hash": hash.to_string() });
            trims.push((*first, own_entry("audit.trim", file_name(*first), &detail)));
            total = total.saturating_sub(len);
        }
        Ok(trims)
    }
}

/// The header of a file, and the time of its first entry.
fn beginning(bytes: &[u8]) -> Option<(Header, i64)> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (body, _) = split(lines.next()?)?;
    let header = Header::parse(body)?;
    let time: Time = serde_json::from_slice(lines.next()?).ok()?;
    Some((header, parse_rfc3339(&time.time).ok()?))
}
