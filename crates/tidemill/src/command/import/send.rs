//! Sends what was read to the plant, and keeps what could not be read or was refused in FILE.rejected with the reason.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value as Json;
use tidemill_connect::import::{CONTENT_TYPE, Originals, Part, Piece, QUERY, Reader, Reject, encode};
use tidemill_core::{Problem, codes, is_own};
use tidemill_historian::{Part as Rows, Untimed};

use super::Tally;
use super::rejects::Rejects;
use super::resume::{Note, Progress};
use crate::client::{Body, Client, query};
use crate::output;

/// Tries while the plant is busy: with the pause below, about a minute.
const TRIES_MAX: u32 = 120;
/// How many refused lines one answer names.
const REFUSED_LISTED: usize = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// What helps where an hour's new names are used up.
const HOUR_HINT: &str =
    "Raise limits.signals_new_per_hour for the import, or give the same command again in an hour";
/// How many rows of columns may be refused: each costs a request.
const REFUSED_ROWS_MAX: u64 = 1_000;

pub(super) struct Sender<'a> {
    pub(super) client: Option<&'a Client>,
    pub(super) rejects: Rejects,
    pub(super) tally: Tally,
    note: Note,
    progress: Progress,
    /// Parts that were acknowledged by an import that was cut off, and are read over.
    skipped: u64,
    parts: u64,
    /// Rows of columns that the plant refused.
    refused_rows: u64,
}

impl<'a> Sender<'a> {
    /// For one file, from where an import of it was cut off.
    pub(super) async fn new(rejects: PathBuf, mut note: Note, client: Option<&'a Client>) -> Sender<'a> {
        let progress = note.progress(client).await;
        let mut rejects = Rejects::new(rejects);
        let found = progress.rejected == 0 || rejects.go_on(progress.rejected_bytes).is_ok();
        let progress = if found { progress } else { Progress::default() };
        let (samples, rejected, own) = (progress.samples, progress.rejected, progress.own);
        let tally = Tally { samples, rejected, own, unprinted: false };
        let skipped = progress.parts;
        Sender { client, rejects, tally, note, progress, skipped, parts: 0, refused_rows: 0 }
    }

    /// What an import that was cut off had brought in.
    pub(super) fn resumed(&self) -> Option<u64> {
        (self.skipped > 0).then_some(self.progress.samples)
    }

    /// How many parts were acknowledged before.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the next part was acknowledged before.
    pub(super) fn skips(&mut self) -> bool {
        self.parts += 1;
        self.parts <= self.skipped
    }

    /// How many samples were acknowledged with their parts.
    pub(super) fn durable(&self) -> u64 {
        self.progress.samples
    }

    /// The part that was sent is durable.
    pub(super) fn acknowledged(&mut self, last: Option<(String, i64)>) {
        let Tally { samples, rejected, own, .. } = self.tally;
        let rejected_bytes = self.rejects.bytes();
        let last = last.or_else(|| self.progress.last.take());
        self.progress = Progress { parts: self.parts, samples, rejected, own, rejected_bytes, last };
        self.note.keep(&self.progress);
    }

    /// Keeps how far it came, for the next time.
    pub(super) fn stop(&mut self) {
        // It stays as it is until the import goes on, or is given up.
        let _ = self.rejects.end();
        if self.progress.parts > self.skipped {
            self.note.write(&self.progress);
        }
    }

    /// The file is at its end.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        self.note.remove();
        if self.client.is_none() { Ok(()) } else { self.rejects.finish() }
    }

    /// Sets aside rows of columns that have no time.
    pub(super) fn untimed(&mut self, rows: Vec<Untimed>, before: u64) -> Result<(), Problem> {
        let reject = |Untimed { row, line, reason }| {
            let column = Some("time".to_owned());
            Reject { line: before + row as u64 + 1, column, raw: line, reason }
        };
        self.reject(None, &rows.into_iter().map(reject).collect::<Vec<_>>())
    }

