//! Lives and deaths of a log on a simulated disk, and a model of what must be true after each. One thread, no clock but the
//! simulated one: the same seed does the same. Shared by the tests and by `examples/simulate.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidemill_core::{
    BatchBuilder, Commit, CursorId, Delivery, Durability, Feed, Flags, Journal, Parcel, Quality, Record, Seq,
    SignalId, SourceId, Stamp, StreamId, ValueRef,
};
use tidemill_ground::sim::{Operation, Trace};
use tidemill_ground::{Disk, Entropy, Ground, SeededEntropy, Simulation};
use tidemill_journal::{Log, Next, Settings, Writer};

const DIR: &str = "/plant/log";
const CURSORS: [CursorId; 2] = [CursorId("one"), CursorId("two")];

/// What a run did, and what it found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) cycles: u64,
    pub(crate) appended: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) damaged: u64,
    pub(crate) trimmed: u64,
    pub(crate) torn_tails: u64,
    /// The first thing that must not be; the run stops there.
    pub(crate) wrong: Option<String>,
    /// Stands for every operation on the disk, and every answer of the log.
    pub(crate) trace: Trace,
    pub(crate) answers: u64,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody knows yet.
    Open,
    /// Must be there for ever.
    There,
    /// Its disk was damaged, and the log said so.
    Damaged,
}

struct Appended {
    number: u64,
    fate: Fate,
    commit: Option<Commit>,
}

struct World {
    simulation: Simulation,
    random: SeededEntropy,
    settings: Settings,
    /// By place in the log.
    model: BTreeMap<u64, Appended>,
    /// Appends that were looked for and not there, by place with their number: they must stay away.
    absent: BTreeMap<u64, u64>,
    next_number: u64,
    /// By cursor: the place acknowledged, and the highest asked for.
    places: [(u64, u64); 2],
    moves: Vec<(usize, u64, Commit)>,
    flipped: bool,
    power_out: bool,
    report: Report,
    life: u64,
    seed: u64,
}

/// Runs so many crash cycles.
pub(crate) fn run(seed: u64, cycles: u64, sync_lies: bool) -> Report {
    let (_, simulation) = Ground::simulated(seed);
    simulation.disk.set_sync_lies(sync_lies);
    let trace = simulation.disk.trace();
    let report = Report {
        cycles: 0,
        appended: 0,
        acknowledged: 0,
        refused: 0,
        failed: 0,
        damaged: 0,
        trimmed: 0,
        torn_tails: 0,
        wrong: None,
        trace,
        answers: 0,
    };
    let mut world = World {
        simulation,
        random: SeededEntropy::new(seed ^ 0x5EED),
        settings: Settings::default(),
        model: BTreeMap::new(),
        absent: BTreeMap::new(),
        next_number: 1,
        places: [(0, 0); 2],
        moves: Vec::new(),
        flipped: false,
        power_out: false,
        report,
        life: 0,
        seed,
    };
    for _ in 0..cycles {
        if let Err(wrong) = world.cycle() {
            world.report.wrong = Some(format!("seed {seed}, cycle {}: {wrong}", world.report.cycles));
            break;
        }
        world.report.cycles += 1;
    }
    world.report.trace = world.simulation.disk.trace();
    world.report
}

/// The parcel of a number: whoever finds another one under it has found an invention.
fn parcel(number: u64) -> Parcel {
    let rows = number % 7;
    let samples = (rows > 0).then(|| {
        let mut builder = BatchBuilder::new(SourceId(number as u32 % 5), Flags::default());
        for row in 0..rows {
            let signal = SignalId::new(1 + (number * 31 + row) as u32 % 1000).expect("not 0");
            let text = format!("{number}-{row}");
            let value = if row == 3 { ValueRef::Text(&text) } else { ValueRef::Float(number as f64 / 8.0) };
            let time = Stamp::At(1_767_225_600_000_000_000 + (number * 1000 + row) as i64);
            builder.push(signal, time, value, Quality((number as u32 % 3) << 30)).expect("room");
        }
        Arc::new(builder.finish(1_767_225_600_000_000_000, Flags::default()))
    });
    let len = match number % 23 {
        0 => 9_000,
        1..4 => 700,
        _ => number as usize % 60,
    };
    let value: Vec<u8> = (0..len).map(|at| (number as usize * 7 + at) as u8).collect();
    let record =
        Record { stream: StreamId(7), key: number.to_le_bytes().to_vec().into(), value: value.into() };
    Parcel { samples, records: vec![record], ..Parcel::default() }
}

fn number_of(parcel: &Parcel) -> Option<u64> {
    let key = &parcel.records.first()?.key;
    Some(u64::from_le_bytes(key.as_ref().try_into().ok()?))
}

