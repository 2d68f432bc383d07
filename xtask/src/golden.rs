//! `cargo xtask golden`: makes the plant that later versions must be able to open: a little of everything that is kept, backed
//! up by the version that is built here, with what SQL said of it. Kept in crates/tidemill/tests/golden; the house's test
//! `golden` opens each. Run once for a release; a golden plant that stands is never made anew.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use trials::binary::{Binary, Running, Start};
use trials::http::Client;
use trials::{Command, Outcome, shell};

pub(crate) const COMMAND: Command = Command {
    name: "golden",
    arguments: "",
    summary: "Keep a plant of this version, for later ones to open",
    help: "Makes a plant with the binary of this checkout, fills it with a little of everything that is kept, kills it, backs it\n\
           up to crates/tidemill/tests/golden/VERSION.tdm, and writes what SQL said of it beside that. For a release, once.\n\n\
           Example: cargo xtask golden && git add crates/tidemill/tests/golden",
    run: |_| make(),
};

/// Where they are kept.
const FOLDER: &str = "crates/tidemill/tests/golden";
/// The longest that a merge may be waited for.
const MERGED_WITHIN: Duration = Duration::from_secs(120);

const SETTINGS: &str = "\
# A golden plant: `cargo xtask golden` made it.
[plant]
name = \"golden\"
timezone = \"Europe/Berlin\"
[storage]
free_min = \"1MiB\"
merge_every = \"100ms\"
[zone.hall]
cidr = [\"192.0.2.0/24\"]
anonymous = [\"write:hall/#\"]
";

const TEMPLATES: &str = "\
[[template]]
match = { measurement = \"cpu\" }
path = \"{host}/{measurement}/{field}\"
";

/// What line protocol has no words for; and three values of one time.
const SAMPLES: &str = r#"{"signal":"kinds/bytes","time":"2026-03-01T00:00:00Z","value":"0x00ff7f","kind":"bytes"}
{"signal":"kinds/bytes","time":"2026-03-01T00:00:01Z","value":"0x","kind":"bytes"}
{"signal":"kinds/special","time":"2026-03-01T00:00:00Z","value":"NaN","kind":"float"}
{"signal":"kinds/special","time":"2026-03-01T00:00:01Z","value":"-Infinity","kind":"float"}
{"signal":"kinds/none","time":"2026-03-01T00:00:00Z","value":null,"quality":"BadNoCommunication"}
{"signal":"kinds/json","time":"2026-03-01T00:00:02Z","value":"7","kind":"json"}
{"signal":"kinds/text","time":"2026-03-01T00:00:02Z","value":"","kind":"text"}
{"signal":"kinds/equal","time":"2026-03-01T00:00:00Z","value":2}
{"signal":"kinds/equal","time":"2026-03-01T00:00:00Z","value":1}
{"signal":"kinds/equal","time":"2026-03-01T00:00:00Z","value":2,"quality":"Uncertain"}
"#;

/// What is asked of the plant before it is backed up, and of each that is made of it.
const QUERIES: &[&str] = &[
    "SELECT signal, count(*), count(value), sum(value), min(value), max(value), CAST(min(time) AS BIGINT), \
     CAST(max(time) AS BIGINT), sum(CAST(quality AS BIGINT)) FROM samples WHERE signal NOT LIKE 'tidemill/%' GROUP BY 1 ORDER BY 1",
    "SELECT signal, CAST(time AS BIGINT), value, integer, text, quality FROM samples WHERE signal LIKE 'kinds/%' ORDER BY 1, 2, 3, 5, 6",
    "SELECT signal, number, stepped, owner, stale_after FROM signals WHERE signal NOT LIKE 'tidemill/%' ORDER BY 1",
    "SELECT signal, unit, description, kind, tags FROM signals WHERE signal NOT LIKE 'tidemill/%' ORDER BY 1",
    "SELECT signal, action, kind, count(*), min(value), max(value), min(new_value), CAST(min(time) AS BIGINT), who, reason \
     FROM sys.corrections GROUP BY signal, action, kind, who, reason ORDER BY 1, 2, 3",
    "SELECT seq, who, action, target, result FROM sys.audit WHERE action LIKE 'token.%' OR action LIKE 'signal.%' ORDER BY 1",
];

fn make() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let folder = shell::root().join(FOLDER);
    let (file, beside) = (folder.join(format!("{version}.tdm")), folder.join(format!("{version}.json")));
    if file.exists() {
        return Err(format!("{} stands: a golden plant is never made anew", file.display()).into());
    }
    let binary = Binary::build("dev")?;
    let place = std::env::temp_dir().join(format!("tidemill-golden-{}", std::process::id()));
    let plant = place.join("plant");
    std::fs::create_dir_all(plant.join("connections"))?;
    std::fs::create_dir_all(plant.join("displays"))?;
    std::fs::write(plant.join("tidemill.toml"), SETTINGS)?;
    std::fs::write(plant.join("connections/line-protocol.toml"), TEMPLATES)?;
    std::fs::write(plant.join("displays/überblick.json"), "{}\n")?;
    let mut maker = Maker { binary, plant, log: place.join("log"), token: String::new() };
    let expected = maker.fill()?;
    std::fs::create_dir_all(&folder)?;
    maker.cli(&["backup", &file.to_string_lossy()])?;
    std::fs::write(&beside, format!("{expected:#}\n"))?;
    std::fs::remove_dir_all(&place)?;
    println!("made: {} ({} bytes) and {}", file.display(), std::fs::metadata(&file)?.len(), beside.display());
    Ok(())
}

struct Maker {
    binary: Binary,
    plant: PathBuf,
    log: PathBuf,
    token: String,
}

impl Maker {
    fn cli(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.binary.command(&self.plant);
        command.args(words);
        shell::capture(command)
    }

    fn start(&self) -> Result<Running, String> {
        // A listener that speaks TLS is what an authority is made for.
        let listen = "[{ address = \"127.0.0.1:0\", tls = true }]";
        let settings = vec![("TIDEMILL_FLIGHT_LISTEN".to_owned(), listen.to_owned())];
        let start = Start { plant: self.plant.clone(), log: self.log.clone(), settings };
        let mut running = self.binary.start(&start)?;
        running.wait_ready()?;
        Ok(running)
    }

    fn post(&self, running: &Running, target: &str, media_type: &str, body: &str) -> Result<(), String> {
        let mut client = Client::new(running.address, &self.token, Duration::from_secs(60));
        let answer = client.post(target, media_type, body.as_bytes()).map_err(|error| error.to_string())?;
        if answer.status == 204 {
            Ok(())
        } else {
            Err(format!("{target}: {} {}", answer.status, answer.text()))
        }
    }

    fn rows(&self, query: &str) -> Result<Value, String> {
        let answer: Value =
            serde_json::from_str(&self.cli(&["sql", "--json", query])?).map_err(|error| error.to_string())?;
        Ok(answer["rows"].clone())
    }

    /// A little of everything; gives what is expected of those who open it.
    fn fill(&mut self) -> Result<Value, String> {
        let running = self.start()?;
        self.token = self
            .cli(&["token", "create", "all", "--allow", "write:#", "--allow", "read:#"])?
            .trim()
            .to_owned();
        self.history(&running, 0)?;
        running.stop()?;
        // More of the same days in a second file, which are merged then.
        let running = self.start()?;
        self.history(&running, 1)?;
        running.stop()?;
        let running = self.start()?;
        self.merged()?;
        self.kinds(&running)?;
        self.names()?;
        let rights = self.rights()?;
        running.stop()?;
        // What is in the journal alone.
        let running = self.start()?;
        self.post(
            &running,
            "/api/v1/write",
            "text/plain",
            "tail value=1 1772582400000000000\ntail value=2.5 1772582401000000000\n",
        )?;
        self.cli(&["write", "tail/named", "7", "--time", "2026-03-04T00:00:02Z"])?;
        let mut queries = Vec::new();
        for query in QUERIES {
            queries.push(json!({ "sql": query, "rows": self.rows(query)? }));
        }
        let authority = self.authority()?;
        running.kill();
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"), "queries": queries, "token": self.token, "rights": rights,
            "formats": formats()?, "authority": authority,
        }))
    }

    /// The fingerprint that machines which trust it know it by.
    fn authority(&self) -> Result<Value, String> {
        let about: Value =
            serde_json::from_str(&self.cli(&["trust", "--json"])?).map_err(|error| error.to_string())?;
        Ok(about["sha256"].clone())
    }

    /// Days of a machine: decimals, and floats that are none.
    fn history(&self, running: &Running, part: i64) -> Result<(), String> {
        let mut lines = String::new();
        for number in 0..600 {
            let at = 1_767_225_600_000_000_000 + (number * 2 + part) * 431_000_000_000;
            let (decimal, float) = (f64::from(number as i32 % 97) / 4.0, f64::from(number as i32).sqrt());
            lines
                .push_str(&format!("press,line=1 temperature={decimal},load={float},parts={number}i {at}\n"));
            lines.push_str(&format!("cpu,host=edge1 idle={decimal} {at}\n"));
        }
        self.post(running, "/api/v1/write", "text/plain", &lines)
    }

    fn merged(&self) -> Result<(), String> {
        let began = Instant::now();
        while self.rows("SELECT count(*) FROM sys.files WHERE level <> 'flush'")?[0][0].as_u64() == Some(0) {
            if began.elapsed() > MERGED_WITHIN {
                return Err("nothing was merged".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Every kind of value, and qualities.
    fn kinds(&self, running: &Running) -> Result<(), String> {
        let lines = "kinds float=1.5,decimal=20.25,negative=-0.0,integer=-9007199254740993i,unsigned=18446744073709551615u,true=true,\
                     text=\"läuft, \\\"gut\\\"\" 1772323200000000000\n\
                     kinds float=1e300,integer=9223372036854775807i,true=f 1772323200000000001\n\
                     kinds float=2.5 -62135596800000000\nkinds float=3.5 1772323200000000000\n";
        self.post(running, "/api/v1/write", "text/plain", lines)?;
        // As InfluxDB's clients write it: what was there is replaced, and recorded.
        self.post(running, "/write?db=golden", "text/plain", "kinds decimal=21.25 1772323200000000000\n")?;
        self.post(running, "/api/v1/write", "application/x-ndjson", SAMPLES)?;
        let time = "2026-03-01T00:00:01Z";
        for (name, value, options) in [
            ("kinds/json", "{\"a\":[1,null,\"ü\"]}", ["--kind", "json"]),
            ("kinds/uncertain", "4.5", ["--quality", "uncertain"]),
            ("kinds/bad", "0", ["--quality", "bad"]),
            ("kinds/code", "5.5", ["--quality", "0x40900000"]),
        ] {
            self.cli(&["write", name, value, "--time", time, options[0], options[1]])?;
        }
        Ok(())
    }

    /// Names that were given, changed and taken away, and a stretch of time that was deleted.
    fn names(&self) -> Result<(), String> {
        self.cli(&["signals", "set", "press/line=1/temperature", "unit=°C", "description=oil"])?;
        self.cli(&["signals", "set", "press/line=1/parts", "number=integer", "stepped=true", "tag.cell=7"])?;
        self.cli(&[
            "signals",
            "set",
            "kinds/equal",
            "stale_after=5m",
            "owner=token:line",
            "alias=kinds/same",
        ])?;
        self.cli(&["signals", "rename", "press/line=1/load", "press/main/load"])?;
        self.cli(&["write", "gone", "1", "--time", "2026-03-01T00:00:00Z"])?;
        self.cli(&["signals", "delete", "gone", "--reason", "golden"])?;
        let (from, to) = ("2026-01-01T00:00:00Z", "2026-01-01T06:00:00Z");
        self.cli(&[
            "signals",
            "delete",
            "press/line=1/parts",
            "--from",
            from,
            "--to",
            to,
            "--reason",
            "golden",
        ])?;
        Ok(())
    }

    /// Tokens that were made, rotated and revoked; gives what each may.
    fn rights(&self) -> Result<Value, String> {
        self.cli(&["token", "create", "line", "--allow", "write:press/#", "--allow", "read:#"])?;
        self.cli(&["token", "rotate", "line"])?;
        self.cli(&["token", "create", "old", "--allow", "read:#"])?;
        self.cli(&["token", "revoke", "old"])?;
        Ok(json!([
            ["line", "write", "press/x", true],
            ["line", "write", "other", false],
            ["all", "write", "other", true]
        ]))
    }
}

/// The versions of the files of a plant, as docs/spec/formats.md lists them. What a later release changes is told by them.
fn formats() -> Result<Value, String> {
    let page = std::fs::read_to_string(shell::root().join("docs/spec/formats.md"));
    let page = page.map_err(|error| format!("docs/spec/formats.md: {error}"))?;
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        Some((cells.first()?.to_owned(), cells.last()?.parse::<u64>().ok()?))
    });
    Ok(rows
        .map(|(file, version)| (file.to_owned(), version.into()))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_version_is_kept() {
        let file = shell::root().join(FOLDER).join(concat!(env!("CARGO_PKG_VERSION"), ".tdm"));
        let bytes = std::fs::metadata(&file).map(|about| about.len());
        assert!(
            bytes.is_ok_and(|bytes| bytes < 1 << 20),
            "`cargo xtask golden` makes {}, small",
            file.display()
        );
    }
}
