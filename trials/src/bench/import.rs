//! How fast `tidemill import` brings files into a plant that runs, and in how much memory, beside DuckDB and chdb, which take
//! the same files into tables of their own on the same disk.

use super::figure::{self, Figure, figure};
use super::generate::Form;
use super::house::SETTINGS;
use super::process::Process;
use super::stand::{ANSWER_MAX, Stand, asked};
use crate::binary::Binary;
use crate::dice::Dice;
use crate::http::Client;
use crate::{partners, shell};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many rows the narrow file has unless it is said; the others have a tenth of them, with ten values each.
pub(super) const ROWS: u64 = 10_000_000;

const PEER: &str = include_str!("import.py");
/// Signals of the narrow file; columns of the others.
const TAGS: u64 = 1_000;
const COLUMNS: u64 = 10;
/// How often the process that imports is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The files that are made, and how each is called to the programs beside.
const FORMS: [(&str, &str); 3] = [("narrow", "csv"), ("wide", "csv"), ("objects", "jsonl")];

pub(super) fn run(binary: &Binary, rows: u64) -> Result<(), String> {
    partners::for_bench()?;
    for (form, ending) in FORMS {
        let stand = Stand::new(binary, SETTINGS)?;
        let file = stand.folder.join(format!("{form}.{ending}"));
        let rows = if form == "narrow" { rows } else { rows / COLUMNS };
        made(&file, form, rows).map_err(|error| format!("{}: {error}", file.display()))?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        println!("\n{form}: {rows} rows, {} MB", bytes / 1_000_000);
        let mut all = vec![("Tidemill", imported(&stand, &file, form, rows)?)];
        for program in ["duckdb", "chdb"] {
            let folder = stand.folder.join(program);
            std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let mut python = shell::program(&partners::interpreter().to_string_lossy());
            python.args(["-c", PEER, program, form]).arg(&file).arg(&folder);
            let said = shell::capture(python)?;
            let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let [counted, seconds, cpu, peak_mib] = numbers[..] else {
                return Err(format!("{program}: {said}"));
            };
            if counted as u64 != rows {
                return Err(format!("{program} has {counted} of {rows} rows"));
            }
            all.push((program, figures(rows, seconds, cpu, peak_mib)));
        }
        figure::beside(&all);
    }
    Ok(())
}

fn figures(rows: u64, seconds: f64, cpu: f64, peak_mib: f64) -> Vec<Figure> {
    vec![
        figure("rows a second", rows as f64 / seconds, "", ""),
        figure("processor time a row, all of it", cpu * 1e6 / rows as f64, "µs", ""),
        figure("most memory of what reads", peak_mib, "MiB", ""),
    ]
}

/// Imports a file into a plant that runs, and counts what is there.
fn imported(stand: &Stand, file: &Path, form: &str, rows: u64) -> Result<Vec<Figure>, String> {
    let (running, _) = stand.run()?;
    let token = stand.token()?;
    let plant = Process(running.id());
    let before = plant.cpu()?;
    let began = Instant::now();
    let mut command = stand.binary.command(&stand.start.plant);
    command.arg("import").arg(file).args(["--prefix", "bench", "--timezone", "UTC", "--json"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let process = Process(child.id());
    let (mut cpu, mut peak) = (Duration::ZERO, 0);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        cpu = process.cpu().unwrap_or(cpu);
        peak = process.memory_peak_bytes().unwrap_or(peak);
        std::thread::sleep(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    let mut client = Client::new(running.address, &token, ANSWER_MAX);
    // What others sort and pack before they say done, the plant does behind what it acknowledged.
    stand.settle(&running, &mut client)?;
    let cpu_of_plant = plant.cpu()? - before;
    let count = asked(&mut client, "SELECT count(*) FROM samples")?;
    let count = count.first().and_then(serde_json::Value::as_u64).unwrap_or(0);
    let samples = if form == "narrow" { rows } else { rows * COLUMNS };
    if !status.success() || count != samples {
        return Err(format!(
            "the import ended with {status}, and the plant has {count} of {samples} samples"
        ));
    }
    let mut all =
        figures(rows, seconds, (cpu + cpu_of_plant).as_secs_f64(), peak as f64 / f64::from(1 << 20));
    all.push(figure("of it the importer's, a row", cpu.as_secs_f64() * 1e6 / rows as f64, "µs", ""));
    all.push(figure(
        "most memory of the plant",
        plant.memory_peak_bytes()? as f64 / f64::from(1 << 20),
        "MiB",
        "",
    ));
    running.stop()?;
    Ok(all)
}

/// Writes a file of one form, the same every time: values as plants have them, each a second behind the one before.
fn made(file: &Path, form: &str, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut dice = Dice::of(7, &[]);
    let signals = if form == "narrow" { TAGS } else { COLUMNS };
    // Of the rounded and the full ones: numbers alone.
    let mut forms: Vec<Form> = (0..signals).map(|number| Form::of(number % 15, &mut dice)).collect();
    let names: Vec<String> = (0..COLUMNS).map(|number| format!("c{number}")).collect();
    match form {
        "narrow" => writeln!(out, "tag,time,value,status")?,
        "wide" => writeln!(out, "time,{}", names.join(","))?,
        _ => {}
    }
    let (mut line, mut value) = (String::new(), String::new());
    for row in 0..rows {
        line.clear();
        let second = if form == "narrow" { row / TAGS } else { row };
        let time = spoken_time(second);
        let mut next = |at: u64, value: &mut String| {
            value.clear();
            if let Some(form) = forms.get_mut(at as usize) {
                form.step(&mut dice, value);
            }
        };
        let written = match form {
            "narrow" => {
                let tag = row % TAGS;
                next(tag, &mut value);
                write!(line, "unit{:02}/TI{tag:04},{time},{value},Good", tag / 50)
            }
            "wide" => {
                let mut written = write!(line, "{time}");
                for at in 0..COLUMNS {
                    next(at, &mut value);
                    written = written.and(write!(line, ",{value}"));
                }
                written
            }
            _ => {
                let mut written = write!(line, "{{\"time\":\"{time}\"");
                for (at, name) in names.iter().enumerate() {
                    next(at as u64, &mut value);
                    written = written.and(write!(line, ",\"{name}\":{value}"));
                }
                written.and(write!(line, "}}"))
            }
        };
        written.map_err(std::io::Error::other)?;
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// So many seconds behind 2026-01-01, within the year.
fn spoken_time(second: u64) -> String {
    const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut day, rest) = (second / 86_400, second % 86_400);
    let mut month = 0;
    while let Some(days) = DAYS.get(month).filter(|days| day >= **days) {
        day -= days;
        month += 1;
    }
    format!(
        "2026-{:02}-{:02} {:02}:{:02}:{:02}.000",
        month + 1,
        day + 1,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_rows_that_were_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for (form, ending) in FORMS {
            let file = folder.path().join(format!("{form}.{ending}"));
            made(&file, form, 100).expect("made");
            let text = std::fs::read_to_string(&file).expect("text");
            assert_eq!(text.lines().count(), 100 + usize::from(ending == "csv"), "{form}");
        }
        assert_eq!(spoken_time(86_400 * 31 + 3_661), "2026-02-01 01:01:01.000");
    }
}
