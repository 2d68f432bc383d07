//! How a plant under load is struck, variant by variant: killed, paused, starved of disk, robbed of writing, cut from
//! power. Afterwards the process is gone; what it may have lost is not judged here.

use super::Variant;
use super::audit::Auditor;
use super::live::Live;
use super::place::{Ground, Place};
use super::watch::{Watch, Work};
use super::writer::ANSWER_MAX;
use crate::binary::Running;
use crate::dice::Dice;
use crate::http::Client;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a plant may take to refuse when the disk is full, and to accept again when it is not.
const REACTION_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So much text a plant takes at most on a full disk: its segment, the next one that it made ahead, and some slack.
const RESERVED_BYTES_MAX: usize = 160 << 20;
/// Far below `storage.free_min` of the small disk, and yet not nothing.
const LITTLE_BYTES: u64 = 4 << 20;

/// How long before the strike every writer begins to send without rest.
const RUSH: Duration = Duration::from_millis(30);
/// How long a strike that is aimed at a flush or a merge waits for one to begin: on a slow disk a merge takes its time to come, and
/// the load goes on until then.
const AIM_MAX: Duration = Duration::from_secs(10);
/// How far into a flush or a merge it may strike: most are over after this.
const INTO_MAX_MICROS: u64 = 12_000;

/// What a relaxed plant may lose at a power cut: what it acknowledged within a second, and while the sync took that makes it
/// durable, for which a second more is much.
pub(super) const RELAXED: Duration = Duration::from_secs(2);

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
    /// When the plant stood still.
    pub at: Instant,
}

/// When to strike after the load began.
pub(super) fn moment(cycle: u32, dice: &mut Dice) -> Duration {
    let moment = dice.between(50, 2_000);
    Duration::from_millis(if is_long(cycle) { moment + dice.between(500, 3_000) } else { moment })
}

/// Now and then a cycle is long enough for several flushes and merges.
pub(super) fn is_long(cycle: u32) -> bool {
    cycle % 10 == 9
}

/// What the strike of a cycle waits for.
pub(super) fn aim(cycle: u32) -> Option<Work> {
    match cycle % 4 {
        1 => Some(Work::Flush),
        3 => Some(Work::Merge),
        _ => None,
    }
}

/// Whether a cycle begins with a start that is killed.
pub(super) fn is_for_start(cycle: u32) -> bool {
    cycle % 4 == 2
}

/// Lets the load run until its moment, strikes, and ends the process. Says what it saw.
pub(super) fn strike(scene: &Scene<'_>, dice: &mut Dice, mut running: Running) -> Result<Struck, String> {
    let approached = approach(scene, dice);
    let at = Instant::now();
    let done = approached.and_then(|()| disturb(scene, dice, &running));
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
    Ok(Struck { seen, in_flight, at })
}

/// Waits for the moment, and every other time for a flush or a merge to begin then; at the end nobody rests.
fn approach(scene: &Scene<'_>, dice: &mut Dice) -> Result<(), String> {
    std::thread::sleep(scene.moment.saturating_sub(RUSH));
    let Some(aim) = aim(scene.cycle) else {
        scene.live.rush();
        std::thread::sleep(RUSH);
        return Ok(());
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
            if second_way(scene.cycle) {
                // Under running threads ext4 tells some syncs that are under way that they went well, and loses what they
                // brought (docs/adr/0002-aborted-disk.md): from here on an acknowledgement is in doubt.
                scene.live.doubtful.store(true, Ordering::SeqCst);
                scene.place.make_read_only()?;
            } else {
                // Syncs that begin afterwards get the error: nothing is in doubt.
                running.freeze()?;
                scene.place.make_read_only()?;
                running.signal("CONT")?;
            }
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
    let refused = || scene.live.refused_with("disk-full") > 0;
    if second_way(scene.cycle) {
        scene.place.fill(0)?;
        use_up(running, scene.token, &refused)?;
    } else {
        scene.place.fill(LITTLE_BYTES)?;
        until("the code disk-full", refused)?;
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

/// On a disk that is full a plant may go on in room that it reserved before; when that is used up it must refuse. Writes
/// large texts, which nobody asks for again, until it does.
fn use_up(running: &Running, token: &str, refused: &dyn Fn() -> bool) -> Result<(), String> {
    let mut client = Client::new(running.address, token, ANSWER_MAX);
    let (text, mut sent, mut number) = ("x".repeat(1_000), 0, 0_u64);
    let began = Instant::now();
    while !refused() {
        if sent > RESERVED_BYTES_MAX {
            return Err(format!("{sent} bytes were taken on a disk without room, and none was refused"));
        }
        if began.elapsed() > REACTION_MAX {
            return Err(format!("{sent} bytes in {} s on a full disk: too slow", REACTION_MAX.as_secs()));
        }
        let lines: String =
            (0..500).map(|line| format!("flood/text value=\"{number}-{line} {text}\"\n")).collect();
        let answer = client.post("/api/v1/write", "text/plain", lines.as_bytes());
        let answer = answer.map_err(|error| format!("writing on a full disk: {error}"))?;
        match (answer.status, answer.code().as_str()) {
            (204, _) => sent += lines.len(),
            (_, "busy" | "share-exceeded") => std::thread::sleep(LOOK_EVERY),
            (_, "disk-full") => return Ok(()),
            _ => return Err(format!("writing on a full disk: {} {}", answer.status, answer.text())),
        }
        number += 1;
    }
    Ok(())
}

/// Variants with two ways take each for four cycles, so that each is aimed in every way. The second one of disk-full has no
/// `free_min`: the disk itself says that it is full. That of read-only strikes under running threads.
fn second_way(cycle: u32) -> bool {
    cycle / 4 % 2 == 1
}

impl Variant {
    pub(super) fn settings(&self, cycle: u32) -> Vec<(&'static str, &'static str)> {
        match self.way {
            Way::FillDisk if second_way(cycle) => vec![("TIDEMILL_STORAGE_FREE_MIN", "0%")],
            _ if self.relaxed => vec![("TIDEMILL_STORAGE_DURABILITY", "relaxed")],
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
