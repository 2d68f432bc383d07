//! Single scenes on a simulated disk: what a user of the log sees when something is full, broken, slow or late.

use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidemill_core::{
    BatchBuilder, Busy, Commit, CursorId, Durability, Flags, Hold, HoldAction, Journal, Parcel, Problem,
    Quality, Seq, SignalId, SourceId, Stamp, StreamId, ValueRef,
};
use tidemill_ground::sim::Operation;
use tidemill_ground::{Disk, Ground, Open, Simulation};
use tidemill_journal::frame::FrameHead;
use tidemill_journal::{Error, Log, Settings, Writer};

use super::{ready, record};

mod copy;
mod damage;
mod relaxed;

const DIR: &str = "/log";
const ENGINE: CursorId = CursorId("engine");

struct Scene {
    ground: Ground,
    simulation: Simulation,
    settings: Settings,
    log: Arc<Log>,
    writer: Writer,
}

fn settings() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        unsynced_bytes_max: 16 << 10,
        reserve_bytes: 64 << 10,
        free_min_bytes: 32 << 10,
        ..Settings::default()
    }
}

impl Scene {
    fn new(settings: Settings) -> Scene {
        let (ground, simulation) = Ground::simulated(7);
        let (log, writer) = Log::open_stepped(&ground, Path::new(DIR), settings.clone()).unwrap();
        Scene { ground, simulation, settings, log, writer }
    }

    /// The process ends so, and the next one opens the log.
    fn again(self, end: impl FnOnce(&Simulation)) -> Scene {
        let Scene { simulation, settings, log, writer, .. } = self;
        end(&simulation);
        drop((log, writer));
        let ground = simulation.ground(8);
        let (log, writer) = Log::open_stepped(&ground, Path::new(DIR), settings.clone()).unwrap();
        Scene { ground, simulation, settings, log, writer }
    }

    fn step_after(&mut self, wait: Duration) {
        self.simulation.clock.advance(wait);
        self.writer.step();
    }

    fn commit(&mut self, text: &str) -> String {
        let commit = self.log.append(record(text), Durability::Commit);
        self.writer.step();
        told(commit)
    }

    fn sample(&mut self) -> String {
        let commit = self.log.append(sample(), Durability::Commit);
        self.writer.step();
        told(commit)
    }

    fn seen(&self) -> Vec<String> {
        ready(self.log.follow(CursorId("reader"), Some(Seq(self.log.first().0 - 1))).as_mut())
    }

    /// A number by the name that the log gives it; all of the house's begin alike.
    fn metric(&self, name: &str) -> f64 {
        let name = format!("tidemill_{name}");
        self.ground
            .metrics
            .snapshot()
            .iter()
            .filter(|reading| reading.name == name)
            .map(|reading| reading.value)
            .sum()
    }

    fn files(&self) -> Vec<(String, u64)> {
        let entries = self.simulation.disk.list(Path::new(DIR)).unwrap();
        entries.into_iter().map(|entry| (entry.name, entry.len)).collect()
    }

    fn segments(&self) -> usize {
        let names = self.simulation.disk.list(Path::new(DIR)).unwrap();
        names.iter().filter(|entry| entry.name.ends_with(".segment")).count()
    }
}

fn told(commit: Result<Commit, Busy>) -> String {
    match commit {
        Ok(commit) => match commit.wait(Duration::ZERO) {
            Some(Ok(seq)) => format!("durable {}", seq.0),
            Some(Err(error)) => format!("failed: {error}"),
            None => "waits".to_owned(),
        },
        Err(busy) => format!("refused: {busy}"),
    }
}

fn sample() -> Arc<Parcel> {
    let mut builder = BatchBuilder::new(SourceId(1), Flags::default());
    builder.push(SignalId::new(1).unwrap(), Stamp::At(5), ValueRef::Float(1.5), Quality::GOOD).unwrap();
    let mut parcel = Parcel::of_samples(builder.finish(1, Flags::default()));
    parcel.records = record("s").records.clone();
    Arc::new(parcel)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it has to wait"),
    }
}

