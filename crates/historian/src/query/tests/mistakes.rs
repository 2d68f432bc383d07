//! What a user is told of a query that cannot be answered, and that parameters never become a part of one.

use expect_test::expect;
use tidemill_core::{Format, ReadScope, Value};

use super::fake::*;
use super::small::{check, engine_of, plant};

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
            "SELECT mod(5, 2)",
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
            "SELECT signal, EXISTS (SELECT 1 FROM samples x WHERE x.signal = s.signal) AS any FROM signals s",
            "SELECT s.signal, l.value FROM signals s, LATERAL (SELECT value FROM samples x WHERE x.signal = s.signal LIMIT 1) l",
        ],
        expect![[r#"
            > SELEKT 1
            bad-sql: Expected: an SQL statement, found: SELEKT (line 1, column 1). See docs/reference/sql.md for tables and functions

            > SELECT FROM WHERE
            bad-sql: there is no table 'where' (line 1, column 13). There are: samples, signals, sys.tables, sys.columns, sys.functions, sys.events, sys.doors, sys.files, sys.limits, sys.queries

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
            bad-sql: there is no table 'nothing.at.all' (line 1, column 15). There are: samples, signals, sys.tables, sys.columns, sys.functions, sys.events, sys.doors, sys.files, sys.limits, sys.queries

            > SELECT valu() FROM samples
            bad-sql: there is no function 'valu' (line 1, column 8). Did you mean var?

            > SELECT mod(5, 2)
            bad-sql: there is no function 'mod' (line 1, column 8). Write a % b for the remainder of a division

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

            > SELECT signal, EXISTS (SELECT 1 FROM samples x WHERE x.signal = s.signal) AS any FROM signals s
            bad-sql: a subquery refers to the query around it where the planner cannot make a join of it. Join what it asks, or ask it for one aggregate, as (SELECT max(…) FROM … WHERE …); EXISTS stands in WHERE

            > SELECT s.signal, l.value FROM signals s, LATERAL (SELECT value FROM samples x WHERE x.signal = s.signal LIMIT 1) l
            bad-sql: a subquery refers to the query around it where the planner cannot make a join of it. Join what it asks, or ask it for one aggregate, as (SELECT max(…) FROM … WHERE …); EXISTS stands in WHERE

        "#]],
    );
}

#[test]
fn exists_is_a_column_too() {
    let engine = engine_of(&plant());
    let ask = |text: &str| {
        let asked = sql_bytes(&engine, &ReadScope::everything(), text, Vec::new(), Format::Csv);
        asked.map_or_else(
            |problem| problem.to_string(),
            |bytes| String::from_utf8(bytes).unwrap().replace('\n', " "),
        )
    };
    for (text, expected) in [
        (
            "SELECT EXISTS (SELECT * FROM samples) AS a, NOT EXISTS (SELECT 1 WHERE false) AS b",
            "a,b true,true ",
        ),
        ("SELECT EXISTS (SELECT 1 WHERE false) AS a", "a false "),
        ("SELECT CASE WHEN EXISTS (SELECT * FROM samples LIMIT 3) THEN 'x' END AS a", "a x "),
        (
            "SELECT EXISTS (SELECT 1 FROM signals s WHERE EXISTS (SELECT 1 FROM samples t WHERE t.signal = s.signal)) AS a",
            "a true ",
        ),
        (
            "SELECT count(*) > 0 AS a FROM signals s WHERE EXISTS (SELECT 1 FROM samples t WHERE t.signal = s.signal)",
            "a true ",
        ),
    ] {
        assert_eq!(ask(text), expected, "{text}");
    }
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
        bad-sql: '?' is no parameter: write $1, $2, … up to $1000. See docs/reference/sql.md for tables and functions
        bad-sql: '$0' is no parameter: write $1, $2, … up to $1000. See docs/reference/sql.md for tables and functions
        plan_type,plan
        logical_plan,"Projection: Int64(1) AS a
          EmptyRelation: rows=1"
        physical_plan,"ProjectionExec: expr=[1 as a]
          PlaceholderRowExec
        "
    "#]].assert_eq(&shown);
}
