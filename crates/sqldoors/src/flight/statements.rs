//! Queries that clients have a handle of: the ticket of a flight, or a prepared statement with its parameters. Kept in
//! bounded number, each for whom asked it and for a bounded time. A handle is a name, not a right: who shows it is
//! identified and cut to their scope again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{Problem, Value, codes};
use tidemill_ground::{Clock, Counter, Entropy, Limit, Metrics, Permit};
use tokio::sync::watch;

use crate::Error;

/// How many queries have a handle at once.
pub(super) const STATEMENTS_MAX: u64 = 4_096;
/// Of one identity; its oldest gives way to one more.
const STATEMENTS_OF_ONE_MAX: usize = 512;
/// What all of them hold: texts and parameters.
const BYTES_MAX: u64 = 64 << 20;
/// How long a ticket holds, and a prepared statement that is not used.
pub(super) const TICKET_TIME: Duration = Duration::from_secs(600);
pub(super) const PREPARED_TIME: Duration = Duration::from_secs(3_600);
const HANDLE_BYTES: usize = 16;

/// A handle: not to be guessed.
pub(super) type Handle = [u8; HANDLE_BYTES];

/// A query, and the rows of parameters it is to be run with: one without any where it takes none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Query {
    pub(super) text: Arc<str>,
    pub(super) rows: Arc<[Vec<Value>]>,
}

impl Query {
    pub(super) fn of(text: String) -> Query {
        Query { text: text.into(), rows: Arc::from([Vec::new()]) }
    }

