//! What is told of parcels that cannot be read, for how long, and what putting a file back does.

use super::*;

/// What is told of damage, a line each.
fn told_damage(scene: &Scene) -> String {
    let lines = scene.log.damage().into_iter().map(|range| {
        format!("{} {}..{}: {} to {}\n", range.segment, range.from, range.to, range.first.0, range.last.0)
    });
    lines.collect()
}

/// Three segments, of which the engine has done with nothing but the first three parcels.
fn three_segments() -> Scene {
    let mut scene = Scene::new(settings());
    scene.log.hold(ENGINE, Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse });
    for number in 1..=25 {
        assert_eq!(scene.commit(&"x".repeat(6_000)), format!("durable {number}"));
    }
    drop(scene.log.advance(ENGINE, Seq(3), "".into()));
    scene.step_after(Duration::from_millis(100));
    assert_eq!(scene.segments(), 3);
    scene
}

#[test]
fn a_segment_that_is_missing_is_damage_until_someone_takes_note() {
    for (missing, expected) in
        [(1, "0000000001.segment 0..0: 4 to 10\n"), (2, "0000000002.segment 0..0: 11 to 20\n")]
    {
        let scene = three_segments();
        let disk = scene.simulation.disk.clone();
        let path = Path::new(DIR).join(format!("{missing:010}.segment"));
        let good = tidemill_ground::read(&disk, &path).unwrap();
        let mut scene = scene.again(|simulation| {
            simulation.disk.kill();
            simulation.disk.remove(&path).unwrap();
        });
        assert_eq!(told_damage(&scene), expected);
        assert_eq!(scene.metric("journal_damage_ranges"), 1.0);
        let error = scene.log.damage()[0].to_string();
        assert!(error.contains("is missing: parcels"), "{error}");
        // Engines go past it, the plant stops, and what cannot be had is still told.
        drop(scene.log.advance(ENGINE, Seq(25), "".into()));
        scene.step_after(Duration::from_millis(100));
        let scene = scene.again(|_| {});
        assert_eq!(told_damage(&scene), expected);
        // The good segment put back after that changes nothing, and is no damage of its own.
        let scene = scene.again(|_| tidemill_ground::replace(&disk, &path, &good).unwrap());
        assert_eq!(told_damage(&scene), expected);
        disk.remove(&Path::new(DIR).join("damage")).unwrap();
        assert_eq!(told_damage(&scene), "");
        assert_eq!(scene.metric("journal_damage_ranges"), 0.0);
        let scene = scene.again(|_| {});
        assert_eq!(told_damage(&scene), "");
    }
}

/// Until the cursors have moved, every opening finds the same damage again.
#[test]
fn damage_that_someone_took_note_of_is_not_told_again_after_a_crash() {
    let scene = three_segments();
    let disk = scene.simulation.disk.clone();
    let dir = Path::new(DIR);
    let scene = scene.again(|simulation| {
        simulation.disk.kill();
        simulation.disk.flip_bit(&dir.join("0000000002.segment"), 70, 3).unwrap();
    });
    assert!(told_damage(&scene).ends_with(": 11 to 11\n"), "{}", told_damage(&scene));
    // While it runs, and no one asks before it is killed.
    let scene = scene.again(|simulation| {
        simulation.disk.remove(&dir.join("damage")).unwrap();
        simulation.disk.kill();
    });
    assert_eq!(told_damage(&scene), "");
    assert!(!disk.exists(&dir.join("damage")).unwrap());
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(told_damage(&scene), "");
    // Other damage is told, and nothing but that.
    let scene = scene.again(|simulation| {
        simulation.disk.kill();
        simulation.disk.remove(&dir.join("0000000001.segment")).unwrap();
    });
    assert_eq!(told_damage(&scene), "0000000001.segment 0..0: 4 to 10\n");
    let scene = scene.again(|simulation| {
        simulation.disk.kill();
        simulation.disk.remove(&dir.join("damage")).unwrap();
        tidemill_ground::replace(&simulation.disk, &dir.join("damage.told"), b"nonsense").unwrap();
    });
    // Who cannot know whether someone took note tells it again.
    assert_eq!(told_damage(&scene).lines().count(), 2, "{}", told_damage(&scene));
}

#[test]
fn a_segment_that_is_put_back_before_an_engine_went_past_it_is_whole_again() {
    let scene = three_segments();
    let disk = scene.simulation.disk.clone();
    let path = Path::new(DIR).join("0000000002.segment");
    let good = tidemill_ground::read(&disk, &path).unwrap();
    let scene = scene.again(|simulation| {
        simulation.disk.kill();
        simulation.disk.flip_bit(&path, 70, 3).unwrap();
    });
    assert!(told_damage(&scene).ends_with(": 11 to 11\n"), "{}", told_damage(&scene));
    let scene = scene.again(|simulation| {
        simulation.disk.kill();
        tidemill_ground::replace(&disk, &path, &good).unwrap();
    });
    assert_eq!(told_damage(&scene), "");
    assert_eq!(scene.seen().len(), 25);
}

