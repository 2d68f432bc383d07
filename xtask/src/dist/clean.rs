//! The package on a clean system: a Debian that `mmdebstrap` made, booted by `systemd-nspawn` with a network of its own, where
//! the package is installed, used, upgraded, removed and purged as its user would. What it is made of is compared with itself,
//! made twice, and shown to the field's own checkers. It needs root; without it nothing is tested, and that is said.

mod container;
mod system;

use super::date::Date;
use super::{LEVEL_TEST, contents, deb, make, text};
use std::path::{Path, PathBuf};
use system::System;
use trials::binary::Binary;
use trials::shell;

const PLANT: &str = "/var/lib/tidemill";
/// What `systemd-analyze security` may find at most, in tenths: 0 is nothing to add, 10 and more is its "OK", 100 "UNSAFE".
const EXPOSURE_TENTHS_MAX: &str = "15";

pub(super) fn run(binary: Option<PathBuf>) -> Result<(), String> {
    if !shell::is_root() {
        println!("skipped: dist --test installs a package on a system of its own, for which it must be root");
        return Ok(());
    }
    if let Err(missing) = tools() {
        if shell::is_ci() {
            return Err(missing);
        }
        println!("skipped: {missing}");
        return Ok(());
    }
    let place = shell::root().join("target/dist-test");
    remove(&place)?;
    std::fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let binary = stripped(binary, &place)?;

    let made = twice(&binary, &place)?;
    let package = place.join("one").join(named(&made, ".deb")?);
    bill_is_valid(&place.join("one").join(named(&made, ".cdx.json")?))?;
    lintian_is_content(&package)?;
    // The same program as a later package.
    let contents = contents(&binary)?;
    let later = place.join("later.deb");
    let bytes =
        deb::package(&contents, &format!("{}+1", contents.program.version), &Date::of_commit()?, LEVEL_TEST)?;
    std::fs::write(&later, bytes).map_err(|error| format!("{}: {error}", later.display()))?;

    let guide = Guide::open()?;
    container::run(&place.join("one").join(named(&made, ".tar.gz")?), &place, &guide)?;
    let system = System::boot(&place)?;
    for name in &made {
        system.carry(&place.join("one").join(name), &format!("release/{name}"))?;
    }
    system.carry(&later, "later.deb")?;
    let outcome = prepared(&system)
        .and_then(|()| from_the_archive(&system, &guide))
        .and_then(|()| from_the_package(&system, &guide));
    if outcome.is_err() {
        println!("{}", system.says("journalctl --no-pager --lines 60 --unit tidemill").unwrap_or_default());
    }
    system.off();
    outcome?;
    remove(&place)
}

/// docs/install.md, whose commands are what is tested.
struct Guide(String);

impl Guide {
    fn open() -> Result<Guide, String> {
        // So that each heading, the first too, has a line before it.
        text("docs/install.md").map(|text| Guide(format!("\n{text}")))
    }

    /// The commands in the numbered block of shell below a heading, counted from 0, as a user of this machine types them.
    fn commands(&self, heading: &str, block: usize) -> Result<String, String> {
        let missing = || format!("docs/install.md has no block {block} of commands below `{heading}`");
        let (_, section) = self.0.split_once(&format!("\n{heading}\n")).ok_or_else(missing)?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let found = section.split("```sh\n").nth(block + 1).and_then(|rest| rest.split_once("```"));
        let (commands, _) = found.ok_or_else(missing)?;
        // The clean system has no sudo: who is logged in there may do everything.
        Ok(format!(
            "sudo() {{ if [ \"$1\" = -u ]; then shift; user=$1; shift; runuser -u \"$user\" -- \"$@\"; else \"$@\"; fi; }}\n\
             export TIDEMILL_STORAGE_FREE_MIN=1%\nset -e\ncd /release\n{commands}"
        ))
    }
}

/// What the machine that tests asks for: its disk may be fuller than a plant likes; and nobody is there to say yes.
fn prepared(system: &System) -> Result<(), String> {
    system.says(
        "set -e\nmkdir -p /etc/systemd/system/tidemill.service.d\n\
         printf '[Service]\\nEnvironment=TIDEMILL_STORAGE_FREE_MIN=1%%%%\\n' > /etc/systemd/system/tidemill.service.d/local.conf\n\
         echo 'APT::Get::Assume-Yes \"true\";' > /etc/apt/apt.conf.d/yes",
    )?;
    Ok(())
}