#[test]
fn a_full_disk_refuses_samples_takes_cursors_and_records_and_heals() {
    let mut scene = Scene::new(settings());
    scene.log.hold(ENGINE, Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse });
    assert_eq!(scene.sample(), "durable 1");
    scene.simulation.disk.set_capacity(1);
    scene.step_after(Duration::from_secs(1));
    assert!(
        scene.sample().starts_with("refused: the disk has 0 B free, and writing takes 32.0 KiB"),
        "{}",
        scene.sample()
    );
    // Records go on until even the reserve is used up: this segment, the spare one and the reserve, seven in each.
    let text = "x".repeat(9_000);
    let taken = (0..40).take_while(|_| scene.commit(&text).starts_with("durable")).count();
    assert!((18..22).contains(&taken), "{taken}");
    assert_eq!(
        scene.commit(&text),
        "refused: the disk has 0 B free, and writing takes 96.0 KiB, for storage.free_min and the log: 96.0 KiB more must be free"
    );
    assert_eq!(scene.seen().len(), taken + 1, "reading goes on");
    let commit = scene.log.advance(ENGINE, scene.log.durable(), "done".into());
    scene.step_after(Duration::from_millis(100));
    assert!(commit.wait(Duration::ZERO).unwrap().is_ok(), "a cursor advances on a full disk");
    drop(scene.log.advance(CursorId("reader"), scene.log.durable(), "".into()));
    scene.simulation.disk.set_capacity(1 << 30);
    for _ in 0..4 {
        scene.step_after(Duration::from_secs(5));
    }
    assert!(scene.sample().starts_with("durable"), "{}", scene.sample());
    assert!(scene.segments() < 4, "what was done with is gone: {}", scene.segments());
    let seen = scene.seen().len();
    assert_eq!(scene.again(|simulation| simulation.disk.crash()).seen().len(), seen);
}

#[test]
fn a_disk_without_room_for_a_segment_refuses_before_it_accepts_and_heals() {
    let (ground, simulation) = Ground::simulated(7);
    simulation.disk.set_capacity(60 << 10);
    let (log, writer) = Log::open_stepped(&ground, Path::new(DIR), settings()).unwrap();
    let mut scene = Scene { ground, simulation, settings: settings(), log, writer };
    let full = "refused: the disk has 60.0 KiB free, and writing takes 96.0 KiB, for storage.free_min and the log: 36.0 KiB more must be free";
    for _ in 0..3 {
        assert_eq!(scene.sample(), full);
        assert_eq!(scene.commit("a record"), full);
        scene.step_after(Duration::from_secs(5));
    }
    assert_eq!(scene.metric("journal_appends_total"), 0.0, "nothing was taken that cannot be kept");
    scene.simulation.disk.set_capacity(1 << 30);
    scene.step_after(Duration::from_secs(5));
    assert_eq!(scene.sample(), "durable 1");
    assert_eq!(scene.commit("a record"), "durable 2");
}

/// From the warning on, and not only once samples are refused: 32 KiB stay free, and of two segments and the reserve, 64 KiB each,
/// one segment is written already.
#[test]
fn a_low_disk_wants_room_before_samples_are_refused() {
    let mut scene = Scene::new(settings());
    assert_eq!(scene.sample(), "durable 1");
    let space = scene.simulation.disk.space(Path::new(DIR)).unwrap();
    let used = space.total_bytes - space.free_bytes;
    for (free_kib, wants) in [(160, false), (159, true), (33, true), (160, false)] {
        scene.simulation.disk.set_capacity(used + (free_kib << 10));
        scene.step_after(Duration::from_secs(1));
        assert_eq!(scene.log.wants_room(), wants, "{free_kib} KiB");
        assert!(scene.log.refuses_samples().is_none(), "{free_kib} KiB");
    }
}

/// Whose write met the end of the disk hears that, and not that something is broken.
#[test]
fn a_commit_that_finds_no_room_says_so() {
    for (kind, code) in [(ErrorKind::StorageFull, "disk-full"), (ErrorKind::TimedOut, "not-durable")] {
        for operation in [Operation::Write, Operation::Sync] {
            let mut scene = Scene::new(settings());
            assert_eq!(scene.sample(), "durable 1");
            scene.simulation.disk.fail_next(operation, kind);
            let commit = scene.log.append(sample(), Durability::Commit).unwrap();
            scene.writer.step();
            let refused = commit.wait(Duration::ZERO).unwrap().unwrap_err();
            assert_eq!(Problem::from(refused).code.id, code, "{operation:?}");
            assert!(scene.sample().starts_with("durable"), "and goes on");
        }
    }
}

