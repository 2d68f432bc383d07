//! Which files make up the chain. Their names alone do not say: somebody may put a file into the folder, or give one
//! another number. Up to the mark a file counts by its number, and the check judges its lines; the file that holds the
//! marked entry is the last of those. Beyond the mark a file counts if it goes on where the one before it ends. What is
//! left is foreign: the chain does not go on from it, and no check takes its lines for entries. So is what cannot be a file of
//! the chain at all, and a file of a newer version that does not go on where the chain ends.

use std::path::Path;

use tidemill_ground::Disk;

use super::file_name;
use super::line::{Chain, Hash, Header, split};
use super::mark::Marks;
use super::scan::{Ending, Scanner};
use super::verify::{Listed, ending_before, file_bytes, head_bytes, newer, tail_bytes};
use crate::error::Error;

/// The files by their first entry, in order.
pub(crate) struct Members {
    pub(crate) chain: Vec<u64>,
    pub(crate) foreign: Vec<u64>,
}

/// A file that was taken, with its first entry.
type Taken = (u64, Vec<u8>);

/// Tells the files of the chain from foreign ones.
pub(crate) fn members(disk: &dyn Disk, dir: &Path, marks: Marks, listed: Listed) -> Result<Members, Error> {
    let Members { chain: all, mut foreign } = candidates(disk, dir, marks, listed)?;
    let (mut chain, beyond): (Vec<u64>, Vec<u64>) = all.into_iter().partition(|first| *first <= marks.seq());
    let mut before: Option<Taken> = None;
    if let Some(mark) = marks.newest()
        && let Some((at, bytes)) = home(disk, dir, mark, &chain)?
    {
        foreign.extend(chain.split_off(at + 1));
        before = chain.last().map(|first| (*first, bytes));
    } else if let (Some(first), false) = (chain.last(), beyond.is_empty()) {
        before = Some((*first, file_bytes(disk, dir, *first)?));
    }
    for first in beyond {
        let bytes = file_bytes(disk, dir, first)?;
        let header = whole_header(&bytes);
        let belongs = match &header {
            Some(header) => header.first == first && goes_on(marks, before.as_ref(), &bytes, header),
            // What a crash leaves of a file that was being begun. Its number is the next one, or one that a failed
            // write had taken.
            None => marks.newest().is_none() || first <= last_before(marks, before.as_ref()) + 1,
        };
        if !belongs {
            foreign.push(first);
            continue;
        }
        chain.push(first);
        if header.is_some() {
            before = Some((first, bytes));
        }
    }
    Ok(Members { chain, foreign })
}

/// The files that may make up the chain, by what they are and by their versions.
///
/// # Errors
/// A newer version wrote the end of the chain.
pub(crate) fn candidates(
    disk: &dyn Disk,
    dir: &Path,
    marks: Marks,
    listed: Listed,
) -> Result<Members, Error> {
    let (mut chain, mut foreign, mut later) = (Vec::new(), listed.odd, Vec::new());
    for first in listed.named {
        match newer(&head_bytes(disk, dir, first)?) {
            Some((found, prev)) => later.push((first, found, prev)),
            None => chain.push(first),
        }
    }
    for (first, found, prev) in later {
        // A newer program never gives the chain back to this one.
        let ends_it = chain.last().is_none_or(|last| *last < first);
        let goes_on = match (marks.newest(), chain.last()) {
            (None, None) => true,
            (Some(mark), _) if mark.seq + 1 == first => prev == mark.hash,
            (_, None) => first == 1 && prev == Hash::ZERO,
            (_, Some(last)) => {
                let mut scanner = Scanner::new(Marks::NONE);
                scanner.file(
                    *last,
                    &file_bytes(disk, dir, *last)?,
                    Ending::VoidAfter(first.saturating_sub(1)),
                );
                scanner.end == Chain { seq: first - 1, hash: prev }
            }
        };
        if ends_it && goes_on {
            return Err(Error::Newer { path: dir.join(file_name(first)), found, known: super::VERSION });
        }
        foreign.push(first);
    }
    foreign.sort_unstable();
    Ok(Members { chain, foreign })
}

/// Which of these files holds the marked entry, and its bytes. Usually the last.
fn home(disk: &dyn Disk, dir: &Path, mark: Chain, files: &[u64]) -> Result<Option<(usize, Vec<u8>)>, Error> {
    for (at, first) in files.iter().enumerate().rev() {
        let bytes = file_bytes(disk, dir, *first)?;
        let mut scanner = Scanner::new(Marks::NONE);
        let end = scanner.file(*first, &bytes, Ending::VoidAfter(mark.seq));
        if end.header.is_some() && scanner.end == mark {
            return Ok(Some((at, bytes)));
        }
    }
    Ok(None)
}

/// Whether a file begins where the one before it ends, or right behind the mark where that file is gone or damaged.
/// Without a mark nothing vouches for an order, so every file that states its own number is taken.
fn goes_on(marks: Marks, before: Option<&Taken>, bytes: &[u8], header: &Header) -> bool {
    let Some(mark) = marks.newest() else { return true };
    let behind_mark = header.first == mark.seq + 1 && header.prev() == Some(mark.hash);
    behind_mark
        || before.is_some_and(|(first, last)| {
            let mut scanner = Scanner::new(marks);
            scanner.file(*first, last, ending_before(bytes, header.first));
            scanner.continues(header)
        })
}

fn last_before(marks: Marks, before: Option<&Taken>) -> u64 {
    let Some((first, bytes)) = before else { return marks.seq() };
    let mut scanner = Scanner::new(marks);
    scanner.file(*first, bytes, Ending::Last);
    scanner.end.seq
}

/// The first line of a file, if it is whole.
fn whole_header(bytes: &[u8]) -> Option<Header> {
    Header::of(bytes.split_inclusive(|byte| *byte == b'\n').next()?.strip_suffix(b"\n")?)
}

/// Of these files, the last of which is written: those that the links of the chain reach from there backwards. What a link leaps
/// over is foreign. Where no file ends as the one behind it says, the nearest is taken: one was damaged, or is gone.
pub(crate) fn linked(disk: &dyn Disk, dir: &Path, mut firsts: Vec<u64>) -> Result<Vec<u64>, Error> {
    let mut ends = Vec::with_capacity(firsts.len());
    for first in &firsts {
        ends.push(split_last(&tail_bytes(disk, dir, *first)?));
    }
    let mut chain = Vec::with_capacity(firsts.len());
    while let Some(first) = firsts.pop() {
        let prev = whole_header(&head_bytes(disk, dir, first)?).and_then(|header| header.prev());
        let before = prev.and_then(|prev| ends.iter().take(firsts.len()).rposition(|end| *end == Some(prev)));
        firsts.truncate(before.map_or(firsts.len(), |at| at + 1));
        chain.push(first);
    }
    chain.reverse();
    Ok(chain)
}

/// The hash of the last whole line.
fn split_last(bytes: &[u8]) -> Option<Hash> {
    let line = bytes.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    split(line).map(|(_, hash)| hash)
}
