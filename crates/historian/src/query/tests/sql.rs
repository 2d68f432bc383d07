//! SQL as it is answered: what a user types, and what comes back. What is not here: conditions and mistakes.

use expect_test::expect;

use super::small::check;

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
            bad-sql: division by zero. Divide by NULLIF(…, 0)

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
            sys.queries,"The queries that run now, and the last hundred that took longer than limits.slow_query"

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
            sys,queries
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
            "SELECT * FROM read('a', NULL, NULL, 'interpolated', '1 minute')",
            "SELECT * FROM read('a', NULL, NULL, 'raw', 10)",
            "SELECT * FROM read('a', NULL, NULL, NULL, '1m')",
            "SELECT * FROM read('a', NULL, NULL, 'last', INTERVAL '1 minute')",
            "SELECT count(*) AS n FROM read('beta/#', NULL, NULL, NULL, NULL)",
            "SELECT * FROM read('a', NULL, NULL, 'points', '1m')",
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
            bad-sql: 'mean' is no mode: there are raw, points, last. For a value of each interval, group by date_bin(INTERVAL '1 minute', time). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'interpolated', '1 minute')
            bad-sql: 'interpolated' is no mode: there are raw, points, last. For a value of each interval, group by date_bin(INTERVAL '1 minute', time). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'raw', 10)
            bad-sql: the mode 'raw' takes no fifth argument: only 'points' has pixels. For a value of each interval, group by date_bin(INTERVAL '1 minute', time). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, NULL, '1m')
            bad-sql: the mode 'raw' takes no fifth argument: only 'points' has pixels. For a value of each interval, group by date_bin(INTERVAL '1 minute', time). See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'last', INTERVAL '1 minute')
            bad-sql: the mode 'last' takes no fifth argument: only 'points' has pixels. For a value of each interval, group by date_bin(INTERVAL '1 minute', time). See docs/reference/sql.md for tables and functions

            > SELECT count(*) AS n FROM read('beta/#', NULL, NULL, NULL, NULL)
            n
            1

            > SELECT * FROM read('a', NULL, NULL, 'points', '1m')
            bad-sql: '1m' is no number of pixels. See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'points')
            bad-sql: the mode 'points' needs its fifth argument: how many pixels there are. See docs/reference/sql.md for tables and functions

            > SELECT * FROM read('a', NULL, NULL, 'points', 0)
            bad-parameter: points=0 is outside 1 to 100000. Ask for about as many as the chart is wide

            > SELECT * FROM read(1)
            bad-sql: '1' should be text in quotes. See docs/reference/sql.md for tables and functions

        "#]],
    );
}

#[test]
fn what_aggregates_and_windows_hold_may_be_charged() {
    check(
        &[
            "SELECT count(value) OVER (ORDER BY text || 'a') AS n FROM samples WHERE text LIKE 'w%'",
            "SELECT sum(value) FILTER (WHERE text || 'a' = 'b') AS n, count(*) FILTER (WHERE CAST(value AS TEXT) = '20.5') FROM samples",
            "SELECT string_agg(text, ',' ORDER BY text || 'a') AS t FROM samples WHERE kind = 'text'",
        ],
        expect![[r#"
            > SELECT count(value) OVER (ORDER BY text || 'a') AS n FROM samples WHERE text LIKE 'w%'
            n
            0

            > SELECT sum(value) FILTER (WHERE text || 'a' = 'b') AS n, count(*) FILTER (WHERE CAST(value AS TEXT) = '20.5') FROM samples
            n,count(*) FILTER (WHERE CAST(value AS TEXT) = '20.5')
            ,1

            > SELECT string_agg(text, ',' ORDER BY text || 'a') AS t FROM samples WHERE kind = 'text'
            t
            "idle, ""cold"",warm"

        "#]],
    );
}

/// The planner calls an expression by what is in it without its casts.
#[test]
fn what_only_casts_tell_apart_may_be_asked_at_once() {
    check(
        &[
            "SELECT sum(value), sum(CAST(value AS DECIMAL(20, 3))), sum(CAST(value AS DECIMAL(20, 1))) FROM samples WHERE signal = 'acme/press/temperature'",
            "SELECT max(time) AS a, max(CAST(time AS DATE)) AS b, round(max(CAST(value AS REAL)), 1) AS c, round(max(value), 1) AS d FROM samples WHERE signal = 'acme/press/temperature' HAVING max(CAST(time AS DATE)) IS NOT NULL ORDER BY max(CAST(time AS DATE))",
            "SELECT CAST(value AS BIGINT) AS n, value FROM samples WHERE signal = 'acme/press/temperature' GROUP BY 1, value ORDER BY CAST(value AS BIGINT), value",
            "SELECT sum(value) OVER (ORDER BY time) AS a, sum(CAST(value AS DECIMAL(20, 1))) OVER (ORDER BY time) AS b FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time LIMIT 2",
            "SELECT n FROM (SELECT value, CAST(value AS BIGINT), count(*) AS n FROM samples WHERE signal = 'acme/press/temperature' GROUP BY value, CAST(value AS BIGINT)) AS t ORDER BY value LIMIT 1",
        ],
        expect![[r#"
            > SELECT sum(value), sum(CAST(value AS DECIMAL(20, 3))), sum(CAST(value AS DECIMAL(20, 1))) FROM samples WHERE signal = 'acme/press/temperature'
            sum(value),"sum(CAST(value AS DECIMAL(20,3)))","sum(CAST(value AS DECIMAL(20,1)))"
            80.75,80.750,80.8

            > SELECT max(time) AS a, max(CAST(time AS DATE)) AS b, round(max(CAST(value AS REAL)), 1) AS c, round(max(value), 1) AS d FROM samples WHERE signal = 'acme/press/temperature' HAVING max(CAST(time AS DATE)) IS NOT NULL ORDER BY max(CAST(time AS DATE))
            a,b,c,d
            2026-01-01T00:01:00Z,2026-01-01,21.3,21.3

            > SELECT CAST(value AS BIGINT) AS n, value FROM samples WHERE signal = 'acme/press/temperature' GROUP BY 1, value ORDER BY CAST(value AS BIGINT), value
            n,value
            19,19.0
            20,20.0
            20,20.5
            21,21.25
            ,

            > SELECT sum(value) OVER (ORDER BY time) AS a, sum(CAST(value AS DECIMAL(20, 1))) OVER (ORDER BY time) AS b FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time LIMIT 2
            a,b
            20.0,20.0
            40.5,40.5

            > SELECT n FROM (SELECT value, CAST(value AS BIGINT), count(*) AS n FROM samples WHERE signal = 'acme/press/temperature' GROUP BY value, CAST(value AS BIGINT)) AS t ORDER BY value LIMIT 1
            n
            1

        "#]],
    );
}
