//! The plant looks after itself: every two seconds it looks at its rooms and its machine, warns before it hurts, and writes its
//! own figures as signals. What does not live here: counting (the rooms, with `ground::metrics`), and what a plant that does not
//! run can be asked (`inspect.rs`).

mod board;
mod conditions;
mod figures;
mod look;
mod seen;
mod warnings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_core::{Bus, ColumnKind, ColumnSpec, Facts, Problem, TableSpec, Value, codes, rfc3339};
use tidemill_ground::{Gauge, Ground, Phase};
use tidemill_guard::Guard;
use tidemill_web::HealthWarning;

use crate::config::Finding;

use board::{Board, Change, Condition, Found, Standing};
use conditions::Earlier;
use figures::{Figures, Row};
pub(crate) use look::Rooms;
use look::{Looker, house};
use seen::Seen;
use warnings::WARNINGS;

/// How often the plant looks after itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `sys.health`.
pub(crate) static HEALTH: TableSpec = TableSpec {
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

/// What stands, for those who ask.
pub(crate) struct Vitals {
    board: Mutex<Board>,
    codes: BTreeMap<&'static str, Gauge>,
    all: Gauge,
}

/// What moves at each look.
struct Watch {
    looker: Looker,
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
    pub(crate) fn new(ground: &Ground) -> Arc<Vitals> {
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
    pub(crate) fn start(self: &Arc<Vitals>, rooms: Rooms, bus: Arc<dyn Bus>) -> Result<(), Problem> {
        let vitals = self.clone();
        let tasks = rooms.ground.tasks.clone();
        let mut watch = Watch {
            looker: Looker::new(rooms),
            earlier: Earlier::default(),
            figures: Figures::default(),
            figures_at: None,
            owed: BTreeMap::new(),
            status: None,
            unwritten: false,
        };
        let work = move |stop: tidemill_ground::Stop| {
            while !stop.wait(LOOK_EVERY) {
                let seen = watch.looker.look();
                let changes = vitals.judge(&seen, &mut watch.earlier);
                watch.write(&vitals, &bus, &seen, changes);
            }
        };
        tasks
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
    pub(crate) fn standing(&self) -> Vec<Standing> {
        self.lock().standing()
    }

    /// The same, for the API.
    pub(crate) fn told(&self) -> Vec<HealthWarning> {
        self.standing().into_iter().map(Standing::told).collect()
    }

    /// What `tidemill check` does not find by itself: on what, what, mend, whether all goes on.
    pub(crate) fn findings(&self) -> Vec<(String, String, String, bool)> {
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
    fn mend(&self) -> &str {
        if self.mend.is_empty() { self.warning.mend } else { &self.mend }
    }

    fn told(self) -> HealthWarning {
        HealthWarning {
            code: self.warning.code.to_owned(),
            subject: self.subject.clone(),
            now: self.warning.now,
            problem: self.what.clone(),
            affects: self.warning.affects.to_owned(),
            mend: self.mend().to_owned(),
            since: rfc3339(self.since_ns),
        }
    }
}

impl Watch {
    /// Writes figures when it is time for them, and warnings that began or ended at once.
    fn write(&mut self, vitals: &Vitals, bus: &Arc<dyn Bus>, seen: &Seen, changes: Vec<Change>) {
        let Some(every) = self.looker.rooms.keeper.figures_every() else { return };
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

/// What can be seen of a plant that does not run: its disk and its tokens.
pub(crate) fn at_rest(data: &Path, guard: &Guard, wall_ns: i64) -> Vec<Finding> {
    let seen = Seen {
        wall_ns,
        inodes: tidemill_ground::inodes(data),
        flash_worn: tidemill_ground::flash_worn(data),
        tokens: look::tokens(guard),
        ..Seen::default()
    };
    let found = conditions::conditions(&seen, &mut Earlier::default());
    let over = found.into_iter().filter(|condition| condition.found == Found::Over);
    let finding = |condition: Condition| Finding {
        file: data.to_owned(),
        line: 0,
        what: format!("{}. {}", condition.what, condition.warning.affects),
        mend: condition.warning.mend.to_owned(),
        warning: true,
    };
    over.map(finding).collect()
}

/// docs/reference/health.md.
pub(crate) fn page() -> String {
    warnings::page()
}

/// The table of own figures, for docs/reference/metrics.md.
pub(crate) fn figures_table() -> String {
    figures::table()
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
