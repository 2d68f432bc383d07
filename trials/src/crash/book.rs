//! What is known of every request of a run, cycle by cycle, and which cycles must be looked at again. Fed by writers and
//! audits; decides nothing itself.

use super::check::{Sent, State, Verdict};
use super::load::{Plan, RequestId};
use std::time::Instant;

/// One cycle.
#[derive(Default)]
struct Page {
    /// By writer, then by number.
    writers: Vec<Vec<Entry>>,
    /// How many rows its last audit found; none before the first.
    rows: Option<u64>,
    /// Something was sent since the last audit.
    changed: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    state: State,
    /// When it was answered.
    at: Instant,
    again: bool,
    seen: Option<bool>,
}

/// Requests by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub acknowledged: u64,
    pub unknown: u64,
    pub refused: u64,
    pub doubted: u64,
    /// Those of the doubted that the last audit did not find.
    pub doubted_lost: u64,
}

/// All cycles of a run.
#[derive(Default)]
pub(super) struct Book {
    pages: Vec<Page>,
}

impl Book {
    fn page(&mut self, cycle: u32) -> &mut Page {
        let cycle = cycle as usize;
        if self.pages.len() <= cycle {
            self.pages.resize_with(cycle + 1, Page::default);
        }
        // The index is below the length: the vector has just been made that long.
        &mut self.pages[cycle]
    }

    /// Adds what a writer sent in a cycle.
    pub(super) fn wrote(&mut self, cycle: u32, writer: u32, states: Vec<(State, Instant)>) {
        let page = self.page(cycle);
        let writer = writer as usize;
        if page.writers.len() <= writer {
            page.writers.resize_with(writer + 1, Vec::new);
        }
        page.changed = true;
        let entries = states.into_iter().map(|(state, at)| Entry { state, at, again: false, seen: None });
        page.writers[writer].extend(entries);
    }

    /// A request of an earlier cycle was sent again.
    pub(super) fn repeated(&mut self, id: RequestId, state: State, at: Instant) {
        let page = self.page(id.cycle);
        let entry = page.writers.get_mut(id.writer as usize).and_then(|all| all.get_mut(id.number as usize));
        let Some(entry) = entry else { return };
        page.changed = true;
        entry.again = true;
        // Sent again, it may come now where it was not before; what was seen must stay.
        entry.seen = entry.seen.filter(|seen| *seen);
        if entry.state != State::Acknowledged {
            (entry.state, entry.at) = (state, at);
        }
    }

    /// What was acknowledged after this moment may be gone, also where an audit saw it meanwhile.
    pub(super) fn doubt_after(&mut self, moment: Instant) {
        for page in &mut self.pages {
            for entry in page.writers.iter_mut().flatten() {
                if entry.state == State::Acknowledged && entry.at > moment {
                    (entry.state, entry.seen) = (State::Doubted, None);
                    page.changed = true;
                }
            }
        }
    }

    /// The last request of a writer in a cycle, if nobody knows what became of it.
    pub(super) fn unanswered(&self, cycle: u32, writer: u32) -> Option<RequestId> {
        let entries = self.pages.get(cycle as usize)?.writers.get(writer as usize)?;
        let number = u32::try_from(entries.len().checked_sub(1)?).ok()?;
        (entries.last()?.state == State::Unknown).then_some(RequestId { cycle, writer, number })
    }

    /// Cycles in which something was sent since their last audit.
    pub(super) fn changed(&self) -> Vec<u32> {
        (0..self.cycles())
            .filter(|cycle| self.pages.get(*cycle as usize).is_some_and(|page| page.changed))
            .collect()
    }

