//! Conditions on signals and times: what they mean, and that they choose what is scanned.

use std::sync::Arc;

use expect_test::expect;
use tidemill_core::{ReadScope, Value};

use super::fake::{Plant, SECOND, T0, ask};
use super::small::{check, engine_of};

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
            "SELECT signal, count(*) AS n FROM samples WHERE 'old/temperature' = signal GROUP BY signal",
            "SELECT count(*) AS n FROM samples WHERE signal <> 'old/temperature'",
            "SELECT count(*) AS n FROM samples WHERE signal IN ('old/temperature', 'acme/press/count')",
            "SELECT count(*) AS n FROM samples WHERE signal NOT IN ('old/temperature', 'acme/press/count')",
            "SELECT count(*) AS n FROM samples WHERE signal = 'old/temperature' OR value > 50",
            "SELECT count(*) AS n FROM samples WHERE matches(signal, 'old/temperature')",
            "SELECT count(*) AS n FROM samples WHERE matches(signal, 'old/#') OR signal LIKE 'old/%'",
            "SELECT count(CASE WHEN signal = 'old/temperature' THEN 1 END) AS n FROM samples",
            "SELECT signal = 'old/temperature' AS it, signal = 'old/temperature' FROM signals ORDER BY signal = 'old/temperature' DESC LIMIT 1",
            "SELECT signal = 'old/temperature', count(*) FROM samples GROUP BY signal = 'old/temperature' ORDER BY 1",
            "SELECT signal, unit, aliases FROM signals WHERE signal = 'old/temperature'",
            "SELECT count(*) AS n FROM read('#') AS r WHERE r.signal = 'old/temperature'",
            "SELECT count(*) AS n FROM (SELECT signal AS name, value FROM samples ORDER BY time) t JOIN signals s ON t.name = s.signal WHERE t.name = 'old/temperature'",
            "WITH t AS (SELECT signal, max(value) AS m FROM samples GROUP BY signal) SELECT * FROM t WHERE signal = 'old/temperature'",
            "SELECT count(*) AS n FROM samples WHERE signal = (SELECT signal FROM signals WHERE signal = 'old/temperature')",
            "SELECT count(*) AS n FROM (SELECT 'old/temperature' AS signal) WHERE signal = 'old/temperature'",
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
            5

            > SELECT signal, count(*) AS n FROM samples WHERE 'old/temperature' = signal GROUP BY signal
            signal,n
            acme/press/temperature,5

            > SELECT count(*) AS n FROM samples WHERE signal <> 'old/temperature'
            n
            8

            > SELECT count(*) AS n FROM samples WHERE signal IN ('old/temperature', 'acme/press/count')
            n
            7

            > SELECT count(*) AS n FROM samples WHERE signal NOT IN ('old/temperature', 'acme/press/count')
            n
            6

            > SELECT count(*) AS n FROM samples WHERE signal = 'old/temperature' OR value > 50
            n
            8

            > SELECT count(*) AS n FROM samples WHERE matches(signal, 'old/temperature')
            n
            5

            > SELECT count(*) AS n FROM samples WHERE matches(signal, 'old/#') OR signal LIKE 'old/%'
            n
            0

            > SELECT count(CASE WHEN signal = 'old/temperature' THEN 1 END) AS n FROM samples
            n
            5

            > SELECT signal = 'old/temperature' AS it, signal = 'old/temperature' FROM signals ORDER BY signal = 'old/temperature' DESC LIMIT 1
            it,signal = 'old/temperature'
            true,true

            > SELECT signal = 'old/temperature', count(*) FROM samples GROUP BY signal = 'old/temperature' ORDER BY 1
            signal = 'old/temperature',count(*)
            false,8
            true,5

            > SELECT signal, unit, aliases FROM signals WHERE signal = 'old/temperature'
            signal,unit,aliases
            acme/press/temperature,°C,"[""old/temperature""]"

            > SELECT count(*) AS n FROM read('#') AS r WHERE r.signal = 'old/temperature'
            n
            5

            > SELECT count(*) AS n FROM (SELECT signal AS name, value FROM samples ORDER BY time) t JOIN signals s ON t.name = s.signal WHERE t.name = 'old/temperature'
            n
            5

            > WITH t AS (SELECT signal, max(value) AS m FROM samples GROUP BY signal) SELECT * FROM t WHERE signal = 'old/temperature'
            signal,m
            acme/press/temperature,21.25

            > SELECT count(*) AS n FROM samples WHERE signal = (SELECT signal FROM signals WHERE signal = 'old/temperature')
            n
            5

            > SELECT count(*) AS n FROM (SELECT 'old/temperature' AS signal) WHERE signal = 'old/temperature'
            n
            1

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
            bad-sql: Error parsing timestamp from '01.01.2026': error parsing date. Write times as '2026-03-01T20:00:00Z', or with the offset of a place: '2026-03-01T20:00:00+01:00'

        "#]],
    );
}

