//! What a query may cost, and that it stops: time, memory, rows, places, depth, and what is caught when it breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use expect_test::expect;
use tidemill_core::{
    Budget, Chunks, Format, Pattern, Problem, ReadMode, ReadQuery, ReadScope, SqlQuery, Value,
};
use tidemill_ground::Metrics;

use super::fake::*;
use super::small::{engine_of, plant};
use crate::query::{Engine, Settings};

fn within(engine: &Engine, text: &str, budget: Budget) -> Result<Vec<u8>, Problem> {
    let query = SqlQuery { text: text.into(), parameters: Vec::new() };
    wait(async { collect(engine.sql(&ReadScope::everything(), query, Format::Csv, budget).await?).await })
}

/// All samples, as they are.
fn everything() -> ReadQuery {
    ReadQuery {
        patterns: vec![Pattern::everything()],
        from: T0,
        to: i64::MAX,
        mode: ReadMode::Raw,
        limit: None,
    }
}

fn code(outcome: Result<Vec<u8>, Problem>) -> &'static str {
    outcome.map_or_else(|problem| problem.code.id, |_| "answered")
}

#[test]
fn time_memory_and_rows_are_limited() {
    let engine = engine_of(&plant());
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE value % 7 = 9";
    let short = Budget { time: Duration::from_millis(300), ..BUDGET };
    assert_eq!(code(within(&engine, endless, short)), "query-time");
    let small = Budget { memory_bytes: 1 << 20, ..BUDGET };
    assert_eq!(
        code(within(&engine, "SELECT value FROM generate_series(1, 10000000) ORDER BY value DESC", small)),
        "query-memory"
    );
    assert_eq!(
        code(within(
            &engine,
            "SELECT value % 7777777 AS k, count(*) FROM generate_series(1, 10000000) GROUP BY k",
            small
        )),
        "query-memory"
    );
    let few = Budget { rows: 5, ..BUDGET };
    assert_eq!(code(within(&engine, "SELECT * FROM samples LIMIT 5", few)), "answered");
    assert_eq!(code(within(&engine, "SELECT * FROM samples LIMIT 6", few)), "query-rows");
    let recursive =
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    assert_eq!(code(within(&engine, recursive, short)), "query-time");
    assert_eq!(ask(&engine, &ReadScope::everything(), "SELECT 1 AS a"), "a\n1\n", "the next one is answered");
}

#[test]
fn what_a_scan_holds_is_the_querys() {
    type Ask = Box<dyn Fn(&Engine, Budget) -> Result<Vec<u8>, Problem>>;
    let sql = |text: &'static str| -> Ask { Box::new(move |engine, budget| within(engine, text, budget)) };
    let read = |mode: ReadMode| -> Ask {
        // Before the last samples of all signals, so that it is not the bus that knows them.
        let query = ReadQuery {
            patterns: vec![Pattern::everything()],
            from: i64::MIN,
            to: T0 + 1,
            mode,
            limit: None,
        };
        Box::new(move |engine, budget| {
            let scope = ReadScope::everything();
            wait(async { collect(engine.export(&scope, query.clone(), Format::Csv, budget).await?).await })
        })
    };
    let engine = engine_of(&plant());
    for (name, ask) in [
        ("SQL", sql("SELECT count(*) FROM samples")),
        ("read as a table", sql("SELECT count(*) FROM read('#')")),
        ("the last as a table", sql("SELECT count(*) FROM read('#', NULL, '2026-01-01T00:00:00Z', 'last')")),
        ("raw", read(ReadMode::Raw)),
        ("points", read(ReadMode::Points { points: 10 })),
        ("last", read(ReadMode::Last)),
    ] {
        let with = |memory_bytes| ask(&engine, Budget { memory_bytes, ..BUDGET });
        let refused = with(SCAN_BYTES as u64 - 1).map(|answer| answer.len());
        let refused = refused.expect_err(name);
        assert_eq!(refused.code.id, "query-memory", "{name}");
        assert!(refused.detail.contains("more files at once"), "{name}: {refused}");
        assert_eq!(code(with(16 * SCAN_BYTES as u64)), "answered", "{name}");
        // What was held is given back.
        until(|| engine.memory_used() == 0);
    }
    // What all questions have together bounds it as well.
    let little = Settings { memory_bytes: SCAN_BYTES as u64 - 1, ..settings() };
    assert_eq!(code(read(ReadMode::Raw)(&engine_with(&plant(), little), BUDGET)), "query-memory");
}

