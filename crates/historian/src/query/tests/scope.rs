//! Nobody reads what they may not: random scopes and random questions against the plain truth, and every way out that
//! SQL might offer.

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;
use tidemill_core::{
    Format, Pattern, Problem, Quality, ReadMode, ReadQuery, ReadScope, SampleBatch, SignalPath, Value,
};

use super::fake::*;
use super::small::{engine_of, plant};
use crate::query::Engine;

pub(crate) fn scope(patterns: &[&str], tables: bool) -> ReadScope {
    let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
    ReadScope::of(&patterns, 7, tables)
}

/// Whoever lacks a right is told which, and not that there is nothing.
#[test]
fn tables_for_administrators_say_so() {
    let engine = engine_of(&plant());
    let told = |table: &str, scope: &ReadScope| {
        let text = format!("SELECT * FROM {table}");
        match sql_bytes(&engine, scope, &text, Vec::new(), Format::Csv) {
            Ok(_) => "rows".to_owned(),
            Err(problem) => format!("{} {}. {}", problem.code.id, problem.detail, problem.mend()),
        }
    };
    for table in ["sys.files", "sys.limits", "sys.queries", "SYS.Files", "tidemill.sys.doors"] {
        let name = table.to_lowercase().replace("tidemill.", "");
        let closed = format!(
            "forbidden the table '{name}' is for administrators only. Ask with a token that has administer:#"
        );
        assert_eq!(told(table, &scope(&["#"], false)), closed);
        assert_eq!(told(table, &ReadScope::everything()), "rows");
    }
    assert!(told("sys.nothing", &scope(&["#"], false)).starts_with("bad-sql there is no table"));
}

/// What lets a row of another signal be told: every name and value of the part that may not be read holds this word.
const SECRET: &str = "secret";

/// Beside what may be read stands what may not, in every table.
fn guarded() -> (Arc<Plant>, Engine) {
    let plant = plant();
    for number in 0..5i64 {
        plant.put("secret/line/code", T0 + number * SECOND, Value::Text("secret".into()));
        plant.put("secret/line/level", T0 + number * SECOND, Value::Float(777_777.0));
        plant.put_with(
            "acme/secret",
            T0 + number * SECOND,
            Value::Text("secret".into()),
            Quality::GOOD,
            None,
        );
    }
    plant.signal_with("secret/described", |signal| {
        signal.meta.description = "secret".into();
        signal.aliases.push(SignalPath::new("acme/press/alias").unwrap());
    });
    let rows: Vec<Vec<Value>> = ["secret/line/code", "acme/press/count"]
        .iter()
        .map(|path| {
            vec![Value::Int(T0), Value::Text((*path).into()), Value::Text((*path).into()), Value::Int(1)]
        })
        .collect();
    let engine = engine_of(&plant);
    plant.records("events", crate::query::system::batch(super::small::EVENTS.columns, &rows).unwrap());
    (plant, engine)
}

