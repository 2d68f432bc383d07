//! The PostgreSQL protocol as its clients speak it: psql from Debian, psycopg, psycopg2, asyncpg, SQLAlchemy and pandas from
//! PyPI, Grafana's queries as it expands them, and others who mean no good. What a query means is tested in the historian,
//! the bytes of messages in `sqldoors`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::Value as Json;

use crate::partners::python;
use crate::plant::{Plant, Ran, ran, skip};

const LISTEN: &str = "[postgres]\nlisten = [\"127.0.0.1:0\"]\n";
const SCRIPT: &str = include_str!("postgres_clients.py");

/// A plant with two lines of machines.
fn plant() -> Plant {
    Plant::with_two_lines(LISTEN, 20)
}

/// Where the door listens.
pub(crate) fn address(plant: &Plant) -> SocketAddr {
    let words = plant.process.lines_so_far().iter().flat_map(|line| line.split_whitespace());
    let found = words.into_iter().find_map(|word| word.strip_prefix("postgresql://"));
    found.expect("the ready line names the door").parse().expect("an address")
}

/// What psql prints, if this machine has one.
pub(crate) fn psql(plant: &Plant, token: &str, commands: &[&str]) -> Option<Ran> {
    let address = address(plant);
    let mut command = Command::new("psql");
    command.args([
        "-X",
        "-h",
        &address.ip().to_string(),
        "-p",
        &address.port().to_string(),
        "-U",
        "anna",
        "press",
    ]);
    command
        .args(commands.iter().flat_map(|text| ["-c", text]))
        .env("PGPASSWORD", token)
        .env("LANG", "C.UTF-8");
    if Command::new("psql").arg("--version").output().is_err() {
        skip("psql", "this machine has no psql: postgresql-client of Debian");
        return None;
    }
    Some(ran(command))
}

/// What a part of the clients' script prints.
fn clients(plant: &Plant, test: &str, words: &[&str]) -> Option<Ran> {
    let python = python(test)?;
    let address = address(plant);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &address.ip().to_string(), &address.port().to_string()]).args(words);
    Some(ran(command))
}

fn check(shown: &Ran, expected: Expect) {
    expected.assert_eq(&format!("{}{}", shown.out, shown.err));
}

