//! What the kernel knows of a process and of a folder: processor time, memory, bytes written, size on disk. Linux only,
//! as the figures in docs/benchmarks.md are.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Units of processor time in `/proc`: USER_HZ, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process under observation.
#[derive(Clone, Copy)]
pub(super) struct Process(pub u32);

impl Process {
    /// Processor time of all its threads so far.
    pub(super) fn cpu(self) -> Result<Duration, String> {
        let stat = self.read("stat")?;
        // The name in brackets may hold spaces; what follows it is numbers, the 12th and 13th are user and system time.
        let numbers = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = numbers.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).ok_or("/proc/PID/stat cannot be read")?;
        Ok(Duration::from_secs_f64((user + system) / TICKS_PER_SECOND))
    }

    /// The most memory it ever held.
    pub(super) fn memory_peak_bytes(self) -> Result<u64, String> {
        self.status_bytes("VmHWM:")
    }

    /// The memory it holds now.
    pub(super) fn memory_bytes(self) -> Result<u64, String> {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(self, name: &str) -> Result<u64, String> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| format!("/proc/PID/status has no {name}"))
    }

    /// Bytes that it caused to be written to disk.
    pub(super) fn written_bytes(self) -> Result<u64, String> {
        let io = self.read("io")?;
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
        line.and_then(|line| line.trim().parse().ok())
            .ok_or_else(|| "/proc/PID/io has no write_bytes".to_owned())
    }

    fn read(self, name: &str) -> Result<String, String> {
        let path = format!("/proc/{}/{name}", self.0);
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }
}

/// Bytes of all files below a folder whose names the filter takes; what a sparse file has not is not counted.
pub(super) fn size(folder: &Path, takes: &dyn Fn(&Path) -> bool) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| {
            let path = entry.path();
            match entry.metadata() {
                Ok(about) if about.is_dir() => size(&path, takes),
                Ok(about) if takes(&path) => about.len().min(about.blocks() * 512),
                _ => 0,
            }
        })
        .sum()
}

/// How long appending a little and fdatasync take in a folder, sorted.
pub(super) fn syncs(folder: &Path, count: usize) -> Result<Vec<Duration>, String> {
    let path = folder.join("sync-probe");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = fs::File::create(&path).map_err(failed)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&[7; 512]).and_then(|()| file.sync_data()).map_err(failed)?;
        times.push(began.elapsed());
    }
    fs::remove_file(&path).map_err(failed)?;
    times.sort_unstable();
    Ok(times)
}

/// The value below which this share of sorted ones lies.
pub(super) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let me = Process(std::process::id());
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < Duration::from_millis(60) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(me.cpu().expect("read") >= Duration::from_millis(10));
        assert!(me.memory_peak_bytes().expect("read") > 1 << 20);
        me.written_bytes().expect("read");
    }

    #[test]
    fn sizes_and_quantiles() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("a")).expect("made");
        fs::write(folder.path().join("a/one.parquet"), [0; 10]).expect("written");
        fs::write(folder.path().join("two.json"), [0; 5]).expect("written");
        assert_eq!(size(folder.path(), &|_| true), 15);
        assert_eq!(size(folder.path(), &|path| path.extension().is_some_and(|end| end == "parquet")), 10);
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
        assert_eq!(syncs(folder.path(), 3).expect("synced").len(), 3);
    }
}
