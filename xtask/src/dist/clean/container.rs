//! The container file on a clean system, without an engine: its steps and its words are read from packaging/Containerfile and done
//! in a root file system of its own, as the user and with the variables that it names. What an engine adds (layers, volumes, ports,
//! when it asks for the health) is not tested.

use std::path::Path;

use super::system::archive;
use super::{Guide, text};
use trials::shell;

/// What stands before a command of the guide that is typed beside the engine.
const EXEC: &str = "podman exec tidemill ";

pub(super) fn run(release: &Path, place: &Path, guide: &Guide) -> Result<(), String> {
    println!("the container file: build, run, health, stop, run again");
    let root = place.join("container");
    std::fs::create_dir_all(root.join("opt")).map_err(|error| format!("{}: {error}", root.display()))?;
    for (packed, folder) in [(archive()?, root.clone()), (release.to_owned(), root.join("opt"))] {
        let mut tar = shell::program("tar");
        tar.arg("-xf").arg(packed).arg("-C").arg(folder);
        shell::capture(tar)?;
    }
    let file = File::read()?;
    let mut nspawn = shell::program("systemd-nspawn");
    nspawn.args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--pipe"]);
    nspawn.arg("--directory").arg(&root).args(["/bin/sh", "-c"]).arg(script(&file, guide)?);
    let told = shell::capture(nspawn)?;
    let expected = told.lines().filter(|line| line.contains("20.5")).count();
    // Read as it was written, again after a stop, and from the backup.
    if expected < 3 || !told.contains("BEGIN CERTIFICATE") {
        return Err(format!("the container's plant said: {told}"));
    }
    Ok(())
}

/// The words of the file that matter here.
struct File(Vec<(String, String)>);

impl File {
    fn read() -> Result<File, String> {
        let whole = text("packaging/Containerfile")?.replace("\\\n", " ");
        let lines = whole.lines().filter(|line| !line.starts_with('#'));
        Ok(File(
            lines
                .filter_map(|line| line.split_once(' '))
                .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
                .collect(),
        ))
    }

    fn word(&self, word: &str) -> Result<&str, String> {
        let found = self.0.iter().find(|(known, _)| known == word);
        found.map(|(_, rest)| rest.as_str()).ok_or_else(|| format!("packaging/Containerfile has no {word}"))
    }

    /// A list of words as JSON, for a shell.
    fn list(&self, word: &str) -> Result<String, String> {
        let rest = self.word(word)?;
        let list = rest.find('[').and_then(|at| rest.get(at..)).unwrap_or_default();
        let words: Vec<String> =
            serde_json::from_str(list).map_err(|error| format!("{word} {rest}: {error}"))?;
        Ok(words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "))
    }
}

/// All of it, as its container would do it one after the other.
fn script(file: &File, guide: &Guide) -> Result<String, String> {
    let (user, group) = file.word("USER")?.split_once(':').ok_or("USER names no group")?;
    let variables = format!("{} TIDEMILL_STORAGE_FREE_MIN=1%", file.word("ENV")?);
    let within =
        format!("setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs env {variables}");
    let typed: Vec<&str> = guide.0.lines().filter_map(|line| line.trim().strip_prefix(EXEC)).collect();
    let [write, read, backup, trust] = typed[..] else { return Err(format!("the guide types {typed:?}")) };
    let restore = guide.0.lines().find_map(|line| line.trim().split_once(" tidemill restore "));
    let (_, restore) = restore.ok_or("the guide restores nothing into a volume")?;
    let beyond = guide.0.lines().find_map(|line| line.trim().strip_prefix("-e "));
    let beyond = beyond.ok_or("the guide has no -e")?.replace(" -e ", " ");
    let beyond = beyond.strip_suffix(" tidemill").ok_or("the guide's -e ends otherwise")?;
    let (health, entry) = (file.list("HEALTHCHECK")?, file.list("ENTRYPOINT")?);
    let program = format!("{entry} {}", file.list("CMD")?);
    Ok(format!(
        "set -e\n{}\ncd {}\n\
         up() {{ \"$@\" & plant=$!; n=0; until {within} {health} >/dev/null 2>&1; do n=$((n+1)); test $n -lt 300; sleep 0.2; done; }}\n\
         down() {{ kill -TERM $plant; wait $plant; }}\n\
         up {within} {program}\n{within} {write}\n{within} {read}\n\
         install -d -o {user} -g {group} /backups\n{within} {backup}\ndown\n\
         up {within} env {beyond} {program}\n{within} {read}\n{within} {trust} --output ca.pem\ncat ca.pem\ndown\n\
         find . -mindepth 1 -delete\n{within} {entry} restore {restore}\n\
         up {within} {program}\n{within} {read}\ndown\n",
        file.word("RUN")?,
        file.word("WORKDIR")?,
    ))
}
