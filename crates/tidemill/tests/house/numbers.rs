//! SQL held against a real PostgreSQL: the same expressions are asked there and here, and what differs stands in
//! docs/reference/sql-clients.md, in so many words. What is not here: the protocol ([`super::postgres`]).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::plant::{Plant, ran, skip};

const EXPRESSIONS: &str = include_str!("postgres/expressions.sql");
const PAGE: &str = include_str!("../../../../docs/reference/sql-clients.md");

/// A PostgreSQL of its own, ended with this.
struct Oracle {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Oracle {
    fn start(test: &str) -> Option<Oracle> {
        let below = "usr/lib/postgresql/15/bin";
        let partners = std::env::var_os("TIDEMILL_PARTNERS").map(|folder| Path::new(&folder).join("debian"));
        let places = partners.into_iter().chain([PathBuf::from("/")]).map(|place| place.join(below));
        let Some(programs) = places.into_iter().find(|place| place.join("initdb").is_file()) else {
            skip(test, "there is no PostgreSQL 15; `cargo xtask test` sets it up on Debian");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        if rustix::process::geteuid().is_root() {
            // It does not run as root.
            ran(command("chown", &["nobody", &folder.path().display().to_string()])).expect(0);
        }
        let oracle = Oracle { folder, programs };
        let data = oracle.data();
        oracle
            .run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]);
        let options = format!("-F -h '' -k {} -c TimeZone=UTC", oracle.folder.path().display());
        oracle.run("pg_ctl", &["-D", &data, "-w", "-l", &format!("{data}/log"), "-o", &options, "start"]);
        Some(oracle)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, words: &[&str]) {
        let program = self.programs.join(program).display().to_string();
        let words: Vec<&str> = std::iter::once(program.as_str()).chain(words.iter().copied()).collect();
        let mut command = if rustix::process::geteuid().is_root() {
            let drop = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];
            command("setpriv", &[&drop[..], &words].concat())
        } else {
            command(words[0], &words[1..])
        };
        command.env("LD_LIBRARY_PATH", libraries());
        // What it starts keeps what it is given.
        let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
        assert!(ended.success(), "{words:?}");
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
    }
}

