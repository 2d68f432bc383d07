//! When a warning is due: from what was seen at this look and the looks before. Each threshold at which one begins has a lower
//! one at which it ends. What does not live here: looking, and how long a condition must hold (`board.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_core::quantity::show_bytes;
use tidemill_core::{format_duration, rfc3339, roughly};
use tidemill_ground::LIMITS;

use crate::board::{Condition, Found};
use crate::seen::{Buckets, Past, Seen, between, count, quantile};
use crate::warnings::{self as w, Warning};

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
/// A disk that is full within this time is warned of, and told no longer when it is half as long again.
const FILLING_HOURS: f64 = 24.0;
/// The rate at which a disk fills is taken over an hour, and not before so long.
const RATE_AFTER: Duration = Duration::from_secs(600);
/// The clock was set where the wall differs from the time that passed by more than this between two looks.
const STEP_NS: i64 = SECOND_NS;
/// So long a step of the clock is told.
const STEP_TOLD: Duration = Duration::from_secs(3_600);
/// A token is warned of so long before it expires, or for the last quarter of its life where that is shorter.
const TOKEN_WARNED_NS: i64 = 7 * DAY_NS;
/// So long one is told of that has expired.
const TOKEN_TOLD_NS: i64 = 30 * DAY_NS;
/// Below this a disk is not slow, whatever it was before; and of so few syncs nothing is concluded.
const SLOW_SYNC_SECONDS: f64 = 0.1;
const RECENT_SYNCS: f64 = 20.0;
const USUAL_SYNCS: f64 = 200.0;
/// Parcels that an engine may be behind.
const LAG_PARCELS: f64 = 10_000.0;
/// Swapped bytes that may be those of what is never used.
const SWAPPED_BYTES: u64 = 32 << 20;

/// From where a warning begins, and from where down it ends.
type Thresholds = (f64, f64);
const INODES: Thresholds = (0.95, 0.93);
const WORN: Thresholds = (0.8, 0.8);
const MEMORY: Thresholds = (0.9, 0.8);
const MACHINE_MEMORY: Thresholds = (0.95, 0.92);
const SWAPPED: Thresholds = (SWAPPED_BYTES as f64, SWAPPED_BYTES as f64 / 2.0);
const FILES: Thresholds = (0.8, 0.7);
const LIMIT: Thresholds = (0.8, 0.7);
const LAG: Thresholds = (LAG_PARCELS, LAG_PARCELS / 10.0);
const JOURNAL: Thresholds = (0.5, 0.4);
/// Times as slow as before.
const SLOW: Thresholds = (4.0, 2.0);
/// Hours until the disk is full: the fewer, the worse.
const FILLING: Thresholds = (FILLING_HOURS, 1.5 * FILLING_HOURS);

/// The thresholds of those warnings that have some, in words.
pub(crate) fn thresholds() -> Vec<(&'static Warning, String)> {
    let shares = |(over, ends): Thresholds, of: &str| {
        let ends = if ends < over { format!("; ends below {:.0} %", ends * 100.0) } else { String::new() };
        format!("{:.0} % of {of}{ends}", over * 100.0)
    };
    let days = |ns: i64| format!("{} days", ns / DAY_NS);
    vec![
        (
            &w::DISK_LOW,
            "storage.free_min and what the journal's next segments and its reserve take".to_owned(),
        ),
        (&w::DISK_FILLING, format!("full in {:.0} hours; ends at {:.0} hours", FILLING.0, FILLING.1)),
        (&w::INODES_LOW, shares(INODES, "the file system's files are used")),
        (&w::FLASH_WORN, shares(WORN, "its life is used up, as it says itself")),
        (&w::MEMORY_NEAR, shares(MEMORY, "the container's memory")),
        (&w::MEMORY_OWN, shares(MEMORY, "limits.memory")),
        (&w::MEMORY_SHORT, shares(MACHINE_MEMORY, "the machine's memory is used")),
        (
            &w::SWAPPING,
            format!("{}; ends below {}", show_bytes(SWAPPED.0 as u64), show_bytes(SWAPPED.1 as u64)),
        ),
        (
            &w::CLOCK_STEPPED,
            format!("{} s between two looks; told for {}", STEP_NS / SECOND_NS, format_duration(STEP_TOLD)),
        ),
        (&w::FILES_NEAR, shares(FILES, "what the process may open")),
        (&w::LIMIT_NEAR, shares(LIMIT, "the limit")),
        (&w::LAGGING, format!("{:.0} parcels; ends below {:.0}", LAG.0, LAG.1)),
        (&w::JOURNAL_HELD, shares(JOURNAL, "what the journal may hold")),
        (
            &w::TOKEN_EXPIRING,
            format!(
                "{} before it expires, or the last quarter of its life if that is shorter",
                days(TOKEN_WARNED_NS)
            ),
        ),
        (&w::TOKEN_EXPIRED, format!("told for {}", days(TOKEN_TOLD_NS))),
        (
            &w::DISK_SLOW,
            format!(
                "one sync in a hundred takes {:.0} ms or more, and {:.0} times what it took; ends below {:.0} times",
                SLOW_SYNC_SECONDS * 1_000.0,
                SLOW.0,
                SLOW.1
            ),
        ),
        (&w::BACKUP_OLD, "health.backup_age".to_owned()),
    ]
}

