//! The plant looks after itself: every two seconds it looks at its rooms and its machine, warns before it hurts, and writes its
//! own figures as signals. What does not live here: looking, which is the house's, for it knows the rooms ([`Look`]); and
//! counting, which is theirs, with `ground::metrics`.
//!
//! **Invariants**: a warning comes from what was seen, and from nothing else; it begins at one threshold and ends at another;
//! what is written goes through the bus as anybody's samples do.

mod board;
mod conditions;
mod figures;
mod seen;
mod warnings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{
    Bus, ColumnKind, ColumnSpec, Commit, Facts, Identity, IdentityKind, Peer, Problem, TableSpec, Value,
    codes, rfc3339,
};
use tidemill_ground::{Gauge, Ground, Phase};

pub use board::Standing;
use board::{Board, Change, Condition, Found};
use conditions::Earlier;
use figures::{Figures, Row};
pub use seen::{Buckets, Certificate, Numbers, Seen, Token};
use warnings::WARNINGS;
pub use warnings::Warning;

/// Keeps it in the plant's history that a backup was made whole: at `made_ns` (UTC), or now.
///
/// # Errors
/// Why it could not be written.
pub fn write_backup(bus: &Arc<dyn Bus>, bytes: u64, made_ns: Option<i64>) -> Result<Commit, Problem> {
    figures::write_backup(bus, &house(), bytes, made_ns)
}

/// When the last backup was made whole, ns UTC, as far as the plant's history knows.
pub fn backup_made(bus: &dyn Bus) -> Option<i64> {
    figures::backup_made(bus)
}

/// How often the plant looks after itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `sys.health`.
pub static HEALTH: TableSpec = TableSpec {
    name: "health",
    description: "What the plant warns of now: what is wrong, what it affects, what to do",
    stream: None,
    columns: &[
        ColumnSpec {
            name: "signal",
            kind: ColumnKind::Text,
            description: "The signal that is true while the warning stands",
        },
        ColumnSpec {
            name: "code",
            kind: ColumnKind::Text,
            description: "The kind of warning: docs/reference/health.md",
        },
        ColumnSpec {
            name: "subject",
            kind: ColumnKind::Text,
            description: "About what: a limit, a token, an engine; NULL for the plant",
        },
        ColumnSpec {
            name: "now",
            kind: ColumnKind::Bool,
            description: "Whether something is lost or refused now; else it will be",
        },
        ColumnSpec { name: "problem", kind: ColumnKind::Text, description: "What is wrong" },
        ColumnSpec { name: "affects", kind: ColumnKind::Text, description: "What it affects" },
        ColumnSpec { name: "mend", kind: ColumnKind::Text, description: "What to do" },
        ColumnSpec { name: "since", kind: ColumnKind::Time, description: "Since when" },
    ],
    // Whoever may read `tidemill/#` sees them.
    path_columns: &["signal"],
};

/// Looks at the rooms and the machine, for who warns.
pub trait Look: Send + 'static {
    /// What is there now.
    fn look(&mut self) -> Seen;

    /// How often the plant's own figures are written; `None` writes none.
    fn figures_every(&self) -> Option<Duration>;
}

/// Who writes and asks for the plant itself.
pub fn house() -> Identity {
    Identity {
        name: "house:vitals".into(),
        kind: IdentityKind::House,
        peer: Peer { door: "house", address: None },
    }
}

/// What stands, for those who ask.
pub struct Vitals {
    board: Mutex<Board>,
    codes: BTreeMap<&'static str, Gauge>,
    all: Gauge,
}

/// What moves at each look.
struct Watch<L> {
    eye: L,
    earlier: Earlier,
    figures: Figures,
    figures_at: Option<Duration>,
    /// What is to be written of warnings that began and ended.
    owed: BTreeMap<String, Row>,
    /// How the plant is, as it was written last.
    status: Option<i64>,
    unwritten: bool,
}

impl Vitals {
    /// Nothing has been looked at yet.
    pub fn new(ground: &Ground) -> Arc<Vitals> {
        let help = "Warnings that stand: docs/reference/health.md says what each means.";
        let gauge = |code| ground.metrics.gauge_with("tidemill_health_warnings", help, &[("code", code)]);
        Arc::new(Vitals {
            board: Mutex::default(),
            codes: WARNINGS.iter().map(|warning| (warning.code, gauge(warning.code))).collect(),
            all: ground.metrics.gauge(
                "tidemill_health",
                "How the plant is: 0 well, 1 with warnings, 2 something is lost or refused now.",
            ),
        })
    }