/// The beginning of a frame whose end never came; behind it stands what the file held before.
fn tear(simulation: &Simulation, segment: &str) {
    let path = Path::new(DIR).join(segment);
    let bytes = tidemill_ground::read(&simulation.disk, &path).unwrap();
    let (mut at, mut torn) = (64, None);
    while let Some(head) = FrameHead::parse(&bytes[at..]) {
        at += head.frame_bytes() as usize;
        torn = Some(FrameHead { seq: Seq(head.seq.0 + 1), payload_bytes: 56, payload_crc: 7, ..head });
    }
    let file = simulation.disk.open(&path, Open::ReadWrite).unwrap();
    file.write_at(&torn.unwrap().to_bytes(), at as u64).unwrap();
}

#[test]
fn what_a_crash_tore_off_is_told_and_what_a_stop_left_is_whole() {
    let mut scene = Scene::new(settings());
    scene.commit("one");
    scene.commit("two");
    assert_eq!(scene.log.cut_bytes(), 0);
    let mut scene = scene.again(|simulation| simulation.disk.kill());
    assert_eq!(scene.log.cut_bytes(), 0, "all that was written is whole");
    scene.commit("three");
    let scene = scene.again(|simulation| {
        tear(simulation, "0000000002.segment");
        simulation.disk.kill();
    });
    assert_eq!(scene.log.cut_bytes(), 96);
    assert_eq!(scene.metric("journal_cut_bytes"), 96.0);
    assert_eq!(scene.log.damage(), []);
    let scene = scene.again(|simulation| simulation.disk.kill());
    assert_eq!(scene.log.cut_bytes(), 0, "it is told once");
}

#[test]
fn the_flush_reserve_gives_its_room_back_and_is_taken_again() {
    let mut scene = Scene::new(Settings { reserve_bytes: 1 << 20, ..settings() });
    // At first it fills the next segment and goes over to it.
    (0..4).for_each(|_| scene.step_after(Duration::from_secs(1)));
    let free = |scene: &Scene| scene.simulation.disk.space(Path::new(DIR)).unwrap().free_bytes;
    let before = free(&scene);
    assert!(scene.log.lend_reserve());
    assert_eq!(free(&scene) - before, 1 << 20);
    scene.step_after(Duration::from_secs(1));
    assert_eq!(free(&scene) - before, 1 << 20, "while it is lent it is not taken");
    scene.log.return_reserve();
    scene.step_after(Duration::from_secs(1));
    assert_eq!(free(&scene), before);
}

#[test]
fn while_a_flush_has_the_reserve_a_segment_that_is_let_go_gives_its_room() {
    for lent in [false, true] {
        let mut scene = Scene::new(settings());
        let text = "x".repeat(9_000);
        (0..7).for_each(|_| assert!(scene.commit(&text).starts_with("durable")));
        let space = |scene: &Scene| scene.simulation.disk.space(Path::new(DIR)).unwrap();
        let free = |scene: &Scene| space(scene).free_bytes;
        // The file of cursors has its room from the first of them on.
        drop(scene.log.advance(ENGINE, Seq(1), "".into()));
        scene.step_after(Duration::from_millis(100));
        let used = space(&scene).total_bytes - free(&scene);
        scene.simulation.disk.set_capacity(used);
        assert!(!lent || scene.log.lend_reserve());
        // The next segment is begun: the one that was ready is used up.
        assert!(scene.commit(&text).starts_with("durable"));
        let before = free(&scene);
        drop(scene.log.advance(ENGINE, scene.log.durable(), "".into()));
        scene.step_after(Duration::from_millis(100));
        scene.step_after(Duration::from_secs(1));
        let names: Vec<String> = scene.files().into_iter().map(|(name, _)| name).collect();
        let spares = names.iter().filter(|name| name.starts_with("spare")).count();
        assert_eq!((spares, free(&scene) > before), if lent { (0, true) } else { (1, false) }, "{names:?}");
    }
}

#[test]
fn a_failed_sync_fails_its_group_and_never_touches_that_file_again() {
    let mut scene = Scene::new(settings());
    assert_eq!(scene.commit("one"), "durable 1");
    scene.simulation.disk.keep_log(100);
    scene.simulation.disk.fail_next(Operation::Sync, ErrorKind::Other);
    assert!(scene.commit("two").starts_with("failed: the journal could not be written"));
    assert_eq!(scene.commit("three"), "durable 3");
    let log = scene.simulation.disk.log();
    let failed = log.iter().position(|line| line.contains("Sync") && line.ends_with("Other")).unwrap();
    let others = log[failed..].iter().filter(|line| line.contains("Write") || line.contains("Sync"));
    assert!(others.count() > 3, "{log:?}");
    assert_eq!(scene.segments(), 2);
    assert_eq!(scene.seen(), ["1 one", "3 three"]);
    let scene = scene.again(|simulation| simulation.disk.kill());
    assert_eq!(scene.log.damage(), []);
    assert_eq!(scene.seen(), ["1 one", "3 three"], "what was given up does not come back");
}