#[test]
fn no_short_query_makes_an_endless_value() {
    let engine = engine_of(&plant());
    let doubled = |step: &str| {
        let steps: String = (1..40)
            .map(|n| format!(", t{n} AS (SELECT {} AS s FROM t{})", step.replace('$', "s"), n - 1))
            .collect();
        format!(
            "WITH t0 AS (SELECT text AS s FROM samples WHERE kind = 'text'){steps} SELECT length(s) FROM t39"
        )
    };
    let nested = |step: &str| {
        let steps: String = (1..40)
            .map(|n| format!(", t{n} AS (SELECT {} AS s FROM t{})", step.replace('$', "s"), n - 1))
            .collect();
        format!("WITH t0 AS (SELECT [text] AS s FROM samples WHERE kind = 'text'){steps} SELECT s FROM t39")
    };
    for query in [
        "SELECT repeat('x', 2000000000)".to_owned(),
        "SELECT repeat(repeat('x', 30000), 30000)".to_owned(),
        "SELECT lpad('x', 2000000000)".to_owned(),
        "SELECT rpad(signal, 1000000000, 'ab') FROM samples".to_owned(),
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))".to_owned(),
        "SELECT regexp_replace(repeat('a', 1000000), '.', repeat('b', 1000000), 'g')".to_owned(),
        "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))".to_owned(),
        "SELECT array_to_string(string_to_array(repeat('a,', 20000), ','), repeat('b', 20000))".to_owned(),
        doubled("$ || $"),
        doubled("concat($, $)"),
        nested("array_concat($, $)"),
        nested("make_array($, $)"),
        nested("[$, $]"),
        nested("$ || $"),
        nested("struct($, $)"),
        nested("named_struct('a', $, 'b', $)"),
        nested("{'a': $, 'b': $}"),
        nested("map(['a', 'b'], [$, $])"),
        nested("MAP {'a': $, 'b': $}"),
        doubled("overlay($ PLACING $ FROM 1 FOR 0)"),
    ] {
        let outcome = within(&engine, &query, Budget { time: Duration::from_secs(20), ..BUDGET });
        assert!(["query-memory", "bad-sql"].contains(&code(outcome)), "{query:.120}");
    }
    for query in [
        "SELECT array_repeat(1, 5)",
        "SELECT range(1, 5)",
        "SELECT array_resize([1], 5)",
        "SELECT generate_series(1, 5)",
    ] {
        assert_eq!(code(within(&engine, query, BUDGET)), "bad-sql", "{query}");
    }
}

