//! The state behind a simulated disk: the tree, the faults that wait to happen, and the trace of what was asked.

use super::content::{Content, Kept, PAGE_BYTES};
use super::tree::{Node, NodeId, Tree};
use super::{Operation, Trace};
use crate::disk::{Entry, Open};
use crate::entropy::{Random, mix};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Beyond this no file can grow, as on ext4 with pages of 4 KiB.
const FILE_BYTES_MAX: u64 = 16 << 40;

/// Chances with which one power cut keeps what was not synced. One is drawn a cut and one a file, so that "nothing",
/// "everything" and "all but a little" come up often; with an even chance for each sector they never would.
const KEPT: [f64; 5] = [0.0, 0.1, 0.5, 0.9, 1.0];

#[derive(Clone)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) random: Random,
    pub(super) faults: Faults,
    pub(super) capacity: u64,
    pub(super) used: u64,
    /// One more with each crash: a file opened before it is of no use after it.
    pub(super) life: u64,
    pub(super) trace: Trace,
    pub(super) log: VecDeque<String>,
    pub(super) log_lines_max: usize,
}

/// What is wrong with the disk.
#[derive(Clone, Default)]
pub(super) struct Faults {
    pub(super) planned: Vec<Planned>,
    pub(super) error_chance: f64,
    pub(super) short_read_chance: f64,
    pub(super) read_only: bool,
    pub(super) sync_lies: bool,
    pub(super) tear_pages: bool,
    /// So many operations still go through.
    pub(super) power_left: Option<u64>,
}