/// What a feed has now: places with numbers, and up to where it says that it missed something.
#[derive(Default)]
struct Seen {
    parcels: Vec<(u64, u64)>,
    missed: Vec<(u64, u64)>,
}

fn drain(feed: &mut dyn Feed, seen: &mut Seen) -> Result<(), String> {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(delivery) = feed.next().as_mut().poll(&mut context) {
        match delivery {
            Delivery::Data { seq, parcel: found, .. } => {
                let number = number_of(&found).ok_or("a parcel without its number")?;
                if *found != parcel(number) {
                    return Err(format!("parcel {} is not what was appended as number {number}", seq.0));
                }
                if number % 13 != 0 {
                    seen.parcels.push((seq.0, number));
                }
            }
            Delivery::Lagged { missed, to } => seen.missed.push((to.0, missed)),
            Delivery::Closed => break,
        }
    }
    Ok(())
}

impl World {
    fn below(&self, limit: u64) -> u64 {
        self.random.number() % limit.max(1)
    }

    fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn answer(&mut self, what: u64) {
        let mixed = (self.report.answers ^ what).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.report.answers = mixed ^ mixed >> 29;
    }

    /// One life: opening, checking, working, dying.
    fn cycle(&mut self) -> Result<(), String> {
        self.settings = Settings {
            unsynced_bytes_max: 20_000,
            segment_bytes: 24_000 + self.below(3) * 20_000,
            free_min_bytes: 100_000,
            reserve_bytes: 50_000,
            ring_bytes_max: 2_000 + self.below(3) as usize * 20_000,
            ..Settings::default()
        };
        let (log, mut writer) = self.open()?;
        // A disk that refused for a moment is tried again by itself.
        for _ in 0..4 {
            self.simulation.clock.advance(Duration::from_millis(250));
            writer.step();
        }
        self.check_after_opening(&log)?;
        self.power_out = false;
        let start = log.durable().0;
        let mut feed = log.follow(CURSORS[0], Some(Seq(start)));
        let mut seen = Seen::default();
        let ops = 5 + self.below(60);
        for _ in 0..ops {
            self.act(&log, &mut writer)?;
            self.look_at_waiters()?;
            if self.chance(20) {
                drain(feed.as_mut(), &mut seen)?;
            }
        }
        drain(feed.as_mut(), &mut seen)?;
        self.check_follower(start, log.durable().0, &seen)?;
        drop(feed);
        self.die(log, writer)
    }

    fn open(&mut self) -> Result<(Arc<Log>, Writer), String> {
        let trouble = self.below(100);
        match trouble {
            0..6 => self.simulation.disk.cut_power_after(self.below(40)),
            6..9 => self.simulation.disk.fail_next(Operation::Sync, ErrorKind::Other),
            9..12 => self.simulation.disk.fail_next(Operation::SyncDir, ErrorKind::Other),
            12..15 => {
                self.simulation.disk.fail_after(Operation::Write, self.below(2), ErrorKind::StorageFull)
            }
            _ => {}
        }
        self.simulation.disk.set_short_read_probability(if self.chance(20) { 0.2 } else { 0.0 });
        for attempt in 0..3 {
            self.life += 1;
            let ground = self.simulation.ground(self.seed ^ self.life << 32);
            match Log::open_stepped(&ground, Path::new(DIR), self.settings.clone()) {
                // The power went while it opened: whatever it came to, it begins once more.
                _ if trouble < 6 && attempt == 0 => self.simulation.disk.crash(),
                Ok(opened) => return Ok(opened),
                Err(_) if trouble < 15 => self.simulation.disk.crash(),
                Err(error) => return Err(format!("it does not open: {error}")),
            }
        }
        Err("it does not open in three tries".to_owned())
    }