/// Ways in which a question might look past its scope.
const ATTEMPTS: [&str; 46] = [
    "SELECT * FROM samples",
    "SELECT * FROM signals",
    "SELECT * FROM samples WHERE signal = 'secret/line/code'",
    "SELECT * FROM samples WHERE signal IN ('secret/line/code', 'acme/press/count')",
    "SELECT * FROM samples WHERE signal LIKE 'secret/%'",
    "SELECT * FROM samples WHERE matches(signal, 'secret/#')",
    "SELECT * FROM samples WHERE matches(signal, '#') OR true",
    "SELECT * FROM samples WHERE signal LIKE '%' AND (signal = 'x' OR 1 = 1)",
    "SELECT * FROM signals WHERE signal = 'secret/described'",
    "SELECT * FROM signals WHERE signal = 'acme/press/alias'",
    "SELECT * FROM read('#')",
    "SELECT * FROM read('secret/#')",
    "SELECT * FROM read('acme/press/alias')",
    "SELECT * FROM read('secret/line/code', NULL, NULL, 'last')",
    "SELECT * FROM read('#', NULL, NULL, 'last')",
    "SELECT * FROM read('#', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 'points', 10)",
    "SELECT (SELECT max(value) FROM samples WHERE signal = 'secret/line/level') AS v",
    "SELECT * FROM signals WHERE signal IN (SELECT signal FROM samples)",
    "SELECT * FROM samples a JOIN samples b ON a.time = b.time",
    "SELECT * FROM samples WHERE EXISTS (SELECT 1 FROM samples s WHERE s.signal = 'secret/line/level')",
    "WITH t AS (SELECT * FROM samples) SELECT * FROM t UNION ALL SELECT * FROM t",
    "SELECT DISTINCT signal FROM samples UNION SELECT signal FROM signals",
    "SELECT max(value), min(signal), max(signal), max(text) FROM samples",
    "SELECT array_agg(DISTINCT signal), string_agg(text, ',') FROM samples",
    "SELECT approx_distinct(signal), count(*) FROM samples",
    "SELECT signal, row_number() OVER (ORDER BY signal) FROM samples",
    "SELECT * FROM samples LIMIT 1000 OFFSET 0",
    "SELECT * FROM samples ORDER BY time DESC, signal DESC",
    "SELECT * FROM sys.events",
    "SELECT * FROM sys.events WHERE signal LIKE 'secret%'",
    "SELECT what FROM sys.events",
    "SELECT count(*), max(what), max(signal) FROM sys.events",
    "SELECT * FROM sys.doors",
    "SELECT * FROM sys.files",
    "SELECT * FROM sys.limits",
    "SELECT * FROM sys.tables",
    "SELECT * FROM sys.columns",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM information_schema.df_settings",
    "EXPLAIN SELECT * FROM samples WHERE value > 1",
    "EXPLAIN ANALYZE SELECT * FROM samples WHERE value > 1",
    "EXPLAIN VERBOSE SELECT * FROM signals",
    "DESCRIBE signals",
    "SHOW TABLES",
];

#[test]
fn nothing_outside_the_scope_is_seen_by_any_question() {
    let (_, engine) = guarded();
    // Whoever may read it does see it: the attempts below could succeed.
    for query in [
        "SELECT * FROM samples",
        "SELECT * FROM signals",
        "SELECT * FROM read('#')",
        "SELECT * FROM sys.events",
    ] {
        assert!(ask(&engine, &ReadScope::everything(), query).contains(SECRET), "{query}");
    }
    let narrow = scope(&["acme/press/+", "beta/#"], false);
    for query in ATTEMPTS {
        for format in Format::ALL {
            // A name that the question itself says may come back in a plan or a complaint.
            let said = query.contains(SECRET);
            let shown = match sql_bytes(&engine, &narrow, query, Vec::new(), format) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(problem) => problem.to_string(),
            };
            assert!(said || !shown.contains(SECRET), "{query}\n{shown}");
            assert!(!shown.contains("777777"), "{query}\n{shown}");
            if said && query.starts_with("SELECT *") {
                let rows = shown.lines().skip(1).filter(|line| line.contains(SECRET)).count();
                assert!(format != Format::Csv || rows == 0, "{query}\n{shown}");
            }
        }
    }
}

