//! `tidemill read`: samples by pattern; with `--output` it is the export.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use futures_util::TryStreamExt;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_core::{Format, Pattern, Problem, codes, parse_rfc3339, rfc3339};
use tidemill_ground::Disk;
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandResult, Global, Outcome};
use crate::client::{self, Body, Client, Reply};
use crate::{output, time};

/// Reads samples by name.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill read 'acme/leeds/#' --from -15m\n  tidemill read acme/leeds/press/temperature --from 2026-03-01 --points 1200\n  tidemill read '#' --from -30d --output plant.parquet\n  tidemill read '#' --all --output plant.parquet"
)]
pub(crate) struct Read {
    /// Which signals: paths or patterns (+ or * is one level, # or ** the rest) [default: all]
    patterns: Vec<Pattern>,
    /// From this time, included
    #[arg(long, default_value = "-1h", allow_hyphen_values = true)]
    from: String,
    /// To this time, excluded
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    to: String,
    /// Of all times, from the first sample to the last: also of before 1970, and of the future
    #[arg(long, conflicts_with_all = ["from", "to", "at"])]
    all: bool,
    /// The last value at or before this time, whatever its age
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["from", "to", "points"])]
    at: Option<String>,
    /// raw, or last; with --at last alone
    #[arg(long)]
    mode: Option<String>,
    /// So many pixels, at most six samples each: first, smallest, largest, last, and where a gap begins and ends
    #[arg(long, allow_hyphen_values = true)]
    points: Option<u32>,
    /// At most so many samples
    #[arg(long, allow_hyphen_values = true)]
    limit: Option<u64>,
    /// How to print [default: table; by the file's ending with --output]
    #[arg(long, value_enum)]
    format: Option<ReadFormat>,
    /// Write to this file: the export; - is standard output
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// What `read` and `sql` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFormat {
    Table,
    Csv,
    Json,
    Ndjson,
    Parquet,
    Arrow,
}

impl ReadFormat {
    /// The format asked of the API; tables are made here.
    pub(crate) fn wire(self) -> Option<Format> {
        match self {
            ReadFormat::Table => None,
            ReadFormat::Csv => Some(Format::Csv),
            ReadFormat::Json => Some(Format::Json),
            ReadFormat::Ndjson => Some(Format::JsonLines),
            ReadFormat::Parquet => Some(Format::Parquet),
            ReadFormat::Arrow => Some(Format::Arrow),
        }
    }

    /// Formats that are no text do not go to a terminal.
    pub(crate) fn fits(self, file: Option<&PathBuf>) -> Result<(), Problem> {
        let text = !matches!(self, ReadFormat::Parquet | ReadFormat::Arrow);
        if text || file.is_some() || !output::is_terminal() {
            return Ok(());
        }
        Err(Problem::new(&codes::BAD_PARAMETER, "this format is no text, and this is a terminal")
            .hint("Name a file with --output FILE"))
    }

    /// As asked, as `--json` says, or by the ending of the file.
    ///
    /// # Errors
    /// The ending is not one of a format.
    pub(crate) fn chosen(
        asked: Option<ReadFormat>,
        global: &Global,
        file: Option<&PathBuf>,
    ) -> Result<ReadFormat, Problem> {
        if let Some(format) = asked {
            return Ok(format);
        }
        let ending =
            file.and_then(|file| file.extension()).map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("parquet") => Ok(ReadFormat::Parquet),
            Some("arrow" | "arrows") => Ok(ReadFormat::Arrow),
            Some("json") => Ok(ReadFormat::Json),
            Some("ndjson" | "jsonl") => Ok(ReadFormat::Ndjson),
            Some("csv" | "txt") => Ok(ReadFormat::Csv),
            Some(other) => {
                let detail = format!("'.{other}' is the ending of no format that is written here");
                Err(Problem::new(&codes::BAD_PARAMETER, detail)
                    .hint("Say --format, or end the name in .csv, .json, .ndjson, .parquet or .arrow"))
            }
            None if file.is_some() => Ok(ReadFormat::Csv),
            None if global.json => Ok(ReadFormat::Json),
            None => Ok(ReadFormat::Table),
        }
    }
}