#[derive(Clone)]
pub(super) struct Planned {
    pub(super) operation: Operation,
    pub(super) skip: u64,
    pub(super) kind: ErrorKind,
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            tree: Tree::new(),
            random: Random::new(seed),
            faults: Faults::default(),
            capacity: 1 << 40,
            used: 0,
            life: 0,
            trace: Trace { operations: 0, hash: mix(seed) },
            log: VecDeque::new(),
            log_lines_max: 0,
        }
    }

    /// Counts one operation; an error if the power is out.
    pub(super) fn power(&mut self) -> io::Result<()> {
        match &mut self.faults.power_left {
            Some(0) => Err(io::Error::other("simulated: the power is out")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The fault that this operation is to meet, if any.
    pub(super) fn fault(&mut self, operation: Operation) -> Option<io::Error> {
        let due = self.faults.planned.iter().position(|plan| plan.operation == operation && plan.skip == 0);
        for plan in self.faults.planned.iter_mut().filter(|plan| plan.operation == operation) {
            plan.skip = plan.skip.saturating_sub(1);
        }
        let kind = match due {
            Some(index) => self.faults.planned.remove(index).kind,
            None if self.faults.error_chance > 0.0 && self.random.chance(self.faults.error_chance) => {
                ErrorKind::Other
            }
            None => return None,
        };
        Some(io::Error::new(kind, format!("simulated: {operation:?} fails")))
    }

    pub(super) fn note(
        &mut self,
        operation: Operation,
        name: &str,
        numbers: [u64; 2],
        error: Option<ErrorKind>,
    ) {
        self.trace.operations += 1;
        let error = error.map_or_else(|| "ok".to_owned(), |kind| format!("{kind:?}"));
        let mut hash = mix(self.trace.hash ^ operation as u64);
        for bits in [digest(name.as_bytes()), numbers[0], numbers[1], digest(error.as_bytes())] {
            hash = mix(hash ^ bits);
        }
        self.trace.hash = hash;
        if self.log_lines_max > 0 {
            if self.log.len() >= self.log_lines_max {
                self.log.pop_front();
            }
            let number = self.trace.operations;
            self.log
                .push_back(format!("{number} {operation:?} {name} {} {} {error}", numbers[0], numbers[1]));
        }
    }

    pub(super) fn writable(&self) -> io::Result<()> {
        if self.faults.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    pub(super) fn open(&mut self, path: &Path, how: Open) -> io::Result<NodeId> {
        let place = match self.tree.place(path) {
            // The root has no name in any folder.
            Err(error) if error.kind() == ErrorKind::InvalidInput && self.tree.find(path).is_ok() => {
                return Err(ErrorKind::IsADirectory.into());
            }
            other => other?,
        };
        let id = match self.tree.at(&place) {
            Some(_) if how == Open::CreateNew => return Err(ErrorKind::AlreadyExists.into()),
            Some(id) => id,
            None if matches!(how, Open::Read | Open::ReadWrite) => return Err(ErrorKind::NotFound.into()),
            None => {
                self.writable()?;
                self.tree.create(place, false)
            }
        };
        if how.writes() && !self.tree.is_dir(id) {
            self.writable()?;
        }
        match self.tree.node_mut(id)? {
            Node::File { open, .. } => *open += 1,
            Node::Dir { .. } => return Err(ErrorKind::IsADirectory.into()),
        }
        Ok(id)
    }

    pub(super) fn close(&mut self, id: NodeId, unlock: bool) {
        let before = self.tree.room_of(id);
        if let Ok(Node::File { open, locked, .. }) = self.tree.node_mut(id) {
            *open -= 1;
            *locked &= !unlock;
        }
        self.used -= before - self.tree.room_of(id);
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let names = self.tree.names(self.tree.find(dir)?)?;
        names.iter().map(|(name, id)| self.entry(name, *id)).collect()
    }

    fn entry(&self, name: &str, id: NodeId) -> io::Result<Entry> {
        let (is_dir, len) = match self.tree.node(id)? {
            Node::File { content, .. } => (false, content.len()),
            Node::Dir { .. } => (true, 0),
        };
        Ok(Entry { name: name.to_owned(), is_dir, is_file: !is_dir, len })
    }

    pub(super) fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.entry("", self.tree.find(path)?)?.len)
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        // From the bottom up to what exists, as the real one does, then down again.
        let mut missing = Vec::new();
        for above in dir.ancestors() {
            match self.tree.find(above) {
                Ok(id) if self.tree.is_dir(id) => break,
                Ok(_) if missing.is_empty() => return Err(ErrorKind::AlreadyExists.into()),
                Ok(_) => return Err(ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(above),
                Err(error) => return Err(error),
            }
        }
        for dir in missing.into_iter().rev() {
            self.writable()?;
            let place = self.tree.place(dir)?;
            self.tree.create(place, true);
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.tree.place(from)?, self.tree.place(to)?);
        let node = self.tree.at(&from).ok_or(ErrorKind::NotFound)?;
        self.writable()?;
        if self.tree.lies_in(to.0, node) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let Some(target) = self.tree.at(&to) else {
            self.tree.rename(from, to, node);
            return Ok(());
        };
        if target == node {
            return Ok(());
        }
        if self.tree.lies_in(from.0, target) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        match (self.tree.is_dir(node), self.tree.is_dir(target)) {
            (false, true) => return Err(ErrorKind::IsADirectory.into()),
            (true, false) => return Err(ErrorKind::NotADirectory.into()),
            (true, true) => self.empty(target)?,
            (false, false) => {}
        }
        self.without_name(target, |tree| tree.rename(from, to, node));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, is_dir: bool) -> io::Result<()> {
        let place = self.tree.place(path)?;
        let node = self.tree.at(&place).ok_or(ErrorKind::NotFound)?;
        match (is_dir, self.tree.is_dir(node)) {
            (false, true) => return Err(ErrorKind::IsADirectory.into()),
            (true, false) => return Err(ErrorKind::NotADirectory.into()),
            (true, true) => self.empty(node)?,
            (false, false) => {}
        }
        self.writable()?;
        self.without_name(node, |tree| tree.remove(place, node));
        Ok(())
    }

    fn empty(&self, dir: NodeId) -> io::Result<()> {
        if self.tree.names(dir)?.is_empty() { Ok(()) } else { Err(ErrorKind::DirectoryNotEmpty.into()) }
    }

    /// Does what takes a file's name away, and gives its room back.
    fn without_name(&mut self, node: NodeId, work: impl FnOnce(&mut Tree)) {
        let before = self.tree.room_of(node);
        work(&mut self.tree);
        self.used -= before - self.tree.room_of(node);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let dir = self.tree.find(dir)?;
        self.tree.names(dir)?;
        if !self.faults.sync_lies {
            self.tree.sync_dir(dir);
        }
        Ok(())
    }

    /// Writes; on a fault or on a full disk only the first part.
    pub(super) fn write(
        &mut self,
        id: NodeId,
        bytes: &[u8],
        offset: u64,
        fault: Option<io::Error>,
    ) -> io::Result<()> {
        self.writable()?;
        in_bounds(offset, bytes.len() as u64)?;
        let mut outcome = Ok(());
        let mut count = bytes.len();
        if let Some(error) = fault {
            count = self.random.below(bytes.len() as u64 + 1) as usize;
            outcome = Err(error);
        }
        let free = self.free();
        let content = self.tree.content_mut(id)?;
        while content.room_for(offset, offset + count as u64) > free {
            // Back to the start of the last page, until what is left fits.
            let end = offset + count as u64 - 1;
            count = (end - end % PAGE_BYTES).saturating_sub(offset) as usize;
            outcome = Err(ErrorKind::StorageFull.into());
            if count == 0 {
                break;
            }
        }
        self.used += content.room_for(offset, offset + count as u64);
        content.write(&bytes[..count], offset, &mut self.random);
        outcome
    }

    pub(super) fn set_len(&mut self, id: NodeId, len: u64) -> io::Result<()> {
        self.writable()?;
        in_bounds(len, 0)?;
        let content = self.tree.content_mut(id)?;
        let before = content.room();
        content.set_len(len, &mut self.random);
        self.used -= before - content.room();
        Ok(())
    }

    pub(super) fn allocate(&mut self, id: NodeId, len: u64) -> io::Result<bool> {
        self.writable()?;
        in_bounds(len, 0)?;
        let free = self.free();
        let content = self.tree.content_mut(id)?;
        let more = content.room_to_reserve(len);
        if more > free {
            return Err(ErrorKind::StorageFull.into());
        }
        content.reserve(len);
        self.used += more;
        Ok(true)
    }

    pub(super) fn sync(&mut self, id: NodeId, fault: Option<io::Error>) -> io::Result<()> {
        let content = self.tree.content_mut(id)?;
        if let Some(error) = fault {
            content.fail_sync(&mut self.random);
            return Err(error);
        }
        if !self.faults.sync_lies {
            content.sync();
        }
        Ok(())
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    pub(super) fn content(&self, path: &Path) -> io::Result<&Content> {
        match self.tree.node(self.tree.find(path)?)? {
            Node::File { content, .. } => Ok(content),
            Node::Dir { .. } => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// The power goes, and comes back.
    pub(super) fn crash(&mut self) {
        let whole_pages = self.faults.tear_pages;
        let changes = draw(&mut self.random);
        let kept = |random: &mut Random| Kept { chance: draw(random), whole_pages };
        self.tree.cut(changes, kept, &mut self.random);
        self.rise();
        self.used = self.tree.room();
    }

    /// The process is killed and starts again; the operating system lives on.
    pub(super) fn kill(&mut self) {
        self.tree.close_all();
        self.tree.forget_unreachable();
        self.rise();
        self.used = self.tree.room();
    }

    fn rise(&mut self) {
        self.life += 1;
        self.faults.planned.clear();
        self.faults.power_left = None;
    }
}

fn draw(random: &mut Random) -> f64 {
    KEPT.get(random.below(KEPT.len() as u64) as usize).copied().unwrap_or(1.0)
}

fn in_bounds(offset: u64, len: u64) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= FILE_BYTES_MAX => Ok(()),
        _ => Err(ErrorKind::FileTooLarge.into()),
    }
}

/// A number that stands for bytes in the trace. Not for checksums: nobody is kept from making two alike.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
impl State {
    /// Whether the running account of room agrees with counting it all.
    pub(super) fn room_is_right(&self) -> bool {
        self.used == self.tree.room()
    }
}