    /// Everything acknowledged is there once, whole and in order, or reported as damaged; nothing else is.
    fn check_after_opening(&mut self, log: &Arc<Log>) -> Result<(), String> {
        let damage = log.damage();
        if !damage.is_empty() && !self.flipped {
            return Err(format!("damage is reported where there is none: {damage:?}"));
        }
        self.check_cursors(log)?;
        let first = log.first().0;
        let done = CURSORS
            .iter()
            .filter_map(|cursor| log.cursor(*cursor))
            .map(|(place, _)| place.0)
            .min()
            .unwrap_or(0);
        let mut seen = Seen::default();
        drain(log.follow(CURSORS[1], Some(Seq(first.saturating_sub(1)))).as_mut(), &mut seen)?;
        self.check_order(&seen)?;
        let there: BTreeMap<u64, u64> = seen.parcels.iter().copied().collect();
        for (seq, number) in &there {
            if self.model.get(seq).is_some_and(|appended| appended.number == *number) {
                continue;
            }
            match self.absent.remove(seq) {
                // Its append had failed, and the head that said so is damaged: whole or absent, as was promised.
                Some(failed) if failed == *number && !damage.is_empty() => {
                    self.model.insert(*seq, Appended { number: failed, fate: Fate::There, commit: None });
                }
                Some(failed) if failed == *number => {
                    return Err(format!("parcel {seq} was gone and came back"));
                }
                _ => return Err(format!("parcel {seq} with number {number} was never appended there")),
            }
        }
        let reported = |seq: u64| damage.iter().any(|range| range.first.0 <= seq && seq <= range.last.0);
        for (seq, appended) in &mut self.model {
            let is_there = there.contains_key(seq);
            match appended.fate {
                _ if is_there => appended.fate = Fate::There,
                Fate::There if *seq <= done => self.report.trimmed += 1,
                Fate::There if reported(*seq) => {
                    appended.fate = Fate::Damaged;
                    self.report.damaged += 1;
                    let told = |(to, _): &(u64, u64)| to >= seq;
                    if *seq > first && !seen.missed.iter().any(told) {
                        return Err(format!(
                            "a follower was not told that parcel {seq} is missing: first {first}, damage {damage:?}, missed {:?}, there {:?}",
                            seen.missed,
                            there.keys()
                        ));
                    }
                }
                Fate::There => {
                    return Err(format!(
                        "parcel {seq} was acknowledged and is lost (first {first}, done {done}, damage {damage:?}, seen {:?}, missed {:?})",
                        seen.parcels, seen.missed
                    ));
                }
                Fate::Open => {
                    self.absent.insert(*seq, appended.number);
                }
                Fate::Damaged => {}
            }
        }
        let absent = &self.absent;
        self.model.retain(|seq, _| {
            *seq >= first && !absent.contains_key(seq) && (*seq > done || there.contains_key(seq))
        });
        self.model.values_mut().for_each(|appended| appended.commit = None);
        self.answer(there.len() as u64 ^ first << 20);
        Ok(())
    }

    fn check_cursors(&mut self, log: &Arc<Log>) -> Result<(), String> {
        self.moves.clear();
        for (cursor, (acknowledged, asked)) in CURSORS.iter().zip(&mut self.places) {
            let place = log.cursor(*cursor).map_or(0, |(place, _)| place.0);
            if place < *acknowledged || place > *asked {
                return Err(format!(
                    "cursor {} is at {place}, not within {acknowledged}..={asked}",
                    cursor.0
                ));
            }
        }
        Ok(())
    }