impl Read {
    pub(crate) async fn execute(mut self, global: &Global) -> CommandResult {
        self.output = self.output.filter(|file| is_file(file));
        let format = ReadFormat::chosen(self.format, global, self.output.as_ref())?;
        let zone = match format {
            ReadFormat::Table => global.zone().await?,
            _ => global.zone_of(&[self.at.as_deref().unwrap_or_default(), &self.from, &self.to]).await?,
        };
        let parse = |text: &str| time::parse(text, super::now(), &zone);
        let mut pairs: Vec<(&str, String)> =
            self.patterns.iter().map(|pattern| ("signal", pattern.as_str().to_owned())).collect();
        if pairs.is_empty() {
            pairs.push(("signal", "#".to_owned()));
        }
        if let Some(at) = &self.at {
            if let Some(mode) = self.mode.as_deref().filter(|mode| *mode != "last") {
                let detail = format!("--at asks for the last value, and --mode {mode} for others");
                return Err(Problem::new(&codes::BAD_PARAMETER, detail)
                    .hint("Leave --mode away, or say --from and --to instead of --at"));
            }
            // `to` is excluded: the instant after it includes it.
            pairs.push(("to", rfc3339(parse(at)?.saturating_add(1))));
            pairs.push(("mode", "last".to_owned()));
        } else {
            let (from, to) =
                if self.all { (i64::MIN, i64::MAX) } else { (parse(&self.from)?, parse(&self.to)?) };
            pairs.push(("from", rfc3339(from)));
            pairs.push(("to", rfc3339(to)));
            pairs.extend(self.mode.clone().map(|mode| ("mode", mode)));
        }
        pairs.extend(self.points.map(|points| ("points", points.to_string())));
        pairs.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        pairs.push(("format", format.wire().unwrap_or(Format::JsonLines).name().to_owned()));
        let path = format!("/api/v1/read{}", client::query(&pairs));
        format.fits(self.output.as_ref())?;
        let client = global.client()?;
        let reply = client.send(Method::GET, &path, &[], Body::empty()).await?;
        match (&self.output, format) {
            (Some(file), _) => save(reply, file, global.json).await?,
            (None, ReadFormat::Table) => {
                if print_table(&reply.bytes().await?, &zone)? == 0 {
                    self.say_why_nothing(&client, &zone).await?;
                }
            }
            (None, _) => print(reply).await?,
        }
        Ok(Outcome::Done)
    }
}

impl Read {
    /// No rows: there is no such signal, or its values are of another time.
    async fn say_why_nothing(&self, client: &Client, zone: &jiff::tz::TimeZone) -> Result<(), Problem> {
        let mut newest = None;
        for pattern in &self.patterns {
            let known = client
                .get(&format!("/api/v1/signals{}", client::query(&[("match", pattern.to_string())])))
                .await?;
            let known = known.as_array().cloned().unwrap_or_default();
            if known.is_empty() {
                let told = meant(client, pattern.as_str()).await;
                output::note(&format!("no signal matches {pattern}; {told}"));
            }
            let times = known.iter().filter_map(|signal| signal.pointer("/last/time").and_then(Json::as_str));
            newest = newest.max(times.filter_map(|time| parse_rfc3339(time).ok()).max());
        }
        if let Some(newest) = newest {
            let shown = time::show(newest, zone);
            output::note(&format!(
                "no samples in this time; the newest is of {shown}: choose --from and --to, or --all"
            ));
        }
        Ok(())
    }
}

/// What somebody may have meant who named no signal. The plant looks for it: it may have more names than a line is worth.
async fn meant(client: &Client, named: &str) -> String {
    const BELOW: &str = "SELECT count(*) FROM signals WHERE starts_with(signal, $1)";
    const NEAREST: &str =
        "SELECT signal FROM signals ORDER BY levenshtein(lower(signal), lower($1)), signal LIMIT 1";
    let first = async |query: &str, about: String| {
        let asked = json!({ "query": query, "parameters": [about] });
        let answer = client.call(Method::POST, "/api/v1/sql?format=json", &asked).await;
        // A hint that cannot be had is none.
        answer.ok()?.pointer("/rows/0/0").cloned()
    };
    let below = first(BELOW, format!("{named}/")).await.and_then(|count| count.as_u64());
    if let Some(below) = below.filter(|below| *below > 0) {
        let below_it = crate::quoted(&format!("{named}/#"));
        return format!("below it are {below}: {below_it}");
    }
    let name = first(NEAREST, named.to_owned()).await;
    // The nearest may still be far.
    match name.as_ref().and_then(Json::as_str).and_then(|name| tidemill_core::nearest(named, [name])) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`{} signals` lists them", crate::program()),
    }
}

