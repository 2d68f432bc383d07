//! What the system says of this process and of the machine: memory, open files, processor time, wear of flash, whether
//! something keeps the clock right. Everything is an `Option`: a system that does not say is no error. What does not live here:
//! what any of it means for a plant.

use std::fs;
use std::path::Path;

/// What was found at one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Memory of this process that is not swapped out.
    pub resident_bytes: Option<u64>,
    /// The part of it that no file stands behind.
    pub anonymous_bytes: Option<u64>,
    /// The part of it that stands in memory alone, and may be shared with other processes.
    pub shared_bytes: Option<u64>,
    /// Memory of this process that is swapped out.
    pub swapped_bytes: Option<u64>,
    /// What the control group of this process may have.
    pub group_bytes_max: Option<u64>,
    /// What all processes could still get without swapping.
    pub available_bytes: Option<u64>,
    /// Memory of the whole machine.
    pub memory_bytes: Option<u64>,
    /// Files and connections that are open.
    pub open_files: Option<u64>,
    /// As many may be.
    pub open_files_max: Option<u64>,
    /// Processor time used so far, all threads.
    pub processor_seconds: Option<f64>,
    /// Whether a time service has set the clock since the machine began; none where there is none that says so.
    pub clock_set: Option<bool>,
}

impl Machine {
    /// Memory of this process that counts where its group may have no more. The pages of files, such as those of the program
    /// itself, are taken back before anybody is ended, and read again when they are wanted. All that is resident where the
    /// system does not tell them apart.
    pub fn held_bytes(&self) -> Option<u64> {
        let held = self.anonymous_bytes.map(|own| own.saturating_add(self.shared_bytes.unwrap_or(0)));
        held.or(self.resident_bytes)
    }
}

/// The process may open no more files.
#[cfg(unix)]
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// Looks now.
pub fn machine() -> Machine {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "elsewhere nothing is added to what the files say"))]
    let mut machine = machine_under(Path::new("/"));
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        machine.open_files_max = limit.current;
        // Where not one more can be opened, they cannot be counted either.
        let none_left =
            || fs::File::open("/proc/self/fd").is_err_and(|why| why.raw_os_error() == Some(EMFILE));
        if machine.open_files.is_none() && none_left() {
            machine.open_files = limit.current;
        }
    }
    machine
}

fn machine_under(root: &Path) -> Machine {
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
    let (status, memory, stat) = (read("proc/self/status"), read("proc/meminfo"), read("proc/self/stat"));
    let files = fs::read_dir(root.join("proc/self/fd"));
    Machine {
        resident_bytes: kib(&status, "VmRSS:"),
        anonymous_bytes: kib(&status, "RssAnon:"),
        shared_bytes: kib(&status, "RssShmem:"),
        swapped_bytes: kib(&status, "VmSwap:"),
        group_bytes_max: crate::memory::group_bytes_under(root),
        available_bytes: kib(&memory, "MemAvailable:"),
        memory_bytes: kib(&memory, "MemTotal:"),
        // The folder itself is open while it is read.
        open_files: files.ok().map(|files| (files.count() as u64).saturating_sub(1)),
        open_files_max: None,
        processor_seconds: processor_seconds(&stat),
        clock_set: clock_set(root),
    }
}

/// A line such as `VmRSS:     1234 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second: Linux shows them so on every machine of ours. The name of
/// the process before them may hold anything.
fn processor_seconds(stat: &str) -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// systemd-timesyncd makes a file when it has set the clock. The kernel knows more (adjtimex(2)); asking it needs a system call
/// that no safe library offers.
fn clock_set(root: &Path) -> Option<bool> {
    let service = root.join("run/systemd/timesync");
    service.is_dir().then(|| service.join("synchronized").exists())
}

/// Files that can still be made where this path is, and how many there can be at all; none where the file system has no such
/// limit.
pub fn inodes(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        let about = rustix::fs::statvfs(path).ok()?;
        (about.f_files > 0).then_some((about.f_favail, about.f_files))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// How much of the life of the flash memory under this path is used up, from 0 to 1, as its controller estimates it in tenths
/// (JEDEC eMMC 5.1, DEVICE_LIFE_TIME_EST): of SD cards and disks nobody says.
pub fn flash_worn(path: &Path) -> Option<f64> {
    #[cfg(unix)]
    {
        let device = rustix::fs::stat(path).ok()?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        flash_worn_at(&Path::new("/sys/dev/block").join(format!("{major}:{minor}")))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg_attr(not(unix), allow(dead_code, reason = "only there devices have folders"))]
fn flash_worn_at(device: &Path) -> Option<f64> {
    let device = fs::canonicalize(device).ok()?;
    // A partition stands in the folder of its device.
    let places = [device.join("device/life_time"), device.parent()?.join("device/life_time")];
    let text = places.iter().find_map(|place| fs::read_to_string(place).ok())?;
    let tenths =
        text.split_whitespace().filter_map(|word| u8::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    // 1 is up to a tenth, 11 is beyond the end; 0 is not said.
    tenths.max().filter(|tenths| *tenths > 0).map(|tenths| f64::from(tenths.min(11) - 1) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a machine of files, in a temporary folder")]
    fn put(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn reads_what_the_system_says_and_nothing_from_one_that_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(machine_under(folder.path()), Machine::default());
        put(
            folder.path(),
            &[
                (
                    "proc/self/status",
                    "Name:\tx\nVmRSS:\t    1024 kB\nRssAnon:\t     512 kB\nRssFile:\t     448 kB\nRssShmem:\t      64 kB\nVmSwap:\t       8 kB\n",
                ),
                ("proc/meminfo", "MemTotal:  4096 kB\nMemFree: 1 kB\nMemAvailable:  2048 kB\n"),
                ("proc/self/stat", "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0\n"),
                ("run/systemd/timesync/x", ""),
            ],
        );
        let machine = machine_under(folder.path());
        assert_eq!((machine.resident_bytes, machine.swapped_bytes), (Some(1 << 20), Some(8 << 10)));
        assert_eq!(machine.anonymous_bytes, Some(512 << 10));
        assert_eq!(machine.held_bytes(), Some(576 << 10), "without the pages of files");
        assert_eq!((machine.available_bytes, machine.memory_bytes), (Some(2 << 20), Some(4 << 20)));
        assert_eq!((machine.processor_seconds, machine.clock_set), (Some(3.0), Some(false)));
        put(folder.path(), &[("run/systemd/timesync/synchronized", "")]);
        assert_eq!(machine_under(folder.path()).clock_set, Some(true));
    }

    #[test]
    fn this_machine_says_something() {
        let machine = machine();
        assert!(machine.resident_bytes.is_some_and(|bytes| bytes > 1 << 16), "{machine:?}");
        assert!(machine.open_files.is_some_and(|files| files >= 3), "{machine:?}");
        assert!(inodes(Path::new(".")).is_none_or(|(free, all)| free <= all));
    }

    #[test]
    fn flash_says_in_tenths_how_worn_it_is() {
        for (text, worn) in
            [("0x01 0x02\n", Some(0.1)), ("0x0b 0x01", Some(1.0)), ("0x00 0x00", None), ("?", None)]
        {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), &[("mmcblk0/device/life_time", text), ("mmcblk0/mmcblk0p2/size", "1")]);
            assert_eq!(flash_worn_at(&folder.path().join("mmcblk0/mmcblk0p2")), worn);
            assert_eq!(flash_worn_at(&folder.path().join("mmcblk0")), worn);
        }
    }
}