pub(super) const SYNCS: &str = "tidemill_journal_sync_seconds";

/// Limits that are reached in good order: caches that forget the oldest, readers of whom the longest idle
/// gives way, and buffers that are emptied when they are full.
const REACHED_IN_ORDER: [&str; 6] = [
    "buffer_bytes",
    "flight_statements",
    "flight_statements_bytes",
    "http_bindings",
    "last_values_bytes",
    "queries_idle",
];
/// Limits of single questions and values: whoever asks is told, and the plant is well.
pub(super) const OF_THE_ASKER: [&str; 7] =
    ["future", "keep", "past", "queries_bytes", "query_rows", "query_time", "text_sample_bytes"];

/// What must be known of earlier looks.
pub(crate) struct Earlier {
    free: Past<u64>,
    syncs: Past<Buckets>,
    /// What one sync in a hundred took while the disk was not slow.
    usual_sync: Option<f64>,
    /// Wall minus monotonic time at the look before.
    offset_ns: Option<i64>,
    /// When the clock was set last, and by how much.
    stepped: Option<(Duration, i64)>,
    refused: BTreeMap<String, f64>,
    merge_failures: Option<f64>,
    log_lost: Option<f64>,
}

impl Default for Earlier {
    fn default() -> Earlier {
        Earlier {
            free: Past::new(Duration::from_secs(60), 60),
            syncs: Past::new(Duration::from_secs(30), 10),
            usual_sync: None,
            offset_ns: None,
            stepped: None,
            refused: BTreeMap::new(),
            merge_failures: None,
            log_lost: None,
        }
    }
}

/// What was found, gathered.
#[derive(Default)]
struct List(Vec<Condition>);

impl List {
    fn add(&mut self, warning: &'static Warning, subject: &str, found: Found, what: String) {
        self.with(warning, subject, found, what, String::new());
    }

    fn with(&mut self, warning: &'static Warning, subject: &str, found: Found, what: String, mend: String) {
        self.0.push(Condition { warning, subject: subject.to_owned(), what, mend, found });
    }

    /// Where a value is beyond the threshold, or beyond the second one.
    fn above(
        &mut self,
        warning: &'static Warning,
        subject: &str,
        value: f64,
        (over, ends): Thresholds,
        what: &str,
    ) {
        if value >= ends {
            let found = if value >= over { Found::Over } else { Found::Between };
            self.add(warning, subject, found, what.to_owned());
        }
    }

    fn of<T: AsRef<str>>(&mut self, warning: &'static Warning, what: Option<T>) {
        if let Some(what) = what {
            self.add(warning, "", Found::Over, what.as_ref().to_owned());
        }
    }
}

