//! How large samples become on disk: those of a generated plant, and those of CSV files of others, taken in by `import`.

use super::figure::{self, figure};
use super::generate::{LINES, Plant};
use super::stand::{ANSWER_MAX, Stand, WRITE, asked, pour};
use crate::binary::Binary;
use crate::http::Client;
use crate::shell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One flush has all of it, when the plant stops: with several, each with files of its own, a small plant takes twice the room.
const SETTINGS: &[(&str, &str)] = &[("TIDEMILL_STORAGE_FLUSH_AFTER", "240h")];

pub(super) fn run(binary: &Binary, samples: u64, folders: &[PathBuf]) -> Result<(), String> {
    generated(binary, samples)?;
    for folder in folders {
        imported(binary, folder)?;
    }
    Ok(())
}

fn generated(binary: &Binary, samples: u64) -> Result<(), String> {
    let stand = Stand::new(binary, SETTINGS)?;
    let (running, _) = stand.run()?;
    let token = stand.token()?;
    let bodies = Plant::new().bodies(samples, LINES);
    let sent: usize = bodies.iter().map(Vec::len).sum();
    let address = running.address;
    pour(&bodies, WRITE, &|| Client::new(address, &token, ANSWER_MAX))?;
    running.stop()?;
    println!("\nthe generated plant, {samples} samples");
    print(&stand, samples, sent as u64, "of line protocol");
    Ok(())
}

fn imported(binary: &Binary, folder: &Path) -> Result<(), String> {
    let files = csv_files(folder);
    let csv_bytes: u64 = files.iter().filter_map(|path| path.metadata().ok()).map(|about| about.len()).sum();
    let stand = Stand::new(binary, SETTINGS)?;
    let (running, _) = stand.run()?;
    let token = stand.token()?;
    let (mut taken, mut took) = (0, Duration::ZERO);
    for file in &files {
        let began = Instant::now();
        let mut import = shell::program(&stand.binary.path.to_string_lossy());
        import.arg("--plant").arg(&stand.start.plant).arg("import").arg(file);
        import.args(["--prefix", &name_of(folder, file)]);
        match shell::capture(import) {
            Ok(_) => taken += 1,
            Err(error) => println!("{}: {error}", file.display()),
        }
        took += began.elapsed();
    }
    let mut client = Client::new(running.address, &token, ANSWER_MAX);
    let count = asked(&mut client, "SELECT count(*) FROM samples")?;
    let samples = count.first().and_then(serde_json::Value::as_u64).unwrap_or(0).max(1);
    running.stop()?;
    println!(
        "\n{}: {taken} of {} files, {samples} samples, imported in {}",
        folder.display(),
        files.len(),
        shell::spoken(took)
    );
    print(&stand, samples, csv_bytes, "of CSV");
    Ok(())
}

fn print(stand: &Stand, samples: u64, sent_bytes: u64, of: &str) {
    let each = |bytes: u64| bytes as f64 / samples as f64;
    figure::print(&[
        figure(
            "bytes/sample of samples' files",
            each(stand.samples_bytes()),
            "B",
            format!("{:.1} {of}; goal 3.5 on the generated plant", each(sent_bytes)),
        ),
        figure("bytes/sample of the whole lake", each(stand.lake_bytes()), "B", "goal 3.8 there"),
    ]);
}

/// A name for the signals of a file: its path below the folder, without what a path cannot hold.
fn name_of(folder: &Path, file: &Path) -> String {
    let name = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    name.to_string_lossy().chars().map(|c| if "+#*".contains(c) { '_' } else { c }).collect()
}

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(csv_files(&path));
        } else if path.extension().is_some_and(|end| end == "csv") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_below_the_folder_and_only_csv_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a+b")).expect("made");
        for name in ["a+b/two.csv", "one.csv", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let names: Vec<String> =
            csv_files(folder.path()).iter().map(|file| name_of(folder.path(), file)).collect();
        assert_eq!(names, ["a_b/two", "one"]);
    }
}