/// The period in which times begin has no beginning; the next one has.
#[test]
fn the_earliest_times_have_no_period_and_fail_no_question() {
    let plant = Arc::new(Plant::default());
    let minute = i64::MIN.div_euclid(60 * SECOND) + 1;
    for (number, time) in
        [i64::MIN, minute * 60 * SECOND - 1, minute * 60 * SECOND, -1_001, T0].into_iter().enumerate()
    {
        plant.put("a", time, Value::Int(number as i64));
    }
    let engine = engine_of(&plant);
    let mut shown = String::new();
    for period in
        ["microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]
    {
        let query = format!("SELECT integer AS n, date_trunc('{period}', time) AS t FROM samples ORDER BY n");
        let answer = ask(&engine, &ReadScope::everything(), &query);
        shown += &format!("{period}: {}\n", answer.trim_end().replace('\n', " "));
    }
    for query in [
        "SELECT date_trunc('year', time) AS t, count(*) AS n FROM samples GROUP BY t ORDER BY t",
        "SELECT date_bin(INTERVAL '1 minute', time) AS t FROM samples ORDER BY integer",
        "SELECT count(*) AS n FROM samples WHERE date_trunc('minute', time) < '1678-01-01T00:00:00Z'",
        "SELECT date_trunc('year', time AT TIME ZONE 'Asia/Kolkata') AS t FROM samples WHERE integer = 1",
        "SELECT date_trunc('day', TIMESTAMP '1677-09-21T00:12:44') AS t, date_trunc('minute', TIMESTAMP '1677-09-21T00:13:44') AS u",
        "SELECT date_trunc('fortnight', TIMESTAMP '1677-09-21T00:12:44') AS t",
        "SELECT date_trunc('fortnight', time) AS t FROM samples",
    ] {
        shown += &format!("{query}\n{}\n", ask(&engine, &ReadScope::everything(), query).trim_end());
    }
    expect![[r#"
        microsecond: n,t 0, 1,1677-09-21T00:12:59.999999Z 2,1677-09-21T00:13:00Z 3,1969-12-31T23:59:59.999998Z 4,2026-01-01T00:00:00Z
        millisecond: n,t 0, 1,1677-09-21T00:12:59.999Z 2,1677-09-21T00:13:00Z 3,1969-12-31T23:59:59.999Z 4,2026-01-01T00:00:00Z
        second: n,t 0, 1,1677-09-21T00:12:59Z 2,1677-09-21T00:13:00Z 3,1969-12-31T23:59:59Z 4,2026-01-01T00:00:00Z
        minute: n,t 0, 1, 2,1677-09-21T00:13:00Z 3,1969-12-31T23:59:00Z 4,2026-01-01T00:00:00Z
        hour: n,t 0, 1, 2, 3,1969-12-31T23:00:00Z 4,2026-01-01T00:00:00Z
        day: n,t 0, 1, 2, 3,1969-12-31T00:00:00Z 4,2026-01-01T00:00:00Z
        week: n,t 0, 1, 2, 3,1969-12-29T00:00:00Z 4,2025-12-29T00:00:00Z
        month: n,t 0, 1, 2, 3,1969-12-01T00:00:00Z 4,2026-01-01T00:00:00Z
        quarter: n,t 0, 1, 2, 3,1969-10-01T00:00:00Z 4,2026-01-01T00:00:00Z
        year: n,t 0, 1, 2, 3,1969-01-01T00:00:00Z 4,2026-01-01T00:00:00Z
        SELECT date_trunc('year', time) AS t, count(*) AS n FROM samples GROUP BY t ORDER BY t
        t,n
        1969-01-01T00:00:00Z,1
        2026-01-01T00:00:00Z,1
        ,3
        SELECT date_bin(INTERVAL '1 minute', time) AS t FROM samples ORDER BY integer
        t


        1677-09-21T00:13:00Z
        1969-12-31T23:59:00Z
        2026-01-01T00:00:00Z
        SELECT count(*) AS n FROM samples WHERE date_trunc('minute', time) < '1678-01-01T00:00:00Z'
        n
        1
        SELECT date_trunc('year', time AT TIME ZONE 'Asia/Kolkata') AS t FROM samples WHERE integer = 1
        t
        SELECT date_trunc('day', TIMESTAMP '1677-09-21T00:12:44') AS t, date_trunc('minute', TIMESTAMP '1677-09-21T00:13:44') AS u
        t,u
        ,1677-09-21T00:13:00
        SELECT date_trunc('fortnight', TIMESTAMP '1677-09-21T00:12:44') AS t
        bad-sql: Unsupported date_trunc granularity: 'fortnight'. Supported values are: microsecond, millisecond, second, minute, hour, day, week, month, quarter, year. See docs/reference/sql.md for tables and functions
        SELECT date_trunc('fortnight', time) AS t FROM samples
        bad-sql: Unsupported date_trunc granularity: 'fortnight'. Supported values are: microsecond, millisecond, second, minute, hour, day, week, month, quarter, year. See docs/reference/sql.md for tables and functions
    "#]].assert_eq(&shown);
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

/// A condition that the scan takes means what it means above one: a LIMIT keeps it there.
#[test]
fn what_is_taken_means_what_it_says() {
    let plant = super::small::plant();
    for time in [i64::MIN, i64::MAX] {
        plant.put("edge/of/time", time, Value::Int(1));
    }
    let engine = engine_of(&plant);
    let count = |from: &str, condition: &str| {
        let query = format!("SELECT count(*) AS n FROM {from} WHERE {condition}");
        ask(&engine, &ReadScope::everything(), &query).trim_end().replace('\n', " ")
    };
    let signal = [
        "signal NOT IN ('z', NULL)",
        "signal IN ('edge/of/time', NULL)",
        "signal <> NULL",
        "NOT (signal = 'z' OR NULL)",
        "signal = 'edge/of/time' AND NULL",
        "signal = 'edge/of/time' OR NULL",
        "signal LIKE NULL",
        "signal NOT LIKE NULL",
        "NULL",
        "false",
        "signal = 'edge/of/time' AND true",
        "signal = 'z' AND signal <> 'z'",
        "NOT (signal IN ('z', NULL)) AND signal <> 'y'",
    ];
    for condition in signal {
        for table in ["samples", "signals"] {
            let above = format!("(SELECT * FROM {table} LIMIT 1000)");
            assert_eq!(count(table, condition), count(&above, condition), "{table}: {condition}");
        }
    }
    assert_eq!(count("samples", signal[0]), "n 0");
    let ends = ["< ", "<=", "= ", "<>", ">=", "> "];
    for year in
        ["-5", "0", "1000", "1677", "1678", "2025", "2026", "2261", "2262", "2263", "3000", "9999", "300000"]
    {
        for end in ends {
            for part in ["date_part('year', time)", "extract(year FROM time)"] {
                let condition = format!("{part} {end} {year}");
                let above = format!("{part} + 0 {end} {year}");
                assert_eq!(count("samples", &condition), count("samples", &above), "{condition}");
            }
        }
    }
    assert_eq!(count("samples", "date_part('year', time) BETWEEN 1000 AND 3000"), "n 15");
    assert_eq!(count("samples", "date_part('year', time) IN (2026, 2262, 3000)"), "n 14");
}