#[test]
fn tables_that_are_not_about_paths_do_not_exist_for_others() {
    let (_, engine) = guarded();
    let narrow = scope(&["acme/press/+"], false);
    let mut shown = String::new();
    for query in [
        "SELECT * FROM sys.doors",
        "SELECT * FROM sys.files",
        "SELECT name FROM sys.tables",
        "SELECT DISTINCT table_name FROM sys.columns ORDER BY 1",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'sys' ORDER BY 1",
        "SELECT * FROM sys.events",
    ] {
        shown += &format!("> {query}\n{}\n\n", ask(&engine, &narrow, query).trim_end());
    }
    expect![[r#"
        > SELECT * FROM sys.doors
        forbidden: the table 'sys.doors' is for administrators only (line 1, column 15). Ask with a token that has administer:#

        > SELECT * FROM sys.files
        forbidden: the table 'sys.files' is for administrators only (line 1, column 15). Ask with a token that has administer:#

        > SELECT name FROM sys.tables
        name
        samples
        signals
        sys.tables
        sys.columns
        sys.functions
        sys.events

        > SELECT DISTINCT table_name FROM sys.columns ORDER BY 1
        table_name
        samples
        signals
        sys.columns
        sys.events
        sys.functions
        sys.tables

        > SELECT table_name FROM information_schema.tables WHERE table_schema = 'sys' ORDER BY 1
        table_name
        columns
        events
        functions
        tables

        > SELECT * FROM sys.events
        time,signal,what,count
        2026-01-01T00:00:00Z,acme/press/count,acme/press/count,1

    "#]].assert_eq(&shown);
    let with_tables = scope(&["acme/press/+"], true);
    assert!(ask(&engine, &with_tables, "SELECT * FROM sys.doors").contains("mqtt"));
    assert!(!ask(&engine, &with_tables, "SELECT * FROM sys.events").contains(SECRET));
}

#[test]
fn nobody_who_may_read_nothing_sees_anything() {
    let (_, engine) = guarded();
    let none = scope(&[], false);
    for query in [
        "SELECT * FROM samples",
        "SELECT * FROM signals",
        "SELECT * FROM read('#')",
        "SELECT * FROM sys.events",
    ] {
        assert_eq!(ask(&engine, &none, query).lines().count(), 1, "{query}");
    }
    assert_eq!(ask(&engine, &none, "SELECT count(*) AS n FROM samples"), "n\n0\n");
}

#[test]
fn only_reading_is_allowed() {
    let (plant, engine) = guarded();
    let before = plant.samples().len();
    let mut shown = String::new();
    for query in [
        "INSERT INTO samples VALUES ('a', now(), 1)",
        "DELETE FROM samples",
        "UPDATE samples SET value = 1",
        "TRUNCATE TABLE samples",
        "MERGE INTO samples USING signals ON true WHEN MATCHED THEN DELETE",
        "DROP TABLE samples",
        "DROP SCHEMA sys",
        "ALTER TABLE samples ADD COLUMN x INT",
        "CREATE TABLE t AS SELECT * FROM samples",
        "CREATE VIEW v AS SELECT * FROM samples",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
        "CREATE DATABASE d",
        "CREATE SCHEMA s",
        "CREATE INDEX i ON samples (time)",
        "COPY samples TO '/tmp/stolen.csv'",
        "COPY (SELECT 1) TO 'x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "SET datafusion.catalog.information_schema = false",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "BEGIN",
        "COMMIT",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "EXPLAIN INSERT INTO samples VALUES ('a', now(), 1)",
        "EXPLAIN ANALYZE DELETE FROM samples",
        "EXPLAIN COPY samples TO '/tmp/x'",
        "SELECT * INTO t FROM samples",
        "WITH x AS (INSERT INTO samples VALUES ('a')) SELECT 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "USE other",
        "KILL 1",
        "ANALYZE TABLE samples",
        "LOAD DATA INPATH 'x' INTO TABLE samples",
        "VACUUM",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "GRANT ALL ON samples TO x",
    ] {
        let answer = ask(&engine, &ReadScope::everything(), query);
        assert!(answer.starts_with("bad-sql: "), "{query} gave {answer}");
        let detail = answer.split(". ").next().unwrap();
        shown += &format!("{query}\n    {detail}\n");
    }
    assert_eq!(plant.samples().len(), before);
    expect![[r#"
        INSERT INTO samples VALUES ('a', now(), 1)
            bad-sql: INSERT is not allowed: this door only reads
        DELETE FROM samples
            bad-sql: DELETE is not allowed: this door only reads
        UPDATE samples SET value = 1
            bad-sql: UPDATE is not allowed: this door only reads
        TRUNCATE TABLE samples
            bad-sql: TRUNCATE is not allowed: this door only reads
        MERGE INTO samples USING signals ON true WHEN MATCHED THEN DELETE
            bad-sql: MERGE is not allowed: this door only reads
        DROP TABLE samples
            bad-sql: DROP is not allowed: this door only reads
        DROP SCHEMA sys
            bad-sql: DROP is not allowed: this door only reads
        ALTER TABLE samples ADD COLUMN x INT
            bad-sql: ALTER is not allowed: this door only reads
        CREATE TABLE t AS SELECT * FROM samples
            bad-sql: CREATE is not allowed: this door only reads
        CREATE VIEW v AS SELECT * FROM samples
            bad-sql: CREATE is not allowed: this door only reads
        CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'
            bad-sql: CREATE is not allowed: this door only reads
        CREATE FUNCTION f(INT) RETURNS INT RETURN $1
            bad-sql: CREATE is not allowed: this door only reads
        CREATE DATABASE d
            bad-sql: CREATE is not allowed: this door only reads
        CREATE SCHEMA s
            bad-sql: CREATE is not allowed: this door only reads
        CREATE INDEX i ON samples (time)
            bad-sql: CREATE is not allowed: this door only reads
        COPY samples TO '/tmp/stolen.csv'
            bad-sql: COPY is not allowed: this door only reads
        COPY (SELECT 1) TO 'x.parquet'
            bad-sql: COPY is not allowed: this door only reads
        SET datafusion.execution.batch_size = 1
            bad-sql: SET is not allowed: this door only reads
        SET datafusion.catalog.information_schema = false
            bad-sql: SET is not allowed: this door only reads
        RESET datafusion.execution.batch_size
            bad-sql: RESET is not allowed: this door only reads
        SHOW ALL
            bad-sql: SHOW is not allowed: this door only reads
        SHOW datafusion.execution.batch_size
            bad-sql: SHOW is not allowed: this door only reads
        BEGIN
            bad-sql: BEGIN is not allowed: this door only reads
        COMMIT
            bad-sql: COMMIT is not allowed: this door only reads
        PREPARE p AS SELECT 1
            bad-sql: PREPARE is not allowed: this door only reads
        EXECUTE p
            bad-sql: EXECUTE is not allowed: this door only reads
        DEALLOCATE p
            bad-sql: DEALLOCATE is not allowed: this door only reads
        EXPLAIN INSERT INTO samples VALUES ('a', now(), 1)
            bad-sql: INSERT is not allowed: this door only reads
        EXPLAIN ANALYZE DELETE FROM samples
            bad-sql: DELETE is not allowed: this door only reads
        EXPLAIN COPY samples TO '/tmp/x'
            bad-sql: COPY is not allowed: this door only reads
        SELECT * INTO t FROM samples
            bad-sql: something other than reading is not allowed: this door only reads
        WITH x AS (INSERT INTO samples VALUES ('a')) SELECT 1
            bad-sql: this is not supported: Query INSERT INTO samples VALUES ('a') not implemented yet
        SELECT * FROM '/etc/passwd'
            bad-sql: there is no table '/etc/passwd'
        SELECT * FROM 'file:///etc/passwd'
            bad-sql: there is no table 'file:///etc/passwd'
        SELECT * FROM "/etc/passwd"
            bad-sql: there is no table '/etc/passwd' (line 1, column 15)
        USE other
            bad-sql: USE is not allowed: this door only reads
        KILL 1
            bad-sql: KILL is not allowed: this door only reads
        ANALYZE TABLE samples
            bad-sql: ANALYZE is not allowed: this door only reads
        LOAD DATA INPATH 'x' INTO TABLE samples
            bad-sql: Expected: end of statement, found: INPATH (line 1, column 11)
        VACUUM
            bad-sql: VACUUM is not allowed: this door only reads
        DO $$ BEGIN END $$
            bad-sql: Expected: an SQL statement, found: DO (line 1, column 1)
        CALL p()
            bad-sql: CALL is not allowed: this door only reads
        GRANT ALL ON samples TO x
            bad-sql: GRANT is not allowed: this door only reads
    "#]]
    .assert_eq(&shown);
}

/// Rows as the plain truth knows them.
pub(crate) fn oracle(
    plant: &Plant,
    scope: &ReadScope,
    keep: impl Fn(&str, i64, Option<f64>) -> bool,
) -> BTreeSet<(String, i64, Option<u64>, usize)> {
    let signals = plant.signals();
    let mut rows = BTreeSet::new();
    for (number, stored) in plant.samples().iter().enumerate() {
        let signal = signals.iter().find(|signal| signal.id == stored.signal).unwrap();
        let value = stored.value.as_ref().as_f64();
        if !signal.retired && scope.allows(&signal.path) && keep(signal.path.as_str(), stored.time, value) {
            rows.insert((signal.path.to_string(), stored.time, value.map(f64::to_bits), number));
        }
    }
    rows
}

fn names() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|levels| levels.join("/"))
}

fn patterns() -> impl Strategy<Value = String> {
    let level = prop_oneof![4 => "[abc]", 2 => Just("+".to_owned())];
    (proptest::collection::vec(level, 0..3), any::<bool>()).prop_map(|(mut levels, rest)| {
        if rest || levels.is_empty() {
            levels.push("#".to_owned());
        }
        levels.join("/")
    })
}

pub(crate) type Keep = Arc<dyn Fn(&str, i64, Option<f64>) -> bool>;

/// A condition in SQL, and the same in Rust.
#[derive(Clone)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) keep: Keep,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.sql)
    }
}

