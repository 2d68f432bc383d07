//! One run of one variant: start, write afresh, audit, load, strike, and again; at the end everything is audited once
//! more, by the plant and by others. How it is struck is `strike`; what is right and wrong is `check`.

use super::audit::Auditor;
use super::book::{Book, Counts};
use super::check::{Findings, State, ends_early, judge, ties};
use super::foreign::{CYCLES_AT_ONCE, Foreign};
use super::ledger::Ledger;
use super::live::Live;
use super::load::{NANOS_PER_SECOND, Plan, REQUEST_SAMPLES, REQUESTS_MAX, ROOT, RequestId, WINDOW_NS};
use super::place::{Place, make_folder};
use super::strike;
use super::watch::{self, Watch, Work};
use super::writer::{Report, Shift, Writer};
use super::{Options, Variant};
use crate::binary::{Binary, Running, Start};
use crate::dice::Dice;
use crate::shell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

/// Writers at once.
pub(super) const WRITERS: u32 = 12;
/// The writer of the first sample after each start, by which "accepting" is measured.
const FRESH: u32 = WRITERS;
/// How far the clock of this machine may be set back while a run goes on.
const CLOCK_STEP_NS: i64 = 60 * NANOS_PER_SECOND;
/// The longest until a plant that says that it is ready accepts a write.
const ACCEPTING_MAX: Duration = Duration::from_secs(20);
/// Everything is counted in every so many cycles: the answer takes longer the more there is.
const COUNT_EVERY: u32 = 10;
/// The longest rest between two requests of a writer.
const REST_MAX: Duration = Duration::from_millis(500);
/// A run of at least so many kills must have hit a flush, a merge, a start and requests under way: at each of the first three every
/// fourth cycle is aimed.
const HITS_FROM_CYCLES: u32 = 20;
/// How long the flush of the last samples may take before the lake is read by others.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// A run of a variant.
pub(super) struct Run {
    pub options: Options,
    pub variant: Variant,
    pub plan: Plan,
    pub dice: Dice,
    pub place: Place,
    pub findings: Findings,
    pub refused: BTreeMap<String, u64>,
    /// What the disturbances of the variant showed, by name: paused, refused, healed.
    pub shown: BTreeMap<&'static str, u64>,
    binary: Binary,
    folder: PathBuf,
    ledger: Ledger,
    token: String,
    book: Book,
    acknowledged_samples: u64,
    /// When each cycle began, ns UTC.
    began: Vec<i64>,
    accepting: Vec<Duration>,
    killed_in_start: u64,
    /// Requests under way at each strike.
    in_flight: Vec<u64>,
    /// What DuckDB and deltalake said at the end.
    others: String,
}

impl Run {
    pub(super) fn new(
        binary: &Binary,
        options: &Options,
        variant: Variant,
        folder: &Path,
    ) -> Result<Run, String> {
        let folder = folder.join(variant.name);
        make_folder(&folder)?;
        // All windows lie in the past: a day, and as many windows as there are cycles.
        let now = wall()? / NANOS_PER_SECOND * NANOS_PER_SECOND;
        let origin = now - 86_400 * NANOS_PER_SECOND - i64::from(options.cycles + 1) * WINDOW_NS;
        let ledger = Ledger::create(&folder.join("ledger")).map_err(|error| format!("ledger: {error}"))?;
        Ok(Run {
            options: options.clone(),
            variant,
            plan: Plan { seed: options.seed, origin },
            dice: Dice::of(options.seed, &[u64::MAX]),
            place: Place::make(&folder, variant.ground)?,
            findings: Findings::default(),
            refused: BTreeMap::new(),
            shown: BTreeMap::new(),
            binary: binary.clone(),
            folder,
            ledger,
            token: String::new(),
            book: Book::default(),
            acknowledged_samples: 0,
            began: Vec::new(),
            accepting: Vec::new(),
            killed_in_start: 0,
            in_flight: Vec::new(),
            others: "not asked".into(),
        })
    }

