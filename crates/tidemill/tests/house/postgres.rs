//! The PostgreSQL protocol as its clients speak it: psql from Debian, psycopg, psycopg2, asyncpg, ADBC, SQLAlchemy and pandas
//! from PyPI, Grafana's queries as it expands them, and others who mean no good. What a query means is tested in the historian,
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

/// Every command of psql that asks the catalogue, and what its completion asks it: nothing of it fails, whatever there is to
/// tell.
#[test]
fn psqls_commands_are_answered() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    let commands = include_str!("postgres/commands.psql").lines().filter(|line| line.starts_with('\\'));
    let completions =
        include_str!("postgres/completions.sql").lines().filter(|line| line.starts_with("SELECT"));
    let asked: Vec<&str> = commands.chain(completions).collect();
    assert!(asked.len() > 100);
    let mut wrong = String::new();
    for asked in asked {
        let Some(shown) = psql(&plant, &token, &[asked]) else { return };
        // That it did not find any is an answer.
        if shown.code != Some(0) && !shown.err.starts_with("Did not find any ") {
            wrong += &format!("{asked}\n    {}\n", shown.err.trim_end());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What psql makes of answers, as people use it.
#[test]
fn psql_shows_answers_in_every_way() {
    const SCRIPT: &str = r#"
\pset footer off
SELECT 1::int8 AS a, 'x' AS b, now() AS c, ARRAY[1.5::float8] AS d, 2.5::numeric(10,2) AS e \gdesc
SELECT value, nix FROM samples \gdesc
SELECT split_part(signal, '/', 2) AS machine, (value * 0)::int8 + extract(second FROM time)::int8 AS second, value FROM samples WHERE signal IN ('acme/press', 'beta/mill') AND value < 3 AND time < '2026-03-01T00:00:03Z' ORDER BY 1, 2 \crosstabview machine second value
SELECT count(*) AS n, max(value) AS high FROM samples WHERE signal = 'beta/mill' \gx
SELECT count(*) AS rows FROM samples WHERE signal = 'beta/mill' \gset
\echo :rows
SELECT 'SELECT ' || n || ' AS made' FROM (VALUES (1), (2)) AS v(n) ORDER BY n \gexec
\x on
SELECT signal, value FROM samples WHERE signal = 'beta/mill' AND value = 2;
\x off
\pset format csv
SELECT signal, ARRAY[value, NULL] AS list FROM samples WHERE signal = 'beta/mill' AND value = 2;
\pset format unaligned
\pset null (null)
SELECT NULL AS nothing, value FROM samples WHERE signal = 'beta/mill' AND value = 2;
\timing on
\timing off
\copy (SELECT signal, value FROM samples WHERE signal = 'beta/mill' AND value < 2 ORDER BY time) TO 'FILE' CSV HEADER
\copy samples FROM 'FILE' CSV HEADER
\echo :SQLSTATE
\errverbose
"#;
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    let file = plant.home.path("copied.csv");
    let script = plant.home.file("ways.psql", SCRIPT.replace("FILE", &file.display().to_string()));
    let Some(shown) = psql(&plant, &token, &[&format!("\\i {}", script.display())]) else { return };
    let place = format!("{}", script.display());
    let shown = Ran { out: shown.out, err: shown.err.replace(&place, "SCRIPT"), ..shown };
    check(
        &shown,
        expect![[r#"
             Column |           Type           
            --------+--------------------------
             a      | bigint
             b      | text
             c      | timestamp with time zone
             d      | double precision[]
             e      | numeric

             machine | 0 |  1   |  2  
            ---------+---+------+-----
             mill    | 0 |    1 |   2
             press   | 0 | 0.25 | 0.5

            -[ RECORD 1 ]
            n    | 20
            high | 19

            20
             made 
            ------
                1

             made 
            ------
                2

            Expanded display is on.
            -[ RECORD 1 ]-----
            signal | beta/mill
            value  | 2

            Expanded display is off.
            Output format is csv.
            signal,list
            beta/mill,"{2,NULL}"
            Output format is unaligned.
            Null display is "(null)".
            nothing|value
            (null)|2
            Timing is on.
            Timing is off.
            COPY 2
            25006
            psql:SCRIPT:4: ERROR:  there is no column 'nix'
            LINE 1: SELECT value, nix FROM samples 
                                  ^
            DETAIL:  code bad-sql
            HINT:  There are: signal, time, value, integer, text, quality, received, kind, source
            psql:SCRIPT:21: ERROR:  COPY FROM is not allowed: this door only reads
            DETAIL:  code read-only
            HINT:  Use SELECT, EXPLAIN or SHOW; values are written by HTTP (/api/v1/write), MQTT or `tidemill import`
            psql:SCRIPT:23: error: ERROR:  25006: COPY FROM is not allowed: this door only reads
            DETAIL:  code read-only
            HINT:  Use SELECT, EXPLAIN or SHOW; values are written by HTTP (/api/v1/write), MQTT or `tidemill import`
        "#]],
    );
    let copied = std::fs::read_to_string(file).expect("it was copied");
    assert_eq!(copied, "signal,value\nbeta/mill,0\nbeta/mill,1\n");
}

#[test]
fn python_clients_read_as_their_users_do() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    for part in ["psycopg", "psycopg2", "asyncpg", "adbc", "sqlalchemy"] {
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

/// A client that says whatever bytes it likes.
struct Raw(TcpStream);

impl Raw {
    fn connect(address: SocketAddr, token: &str) -> Raw {
        let stream = TcpStream::connect(address).expect("the door listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
        let mut raw = Raw(stream);
        raw.say(
            &[b"\0\0\0\x10\0\x03\0\0user\0a\0\0".to_vec(), said(b'p', format!("{token}\0").as_bytes())]
                .concat(),
        );
        assert!(raw.heard().ends_with("Z:I"));
        raw
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the door listens");
    }

    /// The letters of what is answered, up to `ReadyForQuery` with its state or the end of the connection; errors with theirs.
    fn heard(&mut self) -> String {
        let mut letters = Vec::new();
        loop {
            let mut head = [0; 5];
            match self.0.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("it hangs after {letters:?}")
                }
                Err(_) => return [letters, vec!["end".to_owned()]].concat().join(" "),
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).expect("a whole message");
            let letter = char::from(head[0]);
            let text = String::from_utf8_lossy(&body).into_owned();
            let field =
                |tag: char| text.split('\0').find_map(|field| field.strip_prefix(tag)).unwrap_or_default();
            match letter {
                'Z' => {
                    letters.push(format!("Z:{text}"));
                    return letters.join(" ");
                }
                'E' => letters.push(format!("{} {}", field('S'), field('C'))),
                // Settings and the key for cancelling.
                'S' | 'K' | 'R' => {}
                _ => letters.push(letter.to_string()),
            }
        }
    }
}

/// A message.
fn said(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
    [&[letter][..], &length, body].concat()
}

/// Whatever a message holds, its client learns what it waits for: that the door is ready, or that the connection ends.
#[test]
fn messages_of_every_kind_are_answered_to_their_end() {
    let plant = plant();
    let token = plant.token("anna", &["read:#"]);
    let address = address(&plant);
    let sync = said(b'S', b"");
    let group = |bad: Vec<u8>| [bad, said(b'E', b"\0\0\0\0\0"), sync.clone()].concat();
    let prepared = said(b'P', b"\0SELECT $1::int\0\0\0");
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("Query, not UTF-8", said(b'Q', b"SELECT '\xe4'\0")),
        ("Query, half wrong", said(b'Q', b"SELECT 1; SELECT nope; SELECT 2\0")),
        ("Query, another encoding", said(b'Q', b"SET client_encoding = 'WIN1252'\0")),
        ("Query, the same bytes", said(b'Q', b"SET client_encoding = 'SQL_ASCII'\0")),
        ("Query, empty", said(b'Q', b"\0")),
        ("Query, unending", said(b'Q', b"SELECT 1")),
        ("Query, two texts", said(b'Q', b"SELECT 'a\0b'\0")),
        ("FunctionCall", said(b'F', b"\0\0\0\x01\0\0\0\0\0\0")),
        ("FunctionCall, empty", said(b'F', b"")),
        ("Parse, not UTF-8", group(said(b'P', b"\0SELECT '\xe4'\0\0\0"))),
        ("Parse, wrong", group(said(b'P', b"\0SELECT nope\0\0\0"))),
        ("Parse, short", group(said(b'P', b"\0SELECT 1\0\0\x05"))),
        ("Bind, not UTF-8", group(said(b'B', b"\xe4\0\0\0\0\0\0\0\0"))),
        ("Bind, unknown", group(said(b'B', b"\0nope\0\0\0\0\0\0\0"))),
        (
            "Bind, a value that is not UTF-8",
            group([prepared.clone(), said(b'B', b"\0\0\0\0\0\x01\0\0\0\x01\xe4\0\0")].concat()),
        ),
        (
            "Bind, three bytes for an integer",
            group([prepared, said(b'B', b"\0\0\0\x01\0\x01\0\x01\0\0\0\x03abc\0\0")].concat()),
        ),
        ("Bind, short", group(said(b'B', b"\0\0\xff\xff"))),
        ("Describe, not UTF-8", group(said(b'D', b"S\xe4\0"))),
        ("Describe, unknown", group(said(b'D', b"Pnope\0"))),
        ("Describe, of neither", group(said(b'D', b"X\0"))),
        ("Execute, not UTF-8", group(said(b'E', b"\xe4\0\0\0\0\0"))),
        ("Execute, unknown", group(said(b'E', b"nope\0\0\0\0\0"))),
        ("Close, not UTF-8", group(said(b'C', b"S\xe4\0"))),
        (
            "a wrong one behind a wrong one",
            group([said(b'D', b"Pnope\0"), said(b'Q', b"\xe4\0"), said(b'F', b"")].concat()),
        ),
        ("Sync with more", said(b'S', b"more")),
        (
            "data of COPY",
            [said(b'd', b"\xe4"), said(b'c', b""), said(b'f', b"\xe4\0"), sync.clone()].concat(),
        ),
        ("a password", said(b'p', b"x\0")),
        ("a password, not UTF-8", said(b'p', b"\xe4\0")),
        ("an unknown letter", said(b'!', b"")),
        ("a length of 2", b"Q\0\0\0\x02".to_vec()),
        ("a length of 2 GiB", b"Q\x7f\xff\xff\xff".to_vec()),
    ];
    let mut told = String::new();
    for (name, bytes) in table {
        let mut raw = Raw::connect(address, &token);
        raw.say(&said(b'Q', b"BEGIN\0"));
        assert_eq!(raw.heard(), "C Z:T");
        raw.say(&bytes);
        let mut heard = raw.heard();
        if !heard.ends_with("end") {
            // What was said before has nothing left over for what follows.
            raw.say(&said(b'Q', b"ROLLBACK; SELECT 1\0"));
            heard = format!("{heard}, {}", raw.heard());
        }
        told += &format!("{name}: {heard}\n");
    }
    expect![[r#"
        Query, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        Query, half wrong: T D C ERROR 42703 Z:E, C T D C Z:I
        Query, another encoding: ERROR 22023 Z:E, C T D C Z:I
        Query, the same bytes: C Z:T, C T D C Z:I
        Query, empty: I Z:T, C T D C Z:I
        Query, unending: FATAL 08P01 end
        Query, two texts: FATAL 08P01 end
        FunctionCall: ERROR 0A000 Z:E, C T D C Z:I
        FunctionCall, empty: ERROR 0A000 Z:E, C T D C Z:I
        Parse, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        Parse, wrong: ERROR 42703 Z:E, C T D C Z:I
        Parse, short: FATAL 08P01 end
        Bind, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        Bind, unknown: ERROR 26000 Z:E, C T D C Z:I
        Bind, a value that is not UTF-8: 1 ERROR 22021 Z:E, C T D C Z:I
        Bind, three bytes for an integer: 1 ERROR 22P02 Z:E, C T D C Z:I
        Bind, short: FATAL 08P01 end
        Describe, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        Describe, unknown: ERROR 34000 Z:E, C T D C Z:I
        Describe, of neither: FATAL 08P01 end
        Execute, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        Execute, unknown: ERROR 34000 Z:E, C T D C Z:I
        Close, not UTF-8: ERROR 22021 Z:E, C T D C Z:I
        a wrong one behind a wrong one: ERROR 34000 Z:E, C T D C Z:I
        Sync with more: FATAL 08P01 end
        data of COPY: Z:T, C T D C Z:I
        a password: FATAL 08P01 end
        a password, not UTF-8: FATAL 22021 end
        an unknown letter: FATAL 08P01 end
        a length of 2: FATAL 08P01 end
        a length of 2 GiB: FATAL 54000 end
    "#]]
    .assert_eq(&told);
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
        command.args(["-X", "-At", &words, "-c", "SHOW ssl"]).env("PGPASSWORD", &token);
        ran(command)
    };
    if psql(&plant, &token, &["SELECT 1"]).is_none() {
        return;
    }
    assert_eq!(asked("verify-full").expect(0).out, "on\n");
    let refused = asked("disable").expect(2).err;
    assert!(refused.contains("speaks TLS only"), "{refused}");
}
