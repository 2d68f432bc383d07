//! Queries that mean harm: each is short, and asks for memory or time without end. Run in a process of their own, whose
//! memory is measured from outside of all accounts.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidemill_core::{Budget, Format, ReadScope, SqlQuery};

use super::fake::*;
use super::small::engine_of;

/// What each query may cost.
const HOSTILE: Budget = Budget { time: Duration::from_secs(2), memory_bytes: 8 << 20, rows: 1_000_000_000 };
/// How late the answer may be.
const LATE: Duration = Duration::from_secs(1);
/// How far the process may grow beyond what it has with an engine that has answered a first question: the limit of the
/// query's own, what a call or an operator has in hand on each of its threads, and what the allocator keeps.
const GROWN_BYTES_MAX: u64 = 96 << 20;
/// Set for the process in which the queries run.
const INSIDE: &str = "TIDEMILL_TEST_HOSTILE";

/// A chain of subqueries, each made of the one before.
fn chain(first: &str, step: &str, last: &str, length: usize) -> String {
    let steps: String = (1..length)
        .map(|n| format!(", t{n} AS ({})", step.replace("$from", &format!("t{}", n - 1))))
        .collect();
    format!("WITH t0 AS ({first}){steps} {}", last.replace("$from", &format!("t{}", length - 1)))
}

fn repeated(text: &str, times: usize, by: &str) -> String {
    vec![text; times].join(by)
}

fn queries() -> Vec<String> {
    let mega = "repeat('x', 6000000)";
    let kilo = "repeat('x', 30000)";
    let many = "generate_series(1, 10000000) g";
    let text = format!("'{}'", "x".repeat(60_000));
    let doubled = |step: &str| {
        let step = format!("SELECT {step} AS s FROM $from");
        chain("SELECT text AS s FROM samples WHERE kind = 'text'", &step, "SELECT length(s) FROM $from", 40)
    };
    let list = "(SELECT array_agg(value) AS s FROM generate_series(1, 1000000))";
    vec![
        // Many values at once in one expression.
        format!("SELECT concat({})", repeated(mega, 60, ", ")),
        format!("SELECT length(concat({})) FROM samples", repeated(mega, 60, ", ")),
        format!("SELECT {}", repeated(mega, 60, " || ")),
        format!("SELECT [{}]", repeated(mega, 60, ", ")),
        format!("SELECT concat_ws(',', {}) FROM samples", repeated(mega, 60, ", ")),
        format!("SELECT struct({})", repeated(mega, 60, ", ")),
        format!("SELECT coalesce(NULLIF({mega}, 'a'), {mega}) || {mega}"),
        format!("SELECT {}", (0..60).map(|n| format!("{mega} AS c{n}")).collect::<Vec<_>>().join(", ")),
        format!("SELECT greatest({})", repeated(mega, 60, ", ")),
        format!("SELECT CASE WHEN random() < 2 THEN concat({}) END", repeated(mega, 60, ", ")),
        // Values inside of values.
        format!("SELECT replace(replace({kilo}, 'x', {kilo}), 'x', {kilo})"),
        "SELECT lpad(lpad(repeat('x', 30000), 8000000, 'ab'), 2000000000, 'c')".to_owned(),
        format!("SELECT {}{mega}{}", "encode(".repeat(30), ", 'hex')".repeat(30)),
        format!("SELECT upper(lower({}))", repeated(mega, 30, " || ")),
        format!("SELECT array_to_string(string_to_array({mega}, 'x'), {kilo})"),
        "SELECT array_has_all(a, a) FROM (SELECT array_agg(value) AS a FROM generate_series(1, 100000))".to_owned(),
        // Long constants for many rows.
        format!("SELECT {text} FROM {many}"),
        format!("SELECT {kilo} FROM {many}"),
        format!("SELECT {kilo} || value FROM {many}"),
        format!("SELECT concat({kilo}, value) FROM {many}"),
        format!("SELECT CASE WHEN value > 5 THEN {text} ELSE 'b' END FROM {many}"),
        format!("SELECT max(CASE WHEN value > 5 THEN {text} ELSE 'b' END || value) FROM {many}"),
        format!("SELECT (SELECT {mega}), value FROM {many}"),
        format!("SELECT (SELECT string_agg(repeat('x', 30), '') FROM generate_series(1, 100000)) AS s, value FROM {many}"),
        // Aggregates.
        format!("SELECT string_agg({kilo}, 'x') FROM {many}"),
        format!("SELECT string_agg('x', {text}) FROM {many}"),
        format!("SELECT array_agg({kilo} || value) FROM {many}"),
        "SELECT array_agg(a.value) FROM generate_series(1, 100000) a, generate_series(1, 100000) b".to_owned(),
        format!("SELECT count(DISTINCT concat(value, repeat('y', 100))) FROM {many}"),
        format!("SELECT value, count(*) FROM {many} GROUP BY value"),
        "SELECT approx_percentile_cont(value, 0.5, 2000000000) FROM generate_series(1, 10)".to_owned(),
        "SELECT approx_percentile_cont_with_weight(value, 1, 0.5, 2000000000) FROM generate_series(1, 10)".to_owned(),
        "SELECT lag(value, 9000000000000000000) OVER (ORDER BY value), ntile(9000000000000000000) OVER (), nth_value(value, 9000000000000000000) OVER () FROM generate_series(1, 10)".to_owned(),
        format!("SELECT max({kilo} || value) OVER (PARTITION BY value % 10) FROM {many}"),
        // Rows that are repeated.
        format!("SELECT * FROM (SELECT {mega} AS s) a, {many}"),
        format!("SELECT * FROM (SELECT repeat(text, 10000) AS s FROM samples) a JOIN samples b ON true"),
        format!("SELECT length(s) FROM {list} a, {many}"),
        format!("SELECT array_length(s) FROM {list} a CROSS JOIN {many}"),
        format!("SELECT first_value(s) OVER () FROM (SELECT {kilo} || value AS s FROM {many})"),
        format!("SELECT unnest(string_to_array(repeat('a,', 1000000), ',')), {mega}"),
        format!("SELECT unnest(s), {text} AS t FROM {list}"),
        format!("SELECT * FROM (VALUES ({text})) a(s), {many}"),
        format!("SELECT * FROM {}", (0..40).map(|n| format!("(VALUES (1), (2), (3)) AS t{n}")).collect::<Vec<_>>().join(", ")),
        "SELECT a.value FROM generate_series(1, 100000000) a JOIN generate_series(1, 100000000) b USING (value)".to_owned(),
        format!("SELECT sum(g.value) OVER () FROM {many}, generate_series(1, 100) h"),
        // Recursion.
        "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT count(*) FROM t".to_owned(),
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t".to_owned(),
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT t.n FROM t, generate_series(1, 10)) SELECT count(*) FROM t".to_owned(),
        // Doubling, at planning or when it runs.
        doubled("s || s"),
        doubled("concat(s, s)"),
        doubled("replace(s, 'w', s || s)"),
        chain("SELECT 'x' AS s", "SELECT s || s AS s FROM $from", "SELECT length(s) FROM $from", 60),
        chain("SELECT 'x' AS s", "SELECT concat(s, s) AS s FROM $from", "SELECT length(s) FROM $from", 60),
        chain("SELECT text AS s FROM samples", "SELECT upper(s) || lower(s) AS s FROM $from", "SELECT 1 FROM $from WHERE s > 'a'", 60),
        chain("SELECT value AS s FROM samples", "SELECT s + s AS s FROM $from", "SELECT 1 FROM $from WHERE s > 3", 60),
        chain("SELECT 1 AS s", "SELECT a.s FROM $from a, $from b", "SELECT count(*) FROM $from", 9),
        chain("SELECT 1 AS s", "SELECT a.s FROM $from a, $from b", "SELECT count(*) FROM $from", 60),
        chain("SELECT 1 AS s", "SELECT s FROM $from UNION ALL SELECT s FROM $from", "SELECT count(*) FROM $from", 60),
        chain("SELECT 1 AS s", "SELECT s FROM $from WHERE s IN (SELECT s FROM $from)", "SELECT count(*) FROM $from", 60),
        // Types that are large whatever is in them.
        "SELECT CAST(NULL AS INT[1000000000])".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeList(2000000000 x Int64)')".to_owned(),
        // Work in the planner.
        format!("SELECT {}", (0..16).map(|n| format!("value{} AS c{n}", "+1".repeat(240))).collect::<Vec<_>>().join(", ") + " FROM samples"),
        format!("SELECT 1 FROM samples WHERE {}", (0..16).map(|n| format!("value{} > {n}", "+value".repeat(230))).collect::<Vec<_>>().join(" AND ")),
    ]
}