/// Where the libraries of what is unpacked stand, as no system would look for them there.
fn libraries() -> PathBuf {
    let folder = std::env::var_os("TIDEMILL_PARTNERS").map(PathBuf::from).unwrap_or_default();
    folder.join(format!("debian/usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir("/");
    command
}

/// What each expression comes to: a text, or `error` with its SQLSTATE.
fn asked(host: &str, port: &str, password: &str, expressions: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("expressions.sql");
    let ask =
        |text: &&str| format!("SELECT {text};\n\\if :ERROR\n\\echo error :SQLSTATE\n\\endif\n\\echo ==\n");
    std::fs::write(&file, expressions.iter().map(ask).collect::<String>()).expect("a file");
    let mut psql = command("psql", &["-X", "-q", "-At", "-h", host, "-p", port, "-U", "postgres"]);
    psql.args(["-d", "postgres", "-P", "null=NULL", "-f", &file.display().to_string()]);
    let shown = ran({
        psql.env("PGPASSWORD", password);
        psql
    });
    let parts = shown.out.split("==\n").map(|part| part.trim_end_matches('\n').to_owned());
    let told: Vec<String> = parts.take(expressions.len()).collect();
    assert!(shown.out.matches("==\n").count() == expressions.len(), "{}{}", shown.out, shown.err);
    told
}

/// Whether two answers say the same: errors have many words, and states that matter only where numbers are refused.
fn agree(theirs: &str, ours: &str) -> bool {
    match theirs.strip_prefix("error ") {
        Some("22003" | "22012") => theirs == ours,
        Some(_) => ours.starts_with("error "),
        None => theirs == ours,
    }
}

/// The rows of the page's table: an expression, what PostgreSQL says, and what is said here.
fn differing() -> Vec<(&'static str, &'static str, &'static str)> {
    let told = |cell: &'static str| {
        let cell = cell.strip_prefix(' ')?.strip_suffix(' ')?;
        Some(cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or(cell))
    };
    let rows =
        PAGE.lines().skip_while(|line| *line != "| expression | PostgreSQL | Tidemill | why |").skip(2);
    rows.map_while(|line| {
        let mut cells = line.strip_prefix('|')?.split('|');
        Some((told(cells.next()?)?, told(cells.next()?)?, told(cells.next()?)?))
    })
    .collect()
}

#[test]
fn expressions_mean_what_they_mean_in_postgresql() {
    let Some(oracle) = Oracle::start("expressions_mean_what_they_mean_in_postgresql") else { return };
    let plant = Plant::start_with("[postgres]\nlisten = [\"127.0.0.1:0\"]\n");
    let token = plant.token("anna", &["read:#"]);
    let port = super::postgres::address(&plant).port().to_string();
    let ask = |expressions: &[&str]| {
        let theirs = asked(&oracle.folder.path().display().to_string(), "5432", "", expressions);
        let ours = asked("127.0.0.1", &port, &token, expressions);
        theirs.into_iter().zip(ours).collect::<Vec<_>>()
    };
    let listed = differing();
    assert!(listed.len() > 10, "the page has its table");
    let same: Vec<&str> = EXPRESSIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .filter(|line| !listed.iter().any(|(expression, ..)| expression == line))
        .collect();
    assert!(same.len() >= 220);
    let mut wrong = String::new();
    for (expression, (theirs, ours)) in same.iter().zip(ask(&same)) {
        if !agree(&theirs, &ours) {
            wrong += &format!("{expression}\n    PostgreSQL: {theirs}\n    Tidemill:   {ours}\n");
        }
    }
    let expressions: Vec<&str> = listed.iter().map(|(expression, ..)| *expression).collect();
    for ((expression, theirs, ours), (they, we)) in listed.iter().zip(ask(&expressions)) {
        let told =
            |answer: &str| if answer.starts_with("error ") { "error".to_owned() } else { answer.to_owned() };
        if (told(&they), told(&we)) != ((*theirs).to_owned(), (*ours).to_owned()) {
            wrong += &format!("{expression} is not as the page says: {they} there, {we} here\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What drivers learn from the catalogue of how values are sent: types and the functions of theirs, as PostgreSQL has them.
#[test]
fn types_and_their_functions_are_those_of_postgresql() {
    let Some(oracle) = Oracle::start("types_and_their_functions_are_those_of_postgresql") else { return };
    let plant = Plant::start_with("[postgres]\nlisten = [\"127.0.0.1:0\"]\n");
    let token = plant.token("anna", &["read:#"]);
    let port = super::postgres::address(&plant).port().to_string();
    let ours = |question: &str| asked("127.0.0.1", &port, &token, &[question]);
    for (table, columns, least) in [
        (
            "pg_type",
            "oid, typname, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid, \
             typsubscript, typelem, typarray, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, \
             typinput::oid, typreceive::oid, typsend::text, typalign, typstorage, typnotnull, typbasetype, typtypmod, \
             typndims, format_type(oid, NULL)",
            70,
        ),
        (
            "pg_proc",
            "oid, proname, prokind, provolatile, proisstrict, proleakproof, proretset, proparallel, pronargs, \
             pronargdefaults, prorettype, proargtypes, pg_get_function_result(oid), pg_get_function_arguments(oid)",
            170,
        ),
    ] {
        let own = if table == "pg_proc" { "WHERE pronamespace = 11" } else { "" };
        let numbers = ours(&format!("string_agg(oid::text, ', ' ORDER BY oid) FROM {table} {own}"));
        let question = format!("{columns} FROM {table} WHERE oid IN ({}) ORDER BY oid", numbers.concat());
        let theirs = asked(&oracle.folder.path().display().to_string(), "5432", "", &[question.as_str()]);
        let ours = ours(&question);
        assert_eq!(ours.concat().lines().collect::<Vec<_>>(), theirs.concat().lines().collect::<Vec<_>>());
        assert!(theirs.concat().lines().count() >= least, "{theirs:?}");
    }
}

/// Lists as parameters mean by HTTP what IN means.
#[test]
fn lists_are_parameters_by_http() {
    let plant = Plant::with_two_lines("", 20);
    let token = plant.token("anna", &["read:#"]);
    let count = |condition: &str, list: Json| {
        let query = format!("SELECT count(*) FROM samples WHERE signal = 'beta/mill' AND {condition}");
        let body = json!({ "query": query, "parameters": [list] }).to_string();
        plant.post("/api/v1/sql").token(&token).body("application/json", body).send().expect(200).json()["rows"]
            [0][0]
            .clone()
    };
    for (condition, list, expected) in [
        ("value = ANY($1)", json!([1, 2.0, 99]), 2),
        ("value = ANY($1)", json!([]), 0),
        ("value = ANY($1)", json!([1, null]), 1),
        ("value <> ALL($1)", json!([1, 2]), 18),
        ("value <> ALL($1)", json!([1, null]), 0),
        ("value > ANY($1)", json!([17, 30]), 2),
        ("integer = ANY($1)", json!([0, 1]), 2),
        ("signal = ANY($1)", json!(["beta/mill", "nix"]), 20),
        ("time = ANY($1)", json!(["2026-03-01T00:00:01Z", "2026-03-01T00:00:02Z"]), 2),
        ("quality = ANY($1)", json!([0]), 20),
    ] {
        assert_eq!(count(condition, list.clone()), json!(expected), "{condition} {list}");
    }
}