fn from_the_archive(system: &System, guide: &Guide) -> Result<(), String> {
    println!("the archive: install by hand, remove");
    system.says(&guide.commands("# Installing Tidemill", 0)?)?;
    system.says(&guide.commands("## The archive", 0)?)?;
    system.expect("systemctl is-active tidemill", "active")?;
    system.says(&guide.commands("## The archive", 1)?)?;
    system.refuses("systemctl cat tidemill")
}

/// From the first installation to the last trace.
fn from_the_package(system: &System, guide: &Guide) -> Result<(), String> {
    println!("the package: install, write, read");
    for block in 0..3 {
        system.says(&guide.commands("## The package", block)?)?;
    }
    system.expect("systemctl is-active tidemill", "active")?;
    system.expect("systemctl is-enabled tidemill", "enabled")?;
    system.expect(&format!("stat --format '%a %U' {PLANT}"), "700 tidemill")?;
    system.expect(&format!("stat --format '%a' {PLANT}/tidemill.toml"), "600")?;
    system.expect("ps -o user= -C tidemill", "tidemill")?;
    system.says("systemd-analyze verify --man=no tidemill.service")?;
    system.says(&format!(
        "systemd-analyze security --no-pager --threshold={EXPOSURE_TENTHS_MAX} tidemill.service"
    ))?;
    let read = format!("tidemill --plant {PLANT} read plant/temperature --format csv");
    system.expect(&read, "20.5")?;
    system.expect("gzip -dc /usr/share/man/man1/tidemill.1.gz", ".TH TIDEMILL 1")?;

    println!("reload, kill, start again");
    system.says("systemctl reload tidemill")?;
    system.says("systemctl kill --signal=KILL tidemill")?;
    system.until(
        "systemctl is-active tidemill && test $(systemctl show -P NRestarts tidemill) -ge 1",
        "active",
    )?;
    system.expect(&read, "20.5")?;

    println!("listen beyond this machine");
    let listen =
        guide.0.lines().find(|line| line.starts_with("listen = ")).ok_or("the guide has no `listen = `")?;
    system.says(&format!(
        "sed -i 's/^\\[http\\]$/[http]\\n{}/' {PLANT}/tidemill.toml",
        listen.replace('/', "\\/")
    ))?;
    system.says("systemctl restart tidemill")?;
    system.expect("systemctl status --no-pager tidemill", "https://0.0.0.0:8443")?;
    system.says(&format!("tidemill --plant {PLANT} trust --output /release/ca.pem"))?;

    println!("upgrade");
    let before = system.says("systemctl show -P MainPID tidemill")?;
    system.says("dpkg --install /later.deb")?;
    system.expect("systemctl is-active tidemill", "active")?;
    if system.says("systemctl show -P MainPID tidemill")? == before {
        return Err("the upgrade left the earlier program running".into());
    }
    system.says(&format!("tidemill --plant {PLANT} write plant/temperature 21.5"))?;
    system.expect(&read, "20.5")?;

    println!("stop, and start without the plant");
    system.says("systemctl stop tidemill")?;
    system.expect("systemctl show -P Result tidemill", "success")?;
    system.expect("systemctl show -P ExecMainStatus tidemill", "0")?;
    // Such as on a disk that is not mounted: it is not made anew.
    system.says(&format!("mv {PLANT} {PLANT}.away"))?;
    system.refuses("systemctl start tidemill")?;
    system.expect("journalctl --no-pager --unit tidemill", "no-plant")?;
    system.says("systemctl stop tidemill")?;
    system.says(&format!("rmdir {PLANT} && mv {PLANT}.away {PLANT}"))?;
    system.says("systemctl reset-failed tidemill; systemctl start tidemill")?;

    println!("remove, install again, purge");
    has(&system.says(&guide.commands("## Removing", 0)?)?, "stays")?;
    system.refuses("systemctl is-active tidemill")?;
    system.refuses("test -e /usr/bin/tidemill")?;
    system.says(&format!("test -e {PLANT}/tidemill.toml"))?;
    system.says("dpkg --install /later.deb")?;
    system.expect(&read, "21.5")?;
    has(&system.says(&guide.commands("## Removing", 1)?)?, "DELETING the plant in /var/lib/tidemill")?;
    system.refuses(&format!("test -e {PLANT}"))?;
    system.refuses("getent passwd tidemill")?;
    system.refuses("getent group tidemill")?;
    system.refuses("systemctl cat tidemill")?;
    system.says("rm -r /etc/systemd/system/tidemill.service.d /release")?;
    system.expect("find / -xdev -name '*tidemill*' -not -path '/proc/*' | wc -l", "0")
}

fn has(text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) { Ok(()) } else { Err(format!("no `{part}` in:\n{text}")) }
}

