//! What PostgreSQL's clients ask, and what they are told: the opening queries of those that people use, as their public
//! sources have them (`recorded.sql`), and what single spellings come to.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect, expect_file};
use tidemill_core::{Budget, Problem, ReadScope, WireQuery, WireSession, WireValue};

use crate::query::Engine;
use crate::query::tests::small::{engine_of, plant};

const BUDGET: Budget =
    Budget { time: std::time::Duration::from_secs(60), memory_bytes: 64 << 20, rows: 10_000 };

fn query(text: &str, parameters: Vec<WireValue>) -> WireQuery {
    let session = WireSession {
        user: "anna".to_owned(),
        database: "press".to_owned(),
        version: "PostgreSQL 15.0 (Tidemill)".to_owned(),
        process: 7,
        settings: vec![
            ("server_version".to_owned(), "15.0".to_owned()),
            ("standard_conforming_strings".to_owned(), "on".to_owned()),
            ("search_path".to_owned(), "public".to_owned()),
        ],
    };
    WireQuery { text: text.to_owned(), parameters, binary: Vec::new(), session: Arc::new(session) }
}

struct Answer {
    columns: Vec<(String, u32)>,
    rows: Vec<Vec<Option<String>>>,
}

/// Reads an answer as a client does.
fn answer(mut bytes: &[u8]) -> Answer {
    let mut answer = Answer { columns: Vec::new(), rows: Vec::new() };
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes[..4].try_into().unwrap());
    while !bytes.is_empty() {
        let length = usize::try_from(number(&bytes[1..])).unwrap();
        let (tag, mut body) = (bytes[0], &bytes[7..=length]);
        let count = u16::from_be_bytes(bytes[5..7].try_into().unwrap());
        let mut row = Vec::new();
        for _ in 0..count {
            if tag == b'T' {
                let end = body.iter().position(|byte| *byte == 0).unwrap();
                let kind = u32::from_be_bytes(body[end + 7..end + 11].try_into().unwrap());
                answer.columns.push((String::from_utf8(body[..end].to_vec()).unwrap(), kind));
                body = &body[end + 19..];
            } else {
                let length = number(body);
                body = &body[4..];
                row.push(usize::try_from(length).ok().map(|length| {
                    let cell = String::from_utf8(body[..length].to_vec()).unwrap();
                    body = &body[length..];
                    cell
                }));
            }
        }
        assert!(body.is_empty());
        if tag == b'D' {
            answer.rows.push(row);
        }
        bytes = &bytes[length + 1..];
    }
    answer
}

fn ask(engine: &Engine, scope: &ReadScope, query: WireQuery) -> Result<Answer, Problem> {
    let scope = scope.clone();
    let asked = async {
        let mut chunks = engine.wire(&scope, query, BUDGET).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(answer(&bytes))
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(asked)
}

fn shown(answer: Result<Answer, Problem>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(problem) => return format!("error [{}]: {}\n", problem.code.id, problem.detail),
    };
    let mut shown = String::new();
    let columns = answer.columns.iter().map(|(name, kind)| format!("{name}:{kind}"));
    let _ = writeln!(shown, "{}", columns.collect::<Vec<_>>().join(" | "));
    for row in answer.rows {
        let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("∅"));
        let _ = writeln!(shown, "{}", cells.collect::<Vec<_>>().join(" | "));
    }
    shown
}

fn check(queries: &[&str], expected: Expect) {
    let engine = engine_of(&plant());
    let told = queries.iter().map(|text| {
        format!("> {text}\n{}\n", shown(ask(&engine, &ReadScope::everything(), query(text, Vec::new()))))
    });
    expected.assert_eq(&told.collect::<String>());
}

/// Every query that clients are known to open with is answered: its columns, and how many rows.
#[test]
fn opening_queries_of_clients_are_answered() {
    let engine = engine_of(&plant());
    let mut told = String::new();
    for recorded in include_str!("recorded.sql").split("\n-- ").skip(1) {
        let (name, text) = recorded.split_once('\n').expect("a query under its name");
        let text = text.trim().trim_end_matches(';');
        // Values that a client binds stand behind its name: `name | one | two`.
        let values =
            name.split(" | ").skip(1).map(|value| WireValue { kind: 0, text: Some(value.to_owned()) });
        let outcome = ask(&engine, &ReadScope::everything(), query(text, values.collect()));
        match outcome {
            Ok(answer) => {
                let columns: Vec<&str> = answer.columns.iter().map(|(name, _)| name.as_str()).collect();
                let _ = writeln!(told, "{name}: {} rows of {}", answer.rows.len(), columns.join(", "));
            }
            Err(problem) => {
                let _ = writeln!(told, "{name}: error [{}]: {}", problem.code.id, problem.detail);
            }
        }
    }
    expect_file!["recorded.txt"].assert_eq(&told);
    assert!(!told.contains(": error ["), "{told}");
}