fn condition(sql: String, keep: impl Fn(&str, i64, Option<f64>) -> bool + 'static) -> Condition {
    Condition { sql, keep: Arc::new(keep) }
}

fn time_text(second: i64) -> String {
    tidemill_core::rfc3339(T0 + second * SECOND)
}

pub(crate) fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        names().prop_map(|name| condition(format!("signal = '{name}'"), move |signal, _, _| signal == name)),
        names().prop_map(|name| condition(format!("signal <> '{name}'"), move |signal, _, _| signal != name)),
        names()
            .prop_map(|name| condition(format!("signal LIKE '{name}%'"), move |signal, _, _| signal
                .starts_with(&name))),
        names()
            .prop_map(|name| condition(format!("signal >= '{name}'"), move |signal, _, _| *signal >= *name)),
        (names(), names()).prop_map(|(one, other)| condition(
            format!("signal IN ('{one}', '{other}')"),
            move |signal, _, _| signal == one || signal == other
        )),
        patterns().prop_map(|text| {
            let pattern = Pattern::new(&text).unwrap();
            condition(format!("matches(signal, '{text}')"), move |signal, _, _| {
                pattern.matches(&SignalPath::new(signal).unwrap())
            })
        }),
        (0..20i64)
            .prop_map(|second| condition(format!("time >= '{}'", time_text(second)), move |_, time, _| {
                time >= T0 + second * SECOND
            })),
        (0..20i64)
            .prop_map(|second| condition(format!("'{}' > time", time_text(second)), move |_, time, _| {
                time < T0 + second * SECOND
            })),
        (0..20i64, 0..20i64).prop_map(|(from, to)| condition(
            format!("time BETWEEN '{}' AND '{}'", time_text(from), time_text(to)),
            move |_, time, _| (T0 + from * SECOND..=T0 + to * SECOND).contains(&time)
        )),
        (0..9i32).prop_map(|limit| condition(format!("value > {limit}"), move |_, _, value| {
            value.is_some_and(|value| value > f64::from(limit))
        })),
        Just(condition("value IS NULL".into(), |_, _, value| value.is_none())),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| condition(
                format!("({} AND {})", one.sql, other.sql),
                move |signal, time, value| (one.keep)(signal, time, value)
                    && (other.keep)(signal, time, value)
            )),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| condition(
                format!("({} OR {})", one.sql, other.sql),
                move |signal, time, value| (one.keep)(signal, time, value)
                    || (other.keep)(signal, time, value)
            )),
        ]
    })
}