#[test]
fn deep_and_long_queries_are_refused_or_answered_and_never_break_anything() {
    let engine = engine_of(&plant());
    let deep = |open: &str, close: &str, times: usize| {
        format!("SELECT {}1{}", open.repeat(times), close.repeat(times))
    };
    let mut shown = String::new();
    for (name, query) in [
        ("40 parentheses", deep("(", ")", 40)),
        ("10,000 parentheses", deep("(", ")", 10_000)),
        ("3,000 parentheses", deep("(", ")", 3_000)),
        ("1,000 minus signs", deep("- ", "", 1_000)),
        ("3,000 NOT", format!("SELECT {} true", "NOT ".repeat(3_000))),
        ("500 subqueries", format!("{}SELECT 1 AS a{}", "SELECT * FROM (".repeat(500), ") t".repeat(500))),
        ("1,000 CASE", deep("CASE WHEN true THEN ", " END", 1_000)),
        ("3,000 brackets", deep("[", "]", 3_000)),
        ("a sum of 200", format!("SELECT 1{} AS n", " + 1".repeat(199))),
        ("a sum of 1,000", format!("SELECT 1{} AS n", " + 1".repeat(999))),
        ("a sum of 2,000 over rows", format!("SELECT max(value{}) AS n FROM samples", " + 1".repeat(2_000))),
        (
            "a list of 1,000",
            format!("SELECT count(*) AS n FROM samples WHERE signal IN ('x'{})", ", 'y'".repeat(999)),
        ),
        (
            "300 alternatives",
            format!("SELECT count(*) AS n FROM samples WHERE signal = 'x'{}", " OR signal = 'y'".repeat(299)),
        ),
        ("200 unions", format!("SELECT 1 AS a{}", " UNION ALL SELECT 1".repeat(199))),
        ("70 KiB of text", format!("SELECT '{}'", "x".repeat(70 << 10))),
        ("20,000 words", format!("SELECT {} 1", "1,".repeat(20_000))),
    ] {
        let answer = match within(&engine, &query, BUDGET) {
            Ok(bytes) => format!("answered {} bytes", bytes.len()),
            Err(problem) => problem.to_string(),
        };
        shown += &format!("{name}: {answer}\n");
    }
    expect![[r#"
        40 parentheses: answered 84 bytes
        10,000 parentheses: bad-sql: the query has 20003 words and signs; at most 8192 are allowed. Ask several questions instead of one
        3,000 parentheses: bad-sql: the query is nested too deeply. Write it with fewer parentheses or subqueries
        1,000 minus signs: bad-sql: the query is nested too deeply. Write it with fewer parentheses or subqueries
        3,000 NOT: bad-sql: Expected: end of statement, found: NOT (line 1, column 260). See docs/reference/sql.md for tables and functions
        500 subqueries: bad-sql: the query is nested too deeply. Write it with fewer parentheses or subqueries
        1,000 CASE: bad-sql: the query has 10003 words and signs; at most 8192 are allowed. Ask several questions instead of one
        3,000 brackets: bad-sql: the query is nested too deeply. Write it with fewer parentheses or subqueries
        a sum of 200: answered 6 bytes
        a sum of 1,000: bad-sql: more than 250 operators follow on each other in one expression. Use IN (…) or a table of VALUES
        a sum of 2,000 over rows: bad-sql: more than 250 operators follow on each other in one expression. Use IN (…) or a table of VALUES
        a list of 1,000: answered 4 bytes
        300 alternatives: bad-sql: more than 250 operators follow on each other in one expression. Use IN (…) or a table of VALUES
        200 unions: answered 402 bytes
        70 KiB of text: bad-sql: the query has 71689 bytes; at most 65536 are allowed. Say it in fewer words, or with parameters
        20,000 words: bad-sql: the query has 40004 words and signs; at most 8192 are allowed. Ask several questions instead of one
    "#]].assert_eq(&shown);
}

/// Conditions on names are answered while planning, for all names at once: that is no constant of the plan.
#[test]
fn a_condition_on_many_names_is_no_constant() {
    let plant = plant();
    for number in 0..9_000 {
        plant.put(&format!("many/s{number}"), T0, Value::Float(1.0));
    }
    let engine = engine_of(&plant);
    for condition in ["matches(signal, 'many/#')", "lower(signal) LIKE 'many/%'", "left(signal, 5) = 'many/'"]
    {
        let text = format!("SELECT count(*) AS n FROM samples WHERE {condition}");
        assert_eq!(ask(&engine, &ReadScope::everything(), &text), "n\n9000\n", "{condition}");
    }
}

#[test]
fn a_panic_inside_is_a_problem_and_the_next_query_is_answered() {
    let plant = plant();
    let engine = engine_of(&plant);
    plant.panics.store(true, Ordering::Relaxed);
    let scope = ReadScope::everything();
    assert!(ask(&engine, &scope, "SELECT * FROM samples").starts_with("internal: "));
    assert!(ask(&engine, &scope, "SELECT * FROM read('#')").starts_with("internal: "));
    let outcome = wait(async { engine.export(&scope, everything(), Format::Csv, BUDGET).await.map(|_| ()) });
    assert_eq!(outcome.unwrap_err().code.id, "internal");
    plant.panics.store(false, Ordering::Relaxed);
    assert_eq!(ask(&engine, &scope, "SELECT count(*) AS n FROM samples"), "n\n13\n");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a query ends in real time")]
fn planning_stops_with_its_time_and_with_its_reader() {
    let metrics = Metrics::new();
    let settings = Settings { concurrent: 1, metrics: metrics.clone(), ..settings() };
    let engine = engine_with(&plant(), settings);
    // Takes many times as long to plan as it is given, in steps that are short.
    let sums: Vec<String> = (0..16).map(|n| format!("value{} AS c{n}", "+1".repeat(240))).collect();
    let long = format!("SELECT {} FROM samples", sums.join(", "));
    let begun = Instant::now();
    let short = Budget { time: Duration::from_millis(200), ..BUDGET };
    assert_eq!(code(within(&engine, &long, short)), "query-time");
    assert!(begun.elapsed() < Duration::from_secs(2), "told after {:?}", begun.elapsed());
    // The only place is free again: nobody plans on behind the back of the one who was told.
    assert_eq!(ask(&engine, &ReadScope::everything(), "SELECT 1 AS a"), "a\n1\n");
    let query = SqlQuery { text: long, parameters: Vec::new() };
    let scope = ReadScope::everything();
    let mut asked = engine.sql(&scope, query, Format::Csv, BUDGET);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(asked.as_mut().poll(&mut context).is_pending());
    until(|| metrics.render().contains("tidemill_queries_running 1\n"));
    drop(asked);
    assert_eq!(ask(&engine, &scope, "SELECT 1 AS a"), "a\n1\n");
    assert!(metrics.render().contains("tidemill_queries_total{outcome=\"cancelled\"} 1\n"));
}

#[test]
fn an_answer_that_nobody_reads_stops() {
    let plant = plant();
    plant.endless.store(true, Ordering::Relaxed);
    let engine = engine_of(&plant);
    let scope = ReadScope::everything();
    let endless = Budget { rows: u64::MAX, ..BUDGET };
    let query = SqlQuery { text: "SELECT * FROM samples".into(), parameters: Vec::new() };
    let mut answers: Vec<Box<dyn Chunks>> = Vec::new();
    answers.push(wait(engine.sql(&scope, query, Format::Csv, endless)).map_err(|p| p.to_string()).unwrap());
    answers.push(
        wait(engine.export(&scope, everything(), Format::Csv, endless)).map_err(|p| p.to_string()).unwrap(),
    );
    for answer in &mut answers {
        let piece = wait(answer.next()).unwrap().unwrap();
        assert!(piece.starts_with(b"signal,time"));
    }
    // Nobody reads on: the scans stand still with a bounded number of pieces ahead, then end when dropped.
    drop(answers);
    until(|| plant.scanning.load(Ordering::SeqCst) == 0);
    // The same for one whose pixels are never complete, and for one whose time is up.
    let points = ReadQuery { mode: ReadMode::Points { points: 1 }, ..everything() };
    let brief = Budget { time: Duration::from_millis(200), ..endless };
    let outcome = wait(async { collect(engine.export(&scope, points, Format::Csv, brief).await?).await });
    assert_eq!(code(outcome), "query-time");
    until(|| plant.scanning.load(Ordering::SeqCst) == 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an answer is read in real time")]
fn samples_as_they_are_stream_without_a_limit_of_rows_for_as_long_as_they_are_taken() {
    let plant = plant();
    plant.endless.store(true, Ordering::Relaxed);
    let metrics = Metrics::new();
    let engine = engine_with(&plant, Settings { concurrent: 1, metrics: metrics.clone(), ..settings() });
    let scope = ReadScope::everything();
    let small = Budget { rows: 10, time: Duration::from_millis(500), ..BUDGET };
    let mut answer =
        wait(engine.export(&scope, everything(), Format::Arrow, small)).map_err(|p| p.to_string()).unwrap();
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < 4 * small.time {
        bytes += wait(answer.next()).unwrap().unwrap().len();
    }
    // A row is longer than its time.
    assert!(bytes > 8 * 1_000, "{bytes}");
    // It takes no place of the queries.
    assert_eq!(ask(&engine, &scope, "SELECT 1 AS a"), "a\n1\n");
    drop(answer);
    until(|| plant.scanning.load(Ordering::SeqCst) == 0);
    // What is worked out keeps its limit.
    plant.endless.store(false, Ordering::Relaxed);
    let points = ReadQuery { mode: ReadMode::Points { points: 1_000 }, ..everything() };
    let outcome = wait(async { collect(engine.export(&scope, points, Format::Csv, small).await?).await });
    assert_eq!(code(outcome), "query-rows");
}

/// Waits for what another thread is about to do; fails after a minute.
pub(crate) fn until(done: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not happen within a minute");
}

#[test]
fn queries_wait_in_line_and_beyond_it_are_told_busy() {
    let plant = plant();
    plant.endless.store(true, Ordering::Relaxed);
    let metrics = Metrics::new();
    let engine = Arc::new(engine_with(
        &plant,
        Settings { concurrent: 1, waiting_max: 1, metrics: metrics.clone(), ..settings() },
    ));
    let scope = ReadScope::everything();
    let query = |text: &str| SqlQuery { text: text.into(), parameters: Vec::new() };
    let endless = Budget { rows: u64::MAX, ..BUDGET };
    let running = wait(engine.sql(&scope, query("SELECT * FROM samples"), Format::Csv, endless))
        .map_err(|p| p.to_string())
        .unwrap();
    let (second, in_line) = (engine.clone(), scope.clone());
    let waiting = std::thread::spawn(move || {
        wait(async {
            collect(second.sql(&in_line, query("SELECT 1 AS a"), Format::Csv, BUDGET).await?).await
        })
    });
    until(|| metrics.render().contains("tidemill_limit_used{limit=\"queries_waiting\"} 1\n"));
    let query = SqlQuery { text: "SELECT 1".into(), parameters: Vec::new() };
    assert_eq!(
        code(wait(async { collect(engine.sql(&scope, query, Format::Csv, BUDGET).await?).await })),
        "busy"
    );
    drop(running);
    assert_eq!(waiting.join().unwrap(), Ok(b"a\n1\n".to_vec()), "its turn came");
    let counted = metrics.render();
    assert!(counted.contains("tidemill_queries_total{outcome=\"cancelled\"} 1\n"), "{counted}");
    assert!(counted.contains("tidemill_queries_total{outcome=\"failed\"} 1\n"), "{counted}");
}

#[test]
fn a_query_waits_for_what_was_acknowledged_before_it() {
    let plant = plant();
    let engine = Arc::new(engine_of(&plant));
    plant.durable.store(5, Ordering::SeqCst);
    let scope = ReadScope::everything();
    assert_eq!(code(within(&engine, "SELECT count(*) FROM samples", BUDGET)), "query-time");
    plant.applied.store(5, Ordering::SeqCst);
    plant.put("acme/new", T0, Value::Float(1.0));
    assert_eq!(ask(&engine, &scope, "SELECT count(*) AS n FROM samples"), "n\n14\n");
}

#[test]
fn nothing_is_held_once_all_is_done() {
    let metrics = Metrics::new();
    let engine = engine_with(&plant(), Settings { metrics: metrics.clone(), ..settings() });
    for query in [
        "SELECT * FROM samples ORDER BY value",
        "SELECT x FROM samples",
        "SELECT signal, max(value) FROM samples GROUP BY signal",
    ] {
        let _ = ask(&engine, &ReadScope::everything(), query);
    }
    until(|| engine.memory_used() == 0);
    until(|| metrics.render().contains("tidemill_queries_running 0\n"));
}
