//! `tidemill import`: files become samples. What a file is gets recognised in `connect`; what stands behind the arguments
//! (`files`), how it is sent (`send`) and how an import that was cut off goes on (`resume`) stand beside this.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use jiff::tz::TimeZone;
use tidemill_core::{Problem, codes};
use tidemill_historian::{ColumnFile, ColumnText, Naming};

use super::{CommandResult, Global, Outcome};
use crate::client::Client;
use crate::{output, progress, time};
use tidemill_connect::import::{
    Decimal, Joined, LocalTimes, Open, Options, Reader, Step, Summary, TimeFormat, Typed, open,
};

mod files;
mod rejects;
mod report;
mod resume;
mod send;
mod stop;
#[cfg(test)]
mod tests;

use files::{Item, unreadable};
use report::report;
use resume::Note;
use send::{Ready, Sender};
use stop::Stop;

/// Brings files into the plant: CSV in many dialects, Excel, JSON, line protocol, Parquet, Arrow. Twice changes nothing.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidemill import temperature.csv --signal acme/leeds/oven/temperature\n  tidemill import line3.csv --prefix acme/leeds/line3 --timezone Europe/London\n  tidemill import export.parquet --dry-run\n  tidemill import archive/ --prefix 'acme/leeds/{file}'\n  tidemill import run7.dat --signal lab/force --start 2024-05-02T09:30 --step 10ms"
)]
pub(crate) struct Import {
    /// Files, folders, or - for standard input: CSV, Excel, line protocol, JSON, Parquet, Arrow; also packed (gz, zst, zip)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The signal of a file with one column of values
    #[arg(long, conflicts_with = "prefix")]
    signal: Option<String>,
    /// What stands before the names of the file's columns; may hold {file} and {folder} [default: the file's own name]
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
    #[arg(long, value_parser = time_format, value_name = "dmy|mdy|ymd|s|ms|us|ns|excel")]
    time_format: Option<TimeFormat>,
    /// What separates the decimals where it cannot be told
    #[arg(long, value_parser = decimal, value_name = "comma|point")]
    decimal: Option<Decimal>,
    /// For rows without times: when the first was
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// How far apart such rows are, or what one count of the column named by --time is: 3m, 0.5s, 1d, 1mo
    #[arg(long, value_parser = step, requires = "start")]
    step: Option<Step>,
    /// A column whose cells stand in the names, such as the device that a row is about; may be given again
    #[arg(long = "key", value_name = "COLUMN", allow_hyphen_values = true)]
    keys: Vec<String>,
    /// Each row is a signal: its name, then its values
    #[arg(long)]
    transposed: bool,
    /// The sheet of a workbook
    #[arg(long)]
    sheet: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

fn time_format(text: &str) -> Result<TimeFormat, String> {
    let names: Vec<&str> = TimeFormat::NAMES.iter().map(|(name, _)| *name).collect();
    TimeFormat::from_name(text).ok_or_else(|| format!("use one of {}", names.join(", ")))
}

fn step(text: &str) -> Result<Step, String> {
    Step::parse(text).ok_or_else(|| "use a number and a unit, such as 100ms, 3m, 1h, 1d, 1mo".to_owned())
}

fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::from_name(text).ok_or_else(|| "use comma or point".to_owned())
}

fn is_of_the_file(problem: &Problem) -> bool {
    [
        &codes::BAD_IMPORT,
        &codes::IMPORT_CUT,
        &codes::BAD_PATH,
        &codes::BAD_ARROW,
        &codes::NOT_FOUND,
        &codes::TOO_LARGE,
    ]
    .contains(&problem.code)
}

/// What became of one file.
#[derive(Clone, Copy, Default)]
struct Tally {
    samples: u64,
    rejected: u64,
    /// Samples of the figures of the plant that they come from, left out.
    own: u64,
    /// What became of it could not be told.
    unprinted: bool,
}

impl Tally {
    /// Whether all that was to come in did. A file of nothing but another plant's figures brings nothing.
    fn is_well(self) -> bool {
        self.rejected == 0 && (self.own == 0 || self.samples > 0)
    }
}