    /// Looks from now on, until the doors close.
    ///
    /// # Errors
    /// The plant is stopping.
    pub fn start(
        self: &Arc<Vitals>,
        ground: &Ground,
        eye: impl Look,
        bus: Arc<dyn Bus>,
    ) -> Result<(), Problem> {
        let vitals = self.clone();
        let mut watch = Watch {
            eye,
            earlier: Earlier::default(),
            figures: Figures::default(),
            figures_at: None,
            owed: BTreeMap::new(),
            status: None,
            unwritten: false,
        };
        let work = move |stop: tidemill_ground::Stop| {
            while !stop.wait(LOOK_EVERY) {
                let seen = watch.eye.look();
                let changes = vitals.judge(&seen, &mut watch.earlier);
                watch.write(&vitals, &bus, &seen, changes);
            }
        };
        ground
            .tasks
            .spawn("vitals", Phase::Doors, work)
            .map_err(|error| Problem::new(&codes::STOPPING, error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was seen: warnings begin and end, are logged and counted.
    fn judge(&self, seen: &Seen, earlier: &mut Earlier) -> Vec<Change> {
        let found = conditions::conditions(seen, earlier);
        let changes = self.lock().look(&found, seen.wall_ns, seen.monotonic);
        for change in &changes {
            match change {
                Change::Began(one) if one.warning.now => tracing::error!(
                    event = "health.began",
                    code = one.warning.code,
                    subject = one.subject,
                    affects = one.warning.affects,
                    mend = one.mend(),
                    "{}",
                    one.what
                ),
                Change::Began(one) => tracing::warn!(
                    event = "health.began",
                    code = one.warning.code,
                    subject = one.subject,
                    affects = one.warning.affects,
                    mend = one.mend(),
                    "{}",
                    one.what
                ),
                Change::Ended(one) => tracing::info!(
                    event = "health.ended",
                    code = one.warning.code,
                    subject = one.subject,
                    since = rfc3339(one.since_ns)
                ),
            }
        }
        let standing = self.standing();
        for (code, gauge) in &self.codes {
            let count = standing.iter().filter(|one| one.warning.code == *code).count();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.all.set(status(&standing));
        changes
    }

    /// What stands now, what is lost now first.
    pub fn standing(&self) -> Vec<Standing> {
        self.lock().standing()
    }

    /// What `tidemill check` does not find by itself: on what, what, mend, whether all goes on.
    pub fn findings(&self) -> Vec<(String, String, String, bool)> {
        let standing = self.standing().into_iter().filter(|one| !one.warning.checked);
        let finding = |one: Standing| {
            let on = if one.subject.is_empty() {
                one.warning.code.to_owned()
            } else {
                format!("{} {}", one.warning.code, one.subject)
            };
            (on, format!("{}. {}", one.what, one.warning.affects), one.mend().to_owned(), !one.warning.now)
        };
        standing.map(finding).collect()
    }
}

/// 0 well, 1 warned, 2 something is lost or refused now.
fn status(standing: &[Standing]) -> i64 {
    match standing {
        [] => 0,
        all if all.iter().any(|one| one.warning.now) => 2,
        _ => 1,
    }
}

impl Standing {
    /// What to do: the table's word, or a better one.
    pub fn mend(&self) -> &str {
        if self.mend.is_empty() { self.warning.mend } else { &self.mend }
    }
}

impl<L: Look> Watch<L> {
    /// Writes figures when it is time for them, and warnings that began or ended at once.
    fn write(&mut self, vitals: &Vitals, bus: &Arc<dyn Bus>, seen: &Seen, changes: Vec<Change>) {
        let Some(every) = self.eye.figures_every() else { return };
        let standing = vitals.standing();
        for change in changes {
            let (Change::Began(one) | Change::Ended(one)) = change;
            let code = one.warning.code;
            let path = format!("health/{code}");
            let stands = standing.iter().any(|other| other.warning.code == code);
            let row = Row {
                path: path.clone(),
                unit: "",
                description: one.warning.title.to_owned(),
                value: Value::Bool(stands),
            };
            self.owed.insert(path, row);
        }
        let mut rows = Vec::new();
        if self.figures_at.is_none_or(|at| seen.monotonic.saturating_sub(at) + LOOK_EVERY / 2 >= every) {
            self.figures_at = Some(seen.monotonic);
            rows = self.figures.changed(seen);
        }
        let status = status(&standing);
        if self.status != Some(status) {
            let description =
                "How the plant is: 0 well, 1 with warnings, 2 something is lost or refused now".to_owned();
            rows.push(Row { path: "health".to_owned(), unit: "1", description, value: Value::Int(status) });
        }
        rows.extend(self.owed.values().cloned());
        match figures::write(bus, &house(), &rows) {
            Ok(()) => {
                self.figures.written(&rows);
                self.owed.clear();
                self.status = Some(status);
                self.unwritten = false;
            }
            Err(problem) if problem.code == &codes::STOPPING => {}
            // Once, and not every two seconds for as long as the disk is full.
            Err(problem) => {
                if !std::mem::replace(&mut self.unwritten, true) {
                    tracing::warn!(event = "figures.unwritten", code = problem.code.id, "{}", problem.detail);
                }
            }
        }
    }
}

impl Facts for Vitals {
    fn rows(&self) -> Vec<Vec<Value>> {
        let text = |text: &str| Value::Text(text.into());
        let row = |one: Standing| {
            let subject = if one.subject.is_empty() { Value::None } else { text(&one.subject) };
            vec![
                text(&format!("tidemill/health/{}", one.warning.code)),
                text(one.warning.code),
                subject,
                Value::Bool(one.warning.now),
                text(&one.what),
                text(one.warning.affects),
                text(one.mend()),
                Value::Int(one.since_ns),
            ]
        };
        self.standing().into_iter().map(row).collect()
    }
}

/// What can be said of a plant that does not run, from what was seen of its disk and its tokens: what, and what to do.
pub fn at_rest(seen: &Seen) -> Vec<(String, &'static str)> {
    let found = conditions::conditions(seen, &mut Earlier::default());
    let over = found.into_iter().filter(|condition| condition.found == Found::Over);
    let told = |one: Condition| (format!("{}. {}", one.what, one.warning.affects), one.warning.mend);
    over.map(told).collect()
}

/// docs/reference/health.md.
pub fn page() -> String {
    warnings::page()
}

/// The table of own figures, for docs/reference/metrics.md.
pub fn figures_table() -> String {
    figures::table()
}