/// Prints the answer as it comes.
pub(crate) async fn print(reply: Reply) -> Result<(), Problem> {
    reply.pieces().try_for_each(|piece| async move { output::raw(&piece) }).await
}

/// Saves the answer to a file: beside it first, so that a broken or interrupted export leaves no half file. A pipe or a
/// device is written to as it stands.
pub(crate) async fn save(reply: Reply, file: &Path, json: bool) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(&codes::FILE_UNWRITABLE, format!("{} cannot be written: {error}", file.display()))
            .hint("Choose another --output")
    };
    let broken = |broken| match broken {
        Broken::Disk(error) => failed(error),
        Broken::Answer(problem) => problem,
    };
    let named = file;
    let progress = crate::progress::bytes("exported");
    let old = std::fs::metadata(file).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        let out = std::fs::File::options().write(true).open(file).map_err(failed)?;
        let written = fill(reply, &out, &progress).await;
        progress.finish_and_clear();
        return written.map(drop).map_err(broken);
    }
    // A link stays one, and what it leads to is replaced.
    let file = &std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = folder.join(format!(".{}.part", file.file_name().unwrap_or_default().to_string_lossy()));
    // Heard from before the first byte is there.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let whole = async {
        let out = std::fs::File::create(&partial).map_err(Broken::Disk)?;
        if let Some(old) = old {
            out.set_permissions(old.permissions()).map_err(Broken::Disk)?;
        }
        let bytes = fill(reply, &out, &progress).await?;
        out.sync_all().map_err(Broken::Disk)?;
        tidemill_ground::RealDisk.rename(&partial, file).map_err(Broken::Disk)?;
        Ok(bytes)
    };
    let written = tokio::select! {
        written = whole => written,
        _ = interrupt.recv() => {
            let _ = tidemill_ground::RealDisk.remove(&partial);
            // 128 + SIGINT, as shells say it.
            std::process::exit(130);
        }
    };
    progress.finish_and_clear();
    match written {
        Ok(bytes) if json => output::json(&json!({ "file": named, "bytes": bytes })),
        Ok(_) => {
            output::note(&format!("{} written", file.display()));
            Ok(())
        }
        Err(why) => {
            let _ = tidemill_ground::RealDisk.remove(&partial);
            Err(broken(why))
        }
    }
}

/// Whether an answer goes to this file: `-` is standard output.
pub(crate) fn is_file(named: &Path) -> bool {
    named.as_os_str() != "-"
}

/// Why an answer did not become a file.
enum Broken {
    Disk(std::io::Error),
    Answer(Problem),
}

/// Gives how many bytes it wrote.
async fn fill(reply: Reply, file: &std::fs::File, progress: &indicatif::ProgressBar) -> Result<u64, Broken> {
    let mut out = std::io::BufWriter::new(file);
    let mut bytes = 0;
    let mut pieces = reply.pieces();
    while let Some(piece) = pieces.try_next().await.map_err(Broken::Answer)? {
        bytes += piece.len() as u64;
        progress.inc(piece.len() as u64);
        out.write_all(&piece).map_err(Broken::Disk)?;
    }
    out.flush().map_err(Broken::Disk)?;
    Ok(bytes)
}

/// Prints the samples; gives how many.
fn print_table(lines: &[u8], zone: &jiff::tz::TimeZone) -> Result<usize, Problem> {
    let mut rows = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let sample: Json = serde_json::from_slice(line)
            .map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        let text = |name: &str| output::cell(sample.get(name).unwrap_or(&Json::Null));
        let time = parse_rfc3339(&text("time")).map_or_else(|_| text("time"), |time| time::show(time, zone));
        let quality = if text("quality").is_empty() { "Good".to_owned() } else { text("quality") };
        rows.push(vec![time, text("signal"), text("value"), quality]);
    }
    output::table(&["time", "signal", "value", "quality"], &rows)?;
    Ok(rows.len())
}