pub(crate) fn random_plant(samples: &[(String, i64, Option<i32>)]) -> Arc<Plant> {
    let plant = Arc::new(Plant::default());
    for (name, second, value) in samples {
        let value = value.map_or(Value::None, |value| Value::Float(f64::from(value)));
        plant.put(name, T0 + second * SECOND, value);
    }
    plant.batch_rows.store(3, std::sync::atomic::Ordering::Relaxed);
    plant
}

pub(crate) fn samples() -> impl Strategy<Value = Vec<(String, i64, Option<i32>)>> {
    proptest::collection::vec((names(), 0..20i64, proptest::option::of(0..10i32)), 0..60)
}

/// Rows of an answer in JSON lines, sorted.
pub(crate) fn rows_of(answer: Result<Vec<u8>, Problem>) -> Vec<(String, i64, Option<u64>)> {
    let text = String::from_utf8(answer.unwrap()).unwrap();
    let mut rows: Vec<_> = text
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let time = tidemill_core::parse_rfc3339(row["time"].as_str().unwrap()).unwrap();
            (row["signal"].as_str().unwrap().to_owned(), time, row["value"].as_f64().map(f64::to_bits))
        })
        .collect();
    rows.sort();
    rows
}

pub(crate) fn plain(rows: BTreeSet<(String, i64, Option<u64>, usize)>) -> Vec<(String, i64, Option<u64>)> {
    let mut rows: Vec<_> = rows.into_iter().map(|(signal, time, value, _)| (signal, time, value)).collect();
    rows.sort();
    rows
}