impl Import {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = if self.dry_run { None } else { Some(global.client()?) };
        let mut zone = PlantZone { global, told: None };
        let options = self.options(&mut zone).await?;
        let mut outcome = Outcome::Done;
        let items = files::items(&self.files, self.sheet.as_deref())?;
        let several = items.len() > 1;
        let twins = files::twins(&items, &options);
        let stop = Stop::listen();
        for (item, twin) in items.into_iter().zip(twins) {
            let imported = match item {
                Ok(item) => {
                    let options = Options { twin, ..of_item(&options, &item, several) };
                    import(item, &options, client.as_ref(), &mut zone, &stop).await
                }
                Err(problem) => Err(problem),
            };
            match imported {
                Ok(tally) if tally.unprinted => outcome = Outcome::Failed,
                Ok(tally) if tally.is_well() || outcome == Outcome::Failed => {}
                Ok(_) => outcome = Outcome::Found,
                // One file that cannot be read does not keep the others out; a plant that does not answer does.
                Err(problem) if is_of_the_file(&problem) && several => {
                    output::problem(&problem, global.json);
                    outcome = Outcome::Failed;
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(outcome)
    }

    async fn options(&self, plant: &mut PlantZone<'_>) -> Result<Options, Problem> {
        let timezone = self.timezone.as_deref().map(time::zone).transpose()?;
        let mut options = Options::new(None);
        options.signal.clone_from(&self.signal);
        options.prefix.clone_from(&self.prefix);
        options.time.clone_from(&self.time);
        options.value.clone_from(&self.value);
        options.timezone = timezone;
        options.time_format = self.time_format;
        options.decimal = self.decimal;
        if let Some(start) = &self.start {
            let zone = match &options.timezone {
                Some(zone) => zone.clone(),
                None if time::is_local(start, super::now()) => plant.get().await?,
                None => TimeZone::UTC,
            };
            options.start = Some(time::parse(start, super::now(), &zone)?);
        }
        options.step = self.step;
        options.keys.clone_from(&self.keys);
        options.transposed = self.transposed;
        Ok(options)
    }
}

/// The plant's time zone, asked for where a time needs it.
struct PlantZone<'a> {
    global: &'a Global,
    told: Option<TimeZone>,
}

impl PlantZone<'_> {
    async fn get(&mut self) -> Result<TimeZone, Problem> {
        if self.told.is_none() {
            self.told = Some(self.global.zone().await?);
        }
        Ok(self.told.clone().unwrap_or(TimeZone::UTC))
    }
}

/// The options for one of the files.
fn of_item(options: &Options, item: &Item, several: bool) -> Options {
    let mut own = options.clone();
    let names_it = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("{file}"));
    own.several = several && !names_it(&options.prefix) && !names_it(&options.signal);
    own.prefix = options.prefix.as_ref().map(|prefix| item.filled(prefix));
    own.signal = options.signal.as_ref().map(|signal| item.filled(signal));
    own.stem.clone_from(&item.stem);
    own
}

