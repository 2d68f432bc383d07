//! A backup and those that it builds upon. They are known by the hash of their manifest, wherever they are and whatever they
//! are called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use tidemill_ground::Disk;

use crate::archive::Archive;
use crate::manifest::{FileEntry, Place};
use crate::{Error, Finding, Hash};

/// So many files of a folder are looked at, as bases.
const FILES_MAX: usize = 10_000;
/// So many findings, and so many notes, are listed; what is beyond them is counted.
const LISTED_MAX: usize = 100;
/// So many copies of one base are kept in view; each has its list in memory.
const COPIES_MAX: usize = 4;

/// What takes the bytes of a file of the plant, with their place in it. It begins at 0 again where what was given turned out to
/// be damaged and another copy of the backup has it whole.
pub type Taker<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), Error>;

/// A backup with all that it needs.
pub struct Chain {
    own: Archive,
    bases: BTreeMap<Hash, Base>,
    passed_over: Vec<String>,
}

/// A base: one backup, of which there may be several copies with one list.
struct Base {
    copies: Vec<Archive>,
    /// Where a path stands in its list.
    places: HashMap<String, usize>,
}

/// What is wrong with a backup, or with those that it builds upon.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Damage, of which no other copy is whole: the first of it.
    pub findings: Vec<Finding>,
    /// How much more of it there is.
    pub findings_more: u64,
    /// Damage of which another copy is whole, and copies that cannot be used at all: one sentence each, the first of them.
    pub notes: Vec<String>,
    /// How many more there are.
    pub notes_more: u64,
}

impl Verdict {
    fn find(&mut self, finding: Finding) {
        if self.findings.len() < LISTED_MAX {
            self.findings.push(finding);
        } else {
            self.findings_more += 1;
        }
    }

    fn note(&mut self, what: String) {
        if self.notes.len() < LISTED_MAX {
            self.notes.push(what);
        } else {
            self.notes_more += 1;
        }
    }
}

impl Base {
    fn new(archive: Archive) -> Base {
        let paths = archive.manifest().files.iter().enumerate();
        let places = paths.map(|(place, file)| (file.path.clone(), place)).collect();
        Base { copies: vec![archive], places }
    }

    /// The first of the copies, for their list and name.
    fn first(&self) -> Option<&Archive> {
        self.copies.first()
    }

    fn find(&self, wanted: &FileEntry) -> Option<&FileEntry> {
        let held = self.first()?.manifest().files.get(*self.places.get(&wanted.path)?)?;
        let same = held.bytes == wanted.bytes && held.sha256 == wanted.sha256;
        (same && matches!(held.place, Place::Here { .. })).then_some(held)
    }
}

impl Chain {
    /// Opens a backup and finds what it builds upon: beside it, and in these places, each a file or a folder.
    ///
    /// # Errors
    /// One of them cannot be used, is missing, or does not hold what it should.
    pub fn open(disk: &dyn Disk, path: &Path, places: &[PathBuf]) -> Result<Chain, Error> {
        let own = Archive::open(disk, path)?;
        let wanted = own.manifest().bases();
        let mut bases: BTreeMap<Hash, Base> = BTreeMap::new();
        let mut damaged: BTreeMap<Hash, Vec<Error>> = BTreeMap::new();
        let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut looked: Vec<&Path> = places.iter().map(PathBuf::as_path).chain([beside]).collect();
        // Who builds upon nothing has nothing to look for.
        looked.truncate(if wanted.is_empty() { 0 } else { looked.len() });
        let mut seen = BTreeSet::new();
        for place in &looked {
            for file in files(disk, place)?.into_iter().filter(|file| seen.insert(file.clone())) {
                let hash = Archive::hash_at_end(disk, &file).filter(|hash| wanted.contains(hash));
                let Some(hash) = hash else { continue };
                match (Archive::open(disk, &file), bases.get_mut(&hash)) {
                    (Ok(archive), None) => drop(bases.insert(hash, Base::new(archive))),
                    (Ok(archive), Some(base)) if base.copies.len() < COPIES_MAX => base.copies.push(archive),
                    (Ok(_), Some(_)) => {}
                    // Another may be whole.
                    (Err(error), _) => damaged.entry(hash).or_default().push(error),
                }
            }
        }
        if let Some(base) = wanted.into_iter().find(|hash| !bases.contains_key(hash)) {
            if let Some(error) = damaged.remove(&base).and_then(|errors| errors.into_iter().next()) {
                return Err(error);
            }
            let looked: Vec<String> = looked.iter().map(|place| place.display().to_string()).collect();
            return Err(Error::NoBase { file: path.to_owned(), base, looked: looked.join(", ") });
        }
        let passed_over = damaged.into_values().flatten().map(|error| error.to_string()).collect();
        let chain = Chain { own, bases, passed_over };
        chain.own.manifest().files.iter().try_for_each(|file| chain.find(file).map(drop))?;
        Ok(chain)
    }

