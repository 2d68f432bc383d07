//! Which warnings stand: each begins after its condition held for a while and ends after it was over for a while, so that
//! none flickers. What does not live here: what the conditions are (`conditions.rs`), and who is told (`lib.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::warnings::Warning;

/// How a condition was found at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Beyond the threshold at which a warning begins.
    Over,
    /// Between that and the one at which it ends: what stands goes on, what does not stand does not begin.
    Between,
}

/// A condition that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) warning: &'static Warning,
    /// About what: a limit, a token, an engine; empty for the plant as a whole.
    pub(crate) subject: String,
    /// What is the matter, with its numbers.
    pub(crate) what: String,
    /// A better mend than the table's; empty for none.
    pub(crate) mend: String,
    pub(crate) found: Found,
}

/// A warning that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its kind.
    pub warning: &'static Warning,
    /// About what; empty for the plant as a whole.
    pub subject: String,
    /// What is the matter, with its numbers.
    pub what: String,
    pub(crate) mend: String,
    /// By the wall.
    pub since_ns: i64,
}

/// What changed at a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Began(Standing),
    Ended(Standing),
}

type Key = (&'static str, String);

struct Track {
    /// Since when the condition holds without a break.
    over_since: Option<Duration>,
    /// When it was last seen, beyond the second threshold at least.
    seen: Duration,
    standing: Option<Standing>,
}

/// The most warnings of one code: of the others it is only said that they are there.
const SUBJECTS_MAX: usize = 50;

/// All warnings that stand, or may begin.
#[derive(Default)]
pub(crate) struct Board {
    tracks: BTreeMap<Key, Track>,
}

impl Board {
    /// Takes what was found at this moment, and gives what began and ended.
    pub(crate) fn look(&mut self, found: &[Condition], wall_ns: i64, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for condition in found {
            let key = (condition.warning.code, condition.subject.clone());
            let of_code = self.tracks.keys().filter(|(code, _)| *code == key.0).count();
            if !self.tracks.contains_key(&key) && of_code >= SUBJECTS_MAX {
                continue;
            }
            let track =
                self.tracks.entry(key).or_insert(Track { over_since: None, seen: now, standing: None });
            track.seen = now;
            match (condition.found, &mut track.standing) {
                (Found::Between, None) => track.over_since = None,
                (_, Some(standing)) => {
                    standing.what.clone_from(&condition.what);
                    standing.mend.clone_from(&condition.mend);
                }
                (Found::Over, None) => {
                    let since = *track.over_since.get_or_insert(now);
                    if now.saturating_sub(since) >= condition.warning.raise_after {
                        let standing = Standing {
                            warning: condition.warning,
                            subject: condition.subject.clone(),
                            what: condition.what.clone(),
                            mend: condition.mend.clone(),
                            since_ns: wall_ns,
                        };
                        changes.push(Change::Began(standing.clone()));
                        track.standing = Some(standing);
                    }
                }
            }
        }
        self.tracks.retain(|_, track| {
            let gone = now.saturating_sub(track.seen);
            let Some(standing) = &track.standing else { return gone.is_zero() };
            let ends = !gone.is_zero() && gone >= standing.warning.clear_after;
            if ends {
                changes.push(Change::Ended(standing.clone()));
            }
            !ends
        });
        changes
    }

    /// What stands, what is lost now first.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let mut all: Vec<Standing> =
            self.tracks.values().filter_map(|track| track.standing.clone()).collect();
        all.sort_by_key(|standing| !standing.warning.now);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warnings::{LIMIT_NEAR, REFUSING};

    fn condition(warning: &'static Warning, found: Found) -> Condition {
        Condition { warning, subject: "x".to_owned(), what: "it is".to_owned(), mend: String::new(), found }
    }

    /// What each second brings, as `o`ver, `b`etween or nothing; what began and ended, by the second.
    fn play(warning: &'static Warning, seconds: &str) -> String {
        let mut board = Board::default();
        let mut told = Vec::new();
        for (second, letter) in (0..).zip(seconds.chars()) {
            let found: Vec<Condition> = match letter {
                'o' => vec![condition(warning, Found::Over)],
                'b' => vec![condition(warning, Found::Between)],
                _ => Vec::new(),
            };
            for change in
                board.look(&found, second * 1_000_000_000, Duration::from_secs(second.unsigned_abs()))
            {
                told.push(match change {
                    Change::Began(standing) => format!("{}+{}", second, standing.warning.code),
                    Change::Ended(standing) => format!("{}-{}", second, standing.since_ns / 1_000_000_000),
                });
            }
        }
        told.join(" ")
    }

    #[test]
    fn a_warning_begins_after_its_time_and_ends_after_its_time() {
        let near = |seconds: &str| play(&LIMIT_NEAR, seconds);
        assert_eq!(near(&"o".repeat(10)), "", "nine seconds are no ten");
        assert_eq!(near(&"o".repeat(11)), "10+limit-near");
        assert_eq!(near(&format!("{}.{}", "o".repeat(9), "o".repeat(9))), "", "a break begins anew");
        assert_eq!(near(&format!("{}b{}", "o".repeat(9), "o".repeat(9))), "", "so does what lies between");
        assert_eq!(
            near(&format!("{}{}", "o".repeat(11), "b".repeat(99))),
            "10+limit-near",
            "between it goes on"
        );
        assert_eq!(near(&format!("{}{}", "o".repeat(11), ".".repeat(40))), "10+limit-near 40-10");
        let flickers = format!("{}{}", "o".repeat(11), format!("{}o", ".".repeat(20)).repeat(9));
        assert_eq!(near(&flickers), "10+limit-near");
        assert_eq!(play(&REFUSING, "o......o......"), "0+refusing-values 5-0 7+refusing-values 12-7");
    }

    #[test]
    fn subjects_are_bounded_and_the_worst_stands_first() {
        let mut board = Board::default();
        let mut found: Vec<Condition> = (0..100)
            .map(|number| Condition {
                subject: number.to_string(),
                ..condition(&crate::warnings::TOKEN_EXPIRED, Found::Over)
            })
            .collect();
        found.push(condition(&REFUSING, Found::Over));
        board.look(&found, 0, Duration::ZERO);
        let standing = board.standing();
        assert_eq!((standing.len(), standing[0].warning.code), (SUBJECTS_MAX + 1, "refusing-values"));
    }
}
