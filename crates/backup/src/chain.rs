//! A backup and those that it builds upon. They are known by the hash of their manifest, wherever they are and whatever they
//! are called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use tidemill_ground::Disk;

use crate::archive::{Archive, Sink};
use crate::manifest::{FileEntry, Place};
use crate::{Error, Finding, Hash};

/// So many files of a folder are looked at, as bases.
const FILES_MAX: usize = 10_000;
/// So many findings of one backup are told one by one.
const FINDINGS_MAX: usize = 100;

/// A backup with all that it needs.
pub struct Chain {
    own: Archive,
    bases: BTreeMap<Hash, Base>,
}

struct Base {
    archive: Archive,
    /// Where a path stands in its list.
    places: HashMap<String, usize>,
}

impl Base {
    fn new(archive: Archive) -> Base {
        let paths = archive.manifest().files.iter().enumerate();
        let places = paths.map(|(place, file)| (file.path.clone(), place)).collect();
        Base { archive, places }
    }

    fn find(&self, wanted: &FileEntry) -> Option<&FileEntry> {
        let held = self.archive.manifest().files.get(*self.places.get(&wanted.path)?)?;
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
        let mut missing = own.manifest().bases();
        let mut bases = BTreeMap::new();
        let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let looked: Vec<&Path> = places.iter().map(PathBuf::as_path).chain([beside]).collect();
        for place in &looked {
            if missing.is_empty() {
                break;
            }
            for file in files(disk, place)? {
                let Some(hash) = Archive::hash_at_end(disk, &file).filter(|hash| missing.contains(hash))
                else {
                    continue;
                };
                let archive = Archive::open(disk, &file)?;
                missing.remove(&hash);
                bases.insert(hash, Base::new(archive));
            }
        }
        if let Some(base) = missing.pop_first() {
            let looked: Vec<String> = looked.iter().map(|place| place.display().to_string()).collect();
            return Err(Error::NoBase { file: path.to_owned(), base, looked: looked.join(", ") });
        }
        let chain = Chain { own, bases };
        chain.own.manifest().files.iter().try_for_each(|file| chain.find(file).map(drop))?;
        Ok(chain)
    }

    /// The backup itself.
    pub fn own(&self) -> &Archive {
        &self.own
    }

    /// What it builds upon.
    pub fn bases(&self) -> impl Iterator<Item = &Archive> {
        self.bases.values().map(|base| &base.archive)
    }

    /// Where the bytes of a file are.
    fn find<'a>(&'a self, file: &'a FileEntry) -> Result<(&'a Archive, &'a FileEntry), Error> {
        let Place::Base { base } = file.place else { return Ok((&self.own, file)) };
        let wrong = |base: &Path| Error::WrongBase {
            file: self.own.path().to_owned(),
            base: base.to_owned(),
            path: file.path.clone(),
        };
        let base = self.bases.get(&base).ok_or_else(|| wrong(Path::new("")))?;
        base.find(file).map(|held| (&base.archive, held)).ok_or_else(|| wrong(base.archive.path()))
    }

    /// Gives the bytes of a file of the plant, checked, as [`crate::restore()`] writes them.
    ///
    /// # Errors
    /// Damage, the disk, or what the taker says. What was given before it may be wrong.
    pub fn content(&self, file: &FileEntry, sink: Sink<'_>) -> Result<(), Error> {
        let (archive, held) = self.find(file)?;
        archive.content(held, sink)
    }

    /// Reads every byte that the plant is made of, and says what is wrong. `seen` is told of the bytes of the plant as they
    /// come by.
    ///
    /// # Errors
    /// A backup that cannot be read at all.
    pub fn verify(&self, seen: &mut dyn FnMut(u64)) -> Result<Vec<Finding>, Error> {
        let mut found = Vec::new();
        for file in &self.own.manifest().files {
            let read = self.content(file, &mut |bytes| {
                seen(bytes.len() as u64);
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(Error::Damaged(finding)) => found.push(finding),
                Err(error) => return Err(error),
            }
            if found.len() >= FINDINGS_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// The paths of the plant's files.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.own.manifest().files.iter().map(|file| file.path.as_str()).collect()
    }
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