#[test]
fn values_are_written_as_postgresql_does() {
    check(
        &[
            "SELECT time, value, integer, quality, text FROM samples WHERE signal = 'acme/press/count' ORDER BY time",
            "SELECT true, 1::int2, 1.5::float4, 'x'::varchar(3), NULL, DATE '2026-01-02', INTERVAL '1 day 2 hours', '\\x01'::text",
            "SELECT ARRAY[1, 2, NULL] AS whole, ARRAY['a b', 'c'] AS words, 18446744073709551615 AS unsigned",
            "SELECT x'01ff' AS bytes, 12.50::numeric(10,2) AS exact",
        ],
        expect![[r#"
            > SELECT time, value, integer, quality, text FROM samples WHERE signal = 'acme/press/count' ORDER BY time
            time:1184 | value:701 | integer:20 | quality:20 | text:25
            2026-01-01 00:00:00+00 | 9.007199254740992e+15 | 9007199254740993 | 0 | ∅
            2026-01-01 00:00:01+00 | 1.8446744073709552e+19 | ∅ | 0 | 18446744073709551615

            > SELECT true, 1::int2, 1.5::float4, 'x'::varchar(3), NULL, DATE '2026-01-02', INTERVAL '1 day 2 hours', '\x01'::text
            ?column?:16 | int2:21 | float4:700 | varchar:25 | ?column?:25 | date:1082 | interval:1186 | text:25
            t | 1 | 1.5 | x | ∅ | 2026-01-02 | 1 day 02:00:00 | \x01

            > SELECT ARRAY[1, 2, NULL] AS whole, ARRAY['a b', 'c'] AS words, 18446744073709551615 AS unsigned
            whole:1016 | words:1009 | unsigned:1700
            {1,2,NULL} | {"a b",c} | 18446744073709551615

            > SELECT x'01ff' AS bytes, 12.50::numeric(10,2) AS exact
            bytes:17 | exact:1700
            \x01ff | 12.50

        "#]],
    );
}

/// Rules for the catalogue leave questions about samples as they are, and nothing but reading gets through.
#[test]
fn what_is_asked_stays_what_it_is() {
    check(
        &[
            "SELECT (SELECT value FROM samples WHERE signal = 'acme/press/temperature' AND value > 20 ORDER BY time DESC LIMIT 1 OFFSET 1) AS second",
            "SELECT count(*) FROM samples WHERE signal LIKE 'acme/%_t' ESCAPE '/'",
            "SELECT time::date, count(*) FROM samples WHERE signal = ANY('{acme/press/count,acme/press/raw}') GROUP BY 1",
            "SELECT signal, signal FROM signals WHERE signal ~ 'mill' AND 'signals'::regclass::text = 'signals'",
            "WITH gone AS (DELETE FROM samples RETURNING *) SELECT * FROM gone",
            "EXPLAIN INSERT INTO samples VALUES (1)",
            "SELECT 'nix'::regclass",
        ],
        expect![[r#"
            > SELECT (SELECT value FROM samples WHERE signal = 'acme/press/temperature' AND value > 20 ORDER BY time DESC LIMIT 1 OFFSET 1) AS second
            second:701
            20.5

            > SELECT count(*) FROM samples WHERE signal LIKE 'acme/%_t' ESCAPE '/'
            count:20
            0

            > SELECT time::date, count(*) FROM samples WHERE signal = ANY('{acme/press/count,acme/press/raw}') GROUP BY 1
            time:1082 | count:20
            2026-01-01 | 3

            > SELECT signal, signal FROM signals WHERE signal ~ 'mill' AND 'signals'::regclass::text = 'signals'
            signal:25 | signal:25
            beta/mill/temperature | beta/mill/temperature

            > WITH gone AS (DELETE FROM samples RETURNING *) SELECT * FROM gone
            error [bad-sql]: this is not supported: Query DELETE FROM samples RETURNING * not implemented yet

            > EXPLAIN INSERT INTO samples VALUES (1)
            error [read-only]: the statement would do something else than read

            > SELECT 'nix'::regclass
            error [bad-sql]: there is no relation 'nix'

        "#]],
    );
}

/// What lies between two times, intervals and texts in columns. Expected values are those of PostgreSQL 15.
#[test]
fn intervals_and_texts_mean_what_they_mean_in_postgresql() {
    let engine = engine_of(&plant());
    let mut wrong = String::new();
    for (expression, expected) in [
        (
            "extract(day from coalesce(max(t) - min(t), interval '0')) FROM (VALUES (TIMESTAMP '2026-01-01 00:00:00'), (TIMESTAMP '2026-01-04 05:00:00')) AS v(t)",
            "3",
        ),
        (
            "extract(day from (a - b) + interval '1 hour') FROM (VALUES (TIMESTAMP '2026-01-09 00:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "8",
        ),
        (
            "extract(hour from (a - b)::interval) FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "5",
        ),
        (
            "extract(day from CASE WHEN a > b THEN a - b ELSE interval '1 day' END) FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "8",
        ),
        (
            "greatest(a - b, interval '1 day') FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "8 days 05:00:00",
        ),
        (
            "(a - b) * 2 FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "16 days 10:00:00",
        ),
        (
            "(a - b) / 3 FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "2 days 17:40:00",
        ),
        (
            "string_agg(d::text, ', ') FROM (SELECT a - b AS d FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b) UNION ALL SELECT interval '8 days 05:00:00') AS u",
            "8 days 05:00:00, 8 days 05:00:00",
        ),
        ("interval '49 days' / 49", "1 day"),
        ("interval '49 months' / 49", "1 mon"),
        ("interval '1 month' * 2.3", "2 mons 9 days"),
        ("interval '100 days' * 0.29", "29 days"),
        ("interval '1 mon -1 day' * 0.5", "15 days -12:00:00"),
        ("interval '1 year' / 7", "1 mon 21 days 10:17:08.5344"),
        ("interval '1 day' / 3", "08:00:00"),
        ("interval '1 hour' / 7", "00:08:34.285714"),
        ("interval '3 days 5 hours' * -1.5", "-4 days -19:30:00"),
        ("2.5 * interval '1 month 1 day 1 hour'", "2 mons 17 days 14:30:00"),
        ("interval '-1 month' * 0.1", "-3 days"),
        ("interval '999999 hours' / 7.7", "129870:00:00"),
        ("interval '1 day' / 0", "error"),
        ("interval '1 day' * 1e10", "error"),
        ("x::interval FROM (VALUES ('30')) AS v(x)", "00:00:30"),
        (
            "x::interval FROM (VALUES ('1 day 02:30'), (NULL), ('P1Y2M')) AS v(x)",
            "1 day 02:30:00, ∅, 1 year 2 mons",
        ),
        ("x::interval FROM (VALUES ('soon')) AS v(x)", "error"),
        ("x::timestamp FROM (VALUES ('2026-01-02 03:04:05+02')) AS v(x)", "2026-01-02 03:04:05"),
        ("x::timestamp FROM (VALUES ('2026-01-02 03:04')) AS v(x)", "2026-01-02 03:04:00"),
        ("x::timestamptz FROM (VALUES ('2026-07-02 03:04:05 CET')) AS v(x)", "2026-07-02 02:04:05+00"),
        ("x::timestamptz FROM (VALUES ('2026-07-02 03:04:05+0530')) AS v(x)", "2026-07-01 21:34:05+00"),
        ("interval '1 day 1 day'", "error"),
        ("interval '1 hour 02:00'", "error"),
        ("interval '1 year 1-2'", "2 years 2 mons"),
        ("interval '1.5 s 20 ms'", "error"),
    ] {
        let text = format!("SELECT {expression}");
        let told = match ask(&engine, &ReadScope::everything(), query(&text, Vec::new())) {
            Ok(answer) => {
                let cells = answer.rows.iter().flatten().map(|cell| cell.as_deref().unwrap_or("∅"));
                cells.collect::<Vec<_>>().join(", ")
            }
            Err(_) => "error".to_owned(),
        };
        if told != expected {
            let _ = writeln!(wrong, "{expression}: {told}, not {expected}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
