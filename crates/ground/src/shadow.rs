//! A disk whose writes stay in memory: what is there is read from the disk below, what is written is seen by this one
//! alone. With it a room opens as it would, recovery included, and nothing is changed: so a plant is looked at that does not
//! run. What does not live here: durability, which what is forgotten does not have.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::disk::{Disk, Entry, File, Open, Space};

/// The unit in which writes are kept.
const PAGE_BYTES: u64 = 4096;

/// A disk over another. Locks are always had: nobody else meets what is done under them. What the disk below is made to hold
/// meanwhile is seen where nothing was written over it.
#[derive(Clone)]
pub struct Shadow {
    below: Arc<dyn Disk>,
    names: Arc<Mutex<Names>>,
    room: Arc<Room>,
}

/// How much may be written, so that nobody's disk is copied into memory: beyond it this disk is full.
struct Room {
    bytes: AtomicU64,
    bytes_max: u64,
}

#[derive(Default)]
struct Names {
    /// What differs from the disk below.
    nodes: BTreeMap<PathBuf, Node>,
    /// Files of the disk below that are open: who opens one to write shares it with who reads it.
    open: HashMap<PathBuf, Weak<Body>>,
}

#[derive(Clone)]
enum Node {
    Gone,
    Folder,
    File(Arc<Body>),
}

/// Where a path leads.
enum Place {
    /// To what the disk below has there, or has not.
    Below,
    Folder,
    File(Arc<Body>),
}

impl Names {
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut gone = false;
        for above in path.ancestors() {
            let own = above == path;
            match self.nodes.get(above) {
                None => {}
                Some(Node::File(body)) if own => return Ok(Place::File(body.clone())),
                Some(Node::Folder) if own => return Ok(Place::Folder),
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                Some(Node::Folder) => return Err(io::ErrorKind::NotFound.into()),
                // What became of the folders above it says why.
                Some(Node::Gone) => gone = true,
            }
        }
        if gone { Err(io::ErrorKind::NotFound.into()) } else { Ok(Place::Below) }
    }
}

impl Shadow {
    /// Over a disk, for at most so many bytes of writes.
    pub fn over(below: Arc<dyn Disk>, bytes_max: u64) -> Shadow {
        let room = Arc::new(Room { bytes: AtomicU64::new(0), bytes_max });
        Shadow { below, names: Arc::default(), room }
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body(&self, below: Option<Arc<dyn File>>) -> io::Result<Arc<Body>> {
        let len = below.as_ref().map_or(Ok(0), |file| file.len())?;
        let content = Content { below, below_end: len, len, pages: BTreeMap::new() };
        Ok(Arc::new(Body { content: Mutex::new(content), room: self.room.clone() }))
    }

    /// The file that a path leads to.
    fn file(&self, names: &mut Names, path: &Path) -> io::Result<Arc<Body>> {
        match names.place(path)? {
            Place::File(body) => Ok(body),
            Place::Folder => Err(io::ErrorKind::IsADirectory.into()),
            Place::Below => {
                if let Some(body) = names.open.get(path).and_then(Weak::upgrade) {
                    return Ok(body);
                }
                let body = self.body(Some(self.below.open(path, Open::Read)?))?;
                names.open.retain(|_, open| open.strong_count() > 0);
                names.open.insert(path.to_owned(), Arc::downgrade(&body));
                Ok(body)
            }
        }
    }

    fn is_folder(&self, names: &Names, path: &Path) -> io::Result<bool> {
        match names.place(path)? {
            Place::Folder => Ok(true),
            Place::File(_) => Ok(false),
            Place::Below => match self.below.list(path) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    self.below.len(path).map(|_| false)
                }
                Err(error) => Err(error),
            },
        }
    }

    fn need_folder(&self, names: &Names, path: &Path) -> io::Result<()> {
        if self.is_folder(names, path)? { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// A name can be made where its folder is.
    fn need_parent(&self, names: &Names, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |parent| self.need_folder(names, parent))
    }

    fn entries(&self, names: &Names, dir: &Path) -> io::Result<Vec<Entry>> {
        self.need_folder(names, dir)?;
        let below = match names.place(dir)? {
            Place::Below => self.below.list(dir)?,
            _ => Vec::new(),
        };
        let mut entries: BTreeMap<String, Entry> =
            below.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for (path, node) in names.nodes.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (is_dir, len) = match node {
                Node::Gone => {
                    entries.remove(&name);
                    continue;
                }
                Node::Folder => (true, 0),
                Node::File(body) => (false, body.lock().len),
            };
            entries.insert(name.clone(), Entry { name, is_dir, is_file: !is_dir, len });
        }
        Ok(entries.into_values().collect())
    }

    fn forget(names: &mut Names, path: &Path) {
        names.open.remove(path);
        names.nodes.insert(path.to_owned(), Node::Gone);
    }

    /// Moves a file, or a folder with all that is in it.
    fn carry(&self, names: &mut Names, from: &Path, to: &Path) -> io::Result<()> {
        if self.is_folder(names, from)? {
            let entries = self.entries(names, from)?;
            names.nodes.insert(to.to_owned(), Node::Folder);
            for entry in entries {
                self.carry(names, &from.join(&entry.name), &to.join(&entry.name))?;
            }
        } else {
            let body = self.file(names, from)?;
            names.nodes.insert(to.to_owned(), Node::File(body));
        }
        Shadow::forget(names, from);
        Ok(())
    }
}

