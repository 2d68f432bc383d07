//! Whether the plant takes work: values are accepted, and history and journal can be read. What does not live here: how that is told
//! (the probes of the web face), and what else may be wrong (`tidemill check`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill_core::{Damaged, Journal, Problem, codes};
use tidemill_ground::Ground;
use tidemill_historian::Historian;
use tidemill_journal::Log;
use tidemill_web::Ready;

/// Anybody may ask at any rate; the files of history are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Asked by the probes.
pub(crate) fn ready(ground: &Ground, journal: Arc<Log>, historian: Arc<Historian>) -> Ready {
    let clock = ground.clock.clone();
    let looked: Mutex<Option<(Duration, Option<Problem>)>> = Mutex::new(None);
    Arc::new(move || {
        if let Some(busy) = journal.refuses_samples() {
            let problem = Problem::from(busy);
            let detail = format!("new values are refused: {}", problem.detail);
            return Err(Problem { detail, ..problem });
        }
        let now = clock.monotonic();
        let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: &Duration| now.saturating_sub(*at) < LOOK_EVERY;
        if !looked.as_ref().is_some_and(|(at, _)| fresh(at)) {
            let wrong = historian.check_places().err().map(|problem| {
                let detail = format!("some history cannot be read: {}", problem.detail);
                Problem { detail, ..problem }
            });
            *looked = Some((now, wrong.or_else(|| damage(&journal))));
        }
        looked.as_ref().and_then(|(_, wrong)| wrong.clone()).map_or(Ok(()), Err)
    })
}

/// What the journal could not give to an engine that needed it, until someone takes note.
fn damage(journal: &Log) -> Option<Problem> {
    let range = journal.damage().into_iter().find(Damaged::may_lose)?;
    let (what, mend) = crate::inspect::parts(&crate::inspect::damaged(range));
    Some(Problem::new(&codes::DAMAGED, format!("some acknowledged values may be lost: {what}")).hint(mend))
}