#[test]
fn a_read_only_disk_refuses_and_is_tried_again() {
    let mut scene = Scene::new(settings());
    scene.simulation.disk.set_read_only(true);
    assert!(scene.commit("one").starts_with("failed"));
    assert!(scene.commit("two").starts_with("refused: the journal cannot be written"));
    scene.step_after(Duration::from_secs(10));
    assert!(scene.commit("two").starts_with("refused"));
    scene.simulation.disk.set_read_only(false);
    scene.step_after(Duration::from_secs(10));
    assert_eq!(scene.commit("three"), "durable 2");
    assert_eq!(scene.seen(), ["2 three"]);
}

#[test]
fn too_much_at_once_is_busy_and_too_much_in_one_is_too_large() {
    let mut scene = Scene::new(settings());
    let append = |bytes: usize| scene.log.append(record(&"x".repeat(bytes)), Durability::Commit);
    let first = append(10_000).unwrap();
    assert!(matches!(append(10_000), Err(Busy::Unsynced { max_bytes: 16_384, .. })));
    assert!(matches!(append(20_000), Err(Busy::TooLarge { max_bytes: 16_384, .. })));
    scene.writer.step();
    assert_eq!(first.wait(Duration::ZERO), Some(Ok(Seq(1))));
    assert!(scene.commit(&"x".repeat(10_000)).starts_with("durable 2"));
    assert_eq!(scene.metric("journal_refused_total"), 2.0);
}

#[test]
fn rides_wait_for_company_but_not_for_ever_and_live_ones_keep_the_order() {
    let mut scene = Scene::new(settings());
    let mut feed = scene.log.follow(ENGINE, None);
    let syncs = scene.metric("journal_sync_seconds_count");
    let ride = scene.log.append(record("ride"), Durability::Ride).unwrap();
    let live = scene.log.append(record("live"), Durability::Live).unwrap();
    assert_eq!(live.wait(Duration::ZERO), Some(Ok(Seq(1))));
    scene.step_after(Duration::from_millis(100));
    assert_eq!((told(Ok(ride)), ready(feed.as_mut()).len()), ("waits".to_owned(), 0));
    assert_eq!(scene.metric("journal_sync_seconds_count"), syncs, "a ride forces no sync");
    scene.step_after(Duration::from_millis(200));
    assert_eq!(ready(feed.as_mut()), ["1 ride", "1 live"]);
    let ride = scene.log.append(record("ride 2"), Durability::Ride).unwrap();
    assert_eq!(scene.commit("commit"), "durable 3");
    assert_eq!(told(Ok(ride)), "durable 2");
    scene.log.append(record("live 2"), Durability::Live).unwrap().wait(Duration::ZERO);
    scene.writer.step();
    assert_eq!(ready(feed.as_mut()), ["2 ride 2", "3 commit", "3 live 2"]);
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(scene.seen(), ["1 ride", "2 ride 2", "3 commit"]);
}

#[test]
fn a_slow_follower_reads_the_disk_and_misses_nothing() {
    let mut scene = Scene::new(Settings { ring_bytes_max: 2_000, ..settings() });
    let mut feed = scene.log.follow(ENGINE, None);
    for number in 1..=100 {
        assert_eq!(scene.commit(&number.to_string()), format!("durable {number}"));
    }
    let all: Vec<String> = (1..=100).map(|number| format!("{number} {number}")).collect();
    assert_eq!(ready(feed.as_mut()), all);
    scene.commit("hot");
    assert_eq!(ready(feed.as_mut()), ["101 hot"]);
    for (seq, text) in [(1, "1"), (57, "57"), (101, "hot")] {
        let parcel = now(scene.log.read(Seq(seq))).unwrap();
        assert_eq!(parcel.records[0].value, text);
    }
    assert_eq!(now(scene.log.read(Seq(500))).unwrap_err().first, Seq(500));
}

