//! What clients say with InfluxQL, and what is understood of it.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

/// What InfluxDB 1.6 says of the same, but for what is not spoken here.
#[test]
fn statements_are_read_as_influxdb_reads_them() {
    let mut told = String::new();
    for text in [
        "CREATE DATABASE a",
        "create database \"my;\\\"db\" with duration 3d name x; show databases;",
        ";;SHOW RETENTION POLICIES ON \"a b\"\n;",
        "CREATE RETENTION POLICY x ON a DURATION 1d REPLICATION 1",
        "CREATE DATABASE",
        "CREATE DATABASE; SHOW DATABASES",
        "CREATE DATABASE a b",
        "SHOW DATABASES;\nCREATE DATABASE 1a",
        "CREATE DATABASE \"\"",
        "CREATE DATABASE c WITH",
        "CREATE DATABASE d SHOW DATABASES",
        "CREATE RETENTION POLICY x",
        "SHOW DATABASES extra",
        "SHOW DATABASES; SELECT * FROM a",
        "CREATE",
        " ; ",
    ] {
        told += &match parse(text) {
            Ok(statements) => format!("{statements:?}\n"),
            Err(problem) => format!("{}\n", problem.detail),
        };
    }
    expect![[r#"
        [CreateDatabase { name: "a", policy: false }]
        [CreateDatabase { name: "my;\"db", policy: true }, ShowDatabases]
        [ShowRetentionPolicies]
        [CreateRetentionPolicy]
        error parsing query: found EOF, expected identifier at line 1, char 17
        error parsing query: found ;, expected identifier at line 1, char 16
        error parsing query: found b, expected ; at line 1, char 19
        error parsing query: found 1a, expected identifier at line 2, char 17
        error parsing query: found , expected identifier at line 1, char 17
        error parsing query: found EOF, expected DURATION, NAME, REPLICATION, SHARD at line 1, char 24
        error parsing query: found SHOW, expected ; at line 1, char 19
        error parsing query: found EOF, expected ON at line 1, char 27
        error parsing query: found extra, expected ; at line 1, char 16
        InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and SHOW RETENTION POLICIES
        InfluxQL is not spoken here beyond CREATE DATABASE, CREATE RETENTION POLICY, SHOW DATABASES and SHOW RETENTION POLICIES
        the statement is missing
    "#]].assert_eq(&told);
    assert_eq!(parse(&"SHOW DATABASES;".repeat(STATEMENTS_MAX)).map(|all| all.len()), Ok(STATEMENTS_MAX));
    assert!(parse(&"SHOW DATABASES;".repeat(STATEMENTS_MAX + 1)).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(CREATE|DATABASE|SHOW|WITH|ON|[;\"'\\\\ ä\n]|[a-z]){0,20}") {
        let _ = parse(&text);
    }
}