impl Disk for Shadow {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut names = self.lock();
        let found = self.file(&mut names, path);
        let body = match (found, how) {
            (Ok(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(error), Open::CreateNew) if error.kind() == io::ErrorKind::IsADirectory => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (Err(error), Open::CreateNew | Open::CreateOrOpen) if error.kind() == io::ErrorKind::NotFound => {
                self.need_parent(&names, path)?;
                self.body(None)?
            }
            (found, _) => found?,
        };
        if how.writes() {
            names.nodes.insert(path.to_owned(), Node::File(body.clone()));
        }
        Ok(Arc::new(Handle { body, writes: how.writes() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.entries(&self.lock(), dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut names = self.lock();
        let mut above: Vec<&Path> = dir.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for path in above {
            match self.is_folder(&names, path) {
                Ok(true) => {}
                Ok(false) if path == dir => return Err(io::ErrorKind::AlreadyExists.into()),
                Ok(false) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    names.nodes.insert(path.to_owned(), Node::Folder);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.lock();
        self.need_parent(&names, from)?;
        self.need_parent(&names, to)?;
        let is_folder = self.is_folder(&names, from)?;
        match self.is_folder(&names, to) {
            _ if from == to => return Ok(()),
            _ if is_folder && to.starts_with(from) => return Err(io::ErrorKind::InvalidInput.into()),
            _ if from.starts_with(to) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            Ok(true) if !is_folder => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(true) if !self.entries(&names, to)?.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Ok(false) if is_folder => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.carry(&mut names, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.lock();
        if self.is_folder(&names, path)? {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Shadow::forget(&mut names, path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut names = self.lock();
        if !self.entries(&names, dir)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        Shadow::forget(&mut names, dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.need_folder(&self.lock(), dir)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        // Where this path is new, of what is above it.
        let there = path.ancestors().find(|path| self.below.exists(path).unwrap_or(false));
        self.below.space(there.unwrap_or(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let place = self.lock().place(path);
        match place {
            Ok(Place::Below) => self.below.exists(path),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let place = self.lock().place(path)?;
        match place {
            Place::Below => self.below.len(path),
            Place::Folder => Ok(0),
            Place::File(body) => Ok(body.lock().len),
        }
    }
}

/// A file, by however many names and handles it is known.
struct Body {
    content: Mutex<Content>,
    room: Arc<Room>,
}

struct Content {
    below: Option<Arc<dyn File>>,
    /// Up to here the bytes of the file below stand where no page does.
    below_end: u64,
    len: u64,
    /// What was written. Where there is neither a page nor the file below, there are zeros.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Body {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let pages = self.lock().pages.len() as u64;
        self.room.bytes.fetch_sub(pages * PAGE_BYTES, Ordering::Relaxed);
    }
}

impl Content {
    /// The bytes of a page, zeros where there are none.
    fn page(&self, page: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.pages.get(&page) {
            return Ok(bytes.clone());
        }
        let mut bytes = vec![0; PAGE_BYTES as usize];
        let from = page * PAGE_BYTES;
        let there = self.below_end.saturating_sub(from).min(PAGE_BYTES) as usize;
        if let (Some(file), Some(mut left)) = (&self.below, bytes.get_mut(..there)) {
            let mut at = from;
            while !left.is_empty() {
                match file.read_at(left, at)? {
                    0 => break,
                    count => {
                        at += count as u64;
                        left = left.get_mut(count..).unwrap_or_default();
                    }
                }
            }
        }
        Ok(bytes)
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count =
            usize::try_from(self.len.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        let mut left = buf.get_mut(..count).unwrap_or_default();
        let mut at = offset;
        while !left.is_empty() {
            let bytes = self.page(at / PAGE_BYTES)?;
            let from = bytes.get((at % PAGE_BYTES) as usize..).unwrap_or_default();
            let part = from.len().min(left.len());
            let (now, later) = left.split_at_mut(part);
            now.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            (left, at) = (later, at + part as u64);
        }
        Ok(count)
    }

    fn write(&mut self, mut buf: &[u8], offset: u64, room: &Room) -> io::Result<()> {
        let mut at = offset;
        while !buf.is_empty() {
            let page = at / PAGE_BYTES;
            let mut bytes = self.page(page)?;
            let to = bytes.get_mut((at % PAGE_BYTES) as usize..).unwrap_or_default();
            let (now, later) = buf.split_at(to.len().min(buf.len()));
            to.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            // Logs make files long with zeros before they write.
            let is_hole = page * PAGE_BYTES >= self.below_end && bytes.iter().all(|byte| *byte == 0);
            self.put(page, (!is_hole).then_some(bytes), room)?;
            (buf, at) = (later, at + now.len() as u64);
            self.len = self.len.max(at);
        }
        Ok(())
    }

    fn put(&mut self, page: u64, bytes: Option<Vec<u8>>, room: &Room) -> io::Result<()> {
        let had = u64::from(self.pages.contains_key(&page)) * PAGE_BYTES;
        let has = u64::from(bytes.is_some()) * PAGE_BYTES;
        if room.bytes.load(Ordering::Relaxed) + has > room.bytes_max + had {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match bytes {
            Some(bytes) => self.pages.insert(page, bytes),
            None => self.pages.remove(&page),
        };
        room.bytes.fetch_add(has, Ordering::Relaxed);
        room.bytes.fetch_sub(had, Ordering::Relaxed);
        Ok(())
    }

    fn set_len(&mut self, len: u64, room: &Room) -> io::Result<()> {
        if len < self.len {
            // What is cut off is zeros if the file grows again.
            let mut rest = self.page(len / PAGE_BYTES)?;
            rest.iter_mut().skip((len % PAGE_BYTES) as usize).for_each(|byte| *byte = 0);
            let gone = self.pages.split_off(&(len / PAGE_BYTES));
            room.bytes.fetch_sub(gone.len() as u64 * PAGE_BYTES, Ordering::Relaxed);
            self.below_end = self.below_end.min(len);
            if gone.contains_key(&(len / PAGE_BYTES)) {
                self.put(len / PAGE_BYTES, Some(rest), room)?;
            }
        }
        self.len = len;
        Ok(())
    }
}

struct Handle {
    body: Arc<Body>,
    writes: bool,
}

impl Handle {
    fn written(&self) -> io::Result<MutexGuard<'_, Content>> {
        if self.writes {
            Ok(self.body.lock())
        } else {
            Err(io::Error::other("it was opened only to be read"))
        }
    }
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.body.lock().read(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.written()?.write(buf, offset, &self.body.room)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.body.lock().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.written()?.set_len(len, &self.body.room)
    }

    fn allocate(&self, _len: u64) -> io::Result<bool> {
        // Room is counted where it is written.
        self.written().map(|_| true)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}