#[test]
fn segments_go_when_every_cursor_has_passed() {
    let mut scene = Scene::new(settings());
    let unlimited = Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse };
    scene.log.hold(ENGINE, unlimited);
    scene.log.hold(CursorId("other"), unlimited);
    for _ in 0..40 {
        scene.commit(&"x".repeat(9_000));
    }
    let many = scene.segments();
    assert!(many > 5, "{many}");
    for (cursor, upto) in [(ENGINE, 40), (CursorId("other"), 20)] {
        drop(scene.log.advance(cursor, Seq(upto), "note".into()));
        scene.step_after(Duration::from_millis(100));
    }
    assert!(scene.segments() < many && scene.segments() > 2, "{}", scene.segments());
    let first = scene.log.first().0;
    assert!((15..=21).contains(&first), "{first}");
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(scene.log.cursor(CursorId("other")), Some((Seq(20), "note".into())));
    assert_eq!(scene.log.first().0, first);
    assert_eq!(scene.log.damage(), []);
    let missed = ready(scene.log.follow(CursorId("third"), Some(Seq(2))).as_mut()).remove(0);
    assert_eq!(
        missed,
        format!("missed {} to {}", first - 3, first - 1),
        "one who asks for what is gone is told"
    );
}

#[test]
fn a_segment_that_was_done_with_is_written_over_and_nothing_of_it_comes_back() {
    let mut scene = Scene::new(settings());
    scene.log.hold(ENGINE, Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse });
    let text = |number: u64| format!("{number}-{}", "x".repeat(6_000));
    let mut last = 0;
    for round in 1..=6 {
        for number in last + 1..=last + 40 {
            assert_eq!(scene.commit(&text(number)), format!("durable {number}"));
        }
        last += 40;
        // All but the last three are done with.
        for cursor in [ENGINE, CursorId("reader")] {
            drop(scene.log.advance(cursor, Seq(last - 3), "".into()));
        }
        scene.step_after(Duration::from_millis(100));
        let expected: Vec<String> =
            (last - 2..=last).map(|number| format!("{number} {}", text(number))).collect();
        let files = scene.files();
        let spares = files.iter().filter(|(name, _)| name.starts_with("spare")).count();
        assert!((1..=4).contains(&spares), "{files:?}");
        assert!(files.iter().all(|(name, len)| name == "cursors" || *len <= 64 << 10), "{files:?}");
        scene = scene.again(|simulation| match round % 2 {
            0 => simulation.disk.kill(),
            _ => simulation.disk.crash(),
        });
        let seen = scene.seen();
        assert!(seen.ends_with(&expected), "round {round}");
        assert!(
            seen.len() < 15,
            "what the cursor has passed may be there as far as its segment is: {}",
            seen.len()
        );
        assert_eq!((scene.log.damage(), scene.log.cut_bytes()), (vec![], 0));
        let kept = scene
            .files()
            .iter()
            .filter(|(name, _)| name.ends_with(".segment"))
            .map(|(_, len)| len)
            .sum::<u64>();
        assert!(kept <= 3 * (64 << 10), "the room behind the end of a reused file is given back: {kept}");
    }
}

#[test]
fn an_idle_log_fills_the_next_segment_with_zeros_a_piece_at_a_time() {
    let mut scene = Scene::new(Settings { segment_bytes: 600 << 10, ..settings() });
    let spare = |scene: &Scene| scene.files().iter().find(|(name, _)| name == "spare").map(|(_, len)| *len);
    let mut lengths = Vec::new();
    for _ in 0..6 {
        scene.step_after(Duration::from_millis(200));
        lengths.extend(spare(&scene));
    }
    // Once it is whole the log goes over to it, and makes another: the first segment had nothing to be written over.
    assert_eq!(lengths, [256 << 10, 512 << 10, 256 << 10, 512 << 10, 600 << 10]);
    assert_eq!(scene.segments(), 2);
    // A busy log does not wait for a rest: the next segment is whole when this one is full.
    let mut busy = Scene::new(Settings { segment_bytes: 2 << 20, unsynced_bytes_max: 1 << 20, ..settings() });
    for number in 1..=3 {
        busy.commit(&"x".repeat(400_000));
        assert!(spare(&busy) >= Some(number * 400_000), "{:?}", spare(&busy));
    }
    // A crash leaves it as it is: it is not filled twice.
    let mut scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(scene.commit("one"), "durable 1");
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(
        (scene.seen(), scene.log.damage(), scene.log.cut_bytes()),
        (vec!["1 one".to_owned()], vec![], 0)
    );
}