    pub(super) fn cycles(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    /// The requests of a cycle in the order in which each writer sent them.
    pub(super) fn sent(&self, plan: &Plan, cycle: u32) -> Vec<Sent> {
        let Some(page) = self.pages.get(cycle as usize) else { return Vec::new() };
        let mut sent = Vec::new();
        for (writer, entries) in (0..).zip(&page.writers) {
            for (number, entry) in (0..).zip(entries) {
                let request = plan.request(RequestId { cycle, writer, number });
                sent.push(Sent { request, state: entry.state, seen: entry.seen, again: entry.again });
            }
        }
        sent
    }

    /// Keeps what an audit found: from now on it holds.
    pub(super) fn audited(&mut self, cycle: u32, verdict: &Verdict) {
        let page = self.page(cycle);
        for (entry, present) in page.writers.iter_mut().flatten().zip(&verdict.present) {
            entry.seen = Some(*present);
        }
        page.rows = Some(verdict.rows);
        page.changed = false;
    }

    /// The rows of all cycles, as their last audits found them.
    pub(super) fn rows(&self) -> u64 {
        self.pages.iter().filter_map(|page| page.rows).sum()
    }

    /// How many requests there are in each state.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.pages.iter().flat_map(|page| page.writers.iter().flatten()) {
            match entry.state {
                State::Acknowledged => counts.acknowledged += 1,
                State::Unknown => counts.unknown += 1,
                State::Refused => counts.refused += 1,
                State::Doubted => {
                    counts.doubted += 1;
                    counts.doubted_lost += u64::from(entry.seen == Some(false));
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::check::Findings;

    fn told<const N: usize>(states: [State; N]) -> Vec<(State, Instant)> {
        states.map(|state| (state, Instant::now())).to_vec()
    }

    #[test]
    fn what_was_acknowledged_shortly_before_a_power_cut_is_doubted_and_looked_at_again() {
        let (mut book, began) = (Book::default(), Instant::now());
        let at = |second| began + std::time::Duration::from_secs(second);
        book.wrote(
            0,
            0,
            vec![(State::Acknowledged, at(1)), (State::Acknowledged, at(3)), (State::Unknown, at(4))],
        );
        let verdict = Verdict { findings: Findings::default(), present: vec![true; 3], rows: 3 };
        book.audited(0, &verdict);
        book.doubt_after(at(2));
        let sent = book.sent(&Plan { seed: 1, origin: 0 }, 0);
        let known: Vec<_> = sent.iter().map(|sent| (sent.state, sent.seen)).collect();
        let expected =
            [(State::Acknowledged, Some(true)), (State::Doubted, None), (State::Unknown, Some(true))];
        assert_eq!((known.as_slice(), book.changed()), (expected.as_slice(), vec![0]));
    }

    #[test]
    fn what_was_acknowledged_in_doubt_and_is_gone_is_counted() {
        let mut book = Book::default();
        book.wrote(0, 0, told([State::Doubted, State::Doubted, State::Refused]));
        let verdict = Verdict { findings: Findings::default(), present: vec![true, false, false], rows: 3 };
        book.audited(0, &verdict);
        assert_eq!(book.counts(), Counts { refused: 1, doubted: 2, doubted_lost: 1, ..Counts::default() });
    }

    #[test]
    fn an_unanswered_request_is_offered_again_and_its_cycle_looked_at_again() {
        let plan = Plan { seed: 1, origin: 0 };
        let mut book = Book::default();
        book.wrote(0, 1, told([State::Acknowledged, State::Unknown]));
        book.wrote(0, 0, told([State::Acknowledged]));
        assert_eq!(book.changed(), [0]);
        assert_eq!(book.unanswered(0, 0), None);
        let id = book.unanswered(0, 1).expect("the last one");
        assert_eq!((id.writer, id.number), (1, 1));
        let verdict = Verdict { findings: Findings::default(), present: vec![true, true, false], rows: 9 };
        book.audited(0, &verdict);
        assert_eq!((book.changed(), book.rows()), (vec![], 9));
        assert_eq!(book.sent(&plan, 0)[2].seen, Some(false));
        book.repeated(id, State::Acknowledged, Instant::now());
        assert_eq!(book.changed(), [0]);
        let sent = book.sent(&plan, 0);
        assert_eq!((sent[2].state, sent[2].seen, sent[0].seen), (State::Acknowledged, None, Some(true)));
        assert_eq!(book.counts(), Counts { acknowledged: 3, ..Counts::default() });
    }
}
