//! How a plant under load is struck, variant by variant: killed, paused, starved of disk, robbed of writing, cut from
//! power. Afterwards the process is gone; what it may have lost is not judged here.

use super::Variant;
use super::audit::Auditor;
use super::live::Live;
use super::place::{Ground, Place};
use super::watch::{Watch, Work};
use crate::binary::Running;
use crate::dice::Dice;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a plant may take to refuse when the disk is full, and to accept again when it is not.
const REACTION_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Far below `storage.free_min` of the small disk, and yet not nothing.
const LITTLE_BYTES: u64 = 4 << 20;

/// How long before the strike every writer begins to send without rest.
const RUSH: Duration = Duration::from_millis(30);
/// How long a strike that is aimed at a flush or a merge waits for one to begin.
const AIM_MAX: Duration = Duration::from_millis(1_000);
/// How far into a flush or a merge it may strike: most are over after this.
const INTO_MAX_MICROS: u64 = 12_000;

/// Which way to strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Kill,
    Pause,
    FillDisk,
    ReadOnly,
    CutPower,
}

/// Where and how.
pub(super) struct Scene<'a> {
    pub place: &'a Place,
    pub variant: Variant,
    pub cycle: u32,
    pub live: &'a Live,
    pub token: &'a str,
    pub watch: &'a Watch,
    /// When to strike, from the start of the load.
    pub moment: Duration,
}

/// What a strike showed and hit.
pub(super) struct Struck {
    pub seen: Vec<&'static str>,
    /// Requests that were sent and not answered when the plant was ended.
    pub in_flight: u64,
}

/// When to strike after the load began.
pub(super) fn moment(cycle: u32, dice: &mut Dice) -> Duration {
    let moment = dice.between(50, 2_000);
    // Now and then long enough for several flushes and merges.
    Duration::from_millis(if cycle % 10 == 9 { moment + dice.between(500, 3_000) } else { moment })
}

/// Lets the load run until its moment, strikes, and ends the process. Says what it saw.
pub(super) fn strike(scene: &Scene<'_>, dice: &mut Dice, mut running: Running) -> Result<Struck, String> {
    let done = approach(scene, dice).and_then(|()| disturb(scene, dice, &running));
    // However it went: nobody rests any longer in a load that is over.
    scene.live.rush();
    let died = running.ended();
    let in_flight = scene.live.in_flight.load(Ordering::SeqCst);
    // Only from here on may connections break.
    scene.live.ending.store(true, Ordering::SeqCst);
    let mut seen = match &done {
        Ok((seen, End::Stop)) => {
            running.stop()?;
            let mut seen = seen.clone();
            seen.push("stopped");
            seen
        }
        Ok((seen, End::Kill)) => {
            running.kill();
            seen.clone()
        }
        Err(_) => {
            running.kill();
            Vec::new()
        }
    };
    if let Some(status) = died {
        return Err(format!("the plant ended by itself: {status}"));
    }
    done?;
    if !seen.contains(&"stopped") {
        seen.push("killed");
        for (work, words) in [(Work::Flush, "in a flush"), (Work::Merge, "in a merge")] {
            if scene.watch.is_under_way(work)? {
                seen.push(words);
            }
        }
    }
    Ok(Struck { seen, in_flight })
}

/// Waits for the moment, and every other time for a flush or a merge to begin then; at the end nobody rests.
fn approach(scene: &Scene<'_>, dice: &mut Dice) -> Result<(), String> {
    std::thread::sleep(scene.moment.saturating_sub(RUSH));
    let aim = match scene.cycle % 4 {
        1 => Work::Flush,
        3 => Work::Merge,
        _ => {
            scene.live.rush();
            std::thread::sleep(RUSH);
            return Ok(());
        }
    };
    let began = Instant::now();
    // What is under way already may be nearly over.
    let mut was_over = false;
    while began.elapsed() < AIM_MAX {
        let is_open = scene.watch.is_under_way(aim)?;
        if is_open && was_over {
            break;
        }
        was_over |= !is_open;
        std::thread::sleep(Duration::from_millis(1));
    }
    scene.live.rush();
    std::thread::sleep(Duration::from_micros(dice.below(INTO_MAX_MICROS)));
    Ok(())
}

enum End {
    Kill,
    /// In order, with SIGTERM.
    Stop,
}

