//! Membership in what a subquery gives, where a side is NULL. Expected values are those of PostgreSQL 15.

use expect_test::expect;

use tidemill_core::ReadScope;

use super::fake::ask;
use super::small::{check, engine_of, plant};

#[test]
fn what_is_not_known_is_not_false() {
    check(
        &[
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) OR x = 5",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) IS NULL",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) IS NULL",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(3)) w(y))) IS NULL",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE NOT (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) AND x > 0)",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE NOT (x IN (SELECT y FROM (VALUES (2),(3)) w(y)) AND x > 0)",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) OR x = 5",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y))",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(3)) w(y))",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE y > 7)",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE y > 7) OR x = 5",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE CASE WHEN x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) THEN false ELSE true END",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE coalesce(x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)), true)",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) = (x = 2)",
            "SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE x NOT IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h) WHERE h = g) OR x = 5 ORDER BY g, coalesce(x, -1)",
            "SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE (x IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h) WHERE h = g)) IS NULL ORDER BY g, coalesce(x, -1)",
            "SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE x NOT IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h)) ORDER BY g, coalesce(x, -1)",
            "SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE (y NOT IN (SELECT 3 + z FROM (VALUES (0), (NULL)) u(z))) IS NULL)) IS NULL",
        ],
        expect![[r#"
            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) OR x = 5
            n
            0

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) IS NULL
            n
            2

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) IS NULL
            n
            2

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(3)) w(y))) IS NULL
            n
            1

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE NOT (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) AND x > 0)
            n
            0

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE NOT (x IN (SELECT y FROM (VALUES (2),(3)) w(y)) AND x > 0)
            n
            1

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) OR x = 5
            n
            1

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y))
            n
            0

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(3)) w(y))
            n
            1

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE y > 7)
            n
            3

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE y > 7) OR x = 5
            n
            3

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE CASE WHEN x NOT IN (SELECT y FROM (VALUES (2),(NULL)) w(y)) THEN false ELSE true END
            n
            3

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE coalesce(x IN (SELECT y FROM (VALUES (2),(NULL)) w(y)), true)
            n
            3

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y))) = (x = 2)
            n
            1

            > SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE x NOT IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h) WHERE h = g) OR x = 5 ORDER BY g, coalesce(x, -1)
            x
            1
            1
            -1

            > SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE (x IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h) WHERE h = g)) IS NULL ORDER BY g, coalesce(x, -1)
            x
            -1
            3

            > SELECT coalesce(x, -1) AS x FROM (VALUES (1, 1), (2, 1), (1, 2), (3, 2), (1, 3), (NULL, 4), (NULL, 1)) v(x, g) WHERE x NOT IN (SELECT y FROM (VALUES (2, 1), (NULL, 2), (1, 2), (7, 3)) w(y, h)) ORDER BY g, coalesce(x, -1)
            x

            > SELECT count(*) AS n FROM (VALUES (1),(2),(NULL)) v(x) WHERE (x IN (SELECT y FROM (VALUES (2),(NULL)) w(y) WHERE (y NOT IN (SELECT 3 + z FROM (VALUES (0), (NULL)) u(z))) IS NULL)) IS NULL
            n
            2

        "#]],
    );
}

#[test]
fn what_any_and_all_ask_of_each_other_is_bounded() {
    let engine = engine_of(&plant());
    let nested = |levels: usize, by: &str| {
        (0..levels).fold("SELECT 1".to_owned(), |inner, _| {
            format!("SELECT x FROM (VALUES (1), (2)) v(x) WHERE x {by} ({inner})")
        })
    };
    let beside = |times| format!("SELECT 1 AS x WHERE {}", vec!["1 >= ANY (SELECT 1)"; times].join(" AND "));
    let asked = |query: &str| ask(&engine, &ReadScope::everything(), query).replace('\n', " ");
    assert_eq!(asked(&nested(3, ">= ANY")).trim_end(), "x 1 2");
    assert_eq!(asked(&beside(30)).trim_end(), "x 1");
    let left = (0..9).fold("1".to_owned(), |inner, _| format!("CAST({inner} >= ANY (SELECT 1) AS INT)"));
    let named = (1..=5)
        .map(|step| format!("t{step} AS (SELECT x FROM t{} WHERE x >= ALL (SELECT x FROM t{0}))", step - 1));
    let named =
        format!("WITH t0 AS (SELECT 1 AS x), {} SELECT x FROM t5", named.collect::<Vec<_>>().join(", "));
    for query in [
        nested(9, ">= ANY"),
        nested(9, "<> ALL"),
        beside(80),
        format!("SELECT 1 AS x WHERE {left} = 1"),
        named,
    ] {
        let refused = asked(&query);
        assert!(refused.contains("more than 128 subqueries behind ANY and ALL"), "{query}: {refused}");
    }
}
