//! Looks at the plant's rooms and its machine once. What is dear to ask is asked seldom. What does not live here: what it means
//! (`conditions.rs`).

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{Damaged, Identity, IdentityKind, Journal, Peer, Problem};
use tidemill_ground::Ground;
use tidemill_guard::Guard;
use tidemill_historian::Historian;
use tidemill_journal::Log;

use super::seen::{Numbers, Seen, Token};
use crate::admin::Keeper;
use crate::config::{Config, sentence};
use crate::plant::Plant;
use crate::settings;

/// How often files are looked at, and lists are made.
const SLOWLY: Duration = Duration::from_secs(10);

/// Whom to ask.
pub(crate) struct Rooms {
    pub(crate) ground: Ground,
    pub(crate) plant: Plant,
    /// As the plant was started.
    pub(crate) config: Config,
    pub(crate) guard: Arc<Guard>,
    pub(crate) journal: Arc<Log>,
    pub(crate) historian: Arc<Historian>,
    pub(crate) keeper: Arc<Keeper>,
    /// What the journal may hold before new values are refused.
    pub(crate) journal_bytes_max: u64,
}

/// Who writes and asks for the plant itself.
pub(crate) fn house() -> Identity {
    Identity {
        name: "house:vitals".into(),
        kind: IdentityKind::House,
        peer: Peer { door: "house", address: None },
    }
}

/// Those that expire.
pub(crate) fn tokens(guard: &Guard) -> Vec<Token> {
    let tokens = guard.list(&house()).into_iter().filter_map(|token| {
        Some(Token {
            name: token.name.to_string(),
            made_ns: token.created_ns,
            expires_ns: token.expires_ns?,
            used: token.last_used_ns.is_some(),
        })
    });
    tokens.collect()
}

/// Looks, and remembers what was dear to find.
pub(crate) struct Looker {
    pub(crate) rooms: Rooms,
    dear: Option<(Duration, Seen)>,
}

impl Looker {
    pub(crate) fn new(rooms: Rooms) -> Looker {
        Looker { rooms, dear: None }
    }

    pub(crate) fn look(&mut self) -> Seen {
        let rooms = &self.rooms;
        let monotonic = rooms.ground.clock.monotonic();
        let dear = match self.dear.take() {
            Some((at, dear)) if monotonic.saturating_sub(at) < SLOWLY => (at, dear),
            _ => (monotonic, rooms.dear()),
        };
        let seen = rooms.seen(monotonic, &dear.1);
        self.dear = Some(dear);
        seen
    }
}

impl Rooms {
    fn seen(&self, monotonic: Duration, dear: &Seen) -> Seen {
        let space = self.ground.disk.space(&self.plant.data()).ok();
        Seen {
            wall_ns: self.ground.clock.wall(),
            monotonic,
            machine: tidemill_ground::machine(),
            free_min_bytes: space.map_or(0, |space| settings::free_min_bytes(&space, &self.config)),
            space,
            refusing: self.journal.refuses_samples().map(|busy| {
                let problem = Problem::from(busy);
                (format!("new values are refused: {}", problem.detail), problem.mend().to_owned())
            }),
            flush_failing: self.historian.flush_failure().map(|problem| problem.detail),
            damage: self
                .journal
                .damage()
                .iter()
                .filter(|one| Damaged::may_lose(one))
                .map(ToString::to_string)
                .collect(),
            audit_failure: self.guard.audit_failure().map(|why| why.to_string()),
            configuration_refused: self.keeper.refused(),
            restart: self.keeper.restart_waiting(),
            journal_bytes_max: self.journal_bytes_max,
            numbers: Numbers::of(self.ground.metrics.snapshot()),
            ..dear.clone()
        }
    }

    fn dear(&self) -> Seen {
        let data = self.plant.data();
        let space = self.ground.disk.space(&data).ok();
        let tight = |space| settings::tight(self.ground.disk.as_ref(), &self.plant, space, &self.config);
        let certificates = self.guard.tls().concerns().into_iter();
        Seen {
            tight: space.as_ref().and_then(tight),
            inodes: tidemill_ground::inodes(&data),
            flash_worn: tidemill_ground::flash_worn(&data),
            unreadable: self.historian.check_places().err().map(|error| error.to_string()),
            tokens: tokens(&self.guard),
            certificates: certificates.map(|one| (one.on, one.problem, sentence(&one.mend))).collect(),
            ..Seen::default()
        }
    }
}
