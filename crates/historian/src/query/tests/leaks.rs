//! What a reader can learn of what they may not read: nothing. Whatever is asked, the answer is that of a plant in which
//! the rest does not exist: rows, counts, plans, complaints and all.

use std::sync::Arc;

use proptest::prelude::*;
use tidemill_core::{ReadScope, SignalPath, Value};

use super::fake::*;
use super::scope::{samples, scope};
use super::small::{DOORS, EVENTS, OpenDoors};
use crate::query::{Engine, Settings};

/// What is asked; `NAME` is a name, now or earlier, of a signal that may or may not be read.
const QUESTIONS: [&str; 36] = [
    "SELECT * FROM samples",
    "SELECT * FROM signals",
    "SELECT count(*), count(DISTINCT signal), min(signal), max(signal), max(value), max(text) FROM samples",
    "SELECT * FROM samples WHERE signal = 'NAME'",
    "SELECT * FROM samples WHERE signal <> 'NAME'",
    "SELECT * FROM samples WHERE signal IN ('NAME', 'a/b')",
    "SELECT * FROM samples WHERE matches(signal, 'NAME')",
    "SELECT * FROM samples WHERE matches(signal, 'NAME/#') OR value > 3",
    "SELECT * FROM samples WHERE signal LIKE 'NAME%'",
    "SELECT * FROM samples WHERE signal = 'NAME' OR value > 3",
    "SELECT signal = 'NAME' FROM samples",
    "SELECT * FROM signals WHERE signal = 'NAME'",
    "SELECT * FROM signals WHERE aliases LIKE '%NAME%'",
    "SELECT aliases FROM signals",
    "SELECT * FROM read('NAME')",
    "SELECT * FROM read('NAME', NULL, NULL, 'last')",
    "SELECT * FROM read('#', NULL, NULL, 'last')",
    "SELECT * FROM read('NAME', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 'points', 3)",
    "SELECT (SELECT max(value) FROM samples WHERE signal = 'NAME')",
    // Complaints.
    "SELECT CAST(signal AS INT) FROM samples",
    "SELECT CAST(signal AS INT) FROM samples WHERE signal = 'NAME'",
    "SELECT CAST(aliases AS INT) FROM signals",
    "SELECT CAST(text AS TIMESTAMP) FROM samples",
    "SELECT 1 / CAST(value - value AS INT) FROM samples WHERE signal = 'NAME'",
    "SELECT (SELECT signal FROM samples)",
    "SELECT nothing FROM samples WHERE signal = 'NAME'",
    "SELECT matches(signal, 'NAME/#/x') FROM samples",
    "SELECT * FROM sys.doors",
    // Plans.
    "EXPLAIN SELECT * FROM samples WHERE signal = 'NAME'",
    "EXPLAIN SELECT * FROM samples s JOIN signals USING (signal) WHERE matches(signal, 'NAME')",
    "EXPLAIN VERBOSE SELECT * FROM samples WHERE signal IN ('NAME')",
    // The system.
    "SELECT * FROM sys.events",
    "SELECT count(*), max(what) FROM sys.events WHERE signal <> 'NAME'",
    "SELECT * FROM sys.tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
];

