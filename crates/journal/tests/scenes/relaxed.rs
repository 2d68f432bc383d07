//! A log that answers before it syncs: what a power cut takes of it, and that no number comes back which an engine may know.

use super::*;

#[test]
fn a_relaxed_log_answers_before_the_sync_and_syncs_every_second() {
    let mut scene = Scene::new(Settings { relaxed: true, ..settings() });
    let syncs = scene.metric("journal_sync_seconds_count");
    assert_eq!(scene.commit("one"), "durable 1");
    assert_eq!(scene.metric("journal_sync_seconds_count"), syncs);
    let mut scene = scene.again(|simulation| simulation.disk.kill());
    assert_eq!(scene.seen(), ["1 one"], "a kill loses nothing");
    scene.commit("two");
    scene.step_after(Duration::from_secs(1));
    assert!(scene.metric("journal_sync_seconds_count") > 0.0);
    assert_eq!(scene.again(|simulation| simulation.disk.crash()).seen(), ["1 one", "16777218 two"]);
}

#[test]
fn a_relaxed_log_goes_on_above_whatever_a_power_cut_took() {
    let mut outcomes = [0, 0];
    for seed in 0..40 {
        let (ground, simulation) = Ground::simulated(seed);
        let settings = Settings { relaxed: true, ..settings() };
        let (log, writer) = Log::open_stepped(&ground, Path::new(DIR), settings.clone()).unwrap();
        let mut scene = Scene { ground, simulation, settings, log, writer };
        scene.commit("one");
        scene.step_after(Duration::from_secs(1));
        for number in 2..=5 {
            assert_eq!(scene.commit(&number.to_string()), format!("durable {number}"));
        }
        // An engine has all of it in files of its own, which are synced.
        let known = Seq(5);
        let mut scene = scene.again(|simulation| simulation.disk.crash());
        let ended = scene.log.durable();
        assert!(scene.log.is_past(known), "the engine may go on");
        let lost = (ended < known).then_some((Seq(ended.0 + 1), known));
        assert_eq!(scene.log.lost(), lost, "seed {seed}");
        assert_eq!(scene.metric("journal_lost_parcels"), (known.0 - ended.0) as f64);
        outcomes[usize::from(lost.is_some())] += 1;
        let mut feed = scene.log.follow(ENGINE, Some(known));
        // Also for what is only live nobody waits until the log has grown.
        drop(scene.log.append(record("live"), Durability::Live).unwrap());
        scene.writer.step();
        assert_eq!(ready(feed.as_mut()), [format!("{} live", ended.0)], "seed {seed}");
        scene.commit("new");
        let seen = ready(feed.as_mut());
        assert!(
            seen.len() == 1 && seen[0].ends_with(" new"),
            "{seen:?}: what is new is no old number, and nothing else comes"
        );
        assert!(scene.log.is_past(scene.log.durable()) && !scene.log.is_past(Seq(scene.log.durable().0 + 1)));
        assert_eq!(scene.log.lost(), lost, "what came since is not lost");
        assert_eq!(scene.log.damage(), []);
    }
    assert!(outcomes.iter().all(|count| *count > 3), "{outcomes:?}");

    // A log that is not relaxed loses nothing: one that ends too early is another one.
    let mut scene = Scene::new(settings());
    scene.commit("one");
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert!(scene.log.is_past(Seq(1)) && !scene.log.is_past(Seq(2)));
    assert_eq!(scene.log.lost(), None);
}

/// However often the power goes, also between two openings and where the setting changes meanwhile: an engine that has in synced
/// files of its own whatever was committed is never given a number again, may always go on, and hears of no damage.
#[test]
fn no_power_cut_brings_back_a_number_that_an_engine_knows() {
    let mut shorter = 0;
    for seed in 0..60 {
        let (ground, simulation) = Ground::simulated(seed);
        let settings = Settings { relaxed: true, ..settings() };
        let (log, writer) = Log::open_stepped(&ground, Path::new(DIR), settings.clone()).unwrap();
        let mut scene = Scene { ground, simulation, settings, log, writer };
        let mut known = Seq(0);
        for life in 0..8_u64 {
            let mut dice = seed.wrapping_mul(31).wrapping_add(life).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            let mut roll = |of: u64| {
                let rolled = dice % of;
                dice /= of;
                rolled
            };
            for _ in 0..roll(5) {
                let seq =
                    scene.commit("new").strip_prefix("durable ").and_then(|seq| seq.parse().ok()).map(Seq);
                let seq = seq.expect("it is acknowledged");
                assert!(seq > known, "seed {seed}, life {life}: {seq:?} comes again after {known:?}");
                known = seq;
            }
            // Its cursor is at times behind what it has, and at times written before what it stands for is synced.
            let cursor = Seq(known.0.saturating_sub(roll(3)));
            drop(scene.log.advance(ENGINE, cursor, "".into()));
            match roll(3) {
                0 => {}
                1 => scene.step_after(Duration::from_millis(300)),
                _ => scene.step_after(Duration::from_secs(2)),
            }
            let relaxed = roll(4) > 0;
            scene.settings = Settings { relaxed, ..scene.settings };
            scene = match roll(4) {
                0 => scene.again(|simulation| simulation.disk.kill()),
                _ => scene.again(|simulation| simulation.disk.crash()),
            };
            shorter += u64::from(scene.log.durable() < known);
            assert!(scene.log.is_past(known), "seed {seed}, life {life}: the engine may go on");
            assert_eq!(scene.log.damage(), [], "seed {seed}, life {life}");
        }
    }
    assert!(shorter > 20, "{shorter} openings found a log that ended before the engine");
}