/// What this process holds beside the pages of its own program, in bytes.
fn held_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Looks again and again how much the process holds, and keeps the most.
fn keep_watch() -> Arc<AtomicU64> {
    let most = Arc::new(AtomicU64::new(0));
    let seen = Arc::downgrade(&most);
    std::thread::spawn(move || {
        while let Some(most) = seen.upgrade() {
            most.fetch_max(held_bytes(), Ordering::Relaxed);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    });
    most
}

#[test]
fn no_query_takes_memory_or_time_without_end() {
    if !cfg!(target_os = "linux") {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return ask_all();
    }
    let name = "query::tests::hostile::no_query_takes_memory_or_time_without_end";
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .env("MALLOC_ARENA_MAX", "1")
        .env("RUST_BACKTRACE", "0");
    let output = inside.output().unwrap();
    let (told, cried) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{cried}");
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "queries end in real time, and what each cost is printed for who reads a failure"
)]
fn ask_all() {
    let plant = super::small::plant();
    let engine = engine_of(&plant);
    let one = |text: &str| {
        let query = SqlQuery { text: text.into(), parameters: Vec::new() };
        let begun = Instant::now();
        // What comes is dropped piece by piece, as a slow disk would take it.
        let outcome = wait(async {
            let mut chunks = engine.sql(&ReadScope::everything(), query, Format::Csv, HOSTILE).await?;
            while let Some(chunk) = chunks.next().await {
                chunk?;
            }
            Ok::<_, tidemill_core::Problem>(())
        });
        (outcome, begun.elapsed())
    };
    assert_eq!(one("SELECT count(*) FROM samples").0, Ok(()));
    let (before, most) = (held_bytes(), keep_watch());
    let mut wrong = 0;
    for query in queries() {
        let (outcome, took) = one(&query);
        let code = outcome.as_ref().map_or_else(|problem| problem.code.id, |()| "answered");
        let grown = most.swap(0, Ordering::Relaxed).saturating_sub(before);
        let bounded = grown <= GROWN_BYTES_MAX;
        let well = bounded
            && took <= HOSTILE.time + LATE
            && ["answered", "query-memory", "query-time", "bad-sql"].contains(&code);
        wrong += u32::from(!well);
        let said = outcome.err().map(|problem| problem.to_string()).unwrap_or_default();
        println!(
            "{} {took:>8.1?} {:>5} MiB {code} {query:.100} {said:.150}",
            if well { "   " } else { "!!!" },
            grown >> 20
        );
    }
    assert_eq!(wrong, 0);
    let begun = Instant::now();
    while engine.memory_used() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "memory is still held");
        std::thread::yield_now();
    }
    assert_eq!(ask(&engine, &ReadScope::everything(), "SELECT 1 AS a"), "a\n1\n", "the next one is answered");
}