async fn read_all(engine: &Engine, scope: &ReadScope, query: ReadQuery) -> Vec<SampleBatch> {
    let mut batches = engine.read(scope, query, BUDGET).await.unwrap();
    let mut all = Vec::new();
    while let Some(batch) = batches.next().await {
        all.push(batch.unwrap());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn random_questions_in_random_scopes_agree_with_the_plain_truth(
        samples in samples(),
        granted in proptest::collection::vec(patterns(), 0..4),
        asked in proptest::collection::vec(conditions(), 1..6),
        pattern in patterns(),
        from in 0..20i64,
        len in 1..20i64,
    ) {
        let plant = random_plant(&samples);
        let engine = engine(&plant);
        let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
        let scope = scope(&granted, false);
        for condition in &asked {
            let query = format!("SELECT signal, time, value FROM samples WHERE {}", condition.sql);
            let expected = plain(oracle(&plant, &scope, &*condition.keep));
            let found = rows_of(sql_bytes(&engine, &scope, &query, Vec::new(), Format::JsonLines));
            prop_assert_eq!(&found, &expected, "{} in {:?}", query, &granted);
            let count = ask(&engine, &scope, &format!("SELECT count(*) AS n FROM samples WHERE {}", condition.sql));
            prop_assert_eq!(count, format!("n\n{}\n", expected.len()), "{}", query);
        }
        let wanted = Pattern::new(&pattern).unwrap();
        let (from, to) = (T0 + from * SECOND, T0 + (from + len) * SECOND);
        let keep = |signal: &str, time, _| wanted.matches(&SignalPath::new(signal).unwrap()) && (from..to).contains(&time);
        let expected = plain(oracle(&plant, &scope, keep));
        let read = ReadQuery { patterns: vec![wanted.clone()], from, to, mode: ReadMode::Raw, limit: None };
        let batches = wait(read_all(&engine, &scope, read));
        let signals = plant.signals();
        let name = |id| signals.iter().find(|signal| signal.id == id).unwrap().path.to_string();
        let mut found: Vec<_> = batches
            .iter()
            .flat_map(SampleBatch::rows)
            .map(|row| (name(row.signal), row.time, row.value.as_f64().map(f64::to_bits)))
            .collect();
        prop_assert!(found.is_sorted_by_key(|row| (row.0.clone(), row.1)));
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
