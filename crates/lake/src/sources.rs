//! What a flush writes: the signals of a frozen buffer by path, deletions done. The rows stay where they are until they are
//! written, for all of them opened at once would take as much memory again. What does not live here: the files (`flush`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_core::{Deletion, SignalId};

use super::Store;
use super::buffer::{Pieces, Watch};
use super::chunk::Chunk;
use super::commit::{Change, Correction};
use super::files::{DAY_NS, FileEntry, Version, Window};
use super::frozen::{Deletions, Frozen, with_deletions};
use super::rows::Rows;
use crate::Error;

/// A signal that has buffered rows.
pub(crate) struct Source {
    pub(crate) signal: SignalId,
    pub(crate) path: Arc<str>,
    /// The times of its first and last row; wider where a deletion took them.
    span: (i64, i64),
    /// What deletions left of its rows; where none concerns it, the buffers have them.
    left: Option<Box<Pieces>>,
}

/// All of them, and where their rows are.
pub(crate) struct Sources {
    watches: Vec<Watch>,
    /// By path.
    pub(crate) all: Vec<Source>,
}

impl Sources {
    /// The rows of one of them.
    pub(crate) fn pieces(&self, source: &Source) -> Pieces {
        if let Some(Pieces { chunks, open }) = source.left.as_deref() {
            return Pieces { chunks: chunks.clone(), open: open.clone() };
        }
        let of = |watch: &Watch| watch.pieces(&[source.signal]).pop().unwrap_or_default();
        let mut pieces = Pieces::default();
        for watch in &self.watches {
            pieces.follow(of(watch));
        }
        pieces.open.sort();
        pieces
    }

    /// The times of the first and last row of one of them within a window; wider where only chunks are known.
    pub(crate) fn span(&self, source: &Source, window: Window) -> Option<(i64, i64)> {
        let (from, last) = source.span;
        if from > window.last() || last < window.from() {
            return None;
        }
        if source.left.is_none() && from >= window.from() && last <= window.last() {
            return Some(source.span);
        }
        let pieces = self.pieces(source);
        let chunks = pieces.chunks.iter().map(|chunk| (chunk.min, chunk.max));
        let open = pieces.open.time.first().copied().zip(pieces.open.time.last().copied());
        let inside = chunks.chain(open).filter(|(min, max)| *min <= window.last() && *max >= window.from());
        let clipped = inside.map(|(min, max)| (min.max(window.from()), max.min(window.last())));
        clipped.reduce(|(min, max), (other_min, other_max)| (min.min(other_min), max.max(other_max)))
    }

    /// How many rows each day has.
    pub(crate) fn days(&self) -> BTreeMap<i64, u64> {
        let mut days = BTreeMap::new();
        self.all.iter().for_each(|source| count_days(&self.pieces(source), &mut days));
        days
    }
}

fn count_days(pieces: &Pieces, days: &mut BTreeMap<i64, u64>) {
    let count = |days: &mut BTreeMap<i64, u64>, times: &[i64]| {
        for of_day in times.chunk_by(|one, next| one.div_euclid(DAY_NS) == next.div_euclid(DAY_NS)) {
            let day = of_day.first().map_or(0, |time| time.div_euclid(DAY_NS));
            *days.entry(day).or_default() += of_day.len() as u64;
        }
    };
    count(days, &pieces.open.time);
    for chunk in &pieces.chunks {
        if chunk.min.div_euclid(DAY_NS) == chunk.max.div_euclid(DAY_NS) {
            *days.entry(chunk.min.div_euclid(DAY_NS)).or_default() += chunk.len() as u64;
        } else {
            count(days, &chunk.open().time);
        }
    }
}

impl Store {
    /// The signals of a frozen buffer; what deletions take of its rows is recorded in `change`.
    pub(crate) fn sources(
        &self,
        frozen: &Frozen,
        version: &Version,
        change: &mut Change,
    ) -> Result<Sources, Error> {
        let unreadable = |file: &FileEntry, error| {
            self.damaged.note(&error);
            if self.damaged.has(file) { Ok(()) } else { Err(error) }
        };
        let layers = with_deletions(&frozen.layers);
        let watches: Vec<Watch> = layers.iter().map(|(layer, _)| layer.buffer.watch()).collect();
        let mut spans: Vec<(SignalId, i64, i64)> =
            watches.iter().flat_map(|watch| watch.signals(i64::MIN, i64::MAX)).collect();
        spans.sort_unstable();
        let mut paths =
            self.paths_of(spans.iter().map(|(signal, ..)| *signal), &version.files, &unreadable)?;
        let mut all = Vec::with_capacity(paths.len());
        for of_signal in spans.chunk_by(|one, next| one.0 == next.0) {
            let Some((signal, from, _)) = of_signal.first().copied() else { continue };
            let span = (from, of_signal.iter().fold(i64::MIN, |last, (_, _, max)| last.max(*max)));
            let path = paths.remove(&signal).unwrap_or_default();
            let concerned =
                |(_, deletions): &(_, Deletions)| deletions.iter().any(|one| one.concerns(signal));
            let mut left = None;
            if layers.iter().any(concerned) {
                let layers = watches.iter().zip(layers.iter().map(|(_, deletions)| deletions));
                left = Some(Box::new(self.left_of(signal, &path, layers, change)?));
            }
            all.push(Source { signal, path, span, left });
        }
        all.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Sources { watches, all })
    }

    /// What deletions leave of a signal's rows.
    fn left_of<'a>(
        &self,
        signal: SignalId,
        path: &Arc<str>,
        layers: impl Iterator<Item = (&'a Watch, &'a Deletions)>,
        change: &mut Change,
    ) -> Result<Pieces, Error> {
        let mut left = Pieces::default();
        for (watch, deletions) in layers {
            let mut pieces = watch.pieces(&[signal]).pop().unwrap_or_default();
            pieces.open.sort();
            for deletion in deletions.iter().filter(|deletion| deletion.concerns(signal)) {
                pieces = self.delete_from(pieces, deletion, path, change)?;
            }
            left.follow(pieces);
        }
        Ok(left)
    }

    /// Takes what a deletion concerns out of buffered rows.
    fn delete_from(
        &self,
        pieces: Pieces,
        deletion: &Deletion,
        path: &Arc<str>,
        change: &mut Change,
    ) -> Result<Pieces, Error> {
        let mut split = |rows: Rows| -> Result<Rows, Error> {
            let old = rows.clone().cut(deletion.from, deletion.last);
            if !old.is_empty() {
                self.correct(change, &deleted(path, old, deletion))?;
            }
            Ok(rows.without(deletion.from, deletion.last))
        };
        let mut chunks = Vec::with_capacity(pieces.chunks.len());
        for chunk in pieces.chunks {
            if chunk.min > deletion.last || chunk.max < deletion.from {
                chunks.push(chunk);
                continue;
            }
            let mut rest = split(chunk.open())?;
            if !rest.is_empty() {
                chunks.push(Arc::new(Chunk::seal(&mut rest)));
            }
        }
        Ok(Pieces { chunks, open: split(pieces.open)? })
    }
}

/// A sample that a deletion takes, for the record of corrections.
pub(crate) fn deleted(path: &Arc<str>, old: Rows, deletion: &Deletion) -> Correction {
    Correction {
        when: deletion.when,
        path: path.clone(),
        old,
        action: "delete",
        by: None,
        who: deletion.who.clone(),
        reason: deletion.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_holds_no_rows() {
        // There is one for each of a hundred thousand signals while they are flushed.
        assert!(size_of::<Source>() <= 48, "{} bytes", size_of::<Source>());
    }
}