type Disturbed = Result<(Vec<&'static str>, End), String>;

fn disturb(scene: &Scene<'_>, dice: &mut Dice, running: &Running) -> Disturbed {
    match scene.variant.way {
        // Now and then in order.
        Way::Kill => Ok((Vec::new(), if dice.one_in(10) { End::Stop } else { End::Kill })),
        Way::Pause => {
            running.freeze()?;
            std::thread::sleep(Duration::from_millis(dice.between(100, 3_000)));
            if dice.one_in(3) {
                return Ok((vec!["killed while paused"], End::Kill));
            }
            running.signal("CONT")?;
            grows(scene.live, "acknowledgements after a pause")?;
            Ok((vec!["paused"], End::Kill))
        }
        Way::FillDisk => fill_disk(scene, dice, running),
        Way::ReadOnly => {
            // Frozen first: ext4 may tell a sync that is under way that it went well when its journal is aborted before
            // preallocated blocks were marked as written. Syncs that begin later get the error.
            running.freeze()?;
            scene.place.make_read_only()?;
            running.signal("CONT")?;
            until("a refusal on a read-only disk", || scene.live.refused_with("") > 0)?;
            reads(running, scene.token)?;
            Ok((vec!["refused", "read while refused"], End::Kill))
        }
        Way::CutPower => {
            // Nothing moves while the image is copied: neither the plant nor, for minutes, the file system.
            running.freeze()?;
            scene.place.copy_image()?;
            Ok((vec!["cut"], End::Kill))
        }
    }
}

fn fill_disk(scene: &Scene<'_>, dice: &mut Dice, running: &Running) -> Disturbed {
    scene.place.fill(if is_hard(scene.cycle) { 0 } else { LITTLE_BYTES })?;
    let refused = || scene.live.refused_with("disk-full") > 0;
    if !is_hard(scene.cycle) {
        until("the code disk-full", refused)?;
    } else if until("the code disk-full", refused).is_err() {
        // With room reserved in its segments a plant may go on for long on a disk that is full; then it must.
        grows(scene.live, "acknowledgements from reserved room")?;
        reads(running, scene.token)?;
        scene.place.free()?;
        return Ok((vec!["went on in reserved room"], End::Kill));
    }
    reads(running, scene.token)?;
    if dice.one_in(3) {
        // It stays full until after the next start.
        return Ok((vec!["refused", "read while refused", "killed while full"], End::Kill));
    }
    scene.place.free()?;
    grows(scene.live, "acknowledgements after room came back")?;
    Ok((vec!["refused", "read while refused", "healed"], End::Kill))
}

/// Every other cycle there is no `free_min`: the disk itself says that it is full.
fn is_hard(cycle: u32) -> bool {
    cycle % 2 == 1
}

impl Variant {
    pub(super) fn settings(&self, cycle: u32) -> Vec<(&'static str, &'static str)> {
        match self.way {
            Way::FillDisk if is_hard(cycle) => vec![("TIDEMILL_STORAGE_FREE_MIN", "0%")],
            _ => Vec::new(),
        }
    }

    /// Whether the plant may refuse with this code under this variant.
    pub(super) fn may_refuse(&self, code: &str) -> bool {
        let disk = matches!(self.way, Way::FillDisk | Way::ReadOnly);
        match code {
            "busy" | "share-exceeded" | "stopping" => true,
            "disk-full" | "not-durable" => disk,
            _ => false,
        }
    }
}

/// What must be done when the process is gone: the power comes back, the disk is mended or emptied.
pub(super) fn after(place: &Place, variant: Variant) -> Result<(), String> {
    match (variant.way, variant.ground) {
        (Way::CutPower, Ground::Image) => place.adopt_copy(),
        (Way::ReadOnly, Ground::Image) => place.mend(),
        _ => Ok(()),
    }
}

fn reads(running: &Running, token: &str) -> Result<(), String> {
    let count = Auditor::new(running.address, token).count();
    count.map(|_| ()).map_err(|error| format!("reads must go on while writes are refused: {error}"))
}

fn grows(live: &Live, what: &str) -> Result<(), String> {
    let before = live.acknowledged.load(Ordering::SeqCst);
    until(what, || live.acknowledged.load(Ordering::SeqCst) > before)
}

/// Waits for something that the plant must do; there is no event to wait for from outside.
fn until(what: &str, mut done: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > REACTION_MAX {
            return Err(format!("{what} did not come within {} s", REACTION_MAX.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
