//! Asks a running plant what it holds, by SQL and by the read door over HTTP, and turns answers into rows to judge. What
//! must be there is not known here.

use super::check::Row;
use super::load::{Plan, ROOT, Value, shown_number};
use crate::http::{self, Client};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// The longest one question may take: a dev build with a million rows is slow.
const QUESTION_MAX: Duration = Duration::from_secs(180);

pub(super) struct Auditor {
    client: Client,
}

/// Cells as their JSON text.
type Table = Vec<Vec<String>>;

impl Auditor {
    pub(super) fn new(address: SocketAddr, token: &str) -> Auditor {
        Auditor { client: Client::new(address, token, QUESTION_MAX) }
    }

    pub(super) fn sql(&mut self, query: &str) -> Result<Table, String> {
        let body = serde_json::json!({ "query": query }).to_string();
        let answer = self.client.post("/api/v1/sql", "application/json", body.as_bytes());
        let answer = answer.map_err(|error| format!("{query}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{query}: {} {}", answer.status, answer.text()));
        }
        table(&answer.body)
            .ok_or_else(|| format!("{query}: the answer is no table: {}", head(&answer.text())))
    }

    /// All rows of a cycle: its two windows, and what the server stamped, which it can have done only in `stamped`.
    pub(super) fn rows(&mut self, plan: &Plan, cycle: u32, stamped: (i64, i64)) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for (from, to) in plan.windows(cycle) {
            let limits = format!("time >= {} AND time < {}", instant(from), instant(to));
            self.select(&limits, &mut rows)?;
        }
        let numbers = Plan::stamped_numbers(cycle);
        let limits = format!(
            "matches(signal, '{ROOT}/+/stamped') AND value >= {} AND value < {} AND time >= {} AND time < {}",
            numbers.start,
            numbers.end,
            instant(stamped.0),
            instant(stamped.1)
        );
        self.select(&limits, &mut rows)?;
        Ok(rows)
    }

    fn select(&mut self, limits: &str, rows: &mut Vec<Row>) -> Result<(), String> {
        let query = format!(
            "SELECT signal, CAST(time AS BIGINT), value, integer, text, CAST(quality AS BIGINT) FROM samples \
             WHERE matches(signal, '{ROOT}/#') AND {limits}"
        );
        for cells in self.sql(&query)? {
            rows.push(row(&cells).ok_or_else(|| format!("{query}: a row cannot be read: {cells:?}"))?);
        }
        Ok(())
    }

    /// How many samples there are of all cycles.
    pub(super) fn count(&mut self) -> Result<u64, String> {
        self.number(&format!("SELECT count(*) FROM samples WHERE matches(signal, '{ROOT}/#')"))
    }

    fn number(&mut self, query: &str) -> Result<u64, String> {
        let rows = self.sql(query)?;
        let cell = rows.first().and_then(|cells| cells.first()).and_then(|cell| cell.parse().ok());
        cell.ok_or_else(|| format!("{query}: no number came back: {rows:?}"))
    }

    /// The names of all signals; an error if one stands twice.
    pub(super) fn names(&mut self) -> Result<BTreeSet<String>, String> {
        let rows = self.sql(&format!("SELECT signal FROM signals WHERE matches(signal, '{ROOT}/#')"))?;
        let count = rows.len();
        let cells = rows.iter().filter_map(|cells| serde_json::from_str(cells.first()?).ok());
        let names: BTreeSet<String> = cells.collect();
        if names.len() == count {
            Ok(names)
        } else {
            Err(format!("{count} signals have {} names", names.len()))
        }
    }

    /// The samples of a signal in a window, in the order in which the read door gives them.
    pub(super) fn read(&mut self, signal: &str, window: (i64, i64)) -> Result<Vec<Row>, String> {
        let target = format!(
            "/api/v1/read?signal={}&from={}&to={}&unit=ns&time=ns&format=json",
            http::escape(signal),
            window.0,
            window.1
        );
        let answer = self.client.get(&target).map_err(|error| format!("{target}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{target}: {} {}", answer.status, answer.text()));
        }
        read_rows(signal, &answer.body).ok_or_else(|| format!("{target}: {}", head(&answer.text())))
    }
}

fn head(text: &str) -> String {
    text.chars().take(300).collect()
}

/// An instant as the SQL of the house writes it exactly.
fn instant(time: i64) -> String {
    format!("arrow_cast({time}, 'Timestamp(Nanosecond, Some(\"UTC\"))')")
}

fn table(body: &[u8]) -> Option<Table> {
    let members: HashMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let rows: Vec<Vec<&RawValue>> = serde_json::from_str(members.get("rows")?.get()).ok()?;
    Some(rows.iter().map(|cells| cells.iter().map(|cell| cell.get().to_owned()).collect()).collect())
}

fn row(cells: &[String]) -> Option<Row> {
    let [signal, time, value, integer, text, quality] = cells else { return None };
    let value = if let Ok(integer) = integer.parse() {
        Value::Int(integer).shown()
    } else if text != "null" {
        Value::Text(serde_json::from_str(text).ok()?).shown()
    } else if value == "null" {
        Value::None.shown()
    } else {
        shown_number(value.parse().ok()?)
    };
    Some(Row {
        signal: serde_json::from_str(signal).ok()?,
        time: time.parse().ok()?,
        value,
        quality: quality.parse().ok()?,
    })
}

/// A row as one JSON object.
pub(super) fn object_row(line: &str) -> Option<Row> {
    let members: HashMap<String, &RawValue> = serde_json::from_str(line).ok()?;
    let cell = |name: &str| members.get(name).map_or("null", |cell| cell.get()).to_owned();
    row(&["signal", "time", "value", "integer", "text", "quality"].map(cell))
}

/// Samples as the read door writes them: one object each with `time` and `value`, in an array.
fn read_rows(signal: &str, body: &[u8]) -> Option<Vec<Row>> {
    let samples: Vec<HashMap<String, Box<RawValue>>> = serde_json::from_slice(body).ok()?;
    let row = |sample: &HashMap<String, Box<RawValue>>| {
        Some(Row {
            signal: signal.to_owned(),
            time: sample.get("time")?.get().parse().ok()?,
            value: shown_number(sample.get("value")?.get().parse().ok()?),
            quality: 0,
        })
    };
    samples.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_rows_with_every_bit() {
        let body = br#"{"columns":[],"rows":[["a/b",1700000000000000007,0.1,null,null,0],
            ["a/c",-5,9007199254740993,9007199254740993,null,1073741824],["a/d",0,1.0,null,null,0],
            ["a/e",0,null,null,"x \"y\"",0],["a/f",0,null,null,null,2147483648]]}"#;
        let rows: Vec<Row> =
            table(body).expect("a table").iter().map(|cells| row(cells).expect("a row")).collect();
        let shown: Vec<(&str, i64, &str, i64)> =
            rows.iter().map(|row| (row.signal.as_str(), row.time, row.value.as_str(), row.quality)).collect();
        assert_eq!(
            shown,
            [
                ("a/b", 1_700_000_000_000_000_007, "number 0.1", 0),
                ("a/c", -5, "integer 9007199254740993", 0x4000_0000),
                ("a/d", 0, "number 1.0", 0),
                ("a/e", 0, "text x \"y\"", 0),
                ("a/f", 0, "none", 0x8000_0000),
            ]
        );
        assert!(table(br#"{"code":"bad-sql"}"#).is_none());
    }
}