    /// All cycles and the last audit. An error is what keeps the run from going on; findings are kept beside it.
    pub(super) fn all(&mut self) -> Result<(), String> {
        let began = Instant::now();
        for cycle in 0..self.options.cycles {
            let went = self.cycle(cycle);
            if let Err(error) = went {
                self.findings.other(format!("cycle {cycle}: {error}"));
                return Err(error);
            }
            let last = cycle + 1 == self.options.cycles;
            if cycle < 3 || last || (cycle + 1) % 10 == 0 {
                let Counts { acknowledged, unknown, .. } = self.book.counts();
                println!(
                    "{}: cycle {} of {} after {}: {acknowledged} requests ({} samples) acknowledged, {unknown} unknown, {} findings",
                    self.variant.name,
                    cycle + 1,
                    self.options.cycles,
                    shell::spoken(began.elapsed()),
                    self.acknowledged_samples,
                    self.findings.total()
                );
            }
            if self.findings.total() > 0 {
                return Ok(());
            }
        }
        self.last_audit()
    }

    fn cycle(&mut self, cycle: u32) -> Result<(), String> {
        self.began.push(wall()?);
        let start = self.start_settings(cycle);
        self.kill_in_start(cycle, &start)?;
        let watch = Watch::from_here(&start.log);
        let mut running = self.binary.start(&start)?;
        running
            .wait_ready()
            .map_err(|error| format!("the plant does not start: {error}; see {}", start.log.display()))?;
        if self.token.is_empty() {
            self.token = self.binary.token(&self.place.plant(), "load")?;
        }
        let live = Live::default();
        if self.place.is_full() {
            // It was killed on a full disk and has started on it: it must answer, and accept once there is room.
            Auditor::new(running.address, &self.token).count()?;
            self.place.free()?;
        }
        self.write_afresh(cycle, &running, &live)?;
        let mut auditor = Auditor::new(running.address, &self.token);
        let mut cycles = self.book.changed();
        // And one of all that were found good before.
        cycles.push(u32::try_from(self.dice.below(u64::from(cycle) + 1)).unwrap_or(cycle));
        self.audit(&mut auditor, cycles)?;
        if cycle.is_multiple_of(COUNT_EVERY) {
            self.count(&mut auditor)?;
        }
        if self.findings.total() > 0 {
            running.kill();
            return Ok(());
        }
        self.load(cycle, running, &live, &watch)
    }

