//! SQL as it is answered: what a user types, and what comes back.

use std::sync::Arc;

use expect_test::{Expect, expect};
use tidemill_core::{
    ColumnKind, ColumnSpec, Facts, Format, Quality, ReadScope, SignalPath, TableSpec, Value,
};

use super::fake::*;

/// A small plant: two lines, every kind of value, a late sample, a bad one, two at one time, a renamed signal.
pub(crate) fn plant() -> Arc<Plant> {
    let plant = Arc::new(Plant::default());
    plant.signal_with("acme/press/temperature", |signal| {
        signal.meta.unit = "°C".into();
        signal.meta.unit_ucum = "Cel".into();
        signal.meta.description = "Oil, \"tank\" 3".into();
        signal.meta.stale_after_ns = 1_500_000_000;
        signal.meta.stepped = Some(false);
        signal.meta.tags.insert("host".into(), "edge1".into());
        signal.aliases.push(SignalPath::new("old/temperature").unwrap());
    });
    for (second, value) in [(0, 20.0), (1, 20.5), (2, 21.25), (60, 19.0)] {
        plant.put("acme/press/temperature", T0 + second * SECOND, Value::Float(value));
    }
    let bad = Quality::BAD_NO_COMMUNICATION;
    plant.put_with("acme/press/temperature", T0 + 3 * SECOND, Value::None, bad, None);
    plant.put_with(
        "acme/press/count",
        T0,
        Value::Int(9_007_199_254_740_993),
        Quality::GOOD,
        Some(T0 + 5 * SECOND),
    );
    plant.put("acme/press/count", T0 + SECOND, Value::UInt(u64::MAX));
    plant.put("acme/press/running", T0, Value::Bool(true));
    plant.put("acme/press/state", T0, Value::Text("idle, \"cold\"".into()));
    plant.put("acme/press/state", T0, Value::Text("warm".into()));
    plant.put("acme/press/recipe", T0, Value::Json("{\"a\": [1]}".into()));
    plant.put("acme/press/raw", T0, Value::Bytes([1u8, 255].as_slice().into()));
    plant.put("beta/mill/temperature", T0, Value::Float(99.5));
    plant.signal_with("beta/mill/gone", |signal| signal.retired = true);
    plant.put("beta/mill/gone", T0, Value::Float(1.0));
    plant.batch_rows.store(3, std::sync::atomic::Ordering::Relaxed);
    plant
}

pub(crate) static EVENTS: TableSpec = TableSpec {
    name: "events",
    description: "Things that happened",
    stream: Some(tidemill_core::StreamId(100)),
    columns: &[
        ColumnSpec { name: "time", kind: ColumnKind::Time, description: "When" },
        ColumnSpec { name: "signal", kind: ColumnKind::Text, description: "Where" },
        ColumnSpec { name: "what", kind: ColumnKind::Text, description: "What" },
        ColumnSpec { name: "count", kind: ColumnKind::Int, description: "How often" },
    ],
    path_column: Some("signal"),
};

pub(crate) static DOORS: TableSpec = TableSpec {
    name: "doors",
    description: "The doors that are open",
    stream: None,
    columns: &[
        ColumnSpec { name: "name", kind: ColumnKind::Text, description: "Its name" },
        ColumnSpec { name: "open", kind: ColumnKind::Bool, description: "Whether it is open" },
        ColumnSpec { name: "load", kind: ColumnKind::Float, description: "How busy it is" },
        ColumnSpec { name: "since", kind: ColumnKind::Time, description: "Since when" },
    ],
    path_column: None,
};

pub(crate) struct OpenDoors;

impl Facts for OpenDoors {
    fn rows(&self) -> Vec<Vec<Value>> {
        vec![
            vec![Value::Text("http".into()), Value::Bool(true), Value::Float(0.5), Value::Int(T0)],
            vec![Value::Text("mqtt".into()), Value::Bool(false), Value::None, Value::None],
        ]
    }
}

pub(crate) fn engine_of(plant: &Arc<Plant>) -> crate::query::Engine {
    let rows: Vec<Vec<Value>> = ["acme/press/temperature", "beta/mill/temperature"]
        .iter()
        .zip(1..)
        .map(|(path, second)| {
            vec![
                Value::Int(T0 + second * SECOND),
                Value::Text((*path).into()),
                Value::Text("high".into()),
                Value::Int(second),
            ]
        })
        .collect();
    plant.records("events", crate::query::system::batch(EVENTS.columns, &rows).unwrap());
    let engine = engine(plant);
    engine.table(&EVENTS, None);
    engine.table(&DOORS, Some(Arc::new(OpenDoors)));
    engine
}

/// Asks one after the other; one engine, so that nothing of a query stays behind.
fn check(queries: &[&str], expected: Expect) {
    let engine = engine_of(&plant());
    let mut shown = String::new();
    for query in queries {
        let answer = ask(&engine, &ReadScope::everything(), query);
        shown += &format!("> {query}\n{}\n\n", answer.trim_end());
    }
    expected.assert_eq(&shown);
}

