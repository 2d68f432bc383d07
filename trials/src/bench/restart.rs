//! How long a plant takes to come back after kill -9 when its log holds much that is in no file yet: until it accepts a
//! write, and until everything acknowledged is visible. With files in memory and without. The disk's own rate of reading
//! the same log stands beside.

use super::figure::{self, Figure, figure, medians};
use super::generate::Plant;
use super::stand::{ANSWER_MAX, Stand, WRITE, asked, ms, pour, write};
use crate::binary::{Binary, Running};
use crate::http::Client;
use crate::shell;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// Samples that are made at once.
const STEP_SAMPLES: u64 = 1_000_000;
/// From this share of the log on, what is left is made before any of it is written: a flush begins by itself at about 1 GB,
/// and the rest has to come before it ends.
const RUSH_PERCENT: u64 = 60;
/// How often each kind of start is measured.
const ROUNDS: usize = 3;
const ACCEPT_EVERY: Duration = Duration::from_millis(2);
const ACCEPT_MAX: Duration = Duration::from_secs(60);

/// No flush by time; and room in memory for all of it, or the buffer asks for a flush.
const SETTINGS: &[(&str, &str)] = &[
    ("TIDEMILL_STORAGE_FLUSH_AFTER", "240h"),
    ("TIDEMILL_STORAGE_FLUSH_YOUNG_AFTER", "240h"),
    ("TIDEMILL_LIMITS_MEMORY", "12GiB"),
    ("TIDEMILL_LIMITS_QUERY_TIME", "100s"),
];

/// What the measured starts have in common.
struct Rounds<'a> {
    stand: &'a Stand,
    token: String,
    /// Samples acknowledged, a marker after each start included.
    samples: u64,
}

pub(super) fn run(binary: &Binary, log_bytes: u64, lines: u64) -> Result<(), String> {
    let stand = Stand::new(binary, SETTINGS)?;
    let (running, _) = stand.run()?;
    let mut rounds = Rounds { stand: &stand, token: stand.token()?, samples: 0 };
    println!("writing {} MB of log, {lines} samples a request", log_bytes / 1_000_000);
    fill(&mut rounds, &running, log_bytes, lines)?;
    running.kill();
    let mut warm = Vec::new();
    for _ in 0..ROUNDS {
        warm.push(rounds.start()?);
    }
    let mb = stand.journal_bytes() as f64 / 1e6;
    let about = format!("{mb:.0} MB of log, {} samples in no file", rounds.samples);
    println!("\nkill -9, start with the log in memory; {about}; median of {ROUNDS}");
    figure::print(&medians(&warm));
    if let Err(why) = drop_caches() {
        println!("start from the disk: skipped, {why}");
        return Ok(());
    }
    let mut cold = Vec::new();
    for _ in 0..ROUNDS {
        drop_caches()?;
        let disk = read_all(&stand.start.plant.join("data/journal"))?;
        drop_caches()?;
        let mut figures = rounds.start()?;
        figures.push(figure(
            "the disk alone reads the log in",
            disk.as_secs_f64(),
            "s",
            format!("{:.0} MB/s", mb / disk.as_secs_f64()),
        ));
        cold.push(figures);
    }
    println!("\nkill -9, start from the disk with nothing in memory, the program neither");
    figure::print(&medians(&cold));
    Ok(())
}

fn fill(rounds: &mut Rounds<'_>, running: &Running, log_bytes: u64, lines: u64) -> Result<(), String> {
    let mut plant = Plant::new();
    let address = running.address;
    loop {
        let written = rounds.stand.journal_bytes();
        // The first entry begins the table, each further one is a flush that the log has let go of.
        if rounds.stand.commits() > 1 {
            return Err("a flush ended before the log was that large: take a smaller --log-mb".into());
        }
        if written >= log_bytes {
            return Ok(());
        }
        let mut samples = STEP_SAMPLES;
        if written * 100 >= log_bytes * RUSH_PERCENT {
            samples += rounds.samples * (log_bytes - written) / written;
        }
        let bodies = plant.bodies(samples, lines);
        pour(&bodies, WRITE, &|| Client::new(address, &rounds.token, ANSWER_MAX))?;
        rounds.samples += samples;
    }
}

impl Rounds<'_> {
    /// Starts, writes, asks, counts, and kills again.
    fn start(&mut self) -> Result<Vec<Figure>, String> {
        let mut running = self.stand.binary.start(&self.stand.start)?;
        let began = running.began;
        let mut client = Client::new(running.address, &self.token, ANSWER_MAX);
        // Its time is late, so that it is told from the others.
        let marker = format!("bench/marker value=1 {}\n", 1_900_000_000_000_000_000 + self.samples);
        while let Err(error) = write(&mut client, WRITE, marker.as_bytes()) {
            if began.elapsed() > ACCEPT_MAX {
                return Err(format!("it does not accept: {error}"));
            }
            std::thread::sleep(ACCEPT_EVERY);
        }
        let accepting = began.elapsed();
        self.samples += 1;
        // A question is answered when everything acknowledged before is visible; this one is about little.
        asked(&mut client, "SELECT count(*) FROM samples WHERE signal = 'bench/marker'")?;
        let visible = began.elapsed();
        let ready = running.wait_ready()?;
        let counted = Instant::now();
        let count = asked(&mut client, "SELECT count(*) FROM samples")?;
        let counting = counted.elapsed();
        if count.first().and_then(serde_json::Value::as_u64) != Some(self.samples) {
            return Err(format!("{count:?} of {} samples are there", self.samples));
        }
        running.kill();
        Ok(vec![
            figure("start to the ready line", ready.as_secs_f64(), "s", ""),
            figure("start to the first write accepted", accepting.as_secs_f64(), "s", "goal 2 s"),
            figure("start to everything visible", visible.as_secs_f64(), "s", "goal 5 s"),
            figure("counting all by SQL after that", ms(counting), "ms", ""),
        ])
    }
}

/// Makes the kernel forget every file that it holds in memory.
fn drop_caches() -> Result<(), String> {
    if !shell::is_root() {
        return Err("only root may empty the page cache".into());
    }
    let mut sync = std::process::Command::new("sh");
    sync.args(["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"]);
    shell::capture(sync).map(|_| ())
}

/// How long reading all files of a folder takes, one after the other, as the kernel likes it best.
fn read_all(folder: &Path) -> Result<Duration, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let began = Instant::now();
    let mut buffer = vec![0; 4 << 20];
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.is_file() {
            continue;
        }
        let mut file = std::fs::File::open(&path).map_err(failed)?;
        while file.read(&mut buffer).map_err(failed)? > 0 {}
    }
    Ok(began.elapsed())
}