    fn start_settings(&self, cycle: u32) -> Start {
        let mut settings = vec![
            ("TIDEMILL_STORAGE_FLUSH_AFTER", "300ms"),
            watch::FILTER,
            ("TIDEMILL_LIMITS_SIGNALS", "10000000"),
            ("TIDEMILL_LIMITS_SIGNALS_NEW_PER_HOUR", "100000000"),
            ("TIDEMILL_LIMITS_QUERY_TIME", "150s"),
        ];
        if strike::is_long(cycle) || strike::aim(cycle) == Some(Work::Merge) {
            // Without merges in between the others are quicker, and merges find more to do.
            settings.push(("TIDEMILL_STORAGE_MERGE_EVERY", "300ms"));
        }
        settings.extend(self.variant.settings(cycle));
        Start {
            plant: self.place.plant(),
            log: self.folder.join("plant.log"),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// In every fourth cycle, and now and then, the plant is killed before it is ready, while it reads what the last kill left.
    fn kill_in_start(&mut self, cycle: u32, start: &Start) -> Result<(), String> {
        // The first start makes the plant; nobody has been told of anything in it yet.
        let Some(usual) = self.accepting.last().copied() else { return Ok(()) };
        let mut due = strike::is_for_start(cycle);
        while std::mem::take(&mut due) || self.dice.one_in(4) {
            let running = self.binary.start(start)?;
            std::thread::sleep(usual.mul_f64(self.dice.share()));
            self.killed_in_start += u64::from(!running.is_ready());
            running.kill();
        }
        Ok(())
    }

    /// A new sample is accepted after every start; the time from start to there is measured.
    fn write_afresh(&mut self, cycle: u32, running: &Running, live: &Live) -> Result<(), String> {
        let shift = self.shift(cycle, running, live);
        let report = Writer::new(&shift, FRESH).patient(ACCEPTING_MAX).work(FRESH, None, 1);
        self.accepting.push(running.began.elapsed());
        let told = report.states.first().map(|(state, _)| *state);
        self.keep(cycle, FRESH, report);
        if told == Some(State::Acknowledged) {
            Ok(())
        } else {
            Err(format!("a fresh write was not accepted: {told:?}, {:?}", live.refused))
        }
    }

    fn shift<'a>(&'a self, cycle: u32, running: &Running, live: &'a Live) -> Shift<'a> {
        Shift {
            plan: self.plan,
            cycle,
            address: running.address,
            token: &self.token,
            ledger: &self.ledger,
            live,
            rest: Duration::ZERO,
        }
    }

    /// How long writers rest so that a cycle has its share of the samples, however long it is.
    fn rest(&self, length: Duration) -> Duration {
        let requests = self.options.samples / u64::from(self.options.cycles.max(1)) / REQUEST_SAMPLES;
        length.mul_f64(f64::from(WRITERS) / requests.max(1) as f64).min(REST_MAX)
    }

    /// All writers at once, until the strike.
    fn load(&mut self, cycle: u32, running: Running, live: &Live, watch: &Watch) -> Result<(), String> {
        let repeats: Vec<Option<RequestId>> = (0..WRITERS)
            .map(|writer| {
                let id = self.book.unanswered(cycle.checked_sub(1)?, writer)?;
                // The others are given up: there or not, but whole.
                (!self.dice.one_in(2)).then_some(id)
            })
            .collect();
        let mut dice = Dice::of(self.plan.seed, &[cycle.into(), 1 << 40]);
        let moment = strike::moment(cycle, &mut dice);
        // Long enough that some of it must be there.
        let moment = if self.variant.relaxed { moment + strike::RELAXED } else { moment };
        let shift = Shift { rest: self.rest(moment), ..self.shift(cycle, &running, live) };
        let token = self.token.clone();
        let (struck, reports) = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .zip(repeats)
                .map(|(writer, repeat)| {
                    let work = Writer::new(&shift, writer);
                    scope.spawn(move || work.work(writer, repeat, REQUESTS_MAX))
                })
                .collect();
            let (place, variant) = (&self.place, self.variant);
            let scene = strike::Scene { place, variant, cycle, live, token: &token, watch, moment };
            let struck = strike::strike(&scene, &mut dice, running);
            let reports: Vec<Report> = writers.into_iter().filter_map(|writer| writer.join().ok()).collect();
            (struck, reports)
        });
        if reports.len() < WRITERS as usize {
            return Err("a writer of the harness panicked".into());
        }
        for (writer, report) in (0..).zip(reports) {
            self.keep(cycle, writer, report);
        }
        for (code, count) in live.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *self.refused.entry(code.clone()).or_default() += count;
            if !self.variant.may_refuse(code) {
                self.findings.other(format!("cycle {cycle}: {count} requests were refused with {code}"));
            }
        }
        let struck = struck.map_err(|error| format!("strike: {error}"))?;
        for shown in struck.seen {
            *self.shown.entry(shown).or_default() += 1;
        }
        self.in_flight.push(struck.in_flight);
        if let Some(durable) = struck.at.checked_sub(strike::RELAXED).filter(|_| self.variant.relaxed) {
            self.book.doubt_after(durable);
        }
        strike::after(&self.place, self.variant)
    }

    fn keep(&mut self, cycle: u32, writer: u32, report: Report) {
        if let Some((id, state, at)) = report.repeated {
            self.book.repeated(id, state, at);
        }
        self.book.wrote(cycle, writer, report.states);
        self.acknowledged_samples += report.acknowledged_samples;
        report.faults.into_iter().for_each(|fault| self.findings.other(fault));
    }

    /// Looks at these cycles.
    fn audit(&mut self, auditor: &mut Auditor, cycles: Vec<u32>) -> Result<(), String> {
        for cycle in cycles {
            let rows = auditor.rows(&self.plan, cycle, self.stamped(cycle))?;
            self.judge(cycle, &rows, "SQL");
        }
        Ok(())
    }

    /// Counts everything.
    fn count(&mut self, auditor: &mut Auditor) -> Result<(), String> {
        let (counted, known) = (auditor.count()?, self.book.rows());
        if counted != known {
            let words =
                format!("SQL counts {counted} samples in all, the audits of all cycles found {known}");
            self.findings.other(words);
        }
        Ok(())
    }

    /// When the server can have stamped samples of a cycle: from its start until that after the next, where what was not
    /// answered was sent again. Without a bound each question would look at everything.
    fn stamped(&self, cycle: u32) -> (i64, i64) {
        let begun = |cycle: u32| self.began.get(cycle as usize).copied();
        let after = cycle.checked_add(2).and_then(begun).map_or(i64::MAX, |time| time + CLOCK_STEP_NS);
        (begun(cycle).map_or(0, |time| time - CLOCK_STEP_NS), after)
    }

    fn judge(&mut self, cycle: u32, rows: &[super::check::Row], by: &str) {
        let sent = self.book.sent(&self.plan, cycle);
        let verdict = judge(&sent, rows);
        self.book.audited(cycle, &verdict);
        let mut findings = verdict.findings;
        if self.variant.relaxed {
            findings.add(ends_early(&sent, &verdict.present));
        }
        findings.examples.iter_mut().for_each(|words| *words = format!("cycle {cycle} by {by}: {words}"));
        self.findings.add(findings);
    }

    /// Everything once more: by the plant, and after a clean stop by those who know only its files.
    fn last_audit(&mut self) -> Result<(), String> {
        let mut start = self.start_settings(self.options.cycles);
        start.settings.retain(|(name, _)| name != "TIDEMILL_STORAGE_FREE_MIN");
        let mut running = self.binary.start(&start)?;
        running.wait_ready()?;
        let mut auditor = Auditor::new(running.address, &self.token);
        self.audit(&mut auditor, (0..self.options.cycles).collect())?;
        self.count(&mut auditor)?;
        self.check_hits();
        self.audit_names(&mut auditor)?;
        for writer in 0..WRITERS {
            let (from, to) = (self.plan.windows(0)[0].0, self.plan.windows(self.options.cycles)[0].1);
            let rows = auditor.read(&format!("{ROOT}/w{writer}/tied"), (from, to))?;
            self.findings.add(ties(&rows));
        }
        let stopped = running.stop()?;
        println!("{}: everything audited by SQL; stopped in {}", self.variant.name, shell::spoken(stopped));
        if self.findings.total() > 0 {
            return Ok(());
        }
        match Foreign::find(&self.folder) {
            Ok(foreign) => self.foreign_audit(&foreign, &start),
            Err(missing) if shell::is_ci() => Err(format!("the audit by others is missing {missing}")),
            Err(missing) => {
                println!("{}: audit by others skipped for want of {missing}", self.variant.name);
                self.others = format!("skipped: no {missing}");
                Ok(())
            }
        }
    }

    /// A run that hit nothing shows nothing.
    fn check_hits(&mut self) {
        let lasting = self.options.cycles >= HITS_FROM_CYCLES;
        if self.variant.relaxed && lasting && self.book.counts().doubted_lost == 0 {
            self.findings.other("no power cut took anything: the run shows less than it should".into());
        }
        if self.variant.way != strike::Way::Kill {
            return;
        }
        let under_way = self.in_flight.iter().filter(|count| **count > 0).count() as u64;
        let hits = |name: &str| self.shown.get(name).copied().unwrap_or_default();
        for (what, count) in [
            ("a flush", hits("in a flush")),
            ("a merge", hits("in a merge")),
            ("requests under way", under_way),
            ("a start", self.killed_in_start),
        ] {
            if count == 0 && lasting {
                self.findings.other(format!("no kill hit {what}: the run shows less than it should"));
            }
        }
    }

    /// Every name that a sample of a present request has is there, once, and no other.
    fn audit_names(&mut self, auditor: &mut Auditor) -> Result<(), String> {
        let names = auditor.names()?;
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        for cycle in 0..self.options.cycles {
            for sent in self.book.sent(&self.plan, cycle) {
                let there = sent.state == State::Acknowledged || sent.seen == Some(true);
                let set = if there { &mut must } else { &mut may };
                set.extend(sent.request.samples.into_iter().map(|sample| sample.signal));
            }
        }
        for missing in must.difference(&names) {
            self.findings.other(format!("the signal {missing} has samples and is not listed"));
        }
        for name in names.iter().filter(|name| !must.contains(*name) && !may.contains(*name)) {
            self.findings.other(format!("the signal {name} was never named by anyone"));
        }
        Ok(())
    }

    fn foreign_audit(&mut self, foreign: &Foreign, start: &Start) -> Result<(), String> {
        let lake = self.place.plant().join("data/lake/samples");
        let began = Instant::now();
        // What the log still holds is flushed by the next run of the plant, a second after it starts.
        let totals = loop {
            let totals = foreign.totals(&lake)?;
            if totals.counts == [self.book.rows(); 2] || began.elapsed() > SETTLE_MAX {
                break totals;
            }
            let mut running = self.binary.start(start)?;
            running.wait_ready()?;
            std::thread::sleep(Duration::from_secs(3));
            running.stop()?;
        };
        if totals.counts != [self.book.rows(); 2] || totals.differing > 0 {
            self.findings.other(format!(
                "DuckDB and deltalake count {:?} samples, SQL {}; of {} signals the two see different samples",
                totals.counts,
                self.book.rows(),
                totals.differing
            ));
            self.others = "DISAGREE".into();
            return Ok(());
        }
        for from in (0..self.options.cycles).step_by(CYCLES_AT_ONCE as usize) {
            let cycles = from..(from + CYCLES_AT_ONCE).min(self.options.cycles);
            let mut seen = foreign.read(&lake, &self.plan, cycles.clone())?;
            for cycle in cycles {
                self.judge(cycle, &seen.remove(&cycle).unwrap_or_default(), "DuckDB");
            }
        }
        println!("{}: everything audited by DuckDB; deltalake sees the same samples", self.variant.name);
        self.others = if self.findings.total() == 0 { "agree" } else { "DISAGREE" }.into();
        Ok(())
    }

    /// Keeps what the plant left, also where its disk goes away with this run.
    pub(super) fn keep_files(&self) -> Result<(), String> {
        self.place.keep_files()
    }

    /// The line of the last table.
    pub(super) fn line(&self) -> String {
        let (found, counts) = (&self.findings, self.book.counts());
        let figures = [
            u64::from(self.book.cycles()),
            self.plan.seed,
            self.acknowledged_samples,
            counts.acknowledged,
            found.lost,
            found.invented,
            found.twice,
            found.half + found.disorder + found.other,
        ];
        table_line(self.variant.name, &figures.map(|figure| figure.to_string()), &self.others)
    }

    /// The figures of the run.
    pub(super) fn summary(&mut self) -> String {
        self.accepting.sort_unstable();
        self.in_flight.sort_unstable();
        let in_flight = self.in_flight.get(self.in_flight.len() / 2).copied().unwrap_or_default();
        let idle = self.in_flight.iter().filter(|count| **count == 0).count();
        let middle = self.accepting.get(self.accepting.len() / 2).copied().unwrap_or_default();
        let slowest = self.accepting.last().copied().unwrap_or_default();
        let Counts { acknowledged, unknown, refused, doubted, doubted_lost } = self.book.counts();
        let found = &self.findings;
        let doubting = if self.variant.relaxed {
            "shortly before a power cut, and not on disk yet"
        } else {
            "while the disk was made to fail under running syncs"
        };
        let listed = |counts: &BTreeMap<String, u64>| {
            let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        };
        let shown: BTreeMap<String, u64> =
            self.shown.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        format!(
            "{}: {} cycles, seed {}; {} kills during start; strikes: {}; requests under way at a strike: median {in_flight}, none {idle} times\n\
             {}: acknowledged {} samples in {acknowledged} requests; unanswered {unknown}, refused for good {refused}; refusals: {}\n\
             {}: acknowledged {doubting}: {doubted}, of which gone: {doubted_lost}\n\
             {}: lost {}, invented {}, twice {}, half requests {}, out of order {}, other {}\n\
             {}: start to accepting: median {} ms, longest {} ms",
            self.variant.name,
            self.book.cycles(),
            self.plan.seed,
            self.killed_in_start,
            listed(&shown),
            self.variant.name,
            self.acknowledged_samples,
            listed(&self.refused),
            self.variant.name,
            self.variant.name,
            found.lost,
            found.invented,
            found.twice,
            found.half,
            found.disorder,
            found.other,
            self.variant.name,
            middle.as_millis(),
            slowest.as_millis(),
        )
    }
}

/// What the columns of the last table are.
pub(super) fn table_head() -> String {
    let names = ["cycles", "seed", "samples", "requests", "lost", "invented", "twice", "other"];
    table_line("acknowledged", &names.map(str::to_owned), "DuckDB, deltalake")
}

fn table_line(
    name: &str,
    [cycles, seed, samples, requests, lost, invented, twice, other]: &[String; 8],
    others: &str,
) -> String {
    format!(
        "{name:<12} {cycles:>6} {seed:>11} {samples:>11} {requests:>9} {lost:>5} {invented:>8} {twice:>5} {other:>5}  {others}"
    )
}

fn wall() -> Result<i64, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    i64::try_from(now.as_nanos()).map_err(|error| error.to_string())
}