#[test]
fn samples_have_all_kinds() {
    check(
        &[
            "SELECT * FROM samples ORDER BY signal, time, text",
            "SELECT kind, count(*) AS n, count(value) AS numbers, count(integer) AS integers, count(text) AS texts FROM samples GROUP BY kind ORDER BY kind",
        ],
        expect![[r#"
            > SELECT * FROM samples ORDER BY signal, time, text
            signal,time,value,integer,text,quality,received,kind,source
            acme/press/count,2026-01-01T00:00:00Z,9007199254740992.0,9007199254740993,,0,2026-01-01T00:00:05Z,integer,token:source-1
            acme/press/count,2026-01-01T00:00:01Z,1.8446744073709552e19,,18446744073709551615,0,,unsigned,token:source-1
            acme/press/raw,2026-01-01T00:00:00Z,,,0x01ff,0,,bytes,token:source-1
            acme/press/recipe,2026-01-01T00:00:00Z,,,"{""a"": [1]}",0,,json,token:source-1
            acme/press/running,2026-01-01T00:00:00Z,1.0,,,0,,boolean,token:source-1
            acme/press/state,2026-01-01T00:00:00Z,,,"idle, ""cold""",0,,text,token:source-1
            acme/press/state,2026-01-01T00:00:00Z,,,warm,0,,text,token:source-1
            acme/press/temperature,2026-01-01T00:00:00Z,20.0,,,0,,float,token:source-1
            acme/press/temperature,2026-01-01T00:00:01Z,20.5,,,0,,float,token:source-1
            acme/press/temperature,2026-01-01T00:00:02Z,21.25,,,0,,float,token:source-1
            acme/press/temperature,2026-01-01T00:00:03Z,,,,2150694912,,none,token:source-1
            acme/press/temperature,2026-01-01T00:01:00Z,19.0,,,0,,float,token:source-1
            beta/mill/temperature,2026-01-01T00:00:00Z,99.5,,,0,,float,token:source-1

            > SELECT kind, count(*) AS n, count(value) AS numbers, count(integer) AS integers, count(text) AS texts FROM samples GROUP BY kind ORDER BY kind
            kind,n,numbers,integers,texts
            boolean,1,1,0,0
            bytes,1,0,0,1
            float,5,5,0,0
            integer,1,1,1,0
            json,1,0,0,1
            none,1,0,0,0
            text,2,0,0,2
            unsigned,1,1,0,1

        "#]],
    );
}

#[test]
fn signals_know_their_last_value() {
    check(
        &[
            "SELECT * FROM signals",
            "SELECT signal, last_value FROM signals WHERE last_value > 15 AND signal LIKE 'acme/%'",
            "SELECT count(*) AS n FROM signals",
            "SELECT unit FROM signals WHERE signal = 'acme/press/temperature'",
        ],
        expect![[r#"
            > SELECT * FROM signals
            signal,unit,description,kind,source,tags,last_time,last_value,last_quality,last_integer,last_text,unit_ucum,number,stepped,owner,stale_after,aliases,creator,created
            acme/press/count,,,unsigned,token:source-1,,2026-01-01T00:00:01Z,1.8446744073709552e19,0,,18446744073709551615,,float,,,,,token:test,2026-01-01T00:00:00Z
            acme/press/raw,,,bytes,token:source-1,,2026-01-01T00:00:00Z,,0,,0x01ff,,float,,,,,token:test,2026-01-01T00:00:00Z
            acme/press/recipe,,,json,token:source-1,,2026-01-01T00:00:00Z,,0,,"{""a"": [1]}",,float,,,,,token:test,2026-01-01T00:00:00Z
            acme/press/running,,,boolean,token:source-1,,2026-01-01T00:00:00Z,1.0,0,,,,float,,,,,token:test,2026-01-01T00:00:00Z
            acme/press/state,,,text,token:source-1,,2026-01-01T00:00:00Z,,0,,warm,,float,,,,,token:test,2026-01-01T00:00:00Z
            acme/press/temperature,°C,"Oil, ""tank"" 3",float,token:source-1,"{""host"":""edge1""}",2026-01-01T00:01:00Z,19.0,0,,,Cel,float,false,,1.5,"[""old/temperature""]",token:test,2026-01-01T00:00:00Z
            beta/mill/temperature,,,float,token:source-1,,2026-01-01T00:00:00Z,99.5,0,,,,float,,,,,token:test,2026-01-01T00:00:00Z

            > SELECT signal, last_value FROM signals WHERE last_value > 15 AND signal LIKE 'acme/%'
            signal,last_value
            acme/press/count,1.8446744073709552e19
            acme/press/temperature,19.0

            > SELECT count(*) AS n FROM signals
            n
            7

            > SELECT unit FROM signals WHERE signal = 'acme/press/temperature'
            unit
            °C

        "#]],
    );
}

#[test]
fn conditions_on_signals() {
    check(
        &[
            "SELECT count(*) AS n FROM samples WHERE signal = 'acme/press/temperature'",
            "SELECT count(*) AS n FROM samples WHERE 'acme/press/temperature' = signal",
            "SELECT count(*) AS n FROM samples WHERE signal IN ('acme/press/state', 'beta/mill/temperature', 'none/such', 'no path//')",
            "SELECT count(*) AS n FROM samples WHERE signal NOT IN ('acme/press/state')",
            "SELECT count(*) AS n FROM samples WHERE signal LIKE 'acme/press/t%'",
            "SELECT count(*) AS n FROM samples WHERE signal ILIKE 'ACME/%'",
            "SELECT count(*) AS n FROM samples WHERE signal LIKE '%temperature'",
            "SELECT count(*) AS n FROM samples WHERE signal NOT LIKE 'acme/%'",
            "SELECT count(*) AS n FROM samples WHERE matches(signal, '+/+/temperature')",
            "SELECT count(*) AS n FROM samples WHERE matches(signal, '*/press/**')",
            "SELECT count(*) AS n FROM samples WHERE NOT matches(signal, 'acme/#')",
            "SELECT count(*) AS n FROM samples WHERE signal = 'beta/mill/temperature' OR matches(signal, 'acme/press/state')",
            "SELECT count(*) AS n FROM samples WHERE signal = 'acme/press/state' OR value > 50",
            "SELECT count(*) AS n FROM samples WHERE split_part(signal, '/', 3) = 'temperature'",
            "SELECT count(*) AS n FROM samples WHERE signal ~ 'mill'",
            "SELECT count(*) AS n FROM samples WHERE signal > 'acme/press/state' AND signal < 'b'",
            "SELECT count(*) AS n FROM samples WHERE signal = 'old/temperature'",
            "SELECT count(*) AS n FROM samples WHERE signal = 'beta/mill/gone'",
            "SELECT count(*) AS n FROM samples WHERE signal IS NULL",
            "SELECT count(*) AS n FROM samples WHERE signal = (SELECT min(signal) FROM signals)",
            "SELECT count(*) AS n FROM samples WHERE signal IN (SELECT signal FROM signals WHERE unit = '°C')",
            "SELECT count(*) AS n FROM samples AS s WHERE s.signal = 'acme/press/count'",
            "SELECT matches('a/b', 'a/+') AS yes, matches('a/b', 'b/#') AS no, matches(NULL, 'a') AS none",
            "SELECT matches(signal, 'a/#/b') FROM samples",
        ],
        expect![[r#"
            > SELECT count(*) AS n FROM samples WHERE signal = 'acme/press/temperature'
            n
            5

            > SELECT count(*) AS n FROM samples WHERE 'acme/press/temperature' = signal
            n
            5

            > SELECT count(*) AS n FROM samples WHERE signal IN ('acme/press/state', 'beta/mill/temperature', 'none/such', 'no path//')
            n
            3

            > SELECT count(*) AS n FROM samples WHERE signal NOT IN ('acme/press/state')
            n
            11

            > SELECT count(*) AS n FROM samples WHERE signal LIKE 'acme/press/t%'
            n
            5

            > SELECT count(*) AS n FROM samples WHERE signal ILIKE 'ACME/%'
            n
            12

            > SELECT count(*) AS n FROM samples WHERE signal LIKE '%temperature'
            n
            6

            > SELECT count(*) AS n FROM samples WHERE signal NOT LIKE 'acme/%'
            n
            1

            > SELECT count(*) AS n FROM samples WHERE matches(signal, '+/+/temperature')
            n
            6

            > SELECT count(*) AS n FROM samples WHERE matches(signal, '*/press/**')
            n
            12

            > SELECT count(*) AS n FROM samples WHERE NOT matches(signal, 'acme/#')
            n
            1

            > SELECT count(*) AS n FROM samples WHERE signal = 'beta/mill/temperature' OR matches(signal, 'acme/press/state')
            n
            3

            > SELECT count(*) AS n FROM samples WHERE signal = 'acme/press/state' OR value > 50
            n
            5

            > SELECT count(*) AS n FROM samples WHERE split_part(signal, '/', 3) = 'temperature'
            n
            6

            > SELECT count(*) AS n FROM samples WHERE signal ~ 'mill'
            n
            1

            > SELECT count(*) AS n FROM samples WHERE signal > 'acme/press/state' AND signal < 'b'
            n
            5

            > SELECT count(*) AS n FROM samples WHERE signal = 'old/temperature'
            n
            0

            > SELECT count(*) AS n FROM samples WHERE signal = 'beta/mill/gone'
            n
            0

            > SELECT count(*) AS n FROM samples WHERE signal IS NULL
            n
            0

            > SELECT count(*) AS n FROM samples WHERE signal = (SELECT min(signal) FROM signals)
            n
            2

            > SELECT count(*) AS n FROM samples WHERE signal IN (SELECT signal FROM signals WHERE unit = '°C')
            n
            5

            > SELECT count(*) AS n FROM samples AS s WHERE s.signal = 'acme/press/count'
            n
            2

            > SELECT matches('a/b', 'a/+') AS yes, matches('a/b', 'b/#') AS no, matches(NULL, 'a') AS none
            yes,no,none
            true,false,

            > SELECT matches(signal, 'a/#/b') FROM samples
            bad-sql: 'a/#/b' has '#' or '**' before its end: they stand for all the rest and come last. See docs/reference/sql.md for tables and functions

        "#]],
    );
}

#[test]
fn conditions_on_times() {
    check(
        &[
            "SELECT count(*) AS n FROM samples WHERE time >= '2026-01-01T00:00:01Z'",
            "SELECT count(*) AS n FROM samples WHERE time > TIMESTAMP '2026-01-01T00:00:01Z' AND time < '2026-01-01T00:00:03Z'",
            "SELECT count(*) AS n FROM samples WHERE time BETWEEN '2026-01-01T00:00:01Z' AND '2026-01-01T00:00:02Z'",
            "SELECT count(*) AS n FROM samples WHERE time = '2026-01-01T01:00:01+01:00'",
            "SELECT count(*) AS n FROM samples WHERE time <> '2026-01-01T00:00:00Z'",
            "SELECT count(*) AS n FROM samples WHERE time >= now() - INTERVAL '59 minutes 30 seconds'",
            "SELECT count(*) AS n FROM samples WHERE '2026-01-01T00:00:02Z' <= time",
            "SELECT count(*) AS n FROM samples WHERE time > '2026-01-01T00:00:05Z' AND time < '2026-01-01T00:00:01Z'",
            "SELECT count(*) AS n FROM samples WHERE time < '2026-01-01T00:00:01Z' OR time > '2026-01-01T00:00:50Z'",
            "SELECT count(*) AS n FROM samples WHERE date_trunc('minute', time) = '2026-01-01T00:01:00Z'",
            "SELECT now() AS t",
            "SELECT count(*) AS n FROM samples WHERE received IS NOT NULL AND received > time",
            "SELECT count(*) AS n FROM samples WHERE time > '01.01.2026'",
        ],
        expect![[r#"
            > SELECT count(*) AS n FROM samples WHERE time >= '2026-01-01T00:00:01Z'
            n
            5

            > SELECT count(*) AS n FROM samples WHERE time > TIMESTAMP '2026-01-01T00:00:01Z' AND time < '2026-01-01T00:00:03Z'
            n
            1

            > SELECT count(*) AS n FROM samples WHERE time BETWEEN '2026-01-01T00:00:01Z' AND '2026-01-01T00:00:02Z'
            n
            3

            > SELECT count(*) AS n FROM samples WHERE time = '2026-01-01T01:00:01+01:00'
            n
            2

            > SELECT count(*) AS n FROM samples WHERE time <> '2026-01-01T00:00:00Z'
            n
            5

            > SELECT count(*) AS n FROM samples WHERE time >= now() - INTERVAL '59 minutes 30 seconds'
            n
            1

            > SELECT count(*) AS n FROM samples WHERE '2026-01-01T00:00:02Z' <= time
            n
            3

            > SELECT count(*) AS n FROM samples WHERE time > '2026-01-01T00:00:05Z' AND time < '2026-01-01T00:00:01Z'
            n
            0

            > SELECT count(*) AS n FROM samples WHERE time < '2026-01-01T00:00:01Z' OR time > '2026-01-01T00:00:50Z'
            n
            9

            > SELECT count(*) AS n FROM samples WHERE date_trunc('minute', time) = '2026-01-01T00:01:00Z'
            n
            1

            > SELECT now() AS t
            t
            2026-01-01T01:00:00Z

            > SELECT count(*) AS n FROM samples WHERE received IS NOT NULL AND received > time
            n
            1

            > SELECT count(*) AS n FROM samples WHERE time > '01.01.2026'
            bad-sql: Error parsing timestamp from '01.01.2026': error parsing date. See docs/reference/sql.md for tables and functions

        "#]],
    );
}

#[test]
fn computing() {
    check(
        &[
            "SELECT count(*) AS n, sum(value) AS sum, avg(value) AS mean, min(value) AS low, max(value) AS high FROM samples WHERE signal = 'acme/press/temperature'",
            "SELECT signal, count(*) AS n, max(time) AS newest FROM samples GROUP BY signal ORDER BY signal",
            "SELECT date_bin(INTERVAL '1 minute', time) AS minute, avg(value) AS mean FROM samples WHERE signal = 'acme/press/temperature' GROUP BY minute ORDER BY minute",
            "SELECT split_part(signal, '/', 1) AS site, count(*) AS n FROM samples GROUP BY site ORDER BY site",
            "SELECT time, value, value - lag(value) OVER (PARTITION BY signal ORDER BY time) AS change FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time",
            "SELECT first_value(value ORDER BY time) AS first, last_value(value ORDER BY time) AS last FROM samples WHERE signal = 'acme/press/temperature'",
            "SELECT s.signal, s.unit, count(*) AS n FROM samples JOIN signals s USING (signal) WHERE s.unit IS NOT NULL GROUP BY 1, 2",
            "WITH t AS (SELECT * FROM samples WHERE value > 20) SELECT count(*) AS n FROM t",
            "SELECT quality, quality_name(quality) AS name, is_good(quality) AS good, is_uncertain(quality) AS uncertain, is_bad(quality) AS bad, count(*) AS n FROM samples GROUP BY quality ORDER BY quality",
            "SELECT quality_name(1083179008) AS name, quality_name(-1) AS none",
            "SELECT median(value) AS m, stddev(value) AS s FROM samples WHERE signal = 'acme/press/temperature'",
            "SELECT count(DISTINCT signal) AS n FROM samples",
            "SELECT signal, value FROM samples WHERE value IS NOT NULL ORDER BY value DESC LIMIT 2",
            "SELECT value FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time LIMIT 2 OFFSET 1",
            "SELECT array_agg(signal ORDER BY signal) AS all FROM signals WHERE matches(signal, 'beta/#')",
            "SELECT upper(text) AS loud, length(text) AS n FROM samples WHERE kind = 'text' ORDER BY n",
            "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(n, word)",
            "SELECT value AS v FROM generate_series(1, 3)",
            "SELECT 1 / 0 AS wrong",
            "SELECT 'a' || 'b' || 3 AS joined, concat('x', NULL, 'y') AS other, repeat('ab', 3) AS again",
            "SELECT CAST('NaN' AS DOUBLE) AS nan, CAST('-Infinity' AS DOUBLE) AS low, 1e300 AS big, -0.0 AS zero, CAST(0.1 AS REAL) AS single",
            "SELECT CAST(1.5 AS DECIMAL(10, 3)) AS dec, DATE '2026-03-01' AS day, INTERVAL '1 hour' AS hour, X'01ff' AS bytes, ''  AS empty, NULL AS none",
            "SELECT named_struct('a', 1, 'b', [true, NULL]) AS nested",
        ],
        expect![[r#"
            > SELECT count(*) AS n, sum(value) AS sum, avg(value) AS mean, min(value) AS low, max(value) AS high FROM samples WHERE signal = 'acme/press/temperature'
            n,sum,mean,low,high
            5,80.75,20.1875,19.0,21.25

            > SELECT signal, count(*) AS n, max(time) AS newest FROM samples GROUP BY signal ORDER BY signal
            signal,n,newest
            acme/press/count,2,2026-01-01T00:00:01Z
            acme/press/raw,1,2026-01-01T00:00:00Z
            acme/press/recipe,1,2026-01-01T00:00:00Z
            acme/press/running,1,2026-01-01T00:00:00Z
            acme/press/state,2,2026-01-01T00:00:00Z
            acme/press/temperature,5,2026-01-01T00:01:00Z
            beta/mill/temperature,1,2026-01-01T00:00:00Z

            > SELECT date_bin(INTERVAL '1 minute', time) AS minute, avg(value) AS mean FROM samples WHERE signal = 'acme/press/temperature' GROUP BY minute ORDER BY minute
            minute,mean
            2026-01-01T00:00:00Z,20.583333333333332
            2026-01-01T00:01:00Z,19.0

            > SELECT split_part(signal, '/', 1) AS site, count(*) AS n FROM samples GROUP BY site ORDER BY site
            site,n
            acme,12
            beta,1

            > SELECT time, value, value - lag(value) OVER (PARTITION BY signal ORDER BY time) AS change FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time
            time,value,change
            2026-01-01T00:00:00Z,20.0,
            2026-01-01T00:00:01Z,20.5,0.5
            2026-01-01T00:00:02Z,21.25,0.75
            2026-01-01T00:00:03Z,,
            2026-01-01T00:01:00Z,19.0,

            > SELECT first_value(value ORDER BY time) AS first, last_value(value ORDER BY time) AS last FROM samples WHERE signal = 'acme/press/temperature'
            first,last
            20.0,19.0

            > SELECT s.signal, s.unit, count(*) AS n FROM samples JOIN signals s USING (signal) WHERE s.unit IS NOT NULL GROUP BY 1, 2
            signal,unit,n
            acme/press/temperature,°C,5

            > WITH t AS (SELECT * FROM samples WHERE value > 20) SELECT count(*) AS n FROM t
            n
            5

            > SELECT quality, quality_name(quality) AS name, is_good(quality) AS good, is_uncertain(quality) AS uncertain, is_bad(quality) AS bad, count(*) AS n FROM samples GROUP BY quality ORDER BY quality
            quality,name,good,uncertain,bad,n
            0,Good,true,false,false,12
            2150694912,Bad_NoCommunication,false,false,true,1

            > SELECT quality_name(1083179008) AS name, quality_name(-1) AS none
            name,none
            Uncertain_LastUsableValue,

            > SELECT median(value) AS m, stddev(value) AS s FROM samples WHERE signal = 'acme/press/temperature'
            m,s
            20.25,0.9437293044088434

            > SELECT count(DISTINCT signal) AS n FROM samples
            n
            7

            > SELECT signal, value FROM samples WHERE value IS NOT NULL ORDER BY value DESC LIMIT 2
            signal,value
            acme/press/count,1.8446744073709552e19
            acme/press/count,9007199254740992.0

            > SELECT value FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time LIMIT 2 OFFSET 1
            value
            20.5
            21.25

            > SELECT array_agg(signal ORDER BY signal) AS all FROM signals WHERE matches(signal, 'beta/#')
            all
            "[""beta/mill/temperature""]"

            > SELECT upper(text) AS loud, length(text) AS n FROM samples WHERE kind = 'text' ORDER BY n
            loud,n
            WARM,4
            "IDLE, ""COLD""",12

            > SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(n, word)
            n,word
            1,a
            2,

            > SELECT value AS v FROM generate_series(1, 3)
            v
            1
            2
            3

            > SELECT 1 / 0 AS wrong
            bad-sql: Divide by zero error. See docs/reference/sql.md for tables and functions

            > SELECT 'a' || 'b' || 3 AS joined, concat('x', NULL, 'y') AS other, repeat('ab', 3) AS again
            joined,other,again
            ab3,xy,ababab

            > SELECT CAST('NaN' AS DOUBLE) AS nan, CAST('-Infinity' AS DOUBLE) AS low, 1e300 AS big, -0.0 AS zero, CAST(0.1 AS REAL) AS single
            nan,low,big,zero,single
            NaN,-Infinity,1e300,-0.0,0.1

            > SELECT CAST(1.5 AS DECIMAL(10, 3)) AS dec, DATE '2026-03-01' AS day, INTERVAL '1 hour' AS hour, X'01ff' AS bytes, ''  AS empty, NULL AS none
            dec,day,hour,bytes,empty,none
            1.500,2026-03-01,1 hours,0x01ff,"",

            > SELECT named_struct('a', 1, 'b', [true, NULL]) AS nested
            nested
            "{""a"":1,""b"":[true,null]}"

        "#]],
    );
}

#[test]
fn the_system_shows_itself() {
    check(
        &[
            "SELECT * FROM sys.tables",
            "SELECT * FROM sys.files",
            "SELECT column_name, type FROM sys.columns WHERE table_name = 'sys.events'",
            "SELECT name, max FROM sys.limits WHERE name = 'queries_waiting'",
            "SELECT * FROM sys.events",
            "SELECT what FROM sys.events WHERE time > '2026-01-01T00:00:01Z'",
            "SELECT * FROM sys.doors",
            "SELECT e.signal, e.what, s.unit FROM sys.events e JOIN signals s ON e.signal = s.signal ORDER BY 1",
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2",
            "DESCRIBE samples",
            "SHOW COLUMNS FROM sys.doors",
        ],
        expect![[r#"
            > SELECT * FROM sys.tables
            name,description
            samples,"Every sample of every signal, with its value, quality and time"
            signals,"Every signal with what is known about it, and its last value"
            sys.tables,"The tables that you may read, and what they are"
            sys.columns,"The columns of the tables that you may read, and what they hold"
            sys.functions,The functions that Tidemill adds to SQL
            sys.events,Things that happened
            sys.doors,The doors that are open
            sys.files,"The history files that a query reads now; the newest samples are in memory"
            sys.limits,"The named limits: what may be held at once, what is held, and how often more was refused"

            > SELECT * FROM sys.files
            name,bytes,rows,first_time,last_time,level
            2026-01-01.parquet,4096,7,2026-01-01T00:00:00Z,2026-01-01T00:00:01Z,day

            > SELECT column_name, type FROM sys.columns WHERE table_name = 'sys.events'
            column_name,type
            time,TIMESTAMP
            signal,TEXT
            what,TEXT
            count,BIGINT

            > SELECT name, max FROM sys.limits WHERE name = 'queries_waiting'
            name,max
            queries_waiting,16.0

            > SELECT * FROM sys.events
            time,signal,what,count
            2026-01-01T00:00:01Z,acme/press/temperature,high,1
            2026-01-01T00:00:02Z,beta/mill/temperature,high,2

            > SELECT what FROM sys.events WHERE time > '2026-01-01T00:00:01Z'
            what
            high

            > SELECT * FROM sys.doors
            name,open,load,since
            http,true,0.5,2026-01-01T00:00:00Z
            mqtt,false,,

            > SELECT e.signal, e.what, s.unit FROM sys.events e JOIN signals s ON e.signal = s.signal ORDER BY 1
            signal,what,unit
            acme/press/temperature,high,°C
            beta/mill/temperature,high,

            > SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2
            table_schema,table_name
            public,samples
            public,signals
            sys,columns
            sys,doors
            sys,events
            sys,files
            sys,functions
            sys,limits
            sys,tables

            > DESCRIBE samples
            column_name,data_type,is_nullable
            signal,Utf8View,NO
            time,"Timestamp(ns, ""UTC"")",NO
            value,Float64,YES
            integer,Int64,YES
            text,Utf8,YES
            quality,UInt32,NO
            received,"Timestamp(ns, ""UTC"")",YES
            kind,Utf8View,NO
            source,Utf8View,YES

            > SHOW COLUMNS FROM sys.doors
            table_catalog,table_schema,table_name,column_name,data_type,is_nullable
            tidemill,sys,doors,name,Utf8,YES
            tidemill,sys,doors,open,Boolean,YES
            tidemill,sys,doors,load,Float64,YES
            tidemill,sys,doors,since,"Timestamp(ns, ""UTC"")",YES

        "#]],
    );
}

#[test]
fn retrieval_modes() {
    check(
        &[
            "SELECT * FROM read('acme/press/temperature')",
            "SELECT time, value FROM read('acme/+/temperature', '2026-01-01T00:00:01Z', '2026-01-01T00:00:03Z')",
            "SELECT signal, value FROM read('+/+/temperature', NULL, NULL, 'last')",
            "SELECT signal, time, value FROM read('#', NULL, '2026-01-01T00:00:01Z', 'last') WHERE value IS NOT NULL",
            "SELECT time, value FROM read('acme/press/temperature', '2026-01-01T00:00:00Z', '2026-01-01T00:01:01Z', 'points', 2)",
            "SELECT value FROM read('old/temperature', NULL, NULL, 'raw') LIMIT 1",
            "SELECT count(*) AS n FROM read('none/such')",
            "SELECT max(value) AS m FROM read('acme/#', now() - INTERVAL '1 hour', now())",
            "SELECT * FROM read()",
            "SELECT * FROM read('a/#/b')",
            "SELECT * FROM read(signal) FROM samples",
            "SELECT * FROM read('a', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z')",
            "SELECT * FROM read('a', 'yesterday')",
            "SELECT * FROM read('a', NULL, NULL, 'mean')",
            "SELECT * FROM read('a', NULL, NULL, 'points')",
            "SELECT * FROM read('a', NULL, NULL, 'points', 0)",
            "SELECT * FROM read(1)",
        ],
        expect![[r#"
            > SELECT * FROM read('acme/press/temperature')
            signal,time,value,integer,text,kind,quality
            acme/press/temperature,2026-01-01T00:00:00Z,20.0,,,float,0
            acme/press/temperature,2026-01-01T00:00:01Z,20.5,,,float,0
            acme/press/temperature,2026-01-01T00:00:02Z,21.25,,,float,0
            acme/press/temperature,2026-01-01T00:00:03Z,,,,none,2150694912
            acme/press/temperature,2026-01-01T00:01:00Z,19.0,,,float,0

            > SELECT time, value FROM read('acme/+/temperature', '2026-01-01T00:00:01Z', '2026-01-01T00:00:03Z')
            time,value
            2026-01-01T00:00:01Z,20.5
            2026-01-01T00:00:02Z,21.25

            > SELECT signal, value FROM read('+/+/temperature', NULL, NULL, 'last')
            signal,value
            acme/press/temperature,19.0
            beta/mill/temperature,99.5

            > SELECT signal, time, value FROM read('#', NULL, '2026-01-01T00:00:01Z', 'last') WHERE value IS NOT NULL
            signal,time,value
            acme/press/count,2026-01-01T00:00:01Z,1.8446744073709552e19
            acme/press/running,2026-01-01T00:00:00Z,1.0
            acme/press/temperature,2026-01-01T00:00:01Z,20.5
            beta/mill/temperature,2026-01-01T00:00:00Z,99.5

            > SELECT time, value FROM read('acme/press/temperature', '2026-01-01T00:00:00Z', '2026-01-01T00:01:01Z', 'points', 2)
            time,value
            2026-01-01T00:00:00Z,20.0
            2026-01-01T00:00:02Z,21.25
            2026-01-01T00:00:03Z,
            2026-01-01T00:01:00Z,19.0

            > SELECT value FROM read('old/temperature', NULL, NULL, 'raw') LIMIT 1
            value
            20.0

            > SELECT count(*) AS n FROM read('none/such')
            n
            0

            > SELECT max(value) AS m FROM read('acme/#', now() - INTERVAL '1 hour', now())
            m
            1.8446744073709552e19

            > SELECT * FROM read()
            bad-sql: read needs a pattern, and then as needed: from, to, mode, every. See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a/#/b')
            bad-pattern: 'a/#/b' has '#' or '**' before its end: they stand for all the rest and come last. Use + or * for one level, # or ** for the rest

            > SELECT * FROM read(signal) FROM samples
            bad-sql: Expected: end of statement, found: FROM (line 1, column 28). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z')
            bad-parameter: 'from' is not before 'to'. Swap them, or ask for more time

            > SELECT * FROM read('a', 'yesterday')
            bad-time: 'yesterday' is no RFC 3339 time: write it like 2026-03-01T06:00:00Z or 2026-03-01T06:00:00.25+01:00. Write RFC 3339 with an offset, or a number in the stated unit

            > SELECT * FROM read('a', NULL, NULL, 'mean')
            bad-sql: 'mean' is no mode: there are raw, points, last. See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'points')
            bad-sql: read needs a pattern, and then as needed: from, to, mode, every. See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'points', 0)
            bad-parameter: points=0 is outside 1 to 100000. Ask for about as many as the chart is wide

            > SELECT * FROM read(1)
            bad-sql: '1' should be text in quotes. See docs/reference/sql.md for tables and functions

        "#]],
    );
}

#[test]
fn plans_push_down() {
    check(
        &[
            "EXPLAIN SELECT count(*) FROM samples WHERE signal LIKE 'acme/%' AND time >= '2026-01-01T00:00:01Z' AND value > 3",
            "EXPLAIN SELECT signal, count(*) FROM samples WHERE time >= now() - INTERVAL '1 hour' GROUP BY signal",
            "EXPLAIN SELECT * FROM samples WHERE signal = 'acme/press/count' ORDER BY signal, time LIMIT 3",
            "EXPLAIN SELECT s.value FROM samples s JOIN signals USING (signal) WHERE signals.unit = 'bar'",
        ],
        expect![[r#"
            > EXPLAIN SELECT count(*) FROM samples WHERE signal LIKE 'acme/%' AND time >= '2026-01-01T00:00:01Z' AND value > 3
            plan_type,plan
            logical_plan,"Projection: count(Int64(1)) AS count(*)
              Aggregate: groupBy=[[]], aggr=[[count(Int64(1))]]
                Projection:
                  Filter: samples.value > Float64(3)
                    TableScan: samples projection=[value], full_filters=[samples.time >= TimestampNanosecond(1767225601000000000, Some(""UTC"")), samples.signal LIKE Utf8View(""acme/%"")]"
            physical_plan,"ProjectionExec: expr=[count(Int64(1))@0 as count(*)]
              AggregateExec: mode=Final, gby=[], aggr=[count(Int64(1))]
                CoalescePartitionsExec
                  AggregateExec: mode=Partial, gby=[], aggr=[count(Int64(1))]
                    FilterExec: value@0 > 3, projection=[]
                      StreamingTableExec: partition_sizes=2, projection=[value]
            "

            > EXPLAIN SELECT signal, count(*) FROM samples WHERE time >= now() - INTERVAL '1 hour' GROUP BY signal
            plan_type,plan
            logical_plan,"Projection: samples.signal, count(Int64(1)) AS count(*)
              Aggregate: groupBy=[[samples.signal]], aggr=[[count(Int64(1))]]
                TableScan: samples projection=[signal], full_filters=[samples.time >= TimestampNanosecond(1767225600000000000, Some(""UTC""))]"
            physical_plan,"ProjectionExec: expr=[signal@0 as signal, count(Int64(1))@1 as count(*)]
              AggregateExec: mode=FinalPartitioned, gby=[signal@0 as signal], aggr=[count(Int64(1))], ordering_mode=Sorted
                RepartitionExec: partitioning=Hash([signal@0], 2), input_partitions=2, preserve_order=true, sort_exprs=signal@0 ASC NULLS LAST
                  AggregateExec: mode=Partial, gby=[signal@0 as signal], aggr=[count(Int64(1))], ordering_mode=Sorted
                    StreamingTableExec: partition_sizes=2, projection=[signal], output_ordering=[signal@0 ASC NULLS LAST]
            "

            > EXPLAIN SELECT * FROM samples WHERE signal = 'acme/press/count' ORDER BY signal, time LIMIT 3
            plan_type,plan
            logical_plan,"Sort: samples.signal ASC NULLS LAST, samples.time ASC NULLS LAST, fetch=3
              TableScan: samples projection=[signal, time, value, integer, text, quality, received, kind, source], full_filters=[samples.signal = Utf8View(""acme/press/count"")]"
            physical_plan,"StreamingTableExec: partition_sizes=1, projection=[signal, time, value, integer, text, quality, received, kind, source], fetch=3, output_ordering=[signal@0 ASC NULLS LAST, time@1 ASC NULLS LAST]
            "

            > EXPLAIN SELECT s.value FROM samples s JOIN signals USING (signal) WHERE signals.unit = 'bar'
            plan_type,plan
            logical_plan,"Projection: s.value
              Inner Join: s.signal = signals.signal
                SubqueryAlias: s
                  TableScan: samples projection=[signal, value]
                Projection: signals.signal
                  Filter: signals.unit = Utf8(""bar"")
                    TableScan: signals projection=[signal, unit]"
            physical_plan,"HashJoinExec: mode=Partitioned, join_type=Inner, on=[(signal@0, signal@0)], projection=[value@1]
              RepartitionExec: partitioning=Hash([signal@0], 2), input_partitions=2
                StreamingTableExec: partition_sizes=2, projection=[signal, value], output_ordering=[signal@0 ASC NULLS LAST]
              RepartitionExec: partitioning=Hash([signal@0], 2), input_partitions=2
                FilterExec: unit@1 = bar, projection=[signal@0]
                  RepartitionExec: partitioning=RoundRobinBatch(2), input_partitions=1, maintains_sort_order=true
                    StreamingTableExec: partition_sizes=1, projection=[signal, unit], output_ordering=[signal@0 ASC NULLS LAST]
            "

        "#]],
    );
}

#[test]
fn mistakes_are_explained() {
    check(
        &[
            "SELEKT 1",
            "SELECT FROM WHERE",
            "SELECT valeu FROM samples",
            "SELECT xyz FROM samples",
            "SELECT\n  s.tiem\nFROM samples s",
            "SELECT * FROM sample",
            "SELECT * FROM sys.fies",
            "SELECT * FROM nothing.at.all",
            "SELECT valu() FROM samples",
            "SELECT frobnicate(1)",
            "SELECT s.signal FROM samples s, signals t WHERE signal = 'a'",
            "SELECT signal, value FROM samples GROUP BY signal",
            "SELECT 'a",
            "SELECT 1 1",
            "",
            "SELECT 1; SELECT 2",
            ";",
            "SELECT $1",
            "SELECT matches(1)",
            "SELECT sum(text) FROM samples",
            "SELECT CAST('x' AS INT)",
            "SELECT avg('a')",
            "SELECT 1 AS a, 2 AS a",
            "SELECT * FROM samples ORDER BY 99",
            "SELECT count(*) FROM samples HAVING value > 1",
            "SELECT * FROM read_csv('/etc/passwd')",
        ],
        expect![[r#"
            > SELEKT 1
            bad-sql: Expected: an SQL statement, found: SELEKT (line 1, column 1). See docs/reference/sql.md for tables and functions

            > SELECT FROM WHERE
            bad-sql: there is no table 'where' (line 1, column 13). There are: samples, signals, sys.tables, sys.columns, sys.functions, sys.events, sys.doors, sys.files, sys.limits

            > SELECT valeu FROM samples
            bad-sql: there is no column 'valeu' (line 1, column 8). Did you mean value?

            > SELECT xyz FROM samples
            bad-sql: there is no column 'xyz' (line 1, column 8). There are: signal, time, value, integer, text, quality, received, kind, source

            > SELECT
              s.tiem
            FROM samples s
            bad-sql: there is no column 's.tiem' (line 2, column 3). Did you mean time?

            > SELECT * FROM sample
            bad-sql: there is no table 'sample' (line 1, column 15). Did you mean samples?

            > SELECT * FROM sys.fies
            bad-sql: there is no table 'sys.fies' (line 1, column 15). Did you mean sys.files?

            > SELECT * FROM nothing.at.all
            bad-sql: there is no table 'nothing.at.all' (line 1, column 15). There are: samples, signals, sys.tables, sys.columns, sys.functions, sys.events, sys.doors, sys.files, sys.limits

            > SELECT valu() FROM samples
            bad-sql: there is no function 'valu' (line 1, column 8). Did you mean var?

            > SELECT frobnicate(1)
            bad-sql: there is no function 'frobnicate' (line 1, column 8). See docs/reference/sql.md for tables and functions

            > SELECT s.signal FROM samples s, signals t WHERE signal = 'a'
            bad-sql: 'signal' is a column of more than one table (line 1, column 49). Write the table's name and a point before it

            > SELECT signal, value FROM samples GROUP BY signal
            bad-sql: Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "samples.value" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "samples.signal" appears in the SELECT clause satisfies this requirement (line 1, column 16). See docs/reference/sql.md for tables and functions

            > SELECT 'a
            bad-sql: Unterminated string literal (line 1, column 8). See docs/reference/sql.md for tables and functions

            > SELECT 1 1
            bad-sql: Expected: end of statement, found: 1 (line 1, column 10). See docs/reference/sql.md for tables and functions

            > 
            bad-sql: one query is expected, and only one. Send queries one by one

            > SELECT 1; SELECT 2
            bad-sql: one query is expected, and only one. Send queries one by one

            > ;
            bad-sql: one query is expected, and only one. Send queries one by one

            > SELECT $1
            bad-sql: the query uses $1 and 0 parameters were given. See docs/reference/sql.md for tables and functions

            > SELECT matches(1)
            bad-sql: Function 'matches' expects 2 arguments but received 1. See docs/reference/sql.md for tables and functions

            > SELECT sum(text) FROM samples
            bad-sql: Function 'sum' failed to match any signature. See docs/reference/sql.md for tables and functions

            > SELECT CAST('x' AS INT)
            bad-sql: Cannot cast string 'x' to value of Int32 type. See docs/reference/sql.md for tables and functions

            > SELECT avg('a')
            bad-sql: Function 'avg' failed to match any signature. See docs/reference/sql.md for tables and functions

            > SELECT 1 AS a, 2 AS a
            bad-sql: Projections require unique expression names but the expression "Int64(1) AS a" at position 0 and "Int64(2) AS a" at position 1 have the same name. Consider aliasing ("AS") one of them. See docs/reference/sql.md for tables and functions

            > SELECT * FROM samples ORDER BY 99
            bad-sql: Order by column out of bounds, specified: 99, max: 9. See docs/reference/sql.md for tables and functions

            > SELECT count(*) FROM samples HAVING value > 1
            bad-sql: Column in HAVING must be in GROUP BY or an aggregate function: While expanding wildcard, column "samples.value" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "count(Int64(1))" appears in the SELECT clause satisfies this requirement (line 1, column 37). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read_csv('/etc/passwd')
            bad-sql: there is no table function 'read_csv'. There are: read, generate_series, range

        "#]],
    );
}

#[test]
fn parameters_are_values_and_never_syntax() {
    let engine = engine_of(&plant());
    let ask = |text: &str, parameters: Vec<Value>| match sql_bytes(
        &engine,
        &ReadScope::everything(),
        text,
        parameters,
        Format::Csv,
    ) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(problem) => problem.to_string() + "\n",
    };
    let all = vec![
        Value::Float(0.1),
        Value::Float(f64::NAN),
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Bool(true),
        Value::Text("'; DROP TABLE samples --".into()),
        Value::None,
        Value::Bytes([0u8, 171].as_slice().into()),
        Value::Float(-1e300),
        Value::Float(-0.0),
    ];
    let mut shown = ask(
        "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f, $7 AS g, $8 AS h, $9 AS i, $10 AS j",
        all,
    );
    shown += &ask(
        "SELECT count(*) AS n FROM samples WHERE signal = $1 AND value >= $2",
        vec![Value::Text("acme/press/temperature".into()), Value::Float(20.5)],
    );
    shown += &ask(
        "SELECT count(*) AS n FROM samples WHERE time >= $1",
        vec![Value::Text("2026-01-01T00:00:02Z".into())],
    );
    shown += &ask(
        "SELECT value FROM read($1, $2) LIMIT $3",
        vec![
            Value::Text("acme/press/temperature".into()),
            Value::Text("2026-01-01T00:00:02Z".into()),
            Value::Int(1),
        ],
    );
    shown += &ask("SELECT $2", vec![Value::Int(1)]);
    shown += &ask("SELECT ?", vec![Value::Int(1)]);
    shown += &ask("SELECT $0", vec![Value::Int(1)]);
    shown += &ask("EXPLAIN SELECT $1 AS a", vec![Value::Int(1)]);
    expect![[r#"
        a,b,c,d,e,f,g,h,i,j
        0.1,NaN,-9223372036854775808,18446744073709551615,true,"'; DROP TABLE samples --",,0x00ab,-1e300,-0.0
        n
        2
        n
        3
        value
        21.25
        bad-sql: the query uses $2 and 1 parameters were given. See docs/reference/sql.md for tables and functions
        bad-sql: '?' is no parameter: write $1, $2, …. See docs/reference/sql.md for tables and functions
        bad-sql: '$0' is no parameter: write $1, $2, …. See docs/reference/sql.md for tables and functions
        plan_type,plan
        logical_plan,"Projection: Int64(1) AS a
          EmptyRelation: rows=1"
        physical_plan,"ProjectionExec: expr=[1 as a]
          PlaceholderRowExec
        "
    "#]].assert_eq(&shown);
}