/// Everything that is the matter.
pub(crate) fn conditions(seen: &Seen, earlier: &mut Earlier) -> Vec<Condition> {
    let mut list = List::default();
    if let Some((what, mend)) = &seen.refusing {
        list.with(&w::REFUSING, "", Found::Over, what.clone(), mend.clone());
    }
    disk(seen, earlier, &mut list);
    memory(seen, &mut list);
    clock(seen, earlier, &mut list);
    limits(seen, earlier, &mut list);
    engines(seen, earlier, &mut list);
    names(seen, &mut list);
    access(seen, &mut list);
    keeping(seen, earlier, &mut list);
    list.0
}

fn disk(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    list.of(&w::DISK_LOW, seen.tight.as_ref().filter(|_| seen.refusing.is_none()));
    if let Some(space) = seen.space {
        earlier.free.put(seen.monotonic, space.free_bytes);
        let since = earlier.free.oldest().filter(|(at, _)| seen.monotonic.saturating_sub(*at) >= RATE_AFTER);
        if let Some((at, before)) = since
            && let Some(gone) = before.checked_sub(space.free_bytes).filter(|gone| *gone > 0)
        {
            let hours = seen.monotonic.saturating_sub(*at).as_secs_f64() / 3_600.0;
            let left = space.free_bytes.saturating_sub(seen.free_min_bytes) as f64 / (gone as f64 / hours);
            let what = format!(
                "the disk has {} free and loses {} an hour: in {} new values are refused",
                show_bytes(space.free_bytes),
                show_bytes((gone as f64 / hours) as u64),
                roughly(Duration::from_secs((left * 3_600.0) as u64))
            );
            // The nearer the end, the larger.
            list.above(&w::DISK_FILLING, "", -left, (-FILLING.0, -FILLING.1), &what);
        }
    }
    if let Some((free, all)) = seen.inodes {
        let used = 1.0 - free as f64 / (all as f64).max(1.0);
        let what = format!("the file system can hold {free} more files, of {all}");
        list.above(&w::INODES_LOW, "", used, INODES, &what);
    }
    if let Some(worn) = seen.flash_worn {
        let what =
            format!("{:.0} % of the life of the flash memory is used up, as it says itself", worn * 100.0);
        list.above(&w::FLASH_WORN, "", worn, WORN, &what);
    }
    disk_slow(seen, earlier, list);
}

/// Against the disk's own past: what is slow for one is usual for another.
fn disk_slow(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    let all = seen.numbers.buckets(SYNCS);
    let recent = earlier.syncs.oldest().map(|(_, before)| (between(before, &all), before.clone()));
    earlier.syncs.put(seen.monotonic, all);
    let Some((recent, usual)) = recent else { return };
    if count(&recent) < RECENT_SYNCS || count(&usual) < USUAL_SYNCS {
        return;
    }
    let Some(now) = quantile(&recent, 0.99) else { return };
    // What is slow does not become usual by lasting.
    let kept = earlier.usual_sync.filter(|usual| now >= SLOW_SYNC_SECONDS && now >= 2.0 * usual);
    let Some(before) = kept.or_else(|| quantile(&usual, 0.99)) else { return };
    earlier.usual_sync = Some(before);
    let what = format!(
        "one sync in a hundred takes {:.0} ms or more, before it took {:.0} ms",
        now * 1_000.0,
        before * 1_000.0
    );
    let times = if now >= SLOW_SYNC_SECONDS { now / before.max(1e-6) } else { 0.0 };
    list.above(&w::DISK_SLOW, "", times, SLOW, &what);
}