#[test]
fn psql_looks_around() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    let commands = [
        "SELECT signal, time, value FROM samples WHERE signal = 'acme/press' ORDER BY time LIMIT 2",
        "\\d",
        "\\d samples",
        "\\d+ signals",
        "\\dn",
        "\\l",
        "\\df",
        "\\sf read",
        "COPY (SELECT signal, count(*) FROM samples WHERE signal LIKE '%/mill' GROUP BY 1) TO STDOUT (FORMAT csv, HEADER)",
        "BEGIN; SELECT 1; SELECT nix FROM samples; SELECT 2",
        "INSERT INTO samples VALUES ('a')",
    ];
    // Others draw some of the tables otherwise.
    let version =
        Command::new("psql").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    if !String::from_utf8_lossy(&version).contains(" 15.") {
        skip("psql_looks_around", "this machine has no psql 15");
        return;
    }
    if let Some(shown) = psql(&plant, &token, &commands) {
        check(
            &shown,
            expect![[r#"
                   signal   |          time          | value 
                ------------+------------------------+-------
                 acme/press | 2026-03-01 00:00:00+00 |     0
                 acme/press | 2026-03-01 00:00:01+00 |  0.25
                (2 rows)

                          List of relations
                 Schema |  Name   | Type  |  Owner   
                --------+---------+-------+----------
                 public | samples | table | tidemill
                 public | signals | table | tidemill
                (2 rows)

                                        Table "public.samples"
                  Column  |           Type           | Collation | Nullable | Default 
                ----------+--------------------------+-----------+----------+---------
                 signal   | text                     |           | not null | 
                 time     | timestamp with time zone |           | not null | 
                 value    | double precision         |           |          | 
                 integer  | bigint                   |           |          | 
                 text     | text                     |           |          | 
                 quality  | bigint                   |           | not null | 
                 received | timestamp with time zone |           |          | 
                 kind     | text                     |           | not null | 
                 source   | text                     |           |          | 

                                                                                                                  Table "public.signals"
                    Column    |           Type           | Collation | Nullable | Default | Storage | Compression | Stats target |                                              Description                                               
                --------------+--------------------------+-----------+----------+---------+---------+-------------+--------------+--------------------------------------------------------------------------------------------------------
                 signal       | text                     |           | not null |         | plain   |             |              | The signal's path
                 unit         | text                     |           |          |         | plain   |             |              | The unit as shown, such as °C
                 description  | text                     |           |          |         | plain   |             |              | A sentence for people
                 kind         | text                     |           |          |         | plain   |             |              | What its last value is: none, float, integer, unsigned, boolean, text, json or bytes
                 source       | text                     |           |          |         | plain   |             |              | Who wrote last, by name
                 tags         | text                     |           |          |         | plain   |             |              | Further facts by name, as a JSON object
                 last_time    | timestamp with time zone |           |          |         | plain   |             |              | The time of the last sample
                 last_value   | double precision         |           |          |         | plain   |             |              | The last value as a number
                 last_quality | bigint                   |           |          |         | plain   |             |              | The OPC UA status code of the last value; Uncertain_LastUsableValue when it is older than stale_after
                 last_integer | bigint                   |           |          |         | plain   |             |              | The last value where it is an integer, with all its digits
                 last_text    | text                     |           |          |         | plain   |             |              | The last value where it is text or JSON; bytes as 0x…; the digits of an unsigned integer beyond BIGINT
                 unit_ucum    | text                     |           |          |         | plain   |             |              | The unit as a UCUM code, such as Cel
                 number       | text                     |           |          |         | plain   |             |              | What a bare number written to it becomes: float or integer
                 stepped      | boolean                  |           |          |         | plain   |             |              | Whether a value holds until the next; NULL: by kind
                 owner        | text                     |           |          |         | plain   |             |              | Who alone may write it
                 stale_after  | double precision         |           |          |         | plain   |             |              | After how many seconds without a sample the last value is stale; NULL for never
                 aliases      | text                     |           |          |         | plain   |             |              | Its other names that you may read, as a JSON array
                 creator      | text                     |           |          |         | plain   |             |              | Who wrote it first
                 created      | timestamp with time zone |           |          |         | plain   |             |              | When it was first seen
                Replica Identity: NOTHING
                Access method: heap

                  List of schemas
                  Name  |  Owner   
                --------+----------
                 public | tidemill
                 sys    | tidemill
                (2 rows)

                                                        List of databases
                 Name  |  Owner   | Encoding | Collate | Ctype | ICU Locale | Locale Provider | Access privileges 
                -------+----------+----------+---------+-------+------------+-----------------+-------------------
                 press | tidemill | UTF8     | C       | C     |            | libc            | 
                (1 row)

                                                                                                              List of functions
                 Schema |     Name     | Result data type |                                                                    Argument data types                                                                    | Type 
                --------+--------------+------------------+-----------------------------------------------------------------------------------------------------------------------------------------------------------+------
                 public | is_bad       | boolean          | quality bigint                                                                                                                                            | func
                 public | is_good      | boolean          | quality bigint                                                                                                                                            | func
                 public | is_uncertain | boolean          | quality bigint                                                                                                                                            | func
                 public | matches      | boolean          | signal text, pattern text                                                                                                                                 | func
                 public | quality_name | text             | quality bigint                                                                                                                                            | func
                 public | read         | SETOF record     | pattern text, "from" timestamp with time zone DEFAULT NULL, "to" timestamp with time zone DEFAULT NULL, mode text DEFAULT NULL, every bigint DEFAULT NULL | func
                (6 rows)

                CREATE FUNCTION public.read(pattern text, "from" timestamp with time zone DEFAULT NULL, "to" timestamp with time zone DEFAULT NULL, mode text DEFAULT NULL, every bigint DEFAULT NULL)
                 RETURNS SETOF record
                 LANGUAGE internal
                AS $function$in FROM: the samples of the signals of a pattern, in a retrieval mode$function$
                signal,count
                beta/mill,20
                BEGIN
                 ?column? 
                ----------
                        1
                (1 row)

                ERROR:  there is no column 'nix'
                LINE 1: BEGIN; SELECT 1; SELECT nix FROM samples; SELECT 2
                                                ^
                DETAIL:  code bad-sql
                HINT:  There are: signal, time, value, integer, text, quality, received, kind, source
                ERROR:  INSERT is not allowed: this door only reads
                DETAIL:  code read-only
                HINT:  Use SELECT, EXPLAIN or SHOW; values are written by HTTP (/api/v1/write), MQTT or `tidemill import`
            "#]],
        );
    }
}

#[test]
fn python_clients_read_as_their_users_do() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    for part in ["psycopg", "psycopg2", "asyncpg", "sqlalchemy"] {
        let Some(shown) = clients(&plant, "python_clients_read_as_their_users_do", &[part, &token]) else {
            return;
        };
        let shown = shown.expect(0);
        assert_eq!(shown.out.lines().last(), Some("done"), "{part}: {}{}", shown.out, shown.err);
    }
}

