//! A Debian of its own for one test: made once into .partners/, unpacked afresh each time, booted by `systemd-nspawn` without a
//! network but its own loopback. Commands run in it as its root would type them. What is tested is not known here.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use trials::shell;

/// The release and what is in it beside the essential: systemd, and what the package depends on.
const SUITE: &str = "bookworm";
const PACKAGES: &str = "systemd-sysv,adduser,procps";
/// The longest that a boot, a stop or a wait for a state may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct System {
    nspawn: Child,
    /// Its first process, as this machine numbers it.
    first: u32,
    folder: PathBuf,
}

impl System {
    /// Unpacks it in `place` and waits until it is up.
    pub(super) fn boot(place: &Path) -> Result<System, String> {
        let (archive, folder) = (archive()?, place.join("system"));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut tar = shell::program("tar");
        tar.arg("-xf").arg(&archive).arg("-C").arg(&folder);
        shell::capture(tar)?;
        let log =
            std::fs::File::create(place.join("boot.log")).map_err(|error| format!("boot.log: {error}"))?;
        let mut nspawn = shell::program("systemd-nspawn");
        nspawn.arg("--directory").arg(&folder);
        nspawn.args([
            "--boot",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--console=pipe",
        ]);
        nspawn.args(["--link-journal=no", "--machine=tidemill-test", "--hostname=clean"]);
        let errors = log.try_clone().map_err(|error| format!("boot.log: {error}"))?;
        nspawn.stdin(Stdio::null()).stdout(log).stderr(errors);
        let nspawn = nspawn.spawn().map_err(|error| format!("systemd-nspawn: {error}"))?;
        let mut system = System { nspawn, first: 0, folder };
        system.first = system.first_process()?;
        let booted = system.until("systemctl is-system-running || true", "running");
        if booted.is_err() {
            // A unit of Debian's own that fails in a container is no matter; the bus must answer.
            system.expect("systemctl is-system-running || true", "degraded")?;
        }
        println!("a clean Debian {SUITE} is up");
        Ok(system)
    }

    /// The child of nspawn that is process 1 inside.
    fn first_process(&mut self) -> Result<u32, String> {
        let children = format!("/proc/{0}/task/{0}/children", self.nspawn.id());
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                return Err(format!("systemd-nspawn ended with {status}; boot.log says why"));
            }
            let text = std::fs::read_to_string(&children).unwrap_or_default();
            for child in text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()) {
                let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
                let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
                let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
                if inside.is_some_and(|ids| ids.split_whitespace().nth(1) == Some("1"))
                    && name.trim() == "systemd"
                {
                    return Ok(child);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("no system came up within two minutes; boot.log says why".into())
    }

    /// Copies a file to the top of the system.
    pub(super) fn carry(&self, file: &Path, name: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(file, &path));
        copied.map(drop).map_err(|error| format!("{name}: {error}"))
    }

    /// What a command says; that it fails is an error.
    pub(super) fn says(&self, line: &str) -> Result<String, String> {
        let mut enter = shell::program("nsenter");
        enter.args(["--target", &self.first.to_string(), "--all", "--", "/bin/sh", "-c"]);
        enter.arg(format!("exec 2>&1\ncd /\n{line}"));
        enter
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        let output = enter.output().map_err(|error| format!("nsenter: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(text);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("on the clean system `{line}` ended with {}:\n{text}{error}", output.status))
    }

    /// A command succeeds, and `part` is in what it says.
    pub(super) fn expect(&self, line: &str, part: &str) -> Result<(), String> {
        let said = self.says(line)?;
        let wanted = said.lines().any(|found| found.contains(part));
        if wanted { Ok(()) } else { Err(format!("`{line}` says no `{part}`:\n{said}")) }
    }

    /// The same, within a while.
    pub(super) fn until(&self, line: &str, part: &str) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match self.expect(line, part) {
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(error) if error.contains("degraded") => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// A command fails, as it should.
    pub(super) fn refuses(&self, line: &str) -> Result<(), String> {
        match self.says(line) {
            Err(_) => Ok(()),
            Ok(said) => Err(format!("`{line}` should have failed, and said:\n{said}")),
        }
    }

    /// Switches it off, and waits until its files are free.
    pub(super) fn off(mut self) {
        // It goes either way; an orderly end lets go of what it mounted.
        let _ = self.says("systemctl --no-block poweroff");
        let began = Instant::now();
        while began.elapsed() < PATIENCE && matches!(self.nspawn.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for System {
    /// Nothing goes on running after a test that gave up: with its first process the system ends.
    fn drop(&mut self) {
        if matches!(self.nspawn.try_wait(), Ok(None)) {
            if self.first != 0 {
                let _ = shell::capture({
                    let mut kill = shell::program("kill");
                    kill.args(["-KILL", &self.first.to_string()]);
                    kill
                });
            }
            let _ = self.nspawn.kill();
            let _ = self.nspawn.wait();
        }
    }
}

/// The system as an archive, from Debian's mirrors as this machine uses them.
pub(super) fn archive() -> Result<PathBuf, String> {
    let folder = shell::root().join(".partners");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = format!("debian-{SUITE}-{}.tar", PACKAGES.replace(',', "-"));
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    println!("making a clean Debian {SUITE} in .partners/");
    let unfinished = path.with_extension("new");
    let mut make = shell::program("mmdebstrap");
    make.args(["--quiet", "--format=tar", "--variant=minbase", &format!("--include={PACKAGES}")]);
    make.args(["--aptopt=Acquire::Languages \"none\"", SUITE]).arg(&unfinished);
    shell::capture(make)?;
    std::fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
