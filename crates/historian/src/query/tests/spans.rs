//! What becomes an interval, asked by HTTP and by Flight. Expected values are those of PostgreSQL 15, without decimals that are nothing.

use expect_test::expect;

use super::small::check;

#[test]
fn intervals_keep_days_apart_and_are_read_as_postgresql_reads_them() {
    check(
        &[
            "SELECT extract(day from coalesce(max(t) - min(t), interval '0 hours')) AS n FROM (VALUES (TIMESTAMP '2026-01-01 00:00:00'), (TIMESTAMP '2026-01-04 05:00:00')) AS v(t)",
            "SELECT extract(day from (a - b) + interval '1 hour') AS n FROM (VALUES (TIMESTAMP '2026-01-09 00:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "SELECT extract(hour from (a - b)::interval) AS n FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)",
            "SELECT extract(day from d) AS n FROM (SELECT a - b AS d FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b) UNION ALL SELECT interval '9 days 5 hours') AS u ORDER BY 1",
            "SELECT extract(second from '30'::interval) AS n, extract(year from '30'::interval) AS y",
            "SELECT extract(second from x::interval) AS n, extract(day from x::interval) AS d FROM (VALUES ('30'), ('1 day 00:00:05'), (NULL)) AS v(x) ORDER BY 2, 1",
        ],
        expect![[r#"
            > SELECT extract(day from coalesce(max(t) - min(t), interval '0 hours')) AS n FROM (VALUES (TIMESTAMP '2026-01-01 00:00:00'), (TIMESTAMP '2026-01-04 05:00:00')) AS v(t)
            n
            3

            > SELECT extract(day from (a - b) + interval '1 hour') AS n FROM (VALUES (TIMESTAMP '2026-01-09 00:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
            n
            8

            > SELECT extract(hour from (a - b)::interval) AS n FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
            n
            5

            > SELECT extract(day from d) AS n FROM (SELECT a - b AS d FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b) UNION ALL SELECT interval '9 days 5 hours') AS u ORDER BY 1
            n
            8
            9

            > SELECT extract(second from '30'::interval) AS n, extract(year from '30'::interval) AS y
            n,y
            30,0

            > SELECT extract(second from x::interval) AS n, extract(day from x::interval) AS d FROM (VALUES ('30'), ('1 day 00:00:05'), (NULL)) AS v(x) ORDER BY 2, 1
            n,d
            30,0
            5,1
            ,

        "#]],
    );
}
