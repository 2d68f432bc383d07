//! Copies of the log's files while it goes on: what a backup takes.

use super::*;

#[test]
fn a_copy_has_what_its_cursors_want_however_the_log_goes_on() {
    let mut scene = Scene::new(settings());
    let unlimited = Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse };
    scene.log.hold(ENGINE, unlimited);
    for _ in 0..20 {
        scene.commit(&"x".repeat(9_000));
    }
    drop(scene.log.advance(ENGINE, Seq(5), "five".into()));
    let copy = scene.log.hold_for_copy();
    for _ in 0..20 {
        scene.commit(&"y".repeat(9_000));
    }
    // All of it could go now.
    drop(scene.log.advance(ENGINE, Seq(40), "done".into()));
    scene.step_after(Duration::from_millis(100));
    let (segments, durable) = copy.segments();
    assert_eq!(durable, Seq(40));
    let disk = &scene.ground.disk;
    tidemill_ground::create_dirs(disk.as_ref(), Path::new("/copy")).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        disk.open(&Path::new("/copy").join(name), Open::CreateNew).unwrap().write_at(bytes, 0).unwrap();
    };
    for segment in segments {
        let mut bytes = tidemill_ground::read(disk.as_ref(), &Path::new(DIR).join(&segment.name)).unwrap();
        bytes.truncate(segment.bytes.map_or(usize::MAX, |bytes| bytes as usize));
        put(&segment.name, &bytes);
    }
    put("cursors", copy.cursors());
    let (log, _writer) = Log::open_stepped(&scene.ground, Path::new("/copy"), settings()).unwrap();
    assert_eq!(log.cursor(ENGINE), Some((Seq(5), "five".into())));
    assert!(log.first() <= Seq(6), "{:?}", log.first());
    assert_eq!((log.durable(), log.damage()), (Seq(40), Vec::new()));
    assert!(copy.is_held());
    drop(copy);
    scene.commit("z");
    drop(scene.log.advance(ENGINE, Seq(41), "done".into()));
    scene.step_after(Duration::from_millis(100));
    assert!(scene.log.first() > Seq(30), "what the copy held is trimmed: {:?}", scene.log.first());
}

#[test]
fn a_full_disk_takes_back_what_a_copy_holds() {
    let mut scene = Scene::new(settings());
    scene.log.hold(ENGINE, Hold { bytes_max: u64::MAX, age_max: Duration::MAX, beyond: HoldAction::Refuse });
    for _ in 0..20 {
        scene.commit(&"x".repeat(9_000));
    }
    let copy = scene.log.hold_for_copy();
    drop(scene.log.advance(ENGINE, Seq(20), "done".into()));
    scene.step_after(Duration::from_millis(100));
    let many = scene.segments();
    let free = scene.simulation.disk.space(Path::new(DIR)).unwrap();
    scene.simulation.disk.set_capacity(free.total_bytes - free.free_bytes + (8 << 10));
    scene.step_after(Duration::from_secs(10));
    assert!(!copy.is_held() && scene.segments() < many, "{} of {many}", scene.segments());

    // One that begins now, to another disk, is what helps.
    let copy = scene.log.hold_for_copy();
    scene.step_after(Duration::from_secs(10));
    assert!(copy.is_held());
}