async fn import(
    item: Item,
    options: &Options,
    client: Option<&Client>,
    zone: &mut PlantZone<'_>,
    stop: &Stop,
) -> Result<Tally, Problem> {
    let (name, bytes, json) = (item.name.clone(), item.bytes, zone.global.json);
    let mut note = Note::of(&item, options, client);
    let rejects = files::rejects(&item.beside);
    // Of columns the place in the file, which all that read it share; text is counted as it is read.
    let mut place = None;
    let columns = match item.file().map_err(|error| unreadable(&name, &error))? {
        Some(file) => columns(file, &name, options)?,
        None => Columns::None,
    };
    let mut reader = match columns {
        Columns::Samples(mut columns) => {
            let has_local_times = columns.has_local_times().map_err(|problem| of_file(&name, problem))?;
            let mut options = options.clone();
            if has_local_times && options.timezone.is_none() {
                let zone = zone.get().await?;
                note.set_zone(&zone);
                options.plant_timezone = Some(zone);
            }
            let sender = Sender::new(rejects, note, client).await;
            return import_columns(&name, *columns, &options, sender, stop, json).await;
        }
        Columns::Table(typed, file) => {
            let options = Options { typed: Some(typed), ..options.clone() };
            place = file.try_clone().ok();
            let text = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
                let mut again = file.try_clone()?;
                again.rewind()?;
                let text = ColumnText::open(again);
                Ok(Box::new(text.map_err(|problem| std::io::Error::other(problem.detail))?))
            };
            looked_through(
                Box::new(text),
                &name,
                &options,
                place.as_ref(),
                (&progress::import(&name, bytes), stop),
            )?
        }
        Columns::None => {
            looked_through(item.open(), &name, options, None, (&progress::import(&name, bytes), stop))?
        }
    };
    if reader.needs_zone() {
        let zone = zone.get().await?;
        note.set_zone(&zone);
        reader.set_zone(zone);
    }
    output::note(&format!("{name}: {}", reader.plan().describe().trim_end().replace('\n', "\n  ")));
    let bar = progress::import(&name, bytes);
    let mut sender = Sender::new(rejects, note, client).await;
    told_resumed(&name, &sender);
    let sent = parts(&name, reader, &mut sender, (&bar, place.as_ref()), stop).await;
    bar.finish_and_clear();
    let reader = ended(&name, &mut sender, sent)?;
    for Joined { names: [one, other], path } in reader.joined() {
        output::note(&format!(
            "note: '{one}' and '{other}' are one signal, {path}: rename one of them in the file, if they are two"
        ));
    }
    report(&name, reader.signals().len(), reader.summary(), &mut sender, json);
    Ok(sender.tally)
}

/// Sends what is read, until the end or until someone stops it. While one part is sent the next one is read: no more than
/// these two are in memory.
async fn parts(
    name: &str,
    reader: Reader,
    sender: &mut Sender<'_>,
    (bar, place): (&progress::Import, Option<&File>),
    stop: &Stop,
) -> Result<Reader, Problem> {
    let head = reader.rejected_head().map(str::to_owned);
    let mut number = 1;
    let mut reading = read_on(reader, sender.skipped() >= number);
    loop {
        let lost = |error: tokio::task::JoinError| Problem::new(&codes::INTERNAL, error.to_string());
        let (reader, ready) = reading.await.map_err(lost)?;
        let Some(ready) = ready? else { return Ok(reader) };
        let bytes_read = reader.bytes_read();
        number += 1;
        reading = read_on(reader, sender.skipped() >= number);
        if stop.is_asked() {
            stopped(name, sender);
        }
        if !sender.skips()
            && let Some(ready) = ready
        {
            let sent = tokio::select! {
                // What was sent may be kept or not: it is sent again the next time.
                () = stop.asked() => None,
                sent = sender.part(ready, head.as_deref()) => Some(sent),
            };
            match sent {
                Some(sent) => sent?,
                None => stopped(name, sender),
            }
        }
        bar.at(position(place, bytes_read, bar.bar()), sender.tally.samples);
    }
}

/// A reader, and the part that it read: none at the end, and one that is passed over is not made ready.
type Read = (Reader, Result<Option<Option<Ready>>, Problem>);

/// Reads the next part on a thread of its own.
fn read_on(mut reader: Reader, skips: bool) -> tokio::task::JoinHandle<Read> {
    tokio::task::spawn_blocking(move || {
        let part = reader.next_part();
        let ready = part.map(|part| part.map(|part| (!skips).then(|| Ready::of(&reader, part))));
        (reader, ready)
    })
}

/// Whoever stops an import is told what stands; the command ends as one that a signal ended.
fn stopped(name: &str, sender: &mut Sender<'_>) -> ! {
    sender.stop();
    let samples = sender.durable();
    output::note(&format!(
        "{name}: stopped; {samples} samples are written and durable: the same command again goes on from there"
    ));
    Stop::end()
}