    fn bytes(&self) -> u64 {
        let value = |value: &Value| match value {
            Value::Text(text) | Value::Json(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let values = self.rows.iter().flatten().map(|each| value(each) + size_of::<Value>());
        (self.text.len() + values.sum::<usize>() + 256) as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ticket,
    Prepared,
}

struct Kept {
    kind: Kind,
    owner: Arc<str>,
    query: Query,
    until: Duration,
    /// Grows with each statement: the smallest is the oldest.
    number: u64,
    /// Set when the client does not want the rest.
    cancelled: watch::Sender<bool>,
    _held: (Permit, Permit),
}

/// All of them.
pub(super) struct Statements {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    count: Limit,
    bytes: Limit,
    displaced: Counter,
    kept: Mutex<HashMap<Handle, Kept>>,
}

impl Statements {
    pub(super) fn new(metrics: &Metrics, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Statements {
        let help = "Tickets and prepared statements that gave way to newer ones of the same identity.";
        Statements {
            clock,
            entropy,
            count: Limit::new(metrics, "flight_statements", STATEMENTS_MAX),
            bytes: Limit::new(metrics, "flight_statements_bytes", BYTES_MAX),
            displaced: metrics.counter("tidemill_flight_statements_displaced", help),
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Handle, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a query for its owner.
    pub(super) fn keep(&self, owner: &Arc<str>, kind: Kind, query: Query) -> Result<Handle, Error> {
        let now = self.clock.monotonic();
        let mut kept = self.lock();
        kept.retain(|_, statement| statement.until > now);
        let own = || kept.iter().filter(|(_, statement)| statement.owner == *owner);
        if own().count() >= STATEMENTS_OF_ONE_MAX
            && let Some(oldest) =
                own().min_by_key(|(_, statement)| statement.number).map(|(handle, _)| *handle)
        {
            kept.remove(&oldest);
            self.displaced.add(1);
        }
        let held = self.count.try_take(1).zip(self.bytes.try_take(query.bytes()));
        let held = held.ok_or_else(|| {
            let detail = "as many queries are prepared as may be";
            Problem::new(&codes::BUSY, detail).hint("Close statements that are not needed").retry_after(1)
        })?;
        let mut handle = Handle::default();
        self.entropy.fill(&mut handle);
        let number = kept.values().map(|statement| statement.number).max().unwrap_or_default() + 1;
        let until = now + time_of(kind);
        let (cancelled, _) = watch::channel(false);
        let owner = owner.clone();
        kept.insert(handle, Kept { kind, owner, query, until, number, cancelled, _held: held });
        Ok(handle)
    }

    /// The query behind a handle, and the sign that it is cancelled. What is used is kept longer, but for tickets.
    pub(super) fn find(
        &self,
        owner: &Arc<str>,
        kind: Kind,
        handle: &[u8],
    ) -> Result<(Query, watch::Receiver<bool>), Error> {
        let now = self.clock.monotonic();
        let mut kept = self.lock();
        let statement = own(&mut kept, owner, handle).filter(|kept| kept.kind == kind && kept.until > now);
        let statement = statement.ok_or_else(|| unknown(kind))?;
        if kind == Kind::Prepared {
            statement.until = now + time_of(kind);
        }
        Ok((statement.query.clone(), statement.cancelled.subscribe()))
    }

    /// Gives a prepared statement its parameters.
    pub(super) fn bind(&self, owner: &Arc<str>, handle: &[u8], rows: Vec<Vec<Value>>) -> Result<(), Error> {
        let mut kept = self.lock();
        let statement = own(&mut kept, owner, handle).filter(|statement| statement.kind == Kind::Prepared);
        let statement = statement.ok_or_else(|| unknown(Kind::Prepared))?;
        let query = Query { text: statement.query.text.clone(), rows: rows.into() };
        let (before, after) = (statement.query.bytes(), query.bytes());
        let held = &mut statement._held.1;
        if after > before && !held.try_grow(after - before) {
            return Err(Error::TooLarge { bytes: after, bytes_max: self.bytes.max() });
        }
        held.shrink(before.saturating_sub(after));
        statement.query = query;
        Ok(())
    }

    /// Forgets a statement, and stops it where it runs.
    pub(super) fn forget(&self, owner: &Arc<str>, handle: &[u8]) {
        let mut kept = self.lock();
        if let Some(statement) = own(&mut kept, owner, handle) {
            statement.cancelled.send_replace(true);
            if let Ok(handle) = Handle::try_from(handle) {
                kept.remove(&handle);
            }
        }
    }
}

fn own<'a>(kept: &'a mut HashMap<Handle, Kept>, owner: &Arc<str>, handle: &[u8]) -> Option<&'a mut Kept> {
    let handle = Handle::try_from(handle).ok()?;
    kept.get_mut(&handle).filter(|statement| statement.owner == *owner)
}

fn time_of(kind: Kind) -> Duration {
    match kind {
        Kind::Ticket => TICKET_TIME,
        Kind::Prepared => PREPARED_TIME,
    }
}

/// The same for one that never was, has expired, or belongs to another.
fn unknown(kind: Kind) -> Error {
    let problem = match kind {
        Kind::Ticket => Problem::new(&codes::NOT_FOUND, "there is no such ticket, or it has expired")
            .hint("Ask for the flight again (GetFlightInfo): tickets hold for ten minutes"),
        Kind::Prepared => {
            Problem::new(&codes::NOT_FOUND, "there is no such prepared statement, or it has expired")
                .hint("Prepare it again: what is not used for an hour is forgotten")
        }
    };
    problem.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_ground::{SeededEntropy, SimClock};

    fn statements() -> (Statements, Arc<SimClock>, Metrics) {
        let (metrics, clock) = (Metrics::new(), Arc::new(SimClock::default()));
        (Statements::new(&metrics, clock.clone(), Arc::new(SeededEntropy::new(1))), clock, metrics)
    }

    fn query(text: &str) -> Query {
        Query::of(text.to_owned())
    }

    #[test]
    fn a_handle_is_its_owners_and_expires() {
        let (statements, clock, _) = statements();
        let (anna, bela): (Arc<str>, Arc<str>) = ("token:anna".into(), "token:bela".into());
        let ticket = statements.keep(&anna, Kind::Ticket, query("SELECT 1")).unwrap();
        let prepared = statements.keep(&anna, Kind::Prepared, query("SELECT $1")).unwrap();
        assert_eq!(statements.find(&anna, Kind::Ticket, &ticket).unwrap().0, query("SELECT 1"));
        for wrong in [
            statements.find(&bela, Kind::Ticket, &ticket),
            statements.find(&anna, Kind::Prepared, &ticket),
            statements.find(&anna, Kind::Ticket, b"guessed"),
        ] {
            assert_eq!(wrong.unwrap_err().into_problem().code.id, "not-found");
        }
        assert!(statements.bind(&bela, &prepared, vec![]).is_err());
        statements.bind(&anna, &prepared, vec![vec![Value::Int(7)]]).unwrap();
        clock.advance(TICKET_TIME);
        assert!(statements.find(&anna, Kind::Ticket, &ticket).is_err());
        let (bound, _) = statements.find(&anna, Kind::Prepared, &prepared).unwrap();
        assert_eq!(*bound.rows, [vec![Value::Int(7)]]);
        // Its hour begins anew with each use.
        clock.advance(PREPARED_TIME - Duration::from_secs(1));
        assert!(statements.find(&anna, Kind::Prepared, &prepared).is_ok());
        clock.advance(PREPARED_TIME);
        assert!(statements.find(&anna, Kind::Prepared, &prepared).is_err());
    }

    #[test]
    fn the_oldest_of_one_gives_way_and_all_are_bounded() {
        let (statements, _, _) = statements();
        let keep = |owner: &Arc<str>| statements.keep(owner, Kind::Ticket, query("SELECT 1"));
        let anna: Arc<str> = "token:anna".into();
        let first = keep(&anna).unwrap();
        for _ in 0..STATEMENTS_OF_ONE_MAX {
            keep(&anna).unwrap();
        }
        assert!(statements.find(&anna, Kind::Ticket, &first).is_err());
        assert_eq!((statements.displaced.get(), statements.count.used()), (1, STATEMENTS_OF_ONE_MAX as u64));
        let others = STATEMENTS_MAX - STATEMENTS_OF_ONE_MAX as u64;
        for other in 0..others {
            keep(&format!("token:{other}").into()).unwrap();
        }
        assert_eq!(keep(&"token:last".into()).unwrap_err().into_problem().code.id, "busy");
        let large =
            Query { text: "x".into(), rows: vec![vec![Value::Text("x".repeat(1 << 20).into())]; 64].into() };
        assert!(statements.keep(&anna, Kind::Prepared, large).is_err());
    }

    #[test]
    fn who_forgets_a_statement_stops_it() {
        let (statements, _, _) = statements();
        let (anna, bela): (Arc<str>, Arc<str>) = ("token:anna".into(), "token:bela".into());
        let handle = statements.keep(&anna, Kind::Ticket, query("SELECT 1")).unwrap();
        let (_, sign) = statements.find(&anna, Kind::Ticket, &handle).unwrap();
        statements.forget(&bela, &handle);
        assert!(!*sign.borrow());
        statements.forget(&anna, &handle);
        assert!(*sign.borrow());
        assert_eq!((statements.count.used(), statements.bytes.used()), (0, 0));
    }
}