#[test]
fn a_record_of_damage_that_is_none_is_told_and_a_newer_one_is_refused() {
    let mut scene = Scene::new(settings());
    scene.commit("one");
    let path = Path::new(DIR).join("damage");
    let disk = scene.simulation.disk.clone();
    let title = "tidemill journal damage 1\n";
    let no_ranges = [
        "",
        "anything",
        title,
        "tidemill journal damage 1\nno range\n",
        "tidemill journal damage 1\n0000000001.segment 1 2 0 4\n",
        "tidemill journal damage 1\n0000000001.segment 1 2 5 4\n",
    ];
    for nonsense in no_ranges {
        tidemill_ground::replace(&disk, &path, nonsense.as_bytes()).unwrap();
        let expected = format!("damage 0..{}: 0 to 0\n", nonsense.len());
        // It may have told of what nobody took note of, so that this is told as long as that.
        for _ in 0..3 {
            scene = scene.again(|simulation| simulation.disk.kill());
            assert_eq!(told_damage(&scene), expected);
            assert!(scene.log.damage()[0].may_lose());
            assert!(scene.log.damage()[0].to_string().contains("remove data/journal/damage"));
        }
        disk.remove(&path).unwrap();
        assert_eq!(told_damage(&scene), "");
        scene = scene.again(|simulation| simulation.disk.kill());
        assert_eq!(told_damage(&scene), "");
    }
    tidemill_ground::replace(&disk, &path, b"tidemill journal damage 2\n").unwrap();
    drop((scene.log, scene.writer));
    let again = Log::open_stepped(&scene.simulation.ground(9), Path::new(DIR), scene.settings);
    assert!(matches!(again, Err(Error::Newer { format: 2, .. })));
}

#[test]
fn an_engine_that_is_new_and_asks_for_what_is_gone_makes_no_damage() {
    let mut scene = three_segments();
    drop(scene.log.advance(ENGINE, Seq(25), "".into()));
    for _ in 0..3 {
        scene.step_after(Duration::from_millis(100));
    }
    assert!(scene.log.first() > Seq(10), "{:?}", scene.log.first());
    drop(scene.log.follow(CursorId("new"), Some(Seq(2))));
    drop(scene.log.advance(CursorId("newer"), Seq(1), "".into()));
    scene.step_after(Duration::from_millis(100));
    let scene = scene.again(|simulation| simulation.disk.crash());
    assert_eq!(told_damage(&scene), "");
}

/// A log that was synced before it answered never ends before what a cursor reached: what says so is damage, and no power cut.
#[test]
fn a_damaged_head_of_an_empty_log_is_told_as_damage() {
    let mut told = String::new();
    for (name, relaxed) in [("disk", false), ("relaxed", true)] {
        let mut scene = Scene::new(Settings { relaxed, ..settings() });
        for number in 1..=5 {
            scene.commit(&number.to_string());
        }
        drop(scene.log.advance(ENGINE, Seq(5), "".into()));
        scene.step_after(Duration::from_secs(1));
        // Stopped and begun anew: all that is left are heads.
        let mut scene = scene.again(|_| {});
        scene.step_after(Duration::from_secs(1));
        drop(scene.log.advance(ENGINE, scene.log.durable(), "".into()));
        scene.step_after(Duration::from_secs(1));
        let names = scene.files().into_iter().map(|(name, _)| name);
        let heads: Vec<String> = names.filter(|name| name.ends_with(".segment")).collect();
        let mut scene = scene.again(|simulation| {
            let flip = |name| simulation.disk.flip_bit(&Path::new(DIR).join(name), 30, 1);
            heads.iter().for_each(|name| flip(name).unwrap());
        });
        let lost = scene.log.lost().filter(|_| scene.log.is_relaxed());
        let damage = told_damage(&scene).replace('\n', "; ");
        let next = scene.commit("new");
        told.push_str(&format!("{name}: lost at a power cut {lost:?}; {damage}{next}\n"));
        // Told while it is there, and no engine needs it any more.
        drop(scene.log.advance(ENGINE, scene.log.durable(), "".into()));
        (0..3).for_each(|_| scene.step_after(Duration::from_secs(1)));
        assert_eq!(scene.again(|_| {}).log.damage(), []);
    }
    expect_test::expect![[r#"
        disk: lost at a power cut None; 0000000004.segment 0..65536: 0 to 0; durable 16777222
        relaxed: lost at a power cut Some((Seq(1), Seq(5))); 0000000002.segment 0..64: 0 to 0; 0000000003.segment 0..64: 0 to 0; 0000000004.segment 0..65536: 0 to 0; durable 16777222
    "#]].assert_eq(&told);
}

/// What was acknowledged before a kill is there, is told as no torn write, and does not look as old as the epoch to a hold.
#[test]
fn a_damaged_head_after_a_kill_costs_nothing_and_keeps_nobody_from_writing() {
    for (byte, torn) in [(8, false), (20, false), (30, true)] {
        let (age_max, beyond) = (Duration::from_secs(3_600), HoldAction::Refuse);
        let hold = Hold { bytes_max: u64::MAX, age_max, beyond };
        let mut scene = Scene::new(settings());
        scene.commit("one");
        // What a power cut tore leaves a number that nobody has.
        let mut scene = scene.again(|simulation| {
            if torn {
                tear(simulation, "0000000001.segment");
            }
            simulation.disk.kill();
        });
        let last = Seq(if torn { 3 } else { 2 });
        assert_eq!(scene.commit("last"), format!("durable {}", last.0));
        let mut scene = scene.again(|simulation| {
            simulation.disk.kill();
            simulation.disk.flip_bit(&Path::new(DIR).join("0000000002.segment"), byte, 1).unwrap();
        });
        scene.log.hold(ENGINE, hold);
        assert_eq!(scene.log.cut_bytes(), 0);
        let damage: Vec<String> = scene.log.damage().iter().map(ToString::to_string).collect();
        let head = "segment 0000000002.segment of the journal is damaged in its head";
        assert!(damage.len() == 1 && damage[0].starts_with(head), "{damage:?}");
        scene.step_after(Duration::from_secs(60));
        assert!(scene.sample().starts_with("durable"), "{}", scene.sample());
        assert_eq!(scene.seen()[..2], ["1 one".to_owned(), format!("{} last", last.0)]);
    }
}
