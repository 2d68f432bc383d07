//! `cargo xtask dist`: what is handed to users, from one built program: an archive, a package for Debian, a file for building a
//! container, the bill of materials, and the checksums of all. The same commit and program give the same bytes. What installs
//! it on a clean system to see that it works stands in `dist/clean.rs`.

mod archive;
mod clean;
mod date;
mod deb;
mod licences;
mod parts;
mod program;
mod sbom;

use archive::{Tree, gzip};
use date::Date;
use program::Program;
use std::path::Path;
use trials::binary::Binary;
use trials::{Command, Outcome, shell};

pub(crate) const COMMAND: Command = Command {
    name: "dist",
    arguments: "[--test] [--binary PATH]",
    summary: "Make the archive, the package, the container file and the bill of materials",
    help: "Builds the program in the profile `packaged` (smaller than release, longer in the making) and fills target/dist/, or packs the program at PATH (of the same version, and for a \
           machine like this one).\n\
           --test packs the dev build, or that of --binary, twice, compares the bytes, installs the package on a clean Debian that systemd-nspawn \
           boots,\nand uses, upgrades, removes and purges it there. It needs root and Debian; without them it is skipped by name.\n\n\
           The one time in archives is that of the commit.\n\n\
           Example: cargo xtask dist && ls target/dist",
    run,
};

/// What stands in every form of the release, made once.
pub(crate) struct Contents {
    pub program: Program,
    pub unit: String,
    pub manual: String,
    /// By shell.
    pub completions: Vec<(&'static str, String)>,
    pub third_party: String,
    pub sbom: String,
}

/// Functions of the same code become one, where the linker that Rust brings can do that.
const LINKED: &[&str] =
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) { &["-Wl,--icf=all"] } else { &[] };

/// How small archives are made: 9 takes a quarter of a minute for the program.
const LEVEL: u8 = 9;
/// And where they are only tried.
const LEVEL_TEST: u8 = 1;

fn run(arguments: &[String]) -> Outcome {
    let (mut binary, mut test) = (None, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--test" => test = true,
            "--binary" => {
                let path = words.next().ok_or("`--binary` takes a path")?;
                binary = Some(std::path::absolute(path)?);
            }
            other => {
                return Err(format!("`{other}` is not an option of dist (--binary PATH, --test)").into());
            }
        }
    }
    if test {
        return clean::run(binary).map_err(Into::into);
    }
    let path = match binary {
        Some(path) => path,
        None => Binary::linked("packaged", LINKED)?.path,
    };
    let folder = shell::root().join("target/dist");
    let made = make(&path, &folder, LEVEL)?;
    for name in made {
        let bytes = std::fs::metadata(folder.join(&name))?.len();
        println!("{:>9.1} MB  target/dist/{name}", bytes as f64 / 1e6);
    }
    Ok(())
}

/// Fills `folder`, which is emptied before; returns the names of the files.
fn make(binary: &Path, folder: &Path, level: u8) -> Result<Vec<String>, String> {
    let contents = contents(binary)?;
    let date = Date::of_commit()?;
    let (version, machine) = (&contents.program.version, contents.program.machine);
    let archive = format!("tidemill-{version}-{}.tar.gz", machine.target);
    let package = format!("tidemill_{version}_{}.deb", machine.debian);
    let prefix = format!("tidemill-{version}/");
    let files = [
        (archive, gzip(&unpacked(&contents)?.tar(&prefix, date.seconds)?, level)?),
        (package, deb::package(&contents, version, &date, level)?),
        ("Containerfile".to_owned(), text("packaging/Containerfile")?.into_bytes()),
        (format!("tidemill-{version}-{}.cdx.json", machine.target), contents.sbom.clone().into_bytes()),
    ];
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(folder, error)),
        _ => {}
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut sums = String::new();
    let mut names = Vec::new();
    for (name, bytes) in files {
        sums.push_str(&format!("{}  {name}\n", sha256(&bytes)));
        let path = folder.join(&name);
        std::fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        names.push(name);
    }
    let path = folder.join("SHA256SUMS");
    std::fs::write(&path, sums).map_err(|error| failed(&path, error))?;
    names.push("SHA256SUMS".to_owned());
    Ok(names)
}

fn contents(binary: &Path) -> Result<Contents, String> {
    let program = Program::look(binary)?;
    let manifest: toml::Table =
        text("Cargo.toml")?.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
    let version = manifest["workspace"]["package"]["version"].as_str().unwrap_or_default();
    if program.version != version {
        return Err(format!(
            "{} is version {}, the sources are {version}: build it anew",
            binary.display(),
            program.version
        ));
    }
    let parts = parts::of(program.machine.target)?;
    let completions = ["bash", "fish", "zsh"]
        .into_iter()
        .map(|shell| program.prints(&["completions", shell]).map(|script| (shell, script)))
        .collect::<Result<_, _>>()?;
    Ok(Contents {
        unit: text("packaging/tidemill.service")?,
        manual: program.prints(&["reference", "manual"])?,
        completions,
        third_party: licences::text(&parts)?,
        sbom: sbom::document(&program, &parts, &Date::of_commit()?),
        program,
    })
}

/// What the archive holds: it runs where it is unpacked, and can be laid over /usr/local.
fn unpacked(contents: &Contents) -> Result<Tree, String> {
    let mut tree = Tree::default();
    tree.program("bin/tidemill", contents.program.bytes.clone());
    for name in ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "NOTICE"] {
        tree.file(name, text(name)?);
    }
    tree.file("install.md", text("docs/install.md")?);
    tree.file("third-party.txt", contents.third_party.clone());
    tree.file("sbom.cdx.json", contents.sbom.clone());
    tree.file("share/man/man1/tidemill.1", contents.manual.clone());
    for (shell, script) in &contents.completions {
        tree.file(&format!("share/completions/tidemill.{shell}"), script.clone());
    }
    let local = contents.unit.replace("/usr/bin/tidemill", "/usr/local/bin/tidemill");
    tree.file("share/systemd/tidemill.service", local);
    Ok(tree)
}

/// A text of the repository.
fn text(path: &str) -> Result<String, String> {
    shell::text(path)?.ok_or_else(|| format!("{path} is not UTF-8"))
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [&["--tset"][..], &["--binary"]] {
            let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
            assert!(run(&words).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_unit_waits_longer_than_a_stop_may_take() {
        let unit = text("packaging/tidemill.service").expect("it stands");
        let house = text("crates/tidemill/src/house.rs").expect("it stands");
        let number = |text: &str, before: &str| {
            let rest = text.split_once(before).expect("it is there").1;
            rest.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
                .parse::<u64>()
                .expect("a number")
        };
        let (bound, patience) = (
            number(&house, "STOP_WITHIN: Duration = Duration::from_secs("),
            number(&unit, "TimeoutStopSec="),
        );
        assert!(patience > bound, "the unit kills after {patience} s what may take {bound} s");
    }
}
