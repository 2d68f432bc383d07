//! `tidemill import`: files become samples. What a file is gets recognised in `import/`; here it is sent, and what could
//! not be read or was refused goes to FILE.rejected with the reason.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use indicatif::ProgressBar;
use serde_json::Value as Json;
use tidemill_core::{Problem, codes};
use tidemill_historian::{ColumnFile, ColumnText, Naming, Part as Rows, Untimed};

use super::{CommandResult, Global, Outcome};
use crate::client::{Body, Client, query};
use crate::{output, progress, time};
use tidemill_connect::import::{
    CONTENT_TYPE, Decimal, LocalTimes, Open, Options, Originals, Part, Piece, QUERY, Reader, Reject, Summary,
    TimeFormat, Typed, encode, open, rejected_name,
};

mod report;
#[cfg(test)]
mod tests;

use report::report;

/// Tries while the plant is busy: with the pause below, about a minute.
const TRIES_MAX: u32 = 120;
/// How many refused lines one answer names.
const REFUSED_LISTED: usize = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// How many rows of columns may be refused: each costs a request.
const REFUSED_ROWS_MAX: u64 = 1_000;

/// Brings files into the plant: CSV in many dialects, JSON, line protocol, Parquet, Arrow. Twice changes nothing.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill import temperature.csv --signal acme/leeds/oven/temperature\n  tidemill import line3.csv --prefix acme/leeds/line3 --timezone Europe/London\n  tidemill import export.parquet --dry-run"
)]
pub(crate) struct Import {
    /// CSV, line protocol, JSON lines, Parquet or Arrow, also packed with gzip
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The signal of a file with one column of values
    #[arg(long, conflicts_with = "prefix")]
    signal: Option<String>,
    /// What stands before the names of the file's columns [default: the file's own name]
    #[arg(long)]
    prefix: Option<String>,
    /// The column with the time, by name or number
    #[arg(long, allow_hyphen_values = true)]
    time: Option<String>,
    /// The only column to take, by name or number
    #[arg(long, allow_hyphen_values = true)]
    value: Option<String>,
    /// The time zone of times without an offset, in every format [default: the plant's]
    #[arg(long)]
    timezone: Option<String>,
    /// How times are written where it cannot be told
    #[arg(long, value_parser = time_format, value_name = "dmy|mdy|s|ms|us|ns|excel")]
    time_format: Option<TimeFormat>,
    /// What separates the decimals where it cannot be told
    #[arg(long, value_parser = decimal, value_name = "comma|point")]
    decimal: Option<Decimal>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

fn time_format(text: &str) -> Result<TimeFormat, String> {
    let names: Vec<&str> = TimeFormat::NAMES.iter().map(|(name, _)| *name).collect();
    TimeFormat::from_name(text).ok_or_else(|| format!("use one of {}", names.join(", ")))
}

fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::from_name(text).ok_or_else(|| "use comma or point".to_owned())
}

fn is_of_the_file(problem: &Problem) -> bool {
    let codes =
        [&codes::BAD_IMPORT, &codes::BAD_PATH, &codes::BAD_ARROW, &codes::NOT_FOUND, &codes::TOO_LARGE];
    codes.contains(&problem.code)
}

/// What became of one file.
#[derive(Default)]
struct Tally {
    samples: u64,
    rejected: u64,
    /// What became of it could not be told.
    unprinted: bool,
}