/// The dev build where no other is named, without its debug information: the package is tested, not the program in it.
fn stripped(binary: Option<PathBuf>, place: &Path) -> Result<PathBuf, String> {
    let binary = match binary {
        Some(binary) => binary,
        None => Binary::build("dev")?.path,
    };
    let path = place.join("tidemill");
    let mut strip = shell::program("strip");
    strip.arg("-o").arg(&path).arg(&binary);
    shell::capture(strip)?;
    Ok(path)
}

/// Everything made twice is the same.
fn twice(binary: &Path, place: &Path) -> Result<Vec<String>, String> {
    let (one, other) = (place.join("one"), place.join("other"));
    let made = make(binary, &one, LEVEL_TEST)?;
    make(binary, &other, LEVEL_TEST)?;
    for name in &made {
        let bytes =
            |folder: &Path| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
        if bytes(&one)? != bytes(&other)? {
            return Err(format!("{name} made twice is not the same"));
        }
    }
    remove(&other)?;
    let mut sums = shell::program("sha256sum");
    sums.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&one);
    shell::capture(sums)?;
    println!("made twice, the same bytes: {}", made.join(", "));
    Ok(made)
}

fn named<'a>(made: &'a [String], ending: &str) -> Result<&'a str, String> {
    let found = made.iter().find(|name| name.ends_with(ending));
    found.map(String::as_str).ok_or_else(|| format!("no {ending} was made"))
}

/// By the schema of CycloneDX, as its own library has it.
fn bill_is_valid(path: &Path) -> Result<(), String> {
    const PROGRAM: &str = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
        sys.exit(str(fault) if fault else 0)\n";
    let partners = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from);
    let python = partners.unwrap_or_else(|| shell::root().join(".partners")).join("python/bin/python");
    let mut probe = shell::program(&python.to_string_lossy());
    probe.args(["-c", "import cyclonedx.validation.json, jsonschema"]);
    if shell::capture(probe).is_err() && !shell::is_ci() {
        println!("skipped for want of cyclonedx-python-lib: the bill of materials by its schema");
        return Ok(());
    }
    let mut python = shell::program(&python.to_string_lossy());
    python.args(["-c", PROGRAM]).arg(path);
    shell::capture(python)?;
    println!("the bill of materials is valid CycloneDX 1.6");
    Ok(())
}

/// No error and no warning; what it remarks beyond is taste.
fn lintian_is_content(package: &Path) -> Result<(), String> {
    let mut lintian = shell::program("lintian");
    lintian.args(["--allow-root", "--no-cfg", "--tag-display-limit", "0", "--fail-on", "error,warning"]);
    // Names of functions make the report of a crash readable.
    lintian.args(["--suppress-tags", "unstripped-binary-or-object"]).arg(package);
    shell::capture(lintian)?;
    println!("lintian finds no error and no warning");
    Ok(())
}

/// What the test needs of Debian, installed where that may be done unasked.
fn tools() -> Result<(), String> {
    const TOOLS: &[(&str, &str)] = &[
        ("mmdebstrap", "mmdebstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("lintian", "lintian"),
        ("strip", "binutils"),
        ("nsenter", "util-linux"),
    ];
    let missing = || -> Vec<&str> {
        let stands = |name: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        };
        TOOLS.iter().filter(|(name, _)| !stands(name)).map(|(_, package)| *package).collect()
    };
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    if Path::new("/usr/bin/apt-get").is_file() && (shell::is_ci() || !shell::is_terminal()) {
        println!("installing {}", wanted.join(" "));
        for words in [
            &["update", "-qq"][..],
            &[&["install", "-qq", "-y", "--no-install-recommends"], &wanted[..]].concat(),
        ] {
            let mut apt = shell::program("apt-get");
            apt.args(["-o", "DPkg::Lock::Timeout=120"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
            shell::capture(apt)?;
        }
    }
    let missing = missing();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("dist --test needs {} of Debian", missing.join(", ")))
    }
}

fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_commands_in_the_guide_is_one_that_is_tested() {
        let guide = Guide::open().expect("it stands");
        let tested =
            [("# Installing Tidemill", 1), ("## The package", 3), ("## The archive", 2), ("## Removing", 2)];
        for (heading, blocks) in tested {
            for block in 0..blocks {
                assert!(guide.commands(heading, block).is_ok(), "{heading} {block}");
            }
            assert!(guide.commands(heading, blocks).is_err(), "{heading} has a block that nobody runs");
        }
        let all: usize = tested.iter().map(|(_, blocks)| blocks).sum();
        assert_eq!(guide.0.matches("```sh\n").count(), all, "a section with commands that nobody runs");
    }
}