/// An import that was cut off goes on.
fn told_resumed(name: &str, sender: &Sender<'_>) {
    if let Some(samples) = sender.resumed() {
        output::note(&format!(
            "{name}: {samples} samples were durable when the import was cut off; it goes on behind them"
        ));
    }
}

/// Keeps how far it came, or that it is done; what stands is told with the problem.
fn ended<T>(name: &str, sender: &mut Sender<'_>, sent: Result<T, Problem>) -> Result<T, Problem> {
    let mut problem = match sent {
        Ok(all) => return sender.finish().map(|()| all),
        Err(problem) => problem,
    };
    sender.stop();
    let samples = sender.tally.samples;
    if samples > 0 && sender.client.is_some() && !problem.detail.contains("written and durable") {
        problem.detail.push_str(&format!(
            "; {samples} samples of {name} are written and durable: the same command again goes on from there"
        ));
    }
    Err(problem)
}

/// Looks through a file, and begins to read it. The bar goes with this.
fn looked_through(
    source: Open,
    name: &str,
    options: &Options,
    place: Option<&File>,
    (bar, stop): (&progress::Import, &Stop),
) -> Result<Reader, Problem> {
    let read = open(source, name, options, &mut |counted| {
        if stop.is_asked() {
            bar.finish_and_clear();
            output::note(&format!("{name}: stopped; nothing of it was sent"));
            Stop::end();
        }
        bar.looked(position(place, counted, bar.bar()));
    });
    bar.finish_and_clear();
    read
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

fn columns(mut file: File, name: &str, options: &Options) -> Result<Columns, Problem> {
    let unreadable = |error: std::io::Error| unreadable(name, &error);
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
    let named = options.time.is_some() || options.value.is_some() || !options.keys.is_empty();
    let asked = named || options.time_format.is_some();
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
    mut sender: Sender<'_>,
    stop: &Stop,
    json: bool,
) -> Result<Tally, Problem> {
    let zone = options.timezone.as_ref().or(options.plant_timezone.as_ref());
    let mut times = LocalTimes::new(zone.cloned());
    let rows = columns.rows().map(|rows| format!(", {rows} rows")).unwrap_or_default();
    let zone = match zone {
        Some(_) if columns.has_local_times().map_err(|problem| of_file(name, problem))? => {
            format!("; times in {} where no offset is given", times.zone())
        }
        _ => String::new(),
    };
    let more = columns.note().map(|note| format!("\n  note: {note}")).unwrap_or_default();
    output::note(&format!("{name}: {}{rows}{zone}{more}", columns.format()));
    told_resumed(name, &sender);
    let bar = progress::import(name, columns.bytes());
    let mut summary = Summary::default();
    let sent = column_parts(name, &mut columns, &mut times, &mut sender, (&mut summary, &bar, stop)).await;
    bar.finish_and_clear();
    ended(name, &mut sender, sent.map_err(|problem| of_file(name, problem)))?;
    (summary.repeated_hour, summary.second_pass) = times.repeated();
    report(name, columns.signals(), summary, &mut sender, json);
    Ok(sender.tally)
}

async fn column_parts(
    name: &str,
    columns: &mut ColumnFile,
    times: &mut LocalTimes,
    sender: &mut Sender<'_>,
    (summary, bar, stop): (&mut Summary, &progress::Import, &Stop),
) -> Result<(), Problem> {
    while let Some(mut part) = columns.next_part()? {
        if stop.is_asked() {
            stopped(name, sender);
        }
        let rows = part.len() as u64;
        let untimed = part.localize(&mut |signal, shown| times.instant(signal, shown))?;
        if !sender.skips() {
            sender.untimed(untimed, summary.rows)?;
            sender.tally.own += part.leave_out_own()?;
            let sent = tokio::select! {
                () = stop.asked() => None,
                sent = sender.rows(&part, summary.rows) => Some(sent),
            };
            match sent {
                Some(sent) => sent?,
                None => stopped(name, sender),
            }
            sender.acknowledged(None);
        }
        summary.rows += rows;
        bar.at(columns.position(), sender.tally.samples);
    }
    Ok(())
}