impl Import {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = if self.dry_run { None } else { Some(global.client()?) };
        let options = self.options(global)?;
        let mut outcome = Outcome::Done;
        for file in &self.files {
            match import(file, &options, client.as_ref(), global.json).await {
                Ok(tally) if tally.unprinted => outcome = Outcome::Failed,
                Ok(tally) if tally.rejected == 0 || outcome == Outcome::Failed => {}
                Ok(_) => outcome = Outcome::Found,
                // One file that cannot be read does not keep the others out; a plant that does not answer does.
                Err(problem) if is_of_the_file(&problem) && self.files.len() > 1 => {
                    output::problem(&problem, global.json);
                    outcome = Outcome::Failed;
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(outcome)
    }

    fn options(&self, global: &Global) -> Result<Options, Problem> {
        let mut options = Options::new(global.zone());
        options.signal.clone_from(&self.signal);
        options.prefix.clone_from(&self.prefix);
        options.time.clone_from(&self.time);
        options.value.clone_from(&self.value);
        options.timezone = self.timezone.as_deref().map(time::zone).transpose()?;
        options.time_format = self.time_format;
        options.decimal = self.decimal;
        Ok(options)
    }
}

async fn import(
    file: &Path,
    options: &Options,
    client: Option<&Client>,
    json: bool,
) -> Result<Tally, Problem> {
    let name = file.display().to_string();
    let path = file.to_owned();
    let bytes = std::fs::metadata(file).map_or(0, |meta| meta.len());
    // Of columns the place in the file, which all that read it share; text is counted as it is read.
    let mut place = None;
    let mut reader = match columns(file, &name, options)? {
        Columns::Samples(columns) => return import_columns(&name, *columns, options, client, json).await,
        Columns::Table(typed, file) => {
            let options = Options { typed: Some(typed), ..options.clone() };
            place = file.try_clone().ok();
            let text = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
                let mut again = file.try_clone()?;
                again.rewind()?;
                let text = ColumnText::open(again);
                Ok(Box::new(text.map_err(|problem| std::io::Error::other(problem.detail))?))
            };
            looked_through(Box::new(text), &name, &options, place.as_ref(), &progress::bar(bytes))?
        }
        Columns::None => {
            let text = Box::new(move || -> std::io::Result<_> { Ok(Box::new(File::open(&path)?) as _) });
            looked_through(text, &name, options, None, &progress::bar(bytes))?
        }
    };
    output::note(&format!("{name}: {}", reader.plan().describe().trim_end().replace('\n', "\n  ")));
    let bar = progress::bar(bytes);
    let mut sender = Sender::new(&name, client);
    while let Some(part) = reader.next_part()? {
        sender.part(&reader, part).await?;
        bar.set_position(position(place.as_ref(), reader.bytes_read(), &bar));
        bar.set_message(format!("{} samples", sender.tally.samples));
    }
    bar.finish_and_clear();
    report(&name, reader.signals().len(), reader.summary(), &mut sender, json);
    Ok(sender.tally)
}

/// Looks through a file, and begins to read it. The bar goes with this.
fn looked_through(
    source: Open,
    name: &str,
    options: &Options,
    place: Option<&File>,
    bar: &ProgressBar,
) -> Result<Reader, Problem> {
    bar.set_message("looked through");
    open(source, name, options, &mut |counted| bar.set_position(position(place, counted, bar)))
}

/// How far a file was read. Of columns more text comes than the file is long: what counts is the place in it, which goes
/// back now and then.
fn position(place: Option<&File>, counted: u64, bar: &ProgressBar) -> u64 {
    place.map_or(counted, |mut file| file.stream_position().unwrap_or_default().max(bar.position()))
}

/// What a file is as one of columns.
enum Columns {
    /// It holds samples, which the plant takes as they are.
    Samples(Box<ColumnFile>),
    /// It is a table like those in text, with types.
    Table(Typed, File),
    /// It is none.
    None,
}

fn columns(path: &Path, name: &str, options: &Options) -> Result<Columns, Problem> {
    let unreadable = |error: std::io::Error| {
        let code =
            if error.kind() == std::io::ErrorKind::NotFound { &codes::NOT_FOUND } else { &codes::BAD_IMPORT };
        Problem::new(code, format!("{name} cannot be read: {error}"))
            .hint("Check the name and that the file may be read")
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut head = Vec::new();
    (&mut file).take(8).read_to_end(&mut head).map_err(unreadable)?;
    if !ColumnFile::is_one(&head) {
        return Ok(Columns::None);
    }
    file.rewind().map_err(unreadable)?;
    let table = file.try_clone().map_err(unreadable)?;
    let table = ColumnText::open(table).map_err(|problem| of_file(name, problem))?;
    let cannot = |option: &str| {
        Problem::new(
            &codes::BAD_IMPORT,
            format!("{name}: its columns say it themselves, so that {option} cannot"),
        )
        .hint("Import this file without it")
    };
    if options.decimal.is_some() {
        return Err(cannot("--decimal"));
    }
    let holds_samples = table.holds_samples(options.signal.is_some());
    if holds_samples && options.time_format.is_some() && table.has_values_beside() {
        return Err(cannot("--time-format"));
    }
    let asked = options.time.is_some() || options.value.is_some() || options.time_format.is_some();
    if asked || !holds_samples {
        let typed = Typed { format: table.format(), kinds: table.kinds(), units: table.units() };
        return Ok(Columns::Table(typed, file));
    }
    file.rewind().map_err(unreadable)?;
    let naming = Naming { prefix: options.prefix.clone(), signal: options.signal.clone() };
    let samples = ColumnFile::open(file, naming).map_err(|problem| of_file(name, problem))?;
    Ok(Columns::Samples(Box::new(samples)))
}

/// A problem with the file's name before it.
fn of_file(name: &str, mut problem: Problem) -> Problem {
    problem.detail = format!("{name}: {}", problem.detail);
    problem
}

async fn import_columns(
    name: &str,
    mut columns: ColumnFile,
    options: &Options,
    client: Option<&Client>,
    json: bool,
) -> Result<Tally, Problem> {
    let mut times = LocalTimes::new(options.timezone.as_ref().unwrap_or(&options.plant_timezone).clone());
    let rows = columns.rows().map(|rows| format!(", {rows} rows")).unwrap_or_default();
    let has_local_times = columns.has_local_times().map_err(|problem| of_file(name, problem))?;
    let zone = if has_local_times {
        format!("; times in {} where no offset is given", times.zone())
    } else {
        String::new()
    };
    let more = columns.note().map(|note| format!("\n  note: {note}")).unwrap_or_default();
    output::note(&format!("{name}: {}{rows}{zone}{more}", columns.format()));
    let bar = progress::bar(columns.bytes());
    let mut sender = Sender::new(name, client);
    let mut summary = Summary::default();
    while let Some(mut part) = columns.next_part().map_err(|problem| of_file(name, problem))? {
        let rows = part.len() as u64;
        let untimed = part.localize(&mut |signal, shown| times.instant(signal, shown));
        sender.untimed(untimed.map_err(|problem| of_file(name, problem))?, summary.rows)?;
        sender.rows(&part, summary.rows).await.map_err(|problem| of_file(name, problem))?;
        summary.rows += rows;
        bar.set_position(columns.position().max(bar.position()));
        bar.set_message(format!("{} samples", sender.tally.samples));
    }
    bar.finish_and_clear();
    (summary.repeated_hour, summary.second_pass) = times.repeated();
    report(name, columns.signals(), summary, &mut sender, json);
    Ok(sender.tally)
}

struct Sender<'a> {
    client: Option<&'a Client>,
    rejects: Rejects,
    tally: Tally,
    /// Rows of columns that the plant refused.
    refused_rows: u64,
}

impl<'a> Sender<'a> {
    fn new(name: &str, client: Option<&'a Client>) -> Sender<'a> {
        let rejects = Rejects { path: rejected_name(name).into(), file: None };
        Sender { client, rejects, tally: Tally::default(), refused_rows: 0 }
    }

    /// Sets aside rows of columns that have no time.
    fn untimed(&mut self, rows: Vec<Untimed>, before: u64) -> Result<(), Problem> {
        let reject = |Untimed { row, line, reason }| {
            let column = Some("time".to_owned());
            Reject { line: before + row as u64 + 1, column, raw: line, reason }
        };
        self.reject(None, &rows.into_iter().map(reject).collect::<Vec<_>>())
    }

    /// Sends rows of columns. The plant takes a body whole or names the first row that it refuses: that one is set
    /// aside, and those before and behind it go on their own.
    async fn rows(&mut self, part: &Rows, before: u64) -> Result<(), Problem> {
        let mut from = 0;
        while from < part.len() {
            let sent = self.send(&part.body(from, part.len())?, Rows::MEDIA_TYPE, "").await;
            let Err(problem) = sent else {
                self.tally.samples += (part.len() - from) as u64;
                return Ok(());
            };
            let place = problem.place.and_then(|(row, _)| usize::try_from(row).ok()).filter(|row| *row > 0);
            let Some(row) = place.map(|row| from + row - 1).filter(|row| *row < part.len()) else {
                return Err(problem);
            };
            if self.refused_rows >= REFUSED_ROWS_MAX {
                return Err(
                    problem.hint(format!("More than {REFUSED_ROWS_MAX} rows were refused; mend the file"))
                );
            }
            if row > from {
                self.send(&part.body(from, row)?, Rows::MEDIA_TYPE, "").await?;
                self.tally.samples += (row - from) as u64;
            }
            let line = before + part.place(row) as u64 + 1;
            let reject = Reject { line, column: None, raw: part.line(row)?, reason: problem.detail };
            self.reject(None, &[reject])?;
            self.refused_rows += 1;
            from = row + 1;
        }
        Ok(())
    }

    async fn part(&mut self, reader: &Reader, part: Part) -> Result<(), Problem> {
        match part {
            Part::Samples(batch) => {
                let mut body = Vec::new();
                encode(&batch, reader.signals(), &mut body);
                let rows: Vec<u32> = batch.samples.iter().map(|sample| sample.row).collect();
                let sent = self.lines(&body, &rows, CONTENT_TYPE, QUERY).await;
                self.set_aside(reader, batch.rejects, &batch.originals, sent)
            }
            Part::Piece(Piece { body, content_type, query, rows, rejects, originals }) => {
                let sent = self.lines(&body, &rows, content_type, &query).await;
                self.set_aside(reader, rejects, &originals, sent)
            }
        }
    }

    /// Writes down which rows could not be read or were refused, also where the plant then ceased to answer.
    fn set_aside(
        &mut self,
        reader: &Reader,
        rejects: Vec<Reject>,
        originals: &Originals,
        sent: Result<Vec<Refused>, Problem>,
    ) -> Result<(), Problem> {
        let (refused, outcome) = sent.map_or_else(|error| (Vec::new(), Err(error)), |all| (all, Ok(())));
        self.tally.samples = self.tally.samples.saturating_sub(refused.len() as u64);
        self.reject(reader.rejected_head(), &originals.rejects(rejects, &refused))?;
        outcome
    }

    /// Sends lines. The plant names the first hundred that it refuses: where there are more, the lines are sent again in
    /// hundreds, so that each refused one is told. What is sent twice is kept once.
    async fn lines(
        &mut self,
        body: &[u8],
        rows: &[u32],
        content_type: &str,
        terms: &str,
    ) -> Result<Vec<Refused>, Problem> {
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.send(body, content_type, terms).await?;
        self.tally.samples += rows.len() as u64;
        let listed = |answer: &Json| answer["problems"].as_array().cloned().unwrap_or_default();
        let refused = listed(&answer);
        if answer["refused"].as_u64().unwrap_or(0) <= refused.len() as u64 {
            return Ok(rows_of(&refused, rows));
        }
        let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
        let mut all = Vec::new();
        for (lines, rows) in lines.chunks(REFUSED_LISTED).zip(rows.chunks(REFUSED_LISTED)) {
            let answer = self.send(&lines.concat(), content_type, terms).await?;
            all.extend(rows_of(&listed(&answer), rows));
        }
        Ok(all)
    }

    fn reject(&mut self, head: Option<&str>, rejects: &[Reject]) -> Result<(), Problem> {
        self.tally.rejected += rejects.len() as u64;
        if self.client.is_none() {
            return Ok(());
        }
        self.rejects.write(head, rejects).map_err(|mut problem| {
            let kept = self.tally.samples;
            problem
                .detail
                .push_str(&format!("; {kept} samples of the file are written and durable, and it ends here"));
            problem
        })
    }

    /// Sends; waits and sends again while the plant is busy. Gives its answer.
    async fn send(&self, body: &[u8], content_type: &str, terms: &str) -> Result<Json, Problem> {
        let Some(client) = self.client else { return Ok(Json::Null) };
        let partial = if content_type == Rows::MEDIA_TYPE {
            String::new()
        } else {
            query(&[("partial", "true".to_owned())])
        };
        let path = match (terms.is_empty(), partial.is_empty()) {
            (true, _) => format!("/api/v1/write{partial}"),
            (false, true) => format!("/api/v1/write?{terms}"),
            (false, false) => format!("/api/v1/write{partial}&{terms}"),
        };
        let body = Bytes::copy_from_slice(body);
        let headers = [("content-type", content_type)];
        let mut tries = 0;
        loop {
            match client.send(Method::POST, &path, &headers, Body::from(body.clone())).await {
                Ok(reply) => return reply.json().await,
                Err(problem) if problem.retry_after_s.is_some() && tries < TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
}

/// A row of the part that was sent, and why a sample of it was refused.
type Refused = (u32, String);

/// What the plant refused, by the lines of the body that it names, as rows of the file.
fn rows_of(refused: &[Json], rows: &[u32]) -> Vec<Refused> {
    let row = |problem: &Json| {
        let line = problem["line"].as_u64()?.checked_sub(1)?;
        Some((*rows.get(usize::try_from(line).ok()?)?, output::cell(&problem["detail"])))
    };
    refused.iter().filter_map(row).collect()
}

/// FILE.rejected, made when the first row is rejected.
struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

impl Rejects {
    fn write(&mut self, head: Option<&str>, rejects: &[Reject]) -> Result<(), Problem> {
        if rejects.is_empty() {
            return Ok(());
        }
        let failed = |error: std::io::Error| {
            Problem::new(
                &codes::FILE_UNWRITABLE,
                format!("{} cannot be written: {error}", self.path.display()),
            )
            .hint("Rejected rows are kept there: import again from a folder that you may write to; what is kept is kept once")
        };
        let mut text = Vec::new();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(head) = head {
                    text.extend_from_slice(head.as_bytes());
                    text.push(b'\n');
                }
                self.file.insert(File::create(&self.path).map_err(failed)?)
            }
        };
        rejects.iter().for_each(|reject| reject.write(&mut text));
        file.write_all(&text).map_err(failed)
    }
}