/// The driver that DBeaver has, asked what DBeaver asks, and used as programs of Java use it.
#[test]
fn programs_of_java_read_as_their_users_do() {
    const TEST: &str = "programs_of_java_read_as_their_users_do";
    let Some(python) = python(TEST) else { return };
    let folder = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from).unwrap_or_default();
    let driver = folder.join("debian/usr/share/java/postgresql.jar");
    if !driver.is_file() {
        skip(TEST, "there is no JDBC driver: libpostgresql-jdbc-java of Debian");
        return;
    }
    let plant = plant();
    let (token, address) = (plant.token("anna", &["read:#"]), address(&plant));
    let mut command = Command::new(python);
    command.args(["-c", include_str!("postgres_jdbc.py"), &address.ip().to_string()]);
    command.args([&address.port().to_string(), &token]).arg(driver);
    let shown = ran(command).expect(0);
    assert_eq!(shown.out.lines().last(), Some("done"), "{}{}", shown.out, shown.err);
}

#[test]
fn nobody_reads_more_than_they_may() {
    let plant = plant();
    let narrow = plant.token("narrow", &["read:acme/#"]);
    let revoked = plant.token("revoked", &["read:#"]);
    let script = format!("{}", plant.home.plant().display());
    let words = ["rights", &narrow, &revoked, env!("CARGO_BIN_EXE_tidemill"), &script];
    let Some(shown) = clients(&plant, "nobody_reads_more_than_they_may", &words) else { return };
    check(
        &shown.expect(0),
        expect![[r#"
        wrong: FATAL:  password authentication failed for user "anna"
        empty: fe_sendauth: no password supplied
        anonymous: FATAL:  password authentication failed for user "anonymous"
        narrow: [('acme/press',), ('acme/press/state',)] [('acme/press',), ('acme/press/state',)]
        tables: [(0,)]
        before: [(60,)]
        after: password authentication failed for user "anna" True
    "#]],
    );
}

/// Every query of the dashboards in docs/grafana, as Grafana expands it.
#[test]
fn grafanas_dashboards_are_answered() {
    let plant = plant();
    let token = plant.token("grafana", &["read:#"]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana/dashboards/signals.json");
    let board: Json = serde_json::from_slice(&std::fs::read(folder).expect("the dashboard")).expect("JSON");
    let targets =
        board["panels"].as_array().into_iter().flatten().flat_map(|panel| panel["targets"].as_array());
    let mut queries: Vec<String> =
        targets.flatten().map(|target| target["rawSql"].as_str().unwrap_or_default().to_owned()).collect();
    queries.push(board["templating"]["list"][0]["query"].as_str().unwrap_or_default().to_owned());
    assert!(queries.len() > 5 && queries.iter().all(|query| !query.is_empty()));
    for query in queries {
        let query = expanded(&query);
        assert!(!query.contains('$'), "{query}");
        let Some(shown) = psql(&plant, &token, &[&query]) else { return };
        let shown = shown.expect(0);
        assert!(
            shown.err.is_empty() && !shown.out.contains("(0 rows)"),
            "{query}: {}{}",
            shown.out,
            shown.err
        );
    }
}

/// As Grafana's macros of PostgreSQL are written (`pkg/tsdb/grafana-postgresql-datasource/macros.go`), for the hour of the
/// samples.
fn expanded(query: &str) -> String {
    let (from, to) = ("'2026-03-01T00:00:00Z'", "'2026-03-01T01:00:00Z'");
    let (first, last) = ("1772323200", "1772326800");
    let epoch = |seconds: u32| format!("floor(extract(epoch from time)/{seconds})*{seconds}");
    [
        ("$__timeGroupAlias(time, $__interval)", format!("{} AS \"time\"", epoch(60))),
        ("$__timeGroup(time, '5m')", epoch(300)),
        ("$__timeFilter(time)", format!("time BETWEEN {from} AND {to}")),
        ("$__timeFrom()", from.to_owned()),
        ("$__timeTo()", to.to_owned()),
        (
            "$__unixEpochFilter(extract(epoch from time))",
            format!("extract(epoch from time) >= {first} AND extract(epoch from time) <= {last}"),
        ),
        ("$__unixEpochFrom()", first.to_owned()),
        ("$__unixEpochTo()", last.to_owned()),
        // Every sample is good here: whether the others are counted is not what is asked.
        ("AND NOT is_good(quality)", String::new()),
        ("$signal", "'acme/press','beta/mill'".to_owned()),
    ]
    .into_iter()
    .fold(query.to_owned(), |query, (word, means)| query.replace(word, &means))
}

/// What comes back for bytes that are no client's, until the door closes.
fn thrown(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the door listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
    // It may have been closed meanwhile.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn strangers_bytes_do_no_harm() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    let address = address(&plant);
    let start = |parameters: &[u8]| {
        let length = u32::try_from(8 + parameters.len()).expect("short").to_be_bytes();
        [&length[..], &196_608_u32.to_be_bytes(), parameters].concat()
    };
    let table: [(&str, Vec<u8>, &str); 7] = [
        ("nothing", Vec::new(), ""),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "08P01"),
        ("a huge packet", [&u32::MAX.to_be_bytes()[..], b"xxxx"].concat(), "08P01"),
        ("half a packet", start(b"user\0an")[..10].to_vec(), ""),
        ("no user", start(b"\0"), "28000"),
        ("version 2", [8_u32.to_be_bytes(), 131_072_u32.to_be_bytes()].concat(), "08P01"),
        ("a statement for a password", [start(b"user\0a\0\0"), b"Q\0\0\0\x06x\0".to_vec()].concat(), "08P01"),
    ];
    for (name, bytes, state) in table {
        let answer = thrown(address, &bytes);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(state) && (!state.is_empty() || answer.is_empty()), "{name}: {answer:?}");
    }
    // Whoever opens a thousand connections and says nothing keeps nobody out for longer than their beginning lasts.
    let crowd: Vec<TcpStream> = (0..1_000).filter_map(|_| TcpStream::connect(address).ok()).collect();
    assert!(crowd.len() > 500);
    drop(crowd);
    let refused = plant.get("/metrics").token(&plant.token("admin", &["administer:#"])).send().expect(200);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    let count =
        text.lines().find(|line| line.contains("tidemill_limit_refused_total{limit=\"postgres_beginning\"}"));
    assert!(count.is_some_and(|line| !line.ends_with(" 0")), "{count:?}");
    for _ in 0..100 {
        let Some(shown) = psql(&plant, &token, &["SELECT 1 AS one"]) else { return };
        if shown.code == Some(0) {
            return;
        }
    }
    panic!("nobody gets in any more");
}

/// A listener that encrypts turns away who does not, and its certificate is for the address that was asked.
#[test]
fn tls_is_asked_for_and_checked() {
    let plant = Plant::start_with("[postgres]\nlisten = [{ address = \"127.0.0.1:0\", tls = true }]\n");
    let token = plant.token("anna", &["read:#"]);
    let authority = plant.home.path("ca.pem");
    plant.ok(&["trust", "--output", &authority.display().to_string()]);
    let port = address(&plant).port();
    let asked = |mode: &str| {
        let words = format!(
            "host=127.0.0.1 port={port} user=a dbname=b sslmode={mode} sslrootcert={}",
            authority.display()
        );
        let mut command = Command::new("psql");
        command.args(["-X", "-At", &words, "-c", "SELECT 1"]).env("PGPASSWORD", &token);
        ran(command)
    };
    if psql(&plant, &token, &["SELECT 1"]).is_none() {
        return;
    }
    assert_eq!(asked("verify-full").expect(0).out, "1\n");
    let refused = asked("disable").expect(2).err;
    assert!(refused.contains("speaks TLS only"), "{refused}");
}