    fn check_order(&self, seen: &Seen) -> Result<(), String> {
        match seen.parcels.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            Some(pair) => Err(format!("parcel {} comes after {}", pair[1].0, pair[0].0)),
            None => Ok(()),
        }
    }

    /// A follower saw what was committed meanwhile, in order, once.
    fn check_follower(&self, start: u64, durable: u64, seen: &Seen) -> Result<(), String> {
        self.check_order(seen)?;
        let done = self.places.iter().map(|(_, asked)| *asked).min().unwrap_or(0);
        let seen_seqs: BTreeSet<u64> = seen.parcels.iter().map(|(seq, _)| *seq).collect();
        for (seq, appended) in self.model.range(start + 1..durable.max(start) + 1) {
            // Without power a follower cannot read what has left memory, nor what every cursor has done with.
            let excused = self.power_out || (*seq <= done && !seen.missed.is_empty());
            if appended.fate == Fate::There && !seen_seqs.contains(seq) && !excused {
                return Err(format!(
                    "a follower did not see parcel {seq}, which was acknowledged (start {start}, durable {durable}, seen {:?}, missed {:?})",
                    seen.parcels, seen.missed
                ));
            }
        }
        match seen
            .parcels
            .iter()
            .find(|(seq, number)| self.model.get(seq).is_none_or(|one| one.number != *number))
        {
            Some((seq, number)) => {
                Err(format!("a follower saw {number} at {seq}, where it was not appended"))
            }
            None => Ok(()),
        }
    }

    fn act(&mut self, log: &Arc<Log>, writer: &mut Writer) -> Result<(), String> {
        match self.below(100) {
            0..45 => self.append(log),
            45..75 => {
                writer.step();
            }
            75..83 => self.simulation.clock.advance(Duration::from_millis(self.below(700))),
            83..91 => self.advance(log),
            91..93 => self.break_something(),
            93..95 => self.simulation.disk.set_capacity(1 << 40),
            95 => self.simulation.disk.set_read_only(self.chance(50)),
            96 => self.simulation.disk.tear_pages(self.chance(30)),
            97 => {
                self.simulation.disk.set_capacity(200_000 + self.below(300_000));
            }
            98 => {
                self.power_out = true;
                self.simulation.disk.cut_power_after(self.below(30));
            }
            _ => {
                self.simulation.clock.step_wall(self.below(7_200_000_000_000) as i64 - 3_600_000_000_000);
            }
        }
        Ok(())
    }

    fn break_something(&mut self) {
        let operation = match self.below(6) {
            0 | 1 => Operation::Sync,
            2 => Operation::Write,
            3 => Operation::SyncDir,
            4 => Operation::Rename,
            _ => Operation::Allocate,
        };
        let kind = if self.chance(50) { ErrorKind::Other } else { ErrorKind::StorageFull };
        self.simulation.disk.fail_after(operation, self.below(3), kind);
    }

    fn append(&mut self, log: &Arc<Log>) {
        let number = self.next_number;
        // Every 13th number is told apart by followers: those may be Live, which leaves no place in the log.
        let durability = match number % 13 {
            0 => Durability::Live,
            4..7 => Durability::Ride,
            _ => Durability::Commit,
        };
        match log.append(Arc::new(parcel(number)), durability) {
            Ok(commit) => {
                self.next_number += 1;
                self.report.appended += 1;
                if durability != Durability::Live {
                    let seq = commit.seq().0;
                    // What never reached the disk leaves its number free for the next life.
                    self.absent.remove(&seq);
                    self.model.insert(seq, Appended { number, fate: Fate::Open, commit: Some(commit) });
                }
                self.answer(number);
            }
            Err(_) => {
                self.report.refused += 1;
                self.answer(!number);
            }
        }
    }

    fn advance(&mut self, log: &Arc<Log>) {
        let which = self.below(2) as usize;
        let durable = log.durable().0;
        let (_, asked) = self.places[which];
        let to = (asked + self.below(40)).min(durable);
        let commit = log.advance(CURSORS[which], Seq(to), to.to_string().into());
        self.places[which].1 = asked.max(to);
        self.moves.push((which, to, commit));
    }

    fn look_at_waiters(&mut self) -> Result<(), String> {
        let mut acknowledged = 0;
        for (seq, appended) in &mut self.model {
            let Some(outcome) = appended.commit.as_ref().and_then(|commit| commit.wait(Duration::ZERO))
            else {
                continue;
            };
            appended.commit = None;
            match outcome {
                Ok(told) if told.0 != *seq => {
                    return Err(format!("parcel {seq} was acknowledged as {}", told.0));
                }
                Ok(_) => {
                    appended.fate = Fate::There;
                    acknowledged += 1;
                }
                Err(_) => self.report.failed += 1,
            }
        }
        self.report.acknowledged += acknowledged;
        self.answer(acknowledged);
        let places = &mut self.places;
        self.moves.retain(|(which, to, commit)| match commit.wait(Duration::ZERO) {
            Some(Ok(_)) => {
                places[*which].0 = places[*which].0.max(*to);
                false
            }
            Some(Err(_)) => false,
            None => true,
        });
        Ok(())
    }

    fn die(&mut self, log: Arc<Log>, mut writer: Writer) -> Result<(), String> {
        let way = self.below(100);
        if way < 15 {
            drop(log);
            for _ in 0..100 {
                if writer.step() == Next::Stopped {
                    break;
                }
            }
            self.look_at_waiters()?;
        }
        if way < 30 {
            self.simulation.disk.kill();
        } else {
            self.simulation.disk.crash();
            self.report.torn_tails += 1;
        }
        drop(writer);
        self.simulation.disk.set_read_only(false);
        self.simulation.disk.set_capacity(1 << 40);
        // Only what a power cut left is on the media with all that marks it as durable.
        if way >= 30 && self.chance(20) {
            self.flip();
        }
        Ok(())
    }

    /// Flips bits in a segment that is no longer written to.
    fn flip(&mut self) {
        let entries = self.simulation.disk.list(Path::new(DIR)).unwrap_or_default();
        let mut segments: Vec<_> =
            entries.into_iter().filter(|entry| entry.name.ends_with(".segment")).collect();
        segments.pop();
        let full: Vec<_> = segments.into_iter().filter(|entry| entry.len > 200).collect();
        if full.is_empty() {
            return;
        }
        let entry = &full[self.below(full.len() as u64) as usize];
        let count = 1 + self.below(3) as usize;
        let path = Path::new(DIR).join(&entry.name);
        self.flipped |= self.simulation.disk.flip_random_bits(&path, count).is_ok();
    }
}
