//! What the plant's own health is made of: looks at its rooms and its machine, where what is dear to ask is asked seldom, and tells
//! what stands. What does not live here: what it means (`tidemill-vitals`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_bus::Namespace;
use tidemill_core::{Damaged, Journal, Problem, rfc3339};
use tidemill_ground::{Ground, Space};
use tidemill_guard::Guard;
use tidemill_historian::Historian;
use tidemill_journal::Log;
use tidemill_vitals::{Certificate, Look, Numbers, Seen, Standing, Token, house};
pub(crate) use tidemill_vitals::{HEALTH, Vitals, figures_table, page};
use tidemill_web::HealthWarning;

use crate::admin::Keeper;
use crate::config::{Config, Finding, sentence};
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
    pub(crate) bus: Arc<Namespace>,
    pub(crate) historian: Arc<Historian>,
    pub(crate) keeper: Arc<Keeper>,
    /// What the journal may hold before new values are refused.
    pub(crate) journal_bytes_max: u64,
    /// What all rooms together may have.
    pub(crate) memory_bytes_max: u64,
}

/// Those that expire.
fn tokens(guard: &Guard) -> Vec<Token> {
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
    rooms: Rooms,
    dear: Option<(Duration, Seen)>,
}

impl Looker {
    pub(crate) fn new(rooms: Rooms) -> Looker {
        Looker { rooms, dear: None }
    }
}

impl Look for Looker {
    fn look(&mut self) -> Seen {
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

    fn figures_every(&self) -> Option<Duration> {
        self.rooms.keeper.figures_every()
    }
}

impl Rooms {
    fn seen(&self, monotonic: Duration, dear: &Seen) -> Seen {
        let space = self.ground.disk.space(&self.plant.data()).ok();
        // That it was little is looked at again, or the plant would warn of what is over.
        let tight = dear.tight.as_ref().and(space.as_ref()).and_then(|space| self.tight(space));
        Seen {
            wall_ns: self.ground.clock.wall(),
            monotonic,
            machine: tidemill_ground::machine(),
            free_min_bytes: space.map_or(0, |space| settings::free_min_bytes(&space, &self.config)),
            space,
            tight,
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
            log_file: crate::log::file(),
            journal_bytes_max: self.journal_bytes_max,
            memory_bytes_max: Some(self.memory_bytes_max),
            backup_age_max: self.keeper.backup_age(),
            numbers: Numbers::of(self.ground.metrics.snapshot()),
            ..dear.clone()
        }
    }

    fn tight(&self, space: &Space) -> Option<String> {
        settings::tight(self.ground.disk.as_ref(), &self.plant, space, &self.config)
    }

    fn dear(&self) -> Seen {
        let data = self.plant.data();
        let space = self.ground.disk.space(&data).ok();
        let certificates = self.guard.tls().concerns().into_iter();
        self.historian.look_again();
        let places = self.historian.check_places().and_then(|()| self.historian.check_tables());
        Seen {
            tight: space.as_ref().and_then(|space| self.tight(space)),
            inodes: tidemill_ground::inodes(&data),
            flash_worn: tidemill_ground::flash_worn(&data),
            // What to do says the warning.
            unreadable: places.err().map(|problem| crate::inspect::parts(&problem).0),
            tokens: tokens(&self.guard),
            backup_made_ns: tidemill_vitals::backup_made(self.bus.as_ref()),
            certificates: certificates
                .map(|one| Certificate {
                    on: one.on,
                    what: one.problem,
                    mend: sentence(&one.mend),
                    works: one.warning,
                })
                .collect(),
            ..Seen::default()
        }
    }
}

/// What stands, for the API.
pub(crate) fn told(vitals: &Vitals) -> Vec<HealthWarning> {
    let told = |one: Standing| HealthWarning {
        code: one.warning.code.to_owned(),
        now: one.warning.now,
        problem: one.what.clone(),
        affects: one.warning.affects.to_owned(),
        mend: one.mend().to_owned(),
        since: rfc3339(one.since_ns),
        subject: one.subject,
    };
    vitals.standing().into_iter().map(told).collect()
}

/// What can be seen of a plant that does not run: its disk and its tokens.
pub(crate) fn at_rest(data: &Path, guard: &Guard, wall_ns: i64) -> Vec<Finding> {
    let seen = Seen {
        wall_ns,
        inodes: tidemill_ground::inodes(data),
        flash_worn: tidemill_ground::flash_worn(data),
        tokens: tokens(guard),
        ..Seen::default()
    };
    let finding = |(what, mend): (String, &str)| Finding {
        file: data.to_owned(),
        line: 0,
        what,
        mend: mend.to_owned(),
        warning: true,
    };
    tidemill_vitals::at_rest(&seen).into_iter().map(finding).collect()
}

/// What a plant said of its health, in lines for people.
pub(crate) fn lines(answer: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let warnings = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |one: &Json| {
        let how = if one["now"] == json!(true) { "problem" } else { "warning" };
        format!("{how}: {}. {}. {}", text(&one["problem"]), text(&one["affects"]), text(&one["mend"]))
    };
    warnings.iter().map(line).collect()
}