    /// Sends rows of columns. The plant takes a body whole or names the first row that it refuses: that one is set
    /// aside, and those before and behind it go on their own.
    pub(super) async fn rows(&mut self, part: &Rows, before: u64) -> Result<(), Problem> {
        let mut from = 0;
        while from < part.len() {
            let sent = self.send(part.body(from, part.len())?, Rows::MEDIA_TYPE, "").await;
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
                self.send(part.body(from, row)?, Rows::MEDIA_TYPE, "").await?;
                self.tally.samples += (row - from) as u64;
            }
            if problem.code == &codes::SIGNALS_RATE {
                return Err(problem.hint(HOUR_HINT));
            }
            let line = before + part.place(row) as u64 + 1;
            let reject = Reject { line, column: None, raw: part.line(row)?, reason: problem.detail };
            self.reject(None, &[reject])?;
            self.refused_rows += 1;
            from = row + 1;
        }
        Ok(())
    }

    /// Sends a part; `head` is what stands at the head of its rejects.
    pub(super) async fn part(&mut self, ready: Ready, head: Option<&str>) -> Result<(), Problem> {
        let Ready { body, content_type, terms, rows, samples, own, rejects, originals, last } = ready;
        self.tally.own += own;
        self.rejects.set_context(originals.context.remarks());
        let sent = self.lines(body, &rows, samples, (content_type, &terms)).await;
        self.set_aside(head, rejects, &originals, sent)?;
        self.acknowledged(last);
        Ok(())
    }

    /// Writes down which rows could not be read or were refused, also where the plant then ceased to answer.
    fn set_aside(
        &mut self,
        head: Option<&str>,
        rejects: Vec<Reject>,
        originals: &Originals,
        sent: Result<Vec<Refused>, Problem>,
    ) -> Result<(), Problem> {
        let (refused, outcome) = sent.map_or_else(|error| (Vec::new(), Err(error)), |all| (all, Ok(())));
        self.reject(head, &originals.rejects(rejects, &refused))?;
        outcome
    }

    /// Sends lines that hold so many samples. The plant says how many it kept where it refused any, and names the first hundred
    /// lines: where there are more, they are sent again in hundreds, so that each refused one is told. What is sent twice is
    /// kept once.
    async fn lines(
        &mut self,
        body: Bytes,
        rows: &[u32],
        samples: u64,
        (content_type, terms): (&str, &str),
    ) -> Result<Vec<Refused>, Problem> {
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.send(body.clone(), content_type, terms).await?;
        self.tally.samples += answer["kept"].as_u64().unwrap_or(samples);
        let listed = |answer: &Json| answer["problems"].as_array().cloned().unwrap_or_default();
        let refused = listed(&answer);
        if let Some(problem) = of_the_hour(&refused) {
            return Err(problem);
        }
        if answer["refused"].as_u64().unwrap_or(0) <= refused.len() as u64 {
            return Ok(rows_of(&refused, rows));
        }
        let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
        let (mut all, mut from) = (Vec::new(), 0);
        while from < lines.len() {
            let to = hundred(rows, from, content_type != CONTENT_TYPE);
            let (lines, rows) = (lines.get(from..to), rows.get(from..to));
            let answer = self.send(lines.unwrap_or_default().concat().into(), content_type, terms).await?;
            let refused = listed(&answer);
            if let Some(problem) = of_the_hour(&refused) {
                return Err(problem);
            }
            all.extend(rows_of(&refused, rows.unwrap_or_default()));
            from = to;
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
    async fn send(&self, body: Bytes, content_type: &str, terms: &str) -> Result<Json, Problem> {
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
        let headers = [("content-type", content_type)];
        let mut tries = 0;
        loop {
            match client.send(Method::POST, &path, &headers, Body::from(body.clone())).await {
                Ok(reply) => return reply.json().await,
                Err(problem) if passes_soon(&problem) && tries < TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
}

/// A part of a file as it is sent, with what is told of it.
pub(super) struct Ready {
    body: Bytes,
    content_type: &'static str,
    terms: String,
    /// The row of the file for each line of the body, among the originals.
    rows: Vec<u32>,
    samples: u64,
    /// Samples of the figures of another plant, left out.
    own: u64,
    rejects: Vec<Reject>,
    originals: Originals,
    /// The signal and the time of one of its samples.
    last: Option<(String, i64)>,
}

impl Ready {
    pub(super) fn of(reader: &Reader, part: Part) -> Ready {
        let mut batch = match part {
            Part::Samples(batch) => batch,
            Part::Piece(Piece { body, content_type, query: unit, rows, samples, rejects, originals }) => {
                let more = query(&originals.context.terms()).replacen('?', "&", 1);
                let (body, terms) = (body.into(), format!("{unit}{more}"));
                let (own, last) = (0, None);
                return Ready { body, content_type, terms, rows, samples, own, rejects, originals, last };
            }
        };
        let name = |signal: u32| reader.signals().get(signal as usize).map(|signal| signal.path.as_str());
        let last = batch.samples.last();
        let last = last.and_then(|sample| Some((name(sample.signal)?.to_owned(), sample.time)));
        let count = batch.samples.len();
        batch.samples.retain(|sample| !name(sample.signal).is_some_and(is_own));
        let own = (count - batch.samples.len()) as u64;
        let mut body = Vec::new();
        encode(&batch, reader.signals(), &mut body);
        let rows: Vec<u32> = batch.samples.iter().map(|sample| sample.row).collect();
        let (body, samples, terms) = (body.into(), rows.len() as u64, QUERY.to_owned());
        let (rejects, originals) = (batch.rejects, batch.originals);
        Ready { body, content_type: CONTENT_TYPE, terms, rows, samples, own, rejects, originals, last }
    }
}

/// Whether a plant that refuses takes the same in a minute: an hour's share or a disk takes longer, and is told at once.
fn passes_soon(problem: &Problem) -> bool {
    problem.retry_after_s.is_some() && ![&codes::SIGNALS_RATE, &codes::DISK_FULL].contains(&problem.code)
}

/// That this hour's new names are used up: what is refused for it is in order, and goes in later.
fn of_the_hour(refused: &[Json]) -> Option<Problem> {
    let problem = refused.iter().find(|problem| problem["code"] == codes::SIGNALS_RATE.id)?;
    Some(Problem::new(&codes::SIGNALS_RATE, output::cell(&problem["detail"])).hint(HOUR_HINT))
}

/// Behind which line a hundred records end that begin with one. A text of a record may run over lines, which cannot be
/// sent apart: what stands in it would be read as points.
pub(super) fn hundred(rows: &[u32], from: usize, runs_on: bool) -> usize {
    let is_end = |at: &usize| !runs_on || rows.get(at - 1) != rows.get(*at);
    (from + 1..=rows.len()).filter(is_end).nth(REFUSED_LISTED - 1).unwrap_or(rows.len().max(from + 1))
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
