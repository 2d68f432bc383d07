//! Numbers and intervals by SQL: exact, or refused. What is not here: everything else that SQL answers ([`super::sql`]).

use expect_test::expect;

use super::small::check;

#[test]
fn sums_of_integers_are_exact_or_refused() {
    const MOST: &str = "9223372036854775807";
    let of = |rows: &str| format!("(VALUES {rows}) AS t(g, n)");
    let both = of(&format!("(1, {MOST}), (1, {MOST}), (1, -{MOST}), (2, -5), (3, NULL)"));
    let large = of(&format!("(1, {MOST}), (1, 1)"));
    let unsigned = of("(1, '18446744073709551615'), (2, '1'), (2, '2')");
    let queries = [
        // The way there may leave 64 bits; the end must not.
        format!("SELECT sum(n) AS s FROM {both}"),
        format!("SELECT g, sum(n) AS s, sum(n) FILTER (WHERE n < 0) AS f FROM {both} GROUP BY g ORDER BY g"),
        format!("SELECT sum(n) AS s FROM {large}"),
        format!("SELECT g, sum(n) AS s FROM {large} GROUP BY g"),
        format!("SELECT sum(CAST(n AS DECIMAL(38, 0))) AS s FROM {large}"),
        format!("SELECT g, sum(CAST(n AS BIGINT UNSIGNED)) AS s FROM {unsigned} GROUP BY g ORDER BY g"),
        format!("SELECT sum(CAST(n AS BIGINT UNSIGNED)) AS s FROM {unsigned}"),
        format!(
            "SELECT g, sum(n) OVER (ORDER BY g ROWS 1 PRECEDING) AS s FROM {}",
            of("(1, 1), (2, NULL), (3, NULL), (4, 3), (5, 4)")
        ),
        format!("SELECT sum(n) OVER () AS s FROM {large}"),
        format!("SELECT sum(DISTINCT n) AS s FROM {both} WHERE n > 5"),
        format!("SELECT sum(n) AS s FROM {both} WHERE n IS NULL"),
        "SELECT sum(to_unixtime(time) * 1000000000) AS s FROM samples".to_owned(),
        "SELECT sum(value) AS v, sum(quality) AS q FROM samples WHERE signal = 'acme/press/temperature'"
            .to_owned(),
    ];
    check(
        &queries.each_ref().map(String::as_str),
        expect![[r#"
        > SELECT sum(n) AS s FROM (VALUES (1, 9223372036854775807), (1, 9223372036854775807), (1, -9223372036854775807), (2, -5), (3, NULL)) AS t(g, n)
        s
        9223372036854775802

        > SELECT g, sum(n) AS s, sum(n) FILTER (WHERE n < 0) AS f FROM (VALUES (1, 9223372036854775807), (1, 9223372036854775807), (1, -9223372036854775807), (2, -5), (3, NULL)) AS t(g, n) GROUP BY g ORDER BY g
        g,s,f
        1,9223372036854775807,-9223372036854775807
        2,-5,-5
        3,,

        > SELECT sum(n) AS s FROM (VALUES (1, 9223372036854775807), (1, 1)) AS t(g, n)
        bad-sql: the sum 9223372036854775808 does not fit into 64 bits. Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float

        > SELECT g, sum(n) AS s FROM (VALUES (1, 9223372036854775807), (1, 1)) AS t(g, n) GROUP BY g
        bad-sql: the sum 9223372036854775808 does not fit into 64 bits. Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float

        > SELECT sum(CAST(n AS DECIMAL(38, 0))) AS s FROM (VALUES (1, 9223372036854775807), (1, 1)) AS t(g, n)
        s
        9223372036854775808

        > SELECT g, sum(CAST(n AS BIGINT UNSIGNED)) AS s FROM (VALUES (1, '18446744073709551615'), (2, '1'), (2, '2')) AS t(g, n) GROUP BY g ORDER BY g
        g,s
        1,18446744073709551615
        2,3

        > SELECT sum(CAST(n AS BIGINT UNSIGNED)) AS s FROM (VALUES (1, '18446744073709551615'), (2, '1'), (2, '2')) AS t(g, n)
        bad-sql: the sum 18446744073709551618 does not fit into 64 bits. Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float

        > SELECT g, sum(n) OVER (ORDER BY g ROWS 1 PRECEDING) AS s FROM (VALUES (1, 1), (2, NULL), (3, NULL), (4, 3), (5, 4)) AS t(g, n)
        g,s
        1,1
        2,1
        3,
        4,3
        5,7

        > SELECT sum(n) OVER () AS s FROM (VALUES (1, 9223372036854775807), (1, 1)) AS t(g, n)
        bad-sql: the sum 9223372036854775808 does not fit into 64 bits. Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float

        > SELECT sum(DISTINCT n) AS s FROM (VALUES (1, 9223372036854775807), (1, 9223372036854775807), (1, -9223372036854775807), (2, -5), (3, NULL)) AS t(g, n) WHERE n > 5
        s
        9223372036854775807

        > SELECT sum(n) AS s FROM (VALUES (1, 9223372036854775807), (1, 9223372036854775807), (1, -9223372036854775807), (2, -5), (3, NULL)) AS t(g, n) WHERE n IS NULL
        s

        > SELECT sum(to_unixtime(time) * 1000000000) AS s FROM samples
        bad-sql: the sum 22973932867000000000 does not fit into 64 bits. Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float

        > SELECT sum(value) AS v, sum(quality) AS q FROM samples WHERE signal = 'acme/press/temperature'
        v,q
        80.75,2150694912

    "#]],
    );
}

#[test]
fn decimals_and_intervals_are_what_they_are_or_refused() {
    check(
        &[
            "SELECT CAST('9999999999999999999999.9999999999999999' AS DECIMAL(38, 16)) + 1 AS n",
            "SELECT CAST('999999999999999999999.9999999999999999' AS DECIMAL(38, 16)) + 1 AS n",
            "SELECT sum(CAST(x AS DECIMAL(38, 0))) AS n FROM (VALUES ('99999999999999999999999999999999999999'), ('99999999999999999999999999999999999999')) AS t(x)",
            "SELECT g, sum(CAST(x AS DECIMAL(38, 1))) AS n FROM (VALUES (1, 1.5), (1, -4), (2, NULL)) AS t(g, x) GROUP BY g ORDER BY g",
            "SELECT signal, TIMESTAMP '2026-09-25T00:00:00Z' - time > INTERVAL '1 day' AS stale FROM samples WHERE signal = 'acme/press/temperature' LIMIT 1",
            "SELECT max(x) = INTERVAL '36 hours' AS most, min(x) = INTERVAL '1 day' AS least FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '36 hours')) AS t(x)",
            "SELECT x FROM (VALUES (INTERVAL '1 day')) AS t(x) GROUP BY x",
            "SELECT greatest(x, INTERVAL '1 day') = INTERVAL '36 hours' AS a, nullif(x, INTERVAL '1 day 12 hours') AS b FROM (VALUES (INTERVAL '36 hours')) AS t(x)",
            "SELECT (SELECT 1 WHERE false) AS n",
            "SELECT 'foo' SIMILAR TO 'f%' AS a, 'xfoox' SIMILAR TO 'foo' AS b",
            "SELECT to_timestamp('2026-03-01 05', '%Y-%m-%d %H') AS t",
            "SELECT to_timestamp(1e300) AS t",
            "SELECT * FROM generate_series(1, 3) WITH ORDINALITY",
        ],
        expect![[r#"
            > SELECT CAST('9999999999999999999999.9999999999999999' AS DECIMAL(38, 16)) + 1 AS n
            bad-sql: a number does not fit: the result has more digits than a decimal, which has at most 38. Round what is computed with, as in CAST(… AS DECIMAL(20, 6))

            > SELECT CAST('999999999999999999999.9999999999999999' AS DECIMAL(38, 16)) + 1 AS n
            n
            1000000000000000000000.9999999999999999

            > SELECT sum(CAST(x AS DECIMAL(38, 0))) AS n FROM (VALUES ('99999999999999999999999999999999999999'), ('99999999999999999999999999999999999999')) AS t(x)
            bad-sql: a number does not fit: the result has more digits than a decimal, which has at most 38. Round what is computed with, as in CAST(… AS DECIMAL(20, 6))

            > SELECT g, sum(CAST(x AS DECIMAL(38, 1))) AS n FROM (VALUES (1, 1.5), (1, -4), (2, NULL)) AS t(g, x) GROUP BY g ORDER BY g
            g,n
            1,-2.5
            2,

            > SELECT signal, TIMESTAMP '2026-09-25T00:00:00Z' - time > INTERVAL '1 day' AS stale FROM samples WHERE signal = 'acme/press/temperature' LIMIT 1
            signal,stale
            acme/press/temperature,true

            > SELECT max(x) = INTERVAL '36 hours' AS most, min(x) = INTERVAL '1 day' AS least FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '36 hours')) AS t(x)
            most,least
            true,true

            > SELECT x FROM (VALUES (INTERVAL '1 day')) AS t(x) GROUP BY x
            bad-sql: GROUP BY and DISTINCT of intervals: not supported. Take their seconds: extract(epoch FROM …)

            > SELECT greatest(x, INTERVAL '1 day') = INTERVAL '36 hours' AS a, nullif(x, INTERVAL '1 day 12 hours') AS b FROM (VALUES (INTERVAL '36 hours')) AS t(x)
            a,b
            true,

            > SELECT (SELECT 1 WHERE false) AS n
            n

            > SELECT 'foo' SIMILAR TO 'f%' AS a, 'xfoox' SIMILAR TO 'foo' AS b
            a,b
            true,false

            > SELECT to_timestamp('2026-03-01 05', '%Y-%m-%d %H') AS t
            bad-sql: the format '%Y-%m-%d %H' has a part of the clock, but not its hours and minutes. See docs/reference/sql.md for tables and functions

            > SELECT to_timestamp(1e300) AS t
            bad-sql: 1e300 seconds since 1970 are no time. Times lie between 1677-09-21 and 2262-04-11

            > SELECT * FROM generate_series(1, 3) WITH ORDINALITY
            bad-sql: WITH ORDINALITY is not supported. Count with row_number() OVER (ORDER BY …)

        "#]],
    );
}

#[test]
fn integers_do_not_wrap_around() {
    check(
        &[
            "SELECT integer + 1 AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT integer * 1000 AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT -(integer - 9223372036854775807 - 9007199254740994) AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT integer * 100000 AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT count(*) AS n FROM samples WHERE integer - -9223372036854775807 > 0",
            "SELECT sum(integer * 2 - integer), max(integer + integer) FROM samples",
            "SELECT integer * 2 - integer, count(*) AS n FROM samples GROUP BY integer * 2 - integer ORDER BY integer * 2 - integer",
            "SELECT CASE WHEN integer > 5 THEN 0 ELSE integer * 100000 END AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT a.integer + b.quality AS n FROM samples a JOIN samples b ON a.integer + 0 = b.integer",
            "SELECT CAST(1 AS BIGINT UNSIGNED) - CAST(count(*) AS BIGINT UNSIGNED) AS n FROM samples",
            "SELECT sum(integer) OVER (ORDER BY integer + 1) AS n FROM samples WHERE integer IS NOT NULL",
            "SELECT sum(integer) FILTER (WHERE integer + 1 > 5), array_agg(integer ORDER BY integer + 1) FILTER (WHERE integer > 0) AS a FROM samples",
            "SELECT time + INTERVAL '1 day' AS t, value + 1 AS v FROM samples WHERE signal = 'beta/mill/temperature'",
        ],
        expect![[r#"
            > SELECT integer + 1 AS n FROM samples WHERE integer IS NOT NULL
            n
            9007199254740994

            > SELECT integer * 1000 AS n FROM samples WHERE integer IS NOT NULL
            n
            9007199254740993000

            > SELECT -(integer - 9223372036854775807 - 9007199254740994) AS n FROM samples WHERE integer IS NOT NULL
            bad-sql: a number does not fit: 0 - -9223372036854775808 in an integer of that type. Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not

            > SELECT integer * 100000 AS n FROM samples WHERE integer IS NOT NULL
            bad-sql: a number does not fit: 9007199254740993 * 100000 in an integer of that type. Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not

            > SELECT count(*) AS n FROM samples WHERE integer - -9223372036854775807 > 0
            bad-sql: a number does not fit: 9007199254740993 - -9223372036854775807 in an integer of that type. Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not

            > SELECT sum(integer * 2 - integer), max(integer + integer) FROM samples
            sum(integer * 2 - integer),max(integer + integer)
            9007199254740993,18014398509481986

            > SELECT integer * 2 - integer, count(*) AS n FROM samples GROUP BY integer * 2 - integer ORDER BY integer * 2 - integer
            integer * 2 - integer,n
            9007199254740993,1
            ,12

            > SELECT CASE WHEN integer > 5 THEN 0 ELSE integer * 100000 END AS n FROM samples WHERE integer IS NOT NULL
            n
            0

            > SELECT a.integer + b.quality AS n FROM samples a JOIN samples b ON a.integer + 0 = b.integer
            n
            9007199254740993

            > SELECT CAST(1 AS BIGINT UNSIGNED) - CAST(count(*) AS BIGINT UNSIGNED) AS n FROM samples
            bad-sql: a number does not fit: 1 - 13 in an integer of that type. Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not

            > SELECT sum(integer) OVER (ORDER BY integer + 1) AS n FROM samples WHERE integer IS NOT NULL
            n
            9007199254740993

            > SELECT sum(integer) FILTER (WHERE integer + 1 > 5), array_agg(integer ORDER BY integer + 1) FILTER (WHERE integer > 0) AS a FROM samples
            sum(integer) FILTER (WHERE integer + 1 > 5),a
            9007199254740993,[9007199254740993]

            > SELECT time + INTERVAL '1 day' AS t, value + 1 AS v FROM samples WHERE signal = 'beta/mill/temperature'
            t,v
            2026-01-02T00:00:00Z,100.5

        "#]],
    );
}

/// Expected values are those of PostgreSQL 15.
#[test]
fn zero_with_a_minus_is_zero() {
    const ROWS: &str = "(VALUES (CAST('-0' AS DOUBLE)), (0), (2)) t(v)";
    let queries = [
        format!("SELECT nullif(v, 0) IS NULL AS n FROM {ROWS} ORDER BY v, n"),
        format!("SELECT nullif(v, 2) IS NULL AS n FROM {ROWS} ORDER BY v, n"),
        format!("SELECT CASE v WHEN 0 THEN 'zero' ELSE 'other' END AS n FROM {ROWS} ORDER BY n"),
        "SELECT nullif(CAST('-0' AS REAL), 0) IS NULL AS n".to_owned(),
        "SELECT nullif(0, CAST('-0' AS DOUBLE)) IS NULL AS n".to_owned(),
    ];
    check(
        &queries.each_ref().map(String::as_str),
        expect![[r#"
        > SELECT nullif(v, 0) IS NULL AS n FROM (VALUES (CAST('-0' AS DOUBLE)), (0), (2)) t(v) ORDER BY v, n
        n
        true
        true
        false

        > SELECT nullif(v, 2) IS NULL AS n FROM (VALUES (CAST('-0' AS DOUBLE)), (0), (2)) t(v) ORDER BY v, n
        n
        false
        false
        true

        > SELECT CASE v WHEN 0 THEN 'zero' ELSE 'other' END AS n FROM (VALUES (CAST('-0' AS DOUBLE)), (0), (2)) t(v) ORDER BY n
        n
        other
        zero
        zero

        > SELECT nullif(CAST('-0' AS REAL), 0) IS NULL AS n
        n
        true

        > SELECT nullif(0, CAST('-0' AS DOUBLE)) IS NULL AS n
        n
        true

    "#]],
    );
}