fn memory(seen: &Seen, list: &mut List) {
    let machine = &seen.machine;
    if let (Some(held), Some(most)) = (machine.held_bytes(), machine.group_bytes_max.filter(|most| *most > 0))
    {
        let what =
            format!("the process holds {}, and its container has {}", show_bytes(held), show_bytes(most));
        list.above(&w::MEMORY_NEAR, "", held as f64 / most as f64, MEMORY, &what);
    }
    if let (Some(own), Some(most)) = (machine.anonymous_bytes, seen.memory_bytes_max) {
        let what =
            format!("the plant has {} of memory, and limits.memory is {}", show_bytes(own), show_bytes(most));
        list.above(&w::MEMORY_OWN, "", own as f64 / most as f64, MEMORY, &what);
    }
    if let (Some(free), Some(all)) = (machine.available_bytes, machine.memory_bytes.filter(|all| *all > 0)) {
        let what = format!("the machine has {} left of {}", show_bytes(free), show_bytes(all));
        list.above(&w::MEMORY_SHORT, "", 1.0 - free as f64 / all as f64, MACHINE_MEMORY, &what);
    }
    if let Some(swapped) = machine.swapped_bytes {
        let what = format!("{} of the plant are swapped out", show_bytes(swapped));
        list.above(&w::SWAPPING, "", swapped as f64, SWAPPED, &what);
    }
    if let (Some(open), Some(most)) = (machine.open_files, machine.open_files_max.filter(|most| *most > 0)) {
        let what = format!("{open} files and connections are open, and {most} may be");
        list.above(&w::FILES_NEAR, "", open as f64 / most as f64, FILES, &what);
    }
}

fn clock(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    let passed_ns = i64::try_from(seen.monotonic.as_nanos()).unwrap_or(i64::MAX);
    let offset_ns = seen.wall_ns.saturating_sub(passed_ns);
    let by_ns = offset_ns.saturating_sub(earlier.offset_ns.replace(offset_ns).unwrap_or(offset_ns));
    if by_ns.abs() > STEP_NS {
        earlier.stepped = Some((seen.monotonic, by_ns));
    }
    let told = |(at, _): &(Duration, i64)| seen.monotonic.saturating_sub(*at) < STEP_TOLD;
    if let Some((_, by_ns)) = earlier.stepped.filter(told) {
        let way = if by_ns < 0 { "back" } else { "forward" };
        let seconds = by_ns.unsigned_abs() as f64 / SECOND_NS as f64;
        list.add(&w::CLOCK_STEPPED, "", Found::Over, format!("the clock went {way} by {seconds:.1} s"));
    }
    if seen.machine.clock_set == Some(false) {
        list.add(
            &w::CLOCK_UNSET,
            "",
            Found::Over,
            "systemd-timesyncd runs and has not set the clock".to_owned(),
        );
    }
}

fn limits(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    let mend = |name: &str| {
        let key = LIMITS.iter().find(|limit| limit.name == name).map_or("", |limit| limit.key);
        if key.is_empty() {
            "It is fixed: see in sys.limits what it bounds, and who asks for so much".to_owned()
        } else {
            format!("Raise {key}, if there is more to come")
        }
    };
    for (name, most) in seen.numbers.labelled("tidemill_limit_max") {
        let used = seen.numbers.of_label("tidemill_limit_used", name).unwrap_or(0.0);
        let share = if most > 0.0 { used / most } else { 0.0 };
        if share >= LIMIT.1 && !REACHED_IN_ORDER.contains(&name) {
            let found = if share >= LIMIT.0 { Found::Over } else { Found::Between };
            let what = format!("the limit {name} is {used:.0} of {most:.0}");
            list.with(&w::LIMIT_NEAR, name, found, what, mend(name));
        }
    }
    for (name, refused) in seen.numbers.labelled("tidemill_limit_refused_total") {
        let before = earlier.refused.insert(name.to_owned(), refused).unwrap_or(refused);
        if refused > before && !OF_THE_ASKER.contains(&name) && !REACHED_IN_ORDER.contains(&name) {
            let what =
                format!("the limit {name} was reached, and refused {refused:.0} time(s) since the start");
            list.with(&w::LIMIT_REFUSED, name, Found::Over, what, mend(name));
        }
    }
}