#[test]
fn a_hold_beyond_its_limits_is_cut_or_refuses_samples() {
    let mut scene = Scene::new(Settings { ring_bytes_max: 2_000, ..settings() });
    scene.log.hold(ENGINE, Hold { bytes_max: 100_000, age_max: Duration::MAX, beyond: HoldAction::Cut });
    let mut feed = scene.log.follow(ENGINE, None);
    for _ in 0..40 {
        scene.commit(&"x".repeat(9_000));
        scene.step_after(Duration::from_millis(600));
    }
    scene.step_after(Duration::from_secs(1));
    assert!(scene.segments() <= 4, "{}", scene.segments());
    assert!(ready(feed.as_mut())[0].starts_with("missed "), "its owner is told");
    assert!(scene.metric("journal_cursor_cut_parcels_total") > 10.0);

    scene.log.hold(ENGINE, Hold { bytes_max: 70_000, age_max: Duration::MAX, beyond: HoldAction::Refuse });
    for _ in 0..20 {
        scene.commit(&"x".repeat(9_000));
    }
    scene.step_after(Duration::from_secs(1));
    assert!(scene.sample().contains("engine is too far behind and may lose nothing"));
    assert!(scene.commit("a record").starts_with("durable"));
    drop(scene.log.advance(ENGINE, scene.log.durable(), "".into()));
    scene.step_after(Duration::from_secs(1));
    assert!(scene.sample().starts_with("durable"), "{}", scene.sample());

    scene.log.hold(
        ENGINE,
        Hold { bytes_max: u64::MAX, age_max: Duration::from_secs(3600), beyond: HoldAction::Refuse },
    );
    for _ in 0..20 {
        scene.commit(&"x".repeat(9_000));
    }
    scene.step_after(Duration::from_secs(3_700));
    assert!(scene.sample().contains("too far behind"));
}

#[test]
fn empty_damaged_and_foreign_files_do_not_stop_the_start_but_newer_ones_do() {
    let mut scene = Scene::new(settings());
    for text in ["one", "two"] {
        scene.commit(text);
    }
    let disk = scene.simulation.disk.clone();
    let mut scene = scene.again(|simulation| {
        for name in ["0000000002.segment", "0000000003.segment", "notes.txt"] {
            simulation.disk.open(&Path::new(DIR).join(name), Open::CreateNew).unwrap();
        }
        simulation.disk.kill();
    });
    assert_eq!(scene.seen(), ["1 one", "2 two"]);
    assert_eq!(scene.commit("three"), "durable 3");
    let scene = scene.again(|simulation| {
        simulation.disk.flip_bit(&Path::new(DIR).join("0000000001.segment"), 70, 3).unwrap();
        simulation.disk.kill();
    });
    let damage = scene.log.damage();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!(
        (damage[0].segment.as_str(), damage[0].first, damage[0].last),
        ("0000000001.segment", Seq(1), Seq(1))
    );
    assert!(damage[0].to_string().contains("parcels 1 to 1 cannot be read"), "{}", damage[0]);
    assert_eq!(scene.seen(), ["2 two", "3 three"]);
    assert_eq!(now(scene.log.read(Seq(1))).unwrap_err().segment, "0000000001.segment");
    let file = disk.open(&Path::new(DIR).join("0000000099.segment"), Open::CreateNew).unwrap();
    let mut head = [0; 64];
    head[..12].copy_from_slice(b"TIDELOG\n\x02\0\0\0");
    let crc = crc32c::crc32c(&head[..60]);
    head[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&head, 0).unwrap();
    drop((scene.log, scene.writer));
    let again = Log::open_stepped(&scene.simulation.ground(9), Path::new(DIR), scene.settings);
    assert!(matches!(again, Err(Error::Newer { format: 2, .. })));
}

#[test]
fn a_lone_cursor_file_that_is_damaged_is_told_and_holds_everything() {
    let mut scene = Scene::new(settings());
    scene.commit("one");
    drop(scene.log.advance(ENGINE, Seq(1), "note".into()));
    scene.step_after(Duration::from_millis(100));
    let scene = scene.again(|simulation| {
        for slot in [0, 256 << 10] {
            let _ = simulation.disk.flip_bit(&Path::new(DIR).join("cursors"), slot + 40, 0);
        }
        simulation.disk.kill();
    });
    assert_eq!(scene.log.cursor(ENGINE), None);
    assert_eq!(scene.log.damage()[0].segment, "cursors");
    assert_eq!(scene.seen(), ["1 one"]);
}

#[test]
fn records_of_no_sample_have_their_stream() {
    let mut scene = Scene::new(settings());
    assert_eq!(scene.commit("audit"), "durable 1");
    let parcel = now(scene.log.read(Seq(1))).unwrap();
    assert_eq!(parcel.records[0].stream, StreamId(9));
}
