//! `tidemill signals load`: what a listing of another plant, or of this one in earlier days, says of signals is said of them
//! here. What is known already is not sent. Samples come by `import`, and signals come into being with them.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use hyper::Method;
use serde_json::{Map, Value as Json, json};
use tidemill_core::{Problem, codes};

use super::super::{CommandResult, Outcome, is_own};
use crate::client::{Client, query};
use crate::output;

/// The longest listing: a thousand bytes for each of some 250,000 signals.
const LISTING_BYTES_MAX: u64 = 256 << 20;
/// The members that an edit takes as a listing has them. A code of UCUM follows its unit, and is sent with it.
const MEMBERS: [&str; 7] = ["unit", "ucum", "description", "number", "stepped", "owner", "stale_after"];

/// What became of a listing.
#[derive(Default)]
struct Tally {
    changed: u64,
    same: u64,
    /// Signals that are not here.
    missing: Vec<String>,
    /// Signals of which something cannot be said, and why.
    refused: Vec<(String, String)>,
}

pub(super) async fn load(client: &Client, file: &Path, json: bool) -> CommandResult {
    let listing = read(file)?;
    let here = client.get(&format!("/api/v1/signals{}", query(&[("match", "#".to_owned())]))).await?;
    let by_name = by_name(&here);
    let mut tally = Tally::default();
    for wanted in &listing {
        let name = wanted["signal"].as_str().unwrap_or_default();
        if is_own(&wanted["signal"]) {
            continue;
        }
        let found = names(wanted).find_map(|name| by_name.get(name).copied());
        let Some(present) = found else {
            tally.missing.push(name.to_owned());
            continue;
        };
        let edits = edits(wanted, present);
        if edits.is_empty() {
            tally.same += 1;
            continue;
        }
        match send(client, present, edits).await {
            Ok(()) => tally.changed += 1,
            // What a signal may not have is said of it; a plant that does not answer ends it.
            Err(problem) if problem.code.status < 500 => {
                tally.refused.push((name.to_owned(), problem.detail));
            }
            Err(problem) => return Err(problem),
        }
    }
    told(file, &tally, json)
}

fn read(file: &Path) -> Result<Vec<Json>, Problem> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            &codes::NOT_FOUND
        } else {
            &codes::FILE_UNREADABLE
        };
        Problem::new(code, format!("{shown} cannot be read: {error}"))
            .hint("Check the name and that the file may be read")
    };
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(LISTING_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LISTING_BYTES_MAX {
        let detail = format!("{shown} is longer than {} MiB", LISTING_BYTES_MAX >> 20);
        return Err(
            Problem::new(&codes::TOO_LARGE, detail).hint("List fewer signals at a time, by a pattern")
        );
    }
    let bad = |why: String| {
        let mend = format!("Make it with `{} signals --json > {shown}`", crate::program());
        Problem::new(&codes::BAD_JSON, format!("{shown} is no listing of signals: {why}")).hint(mend)
    };
    let listing: Vec<Json> = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    match listing.iter().position(|signal| !signal["signal"].is_string()) {
        Some(place) => Err(bad(format!("its entry {} names no signal", place + 1))),
        None => Ok(listing),
    }
}

/// Its name, then those that it also has or had.
fn names(signal: &Json) -> impl Iterator<Item = &str> {
    let others = signal["aliases"].as_array().into_iter().flatten();
    std::iter::once(&signal["signal"]).chain(others).filter_map(Json::as_str)
}

fn by_name(listing: &Json) -> HashMap<&str, &Json> {
    let signals = || listing.as_array().into_iter().flatten();
    let mut found: HashMap<&str, &Json> = HashMap::new();
    for signal in signals() {
        for name in names(signal) {
            found.entry(name).or_insert(signal);
        }
    }
    // The name that a signal has now stands before those that others had.
    found.extend(signals().filter_map(|signal| Some((signal["signal"].as_str()?, signal))));
    found
}

/// What is to be sent so that a signal is as it is wanted; each is whole by itself.
fn edits(wanted: &Json, present: &Json) -> Vec<Json> {
    let mut facts = Map::new();
    let differs = |name: &&str| wanted.get(*name).is_some_and(|value| *value != present[*name]);
    for name in MEMBERS.iter().filter(|name| differs(name)) {
        facts.insert((*name).to_owned(), wanted[*name].clone());
    }
    let empty = Map::new();
    let tags = |signal: &Json| signal["tags"].as_object().unwrap_or(&empty).clone();
    if wanted.get("tags").is_some() {
        let (new, old) = (tags(wanted), tags(present));
        let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Json::Null));
        let other = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
        let tags: Map<String, Json> =
            gone.chain(other.map(|(key, value)| (key.clone(), value.clone()))).collect();
        if !tags.is_empty() {
            facts.insert("tags".to_owned(), Json::Object(tags));
        }
    }
    let mut edits = Vec::new();
    if !facts.is_empty() {
        edits.push(Json::Object(facts));
    }
    let known: Vec<&str> = names(present).collect();
    let more = names(wanted).skip(1).filter(|name| !known.contains(name));
    edits.extend(more.map(|name| json!({ "alias": name })));
    // Last, for until then it is found by the name that it has.
    if wanted["signal"] != present["signal"] {
        edits.push(json!({ "rename": wanted["signal"] }));
    }
    edits
}

async fn send(client: &Client, present: &Json, edits: Vec<Json>) -> Result<(), Problem> {
    let address = format!("/api/v1/signals{}", query(&[("signal", output::cell(&present["signal"]))]));
    for edit in edits {
        client.call(Method::PATCH, &address, &edit).await?;
    }
    Ok(())
}

fn told(file: &Path, tally: &Tally, json: bool) -> CommandResult {
    let Tally { changed, same, missing, refused } = tally;
    let outcome = if refused.is_empty() { Outcome::Done } else { Outcome::Found };
    if json {
        let refused: Vec<Json> =
            refused.iter().map(|(signal, why)| json!({ "signal": signal, "problem": why })).collect();
        output::json(&json!({
            "file": file, "changed": changed, "same": same, "missing": missing, "refused": refused,
        }))?;
        return Ok(outcome);
    }
    let mut lines = vec![format!("{}: {changed} signals changed, {same} as they were", file.display())];
    lines.extend(refused.iter().map(|(signal, why)| format!("problem: {signal}: {why}")));
    output::line(&lines.join("\n"))?;
    if let Some(first) = missing.first() {
        output::note(&format!(
            "{} are not here, such as {first}: import their samples, then repeat the command",
            missing.len()
        ));
    }
    Ok(outcome)
}