    /// The backup itself.
    pub fn own(&self) -> &Archive {
        &self.own
    }

    /// What it builds upon.
    pub fn bases(&self) -> impl Iterator<Item = &Archive> {
        self.bases.values().filter_map(Base::first)
    }

    /// Files that say they are what it builds upon, and cannot be used; another copy of each can. One sentence each.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Where the bytes of a file are, in each copy.
    fn find<'a>(&'a self, file: &'a FileEntry) -> Result<(&'a [Archive], &'a FileEntry), Error> {
        let Place::Base { base } = file.place else { return Ok((std::slice::from_ref(&self.own), file)) };
        let wrong = |base: &Path| Error::WrongBase {
            file: self.own.path().to_owned(),
            base: base.to_owned(),
            path: file.path.clone(),
        };
        let base = self.bases.get(&base).ok_or_else(|| wrong(Path::new("")))?;
        let first = base.first().map_or(Path::new(""), Archive::path);
        base.find(file).map(|held| (base.copies.as_slice(), held)).ok_or_else(|| wrong(first))
    }

    /// Gives the bytes of a file of the plant, checked, as [`crate::restore()`] writes them. Says what was damaged of it in
    /// copies that were tried before.
    ///
    /// # Errors
    /// Damage in every copy, the disk, or what the taker says. What was given before it may be wrong.
    pub fn content(&self, file: &FileEntry, taker: Taker<'_>) -> Result<Vec<Finding>, Error> {
        let (copies, held) = self.find(file)?;
        let mut damaged = Vec::new();
        for copy in copies {
            let mut at = 0;
            let read = copy.content(held, &mut |bytes| {
                let place = at;
                at += bytes.len() as u64;
                taker(place, bytes)
            });
            match read {
                Ok(()) => return Ok(damaged),
                Err(Error::Damaged(finding)) => damaged.push(finding),
                Err(error) => return Err(error),
            }
        }
        // The first is the one that a user knows best: what was named with --base comes before what lies beside.
        Err(Error::Damaged(damaged.swap_remove(0)))
    }

    /// Reads every byte of the backup and of all that it builds upon, also what it needs none of, and says what is wrong.
    /// `seen` is told of bytes of the plant as they come by, at most [`Chain::bytes_to_verify`].
    ///
    /// # Errors
    /// None of what is in a file: damage is what it looks for, bytes that a disk does not give among it.
    pub fn verify(&self, seen: &mut dyn FnMut(u64)) -> Result<Verdict, Error> {
        let mut verdict = Verdict::default();
        self.passed_over.iter().for_each(|what| verdict.note(what.clone()));
        verify(std::slice::from_ref(&self.own), &mut verdict, seen)?;
        self.bases.values().try_for_each(|base| verify(&base.copies, &mut verdict, seen))?;
        Ok(verdict)
    }

    /// What [`Chain::verify`] reads, unpacked.
    pub fn bytes_to_verify(&self) -> u64 {
        let all = std::iter::once(&self.own).chain(self.bases.values().flat_map(|base| &base.copies));
        all.flat_map(held).map(|file| file.bytes).sum()
    }

    /// The paths of the plant's files.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.own.manifest().files.iter().map(|file| file.path.as_str()).collect()
    }
}

/// The files whose bytes a backup holds itself.
fn held(archive: &Archive) -> impl Iterator<Item = &FileEntry> {
    archive.manifest().files.iter().filter(|file| matches!(file.place, Place::Here { .. }))
}

/// Reads every copy of a backup.
fn verify(copies: &[Archive], verdict: &mut Verdict, seen: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let Some(first) = copies.first() else { return Ok(()) };
    for file in held(first) {
        let mut damaged = Vec::new();
        for copy in copies {
            let read = copy.content(file, &mut |bytes| {
                seen(bytes.len() as u64);
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(Error::Damaged(finding)) => damaged.push(finding),
                Err(error) => return Err(error),
            }
        }
        if damaged.len() == copies.len() {
            damaged.into_iter().for_each(|finding| verdict.find(finding));
        } else {
            damaged.into_iter().for_each(|finding| verdict.note(finding.to_string()));
        }
    }
    Ok(())
}

/// The files that a place is or has.
fn files(disk: &dyn Disk, place: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Disk { what: "looked into", path: place.to_owned(), source };
    match disk.list(place) {
        Ok(entries) => {
            let files = entries.into_iter().filter(|entry| entry.is_file).take(FILES_MAX);
            Ok(files.map(|entry| place.join(entry.name)).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(vec![place.to_owned()]),
        Err(error) => Err(unreadable(error)),
    }
}