/// A plant of samples, earlier names and records, as far as `is_there` says.
fn plant_of(
    rows: &[(String, i64, Option<i32>)],
    aliases: &[(usize, String)],
    is_there: impl Fn(&str) -> bool,
) -> Engine {
    let plant = Arc::new(Plant::default());
    let mut names: Vec<&str> = rows.iter().map(|(name, ..)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for (place, name) in names.iter().enumerate().filter(|(_, name)| is_there(name)) {
        plant.signal_with(name, |signal| {
            let mine = aliases.iter().filter(|(of, _)| of % names.len() == place);
            // A name that may not be known is, for who may not know it, none.
            let mine = mine.filter(|(_, alias)| is_there(alias));
            signal.aliases.extend(mine.map(|(_, alias)| SignalPath::new(alias).unwrap()));
        });
    }
    for (name, second, value) in rows.iter().filter(|(name, ..)| is_there(name)) {
        plant.put(name, T0 + second * SECOND, value.map_or(Value::None, |v| Value::Float(f64::from(v))));
        plant.put(name, T0 + second * SECOND, Value::Text(format!("text of {name}").into()));
    }
    let records: Vec<Vec<Value>> = rows
        .iter()
        .filter(|(name, ..)| is_there(name))
        .map(|(name, second, _)| {
            let what = Value::Text(format!("what {name} did").into());
            vec![Value::Int(T0 + second * SECOND), Value::Text(name.as_str().into()), what, Value::Int(1)]
        })
        .collect();
    plant.records("events", crate::query::system::batch(EVENTS.columns, &records).unwrap());
    // One thread, so that the first complaint of a query is always the same.
    let engine = engine_with(&plant, Settings { partitions: 1, ..settings() });
    engine.table(&EVENTS, None);
    engine.table(&DOORS, Some(Arc::new(OpenDoors)));
    engine
}

/// The rows that the metrics of a plan speak of.
fn counted(plan: &str) -> Vec<&str> {
    let is_count = |part: &&str| part.starts_with("output_rows=") || part.starts_with("partition_sizes=");
    plan.split([',', ' ', '[', ']']).filter(is_count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn who_may_not_read_it_lives_in_a_plant_without_it(
        rows in samples(),
        granted in proptest::collection::vec("[abcx](/[abcx+]){0,2}(/#)?", 0..4),
        aliases in proptest::collection::vec((0..9usize, "x/[abc]/[abc]"), 0..6),
        asked in 0..100usize,
    ) {
        let mut aliases = aliases;
        aliases.sort_by(|one, other| one.1.cmp(&other.1));
        aliases.dedup_by(|one, other| one.1 == other.1);
        let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
        let scope: ReadScope = scope(&granted, false);
        let may = |name: &str| scope.allows(&SignalPath::new(name).unwrap());
        let whole = plant_of(&rows, &aliases, |_| true);
        let part = plant_of(&rows, &aliases, may);
        // Names that are hidden, of now and earlier ones; those that may be known mean what they mean.
        let names = rows.iter().map(|(name, ..)| name.clone());
        let hidden: Vec<String> = names.chain(aliases.iter().map(|(_, alias)| alias.clone())).filter(|name| !may(name)).collect();
        let name = hidden.get(asked % hidden.len().max(1)).cloned().unwrap_or_else(|| "a/b".to_owned());
        // An earlier name that is hidden, of a signal that is not, still leads to it: who knows it may use it.
        let leads = whole_find(&rows, &aliases, &name).is_some_and(|now| may(&now));
        for question in QUESTIONS.iter().filter(|question| !leads || !question.contains("NAME")) {
            let question = question.replace("NAME", &name);
            // The tables of a catalog come in any order.
            let tell = |engine: &Engine| {
                let mut lines: Vec<String> = ask(engine, &scope, &question).lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            prop_assert_eq!(tell(&whole), tell(&part), "{} in {:?}", question, &granted);
        }
        for question in ["SELECT * FROM samples WHERE value > 1", "SELECT count(*) FROM sys.events", "SELECT * FROM signals"] {
            let question = format!("EXPLAIN ANALYZE {question}");
            let (one, other) = (ask(&whole, &scope, &question), ask(&part, &scope, &question));
            prop_assert_eq!(counted(&one), counted(&other), "{}\n{}\n{}", question, one, other);
        }
    }
}

/// What a name means in the whole plant.
fn whole_find(
    rows: &[(String, i64, Option<i32>)],
    aliases: &[(usize, String)],
    name: &str,
) -> Option<String> {
    let mut names: Vec<&String> = rows.iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    names.dedup();
    let (of, _) = aliases.iter().find(|(_, alias)| alias == name)?;
    names.get(of % names.len().max(1)).map(|name| (*name).clone())
}

#[test]
fn the_test_can_fail() {
    let rows = vec![("a/b".to_owned(), 1, Some(5)), ("b/c".to_owned(), 2, Some(7))];
    let aliases = vec![(1, "x/a/a".to_owned())];
    let (whole, part) =
        (plant_of(&rows, &aliases, |_| true), plant_of(&rows, &aliases, |name| name == "a/b"));
    let (all, narrow) = (ReadScope::everything(), scope(&["a/#"], false));
    for question in QUESTIONS.iter().filter(|question| question.starts_with("SELECT * FROM s")) {
        let question = question.replace("NAME", "x/a/a");
        assert_eq!(ask(&whole, &narrow, &question), ask(&part, &narrow, &question), "{question}");
    }
    assert_ne!(ask(&whole, &all, "SELECT * FROM samples"), ask(&part, &all, "SELECT * FROM samples"));
    let counts = |scope: &ReadScope| {
        let plan = ask(&whole, scope, "EXPLAIN ANALYZE SELECT * FROM samples WHERE value > 1");
        counted(&plan).join(" ")
    };
    assert_ne!(counts(&all), counts(&narrow), "the metrics tell what was read");
}
