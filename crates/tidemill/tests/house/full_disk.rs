//! A plant on a file system of its own that runs full: what was acknowledged is there after a kill while it is full, reads go
//! on, and with room it takes values again. Texts are random, so that files of history hold no less than the log does.
//! What is not here: the disk filled from outside again and again (`cargo xtask crash --variant disk-full`).

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::client::Answer;
use crate::plant::{Home, PATIENCE, Plant, skip};

/// How large the file system is.
const DISK: &str = "size=200m,mode=700";
/// Something else takes so much of it, and gives it back later. The less is left, the sooner the test is done.
const BALLAST_BYTES: usize = 130 << 20;
/// Samples of one request.
const LINES: u64 = 500;
/// Bytes of one text: the most that is kept is 1,024.
const TEXT_BYTES: usize = 1_000;
/// The first sample's time; each has the next nanosecond.
const FIRST_NS: u64 = 1_767_225_600_000_000_000;

/// A file system in memory, gone with this.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    pub(crate) fn at(folder: PathBuf) -> Result<Mounted, String> {
        if !rustix::process::getuid().is_root() {
            return Err("only root may mount file systems".to_owned());
        }
        std::fs::create_dir(&folder).expect("a folder in the temporary folder");
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", "tmpfs", "-o", DISK, "none"]).arg(&folder).output();
        let output = output.map_err(|error| format!("mount: {error}"))?;
        match output.status.success() {
            true => Ok(Mounted(folder)),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazy: the plant may still run.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The text of a sample: the same for the same number, and without a pattern (xorshift64*, Vigna 2016).
fn text(number: u64) -> String {
    let mut state = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letter = |_| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        char::from(b'0' + (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 58) as u8)
    };
    // From '0' to 'o' there is no quote; the backslash is the one sign with a meaning.
    (0..TEXT_BYTES).map(letter).map(|letter| if letter == '\\' { 'p' } else { letter }).collect()
}

/// Sends the samples from this number on.
fn send(plant: &Plant, token: &str, first: u64) -> Answer {
    let line = |number| format!("flood value=\"{}\" {}\n", text(number), FIRST_NS + number);
    let body: String = (first..first + LINES).map(line).collect();
    plant.post("/api/v1/write").token(token).body("text/plain", body).send()
}

/// Sends until something else than "later" is answered: what was acknowledged, and the last answer.
fn send_all(plant: &Plant, token: &str, first: u64, count: u64) -> (u64, Answer) {
    let (mut next, until) = (first, Instant::now() + PATIENCE);
    loop {
        let answer = send(plant, token, next);
        match answer.status {
            204 => next += LINES,
            503 => std::thread::sleep(Duration::from_millis(20)),
            _ => return (next - first, answer),
        }
        if next - first >= count {
            return (next - first, answer);
        }
        assert!(Instant::now() < until, "{next} samples are taken, the last answer was {}", answer.text());
    }
}

/// Sends until the plant refuses and says so to who asks whether it is ready: what was acknowledged, and what it said. A flush that
/// ends in between packs what the log held and gives room, for a moment; then that is used up too.
fn fill(plant: &Plant, token: &str, first: u64) -> (u64, Json) {
    let (mut count, until) = (0, Instant::now() + PATIENCE);
    loop {
        let (more, refused) = send_all(plant, token, first + count, u64::MAX);
        refused.expect_problem(507, "disk-full");
        count += more;
        let ready = plant.get("/health/ready").send();
        if ready.status == 503 {
            return (count, ready.expect_problem(503, "disk-full"));
        }
        assert!(Instant::now() < until, "the disk is full, and it is ready: {}", ready.text());
    }
}

/// Everything that was acknowledged is there as it was sent, and nothing that was not sent.
#[track_caller]
fn check_all(plant: &Plant, token: &str, acknowledged: u64) {
    let path = "/api/v1/read?signal=flood&from=2026-01-01T00:00:00Z&format=csv&time=ns";
    let answer = plant.get(path).token(token).send().expect(200);
    let mut count = 0;
    for (number, line) in (0..).zip(answer.text().lines().skip(1)) {
        let fields: Vec<&str> = line.split(',').collect();
        let (time, kept) = (fields[1], fields[2]);
        assert_eq!(time.parse(), Ok(FIRST_NS + number), "sample {number}");
        assert!(kept == text(number), "sample {number} is {kept}");
        count += 1;
    }
    // Of the request that was refused nothing needs to be there, and all may be.
    let sent = acknowledged + LINES;
    assert!((acknowledged..=sent).contains(&count), "{count} samples, {acknowledged} acknowledged");
}

#[test]
fn what_was_acknowledged_survives_a_kill_on_a_full_disk_and_room_heals_it() {
    let home = Home::new();
    let mounted = match Mounted::at(home.plant()) {
        Ok(mounted) => mounted,
        Err(why) => return skip("a full disk", &why),
    };
    let mut plant = home.start();
    // Dropped before the plant, whose folder can go once nothing is mounted on it.
    let _mounted = mounted;
    let ballast = plant.home.file("plant/ballast", vec![1; BALLAST_BYTES]);
    let token = plant.token("flood", &["write:flood", "read:#"]);
    let (mut acknowledged, told) = fill(&plant, &token, 0);
    assert!(acknowledged > 10_000, "only {acknowledged} samples were taken");
    assert!(told["detail"].as_str().is_some_and(|text| text.starts_with("new values are refused")), "{told}");
    check_all(&plant, &token, acknowledged);
    plant = plant.kill_and_restart();
    check_all(&plant, &token, acknowledged);
    // The first flush after the start may have made room, too.
    acknowledged += fill(&plant, &token, acknowledged).0;
    std::fs::remove_file(ballast).expect("it is there");
    let until = Instant::now() + PATIENCE;
    while send(&plant, &token, acknowledged).status != 204 {
        assert!(Instant::now() < until, "room came back, and it still refuses");
        std::thread::sleep(Duration::from_millis(50));
    }
    plant.get("/health/ready").send().expect(200);
    let (more, answer) = send_all(&plant, &token, acknowledged + LINES, 4 * LINES);
    answer.expect(204);
    let plant = plant.kill_and_restart();
    check_all(&plant, &token, acknowledged + LINES + more);
    plant.ok(&["check"]);
}