fn engines(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    let numbers = &seen.numbers;
    for (engine, metric) in
        [("bus", "tidemill_bus_lag_parcels"), ("historian", "tidemill_historian_lag_parcels")]
    {
        let lag = numbers.get(metric).unwrap_or(0.0);
        let what = format!("the {engine} has {lag:.0} parcels of the journal before it");
        list.above(&w::LAGGING, engine, lag, LAG, &what);
    }
    list.of(&w::FLUSH_FAILING, seen.flush_failing.as_ref());
    let failures = numbers.get("tidemill_historian_merge_failures_total").unwrap_or(0.0);
    if failures > earlier.merge_failures.replace(failures).unwrap_or(failures) {
        list.add(
            &w::MERGE_FAILING,
            "",
            Found::Over,
            format!("{failures:.0} merge(s) failed since the start"),
        );
    }
    let held = numbers.get("tidemill_journal_segment_bytes").unwrap_or(0.0);
    let share = held / (seen.journal_bytes_max as f64).max(1.0);
    let what = format!(
        "the journal holds {}, and refuses new values at {}",
        show_bytes(held as u64),
        show_bytes(seen.journal_bytes_max)
    );
    list.above(&w::JOURNAL_HELD, "", share, JOURNAL, &what);
    list.of(&w::DAMAGE, seen.damage.first());
    list.of(&w::HISTORY_UNREADABLE, seen.unreadable.as_ref());
    let closed = numbers.get("tidemill_historian_tables_closed").filter(|closed| *closed > 0.0);
    list.of(&w::TABLES_CLOSED, closed.map(|closed| format!("{closed:.0} table(s) could not be opened")));
}

fn names(seen: &Seen, list: &mut List) {
    let shared = seen.numbers.get("tidemill_http_signals_of_two_databases").filter(|count| *count > 0.0);
    let what = |count: f64| {
        format!("{count:.0} signal(s) were written from a second database, bucket or retention policy")
    };
    list.of(&w::DATABASES_MIXED, shared.map(what));
}

fn access(seen: &Seen, list: &mut List) {
    list.of(&w::AUDIT_UNWRITABLE, seen.audit_failure.as_ref());
    let damage = seen.numbers.get("tidemill_audit_damage").filter(|damage| *damage > 0.0);
    list.of(
        &w::AUDIT_DAMAGED,
        damage.map(|damage| format!("the check of the audit chain found {damage:.0} problem(s)")),
    );
    for token in &seen.tokens {
        let left_ns = token.expires_ns.saturating_sub(seen.wall_ns);
        let life_ns = token.expires_ns.saturating_sub(token.made_ns);
        let name = &token.name;
        if left_ns > 0 && left_ns < TOKEN_WARNED_NS.min(life_ns / 4) {
            let what = format!("the token {name} expires at {}", rfc3339(token.expires_ns));
            list.add(&w::TOKEN_EXPIRING, name, Found::Over, what);
        } else if left_ns <= 0 && left_ns > -TOKEN_TOLD_NS && token.used {
            let what =
                format!("the token {name}, which was in use, expired at {}", rfc3339(token.expires_ns));
            list.add(&w::TOKEN_EXPIRED, name, Found::Over, what);
        }
    }
    for one in &seen.certificates {
        let warning = if one.works { &w::CERTIFICATE } else { &w::CERTIFICATE_UNUSABLE };
        list.with(warning, &one.on, Found::Over, one.what.clone(), one.mend.clone());
    }
    list.of(&w::CONFIGURATION_REFUSED, seen.configuration_refused.as_ref());
    let restart = (!seen.restart.is_empty()).then(|| seen.restart.join("; "));
    list.of(&w::RESTART_WAITING, restart);
}

/// What is kept outside of the plant: its backups and its log.
fn keeping(seen: &Seen, earlier: &mut Earlier, list: &mut List) {
    if let (Some(made_ns), Some(most)) = (seen.backup_made_ns, seen.backup_age_max) {
        let age_ns = u64::try_from(seen.wall_ns.saturating_sub(made_ns)).unwrap_or(0);
        let age = Duration::from_nanos(age_ns);
        if age >= most {
            let what = format!("the last backup was made {} ago, at {}", roughly(age), rfc3339(made_ns));
            list.add(&w::BACKUP_OLD, "", Found::Over, what);
        }
    }
    let lost = seen.numbers.get("tidemill_log_lines_lost_total").unwrap_or(0.0);
    if lost > earlier.log_lost.replace(lost).unwrap_or(0.0) {
        let file = seen.log_file.as_ref().map_or("its file".into(), |file| file.to_string_lossy());
        let what = format!("{lost:.0} line(s) of the log could not be written to {file} since the start");
        list.add(&w::LOG_UNWRITTEN, "", Found::Over, what);
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
