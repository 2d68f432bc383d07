//! Clients of InfluxDB as they are: its Python clients of three versions, and what Telegraf's two outputs send, byte for byte
//! but for the host. None of them is told that this is no InfluxDB.

use std::io::{Read, Write};
use std::process::Command;

use serde_json::json;

use crate::client::connect;
use crate::partners::{has, python};
use crate::plant::{Plant, ran};

/// Runs a script with the address and a token as `sys.argv`; it fails by itself.
#[track_caller]
fn by_client(test: &str, module: &str, script: &str) -> Option<Plant> {
    let python = python(test).filter(|python| has(python, module, test))?;
    let plant = Plant::start();
    let token = plant.token("client", &["write:#", "read:#"]);
    let file = plant.home.file("client.py", script);
    let mut command = Command::new(&python);
    command.arg(file).args([&plant.address.ip().to_string(), &plant.address.port().to_string(), &token]);
    ran(command).expect(0);
    Some(plant)
}

#[test]
fn the_client_of_version_1() {
    let script = r#"
import sys, influxdb
from influxdb.exceptions import InfluxDBClientError
host, port, token = sys.argv[1:]
def point(fields, time): return {"measurement": "cpu", "tags": {"host": "a b"}, "fields": fields, "time": time}
for gzip in (False, True):
    client = influxdb.InfluxDBClient(host, int(port), "anyone", token, "plant", gzip=gzip)
    assert client.ping().startswith("1.8")
    client.create_database("plant")
    assert client.write_points([])
    assert client.write_points([point({"idle": 1.5, "n": 3, "s": 'x "y"', "on": True}, "2026-03-01T00:00:00Z")])
    assert client.write_points([point({"idle": 2.5}, 1772323201000)], time_precision="ms")
    assert client.write_points([point({"idle": 3.5}, 1772323202)], time_precision="s", retention_policy="autogen")
    assert {"name": "plant"} in client.get_list_database()
    assert client.get_list_retention_policies("plant")[0]["name"] == "autogen"
    try: client.write(["cpu idle=1 1", "bad"], params={"db": "plant"}, protocol="line"); sys.exit("not refused")
    except InfluxDBClientError as error: assert error.code == 400 and "partial write" in str(error) and "dropped=1" in str(error)
    try: client.query("SELECT * FROM cpu"); sys.exit("InfluxQL was understood")
    except InfluxDBClientError as error: assert "/api/v1/sql" in str(error), error
"#;
    let Some(plant) = by_client("the_client_of_version_1", "influxdb", script) else { return };
    let rows = plant.sql(
        "SELECT signal, kind, coalesce(text, CAST(value AS TEXT)), time FROM samples ORDER BY signal, time",
    );
    assert_eq!(
        rows,
        json!([
            ["cpu/host=a b/idle", "float", "1.5", "2026-03-01T00:00:00Z"],
            ["cpu/host=a b/idle", "float", "2.5", "2026-03-01T00:00:01Z"],
            ["cpu/host=a b/idle", "float", "3.5", "2026-03-01T00:00:02Z"],
            ["cpu/host=a b/n", "integer", "3.0", "2026-03-01T00:00:00Z"],
            ["cpu/host=a b/on", "boolean", "1.0", "2026-03-01T00:00:00Z"],
            ["cpu/host=a b/s", "text", "x \"y\"", "2026-03-01T00:00:00Z"],
            ["cpu/idle", "float", "1.0", "1970-01-01T00:00:00.000000001Z"],
        ]),
        "and none twice"
    );
}

#[test]
fn the_client_of_version_2() {
    let script = r#"
import sys
from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.write_api import ASYNCHRONOUS, SYNCHRONOUS
from influxdb_client.rest import ApiException
host, port, token = sys.argv[1:]
for gzip in (False, True):
    with InfluxDBClient(url=f"http://{host}:{port}", token=token, org="acme", enable_gzip=gzip) as client:
        assert client.ping() and client.version().startswith("1.8")
        assert client.health().status == "pass" and client.ready().status == "ready"
        write = client.write_api(write_options=SYNCHRONOUS)
        write.write("plant", record=b"")
        point = Point("mem").tag("host", "b").field("used", 1.5).time(1772323200, WritePrecision.S)
        write.write("plant", record=point, write_precision=WritePrecision.S)
        write.write("plant", record=["mem,host=b used=2.5 1772323201000"], write_precision=WritePrecision.MS)
        client.write_api(write_options=ASYNCHRONOUS).write("plant", record={"measurement": "mem", "tags": {"host": "b"}, "fields": {"free": 7}, "time": 1772323200000000000}).get()
        try: write.write("plant", record="mem used=1 1\nbad"); sys.exit("not refused")
        except ApiException as error: assert error.status == 400 and "dropped=1" in error.message, error.message
        failed = []
        with client.write_api(write_options=WriteOptions(batch_size=700, flush_interval=100), error_callback=lambda *all: failed.append(all)) as batch:
            for number in range(2_000): batch.write("plant", record=Point("batch").tag("kind", "x=,y").field("n", number).time(number + 1))
        assert not failed, failed
wrong = InfluxDBClient(url=f"http://{host}:{port}", token="wrong", org="acme")
try: wrong.write_api(write_options=SYNCHRONOUS).write("plant", record="mem used=1 1"); sys.exit("anyone may write")
except ApiException as error: assert error.status == 401 and "token" in error.message, error.message
"#;
    let Some(plant) = by_client("the_client_of_version_2", "influxdb_client", script) else { return };
    let rows = plant.sql(
        "SELECT signal, count(*), sum(value), CAST(max(time) AS BIGINT) FROM samples GROUP BY signal ORDER BY signal",
    );
    assert_eq!(
        rows,
        json!([
            ["batch/kind=x%3D%2Cy/n", 2_000, 1_999_000.0, 2_000],
            ["mem/host=b/free", 1, 7.0, 1_772_323_200_000_000_000_i64],
            ["mem/host=b/used", 2, 4.0, 1_772_323_201_000_000_000_i64],
            ["mem/used", 1, 1.0, 1],
        ]),
        "and none twice"
    );
    let tags = plant.sql("SELECT tags FROM signals WHERE signal = 'mem/host=b/free'").to_string();
    assert!(["plant", "acme"].iter().all(|tag| tags.contains(tag)), "{tags}");
}

#[test]
fn the_client_of_version_3() {
    let script = r#"
import sys
from influxdb_client_3 import InfluxDBClient3, Point
host, port, token = sys.argv[1:]
for more in ({}, {"write_use_v2_api": False}, {"write_use_v2_api": False, "write_no_sync": True}, {"write_use_v2_api": False, "enable_gzip": True}):
    client = InfluxDBClient3(host=f"http://{host}:{port}", token=token, database="plant", **more)
    assert client.get_server_version().startswith("1.8")
    client.write(Point("three").tag("a", "b").field("x", 1.5).time(1772323200000000000))
    client.write("three,a=b x=2.5 1772323201000", write_precision="ms")
    client.write(["three,a=b x=3.5 1772323202"], write_precision="s")
    try: client.write("three x=1 5\nbad"); sys.exit("not refused")
    except Exception as error: assert "no field" in str(error) and "partial write" in str(error), error
client = InfluxDBClient3(host=f"http://{host}:{port}", token=token, database="plant", write_use_v2_api=False, write_accept_partial=False)
try: client.write("never x=1 5\nbad"); sys.exit("not refused")
except Exception as error: assert "no field" in str(error) and "parsing failed" in str(error), error
"#;
    let Some(plant) = by_client("the_client_of_version_3", "influxdb_client_3", script) else { return };
    let rows = plant
        .sql("SELECT signal, value, CAST(time AS BIGINT) / 1000000000 FROM samples ORDER BY signal, time");
    assert_eq!(
        rows,
        json!([
            ["three/a=b/x", 1.5, 1_772_323_200],
            ["three/a=b/x", 2.5, 1_772_323_201],
            ["three/a=b/x", 3.5, 1_772_323_202],
            ["three/x", 1.0, 0],
        ]),
        "and none twice, none of the refused request"
    );
}

/// Two databases and two buckets get one measurement by the clients as they are: in one signal by default, which is told, and
/// apart by a preset or a template.
#[test]
fn two_databases_are_told_apart() {
    let Some(python) = python("two_databases_are_told_apart") else { return };
    if !["influxdb", "influxdb_client"]
        .iter()
        .all(|module| has(&python, module, "two_databases_are_told_apart"))
    {
        return;
    }
    let mut plant = Plant::start();
    let token = plant.token("client", &["write:#", "read:#"]);
    let script = r#"
import sys, influxdb
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
host, port, token, measurement = sys.argv[1:]
def point(value): return {"measurement": measurement, "tags": {"host": "edge1"}, "fields": {"idle": value}, "time": 1772323200000000000}
for number, database in enumerate(("prod", "staging")):
    one = influxdb.InfluxDBClient(host, int(port), "anyone", token, database)
    one.create_database(database)
    assert one.write_points([point(1.5 + number)])
    assert one.write_points([point(11.5 + number)], retention_policy="one year")
    shown = [each["name"] for each in one.get_list_database()]
    assert database in shown, shown
    with InfluxDBClient(url=f"http://{host}:{port}", token=token, org="acme") as two:
        two.write_api(write_options=SYNCHRONOUS).write(f"{database}2", record=Point(measurement).tag("host", "edge1").field("idle", 101.5 + number).time(1772323200000000000))
"#;
    let file = plant.home.file("two.py", script);
    let write = |plant: &Plant, measurement: &str| {
        let mut command = Command::new(&python);
        command.arg(&file).args([&plant.address.ip().to_string(), &plant.address.port().to_string()]);
        command.args([&token, measurement]);
        ran(command).expect(0);
    };
    let rows = |plant: &Plant| plant.sql("SELECT signal, value FROM samples ORDER BY signal");

    write(&plant, "cpu");
    assert_eq!(rows(&plant), json!([["cpu/host=edge1/idle", 102.5]]), "the last that came");
    plant.process.log_line("event=\"health.began\" code=\"databases-mixed\"");
    let health = plant.sql("SELECT problem, now FROM sys.health WHERE code = 'databases-mixed'");
    assert_eq!(
        health,
        json!([["1 signal(s) were written from a second database, bucket or retention policy", false]])
    );
    let checked = plant.run(&["check"]).expect(3).out;
    assert!(
        checked.contains("cpu/host=edge1/idle") && checked.contains("was written from prod first"),
        "{checked}"
    );
    assert_eq!(checked.matches("samples of both stand in it").count(), 1, "{checked}");

    let templates = r#"
        presets = ["influxdb-databases"]
        [[template]]
        match = { measurement = "weather", rp = "autogen" }
        path = "{bucket}/{measurement}/{field}"
    "#;
    std::fs::create_dir_all(plant.home.plant().join("connections")).unwrap();
    plant.home.file("plant/connections/line-protocol.toml", templates);
    plant.process.log_line("event=\"health.ended\" code=\"databases-mixed\"");
    write(&plant, "mem");
    write(&plant, "weather");
    plant.ok(&["check"]);
    assert_eq!(
        rows(&plant),
        json!([
            ["cpu/host=edge1/idle", 102.5],
            ["prod/mem/host=edge1/idle", 1.5],
            ["prod/one year/mem/host=edge1/idle", 11.5],
            ["prod/one year/weather/host=edge1/idle", 11.5],
            ["prod/weather/idle", 1.5],
            ["prod2/mem/host=edge1/idle", 101.5],
            ["prod2/weather/idle", 101.5],
            ["staging/mem/host=edge1/idle", 2.5],
            ["staging/one year/mem/host=edge1/idle", 12.5],
            ["staging/one year/weather/host=edge1/idle", 12.5],
            ["staging/weather/idle", 2.5],
            ["staging2/mem/host=edge1/idle", 102.5],
            ["staging2/weather/idle", 102.5],
        ])
    );
    let read = plant.ok(&["read", "staging/weather/idle", "--all", "--format", "csv"]);
    assert!(read.contains(",2.5,") && read.lines().count() == 2, "{read}");

    // What `influx_inspect export` writes of both goes where the clients write; so do its rows that are mended.
    let dump = "# DDL\nCREATE DATABASE prod WITH NAME autogen\n# DML\n# CONTEXT-DATABASE:prod\n# CONTEXT-RETENTION-POLICY:autogen\n\
                weather,host=edge1 idle=3.5 1772323201000000000\nweather,host=edge1 idle=3.75 1772323201500000000\nweather,host=edge1 idle=oh 1772323202000000000\n\
                # CONTEXT-DATABASE:staging\n# CONTEXT-RETENTION-POLICY:one year\n\
                weather,host=edge1 idle=13.5 1772323201000000000\nweather,host=edge1 idle=13.75 1772323201500000000\nweather,host=edge1 idle=oh 1772323202000000000\n";
    plant.home.file("dump.lp", dump);
    let imported = plant.run(&["import", "dump.lp"]).expect(3).out;
    assert!(imported.contains("4 samples written"), "{imported}");
    let rejected = std::fs::read_to_string(plant.home.path("dump.lp.rejected")).unwrap();
    let mended = plant.home.file("mended.lp", rejected.replace("=oh", "=4"));
    plant.ok(&["import", &mended.display().to_string()]);
    let imported = plant
        .sql("SELECT signal, value FROM samples WHERE time > '2026-03-01T00:00:00Z' ORDER BY signal, time");
    assert_eq!(
        imported,
        json!([
            ["prod/weather/idle", 3.5],
            ["prod/weather/idle", 3.75],
            ["prod/weather/idle", 4.0],
            ["staging/one year/weather/host=edge1/idle", 13.5],
            ["staging/one year/weather/host=edge1/idle", 13.75],
            ["staging/one year/weather/host=edge1/idle", 4.0],
        ])
    );
    plant.ok(&["check"]);
}

/// Metrics as Telegraf writes them: five tags, of which `dc`, `rack` and `site` are global ones.
const METRICS: &str = "cpu,cpu=cpu0,dc=leeds,host=edge1,rack=r3,site=acme usage_idle=98.39679358731463,usage_user=1.1022044088176353 1772323200000000000\n\
    modbus,dc=leeds,host=edge1,name=press,rack=r3,site=acme,slave_id=1,type=holding_register oil\\ temp=41.5,parts=17i 1772323200000000000\n\
    opcua,dc=leeds,host=edge1,id=ns\\=3;s\\=Temperature,rack=r3,site=acme Temp=12,Quality=\"The operation succeeded. StatusGood (0x0)\" 1772323200000000000\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// As Go's client frames a body whose length it does not know.
fn chunked(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

/// Sends the bytes; gives the whole answer.
fn exchange(plant: &Plant, head: &str, body: &[u8]) -> String {
    let mut stream = connect(plant.address, None);
    let head = format!(
        "{}Connection: close\r\n\r\n",
        head.replace("HOST", &plant.address.to_string()).replace('\n', "\r\n")
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("the plant takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the plant answers");
    answer
}

/// Its output for InfluxDB 1 looks for 204, and reads `results` and `error`; that for 2 counts every 2xx.
#[test]
fn telegraf_writes_by_both_outputs() {
    let plant = Plant::start();
    let token = plant.token("telegraf", &["write:#"]);
    let basic = format!("Basic {}", base64(&format!("telegraf:{token}")));
    let create = format!(
        "POST /query HTTP/1.1\nHost: HOST\nUser-Agent: Telegraf/1.30.1 Go/1.22.1\nContent-Length: 34\nAuthorization: {basic}\n\
         Content-Type: application/x-www-form-urlencoded\nAccept-Encoding: gzip\n"
    );
    let made = exchange(&plant, &create, b"q=CREATE+DATABASE+%22telegraf%22++");
    assert!(
        made.starts_with("HTTP/1.1 200 ") && made.ends_with(r#"{"results":[{"statement_id":0}]}"#),
        "{made}"
    );
    let write_1 = format!(
        "POST /write?consistency=any&db=telegraf&rp=two_weeks HTTP/1.1\nHost: HOST\nUser-Agent: Telegraf/1.30.1 Go/1.22.1\n\
         Transfer-Encoding: chunked\nAuthorization: {basic}\nContent-Encoding: gzip\nContent-Type: text/plain; charset=utf-8\nAccept-Encoding: gzip\n"
    );
    let packed = gzip(METRICS);
    let write_2 = |body: &[u8]| {
        format!(
            "POST /api/v2/write?bucket=telegraf&org=acme HTTP/1.1\nHost: HOST\nUser-Agent: Telegraf/1.30.1 Go/1.22.1\nContent-Length: {}\n\
             Authorization: Token {token}\nContent-Encoding: gzip\nContent-Type: text/plain; charset=utf-8\nAccept-Encoding: gzip\n",
            body.len()
        )
    };
    // What was sent is sent again after a cut: nothing stands twice.
    for _ in 0..2 {
        let written = exchange(&plant, &write_1, &chunked(&packed));
        assert!(written.starts_with("HTTP/1.1 204 "), "{written}");
        let written = exchange(&plant, &write_2(&packed), &packed);
        assert!(written.starts_with("HTTP/1.1 204 "), "{written}");
    }
    // A field that is of another kind elsewhere is no conflict here, and a later value takes the place of an earlier one.
    let later = gzip(&METRICS.replace("parts=17i", "parts=18i").replace("Temp=12,", "Temp=\"off\","));
    assert!(exchange(&plant, &write_2(&later), &later).starts_with("HTTP/1.1 204 "));
    let broken = gzip(
        "cpu,host=edge1 usage_idle=NaN 1772323200000000000\nnet,host=edge1 sent=1i 1772323200000000000\n",
    );
    let partial = exchange(&plant, &write_1, &chunked(&broken));
    assert!(partial.starts_with("HTTP/1.1 400 ") && partial.contains("partial write: line 1:"), "{partial}");
    let rows = plant.sql("SELECT signal, coalesce(text, CAST(value AS TEXT)) FROM samples ORDER BY signal");
    let tags = "dc=leeds,host=edge1";
    assert_eq!(
        rows,
        json!([
            [format!("cpu/cpu=cpu0,{tags},rack=r3,site=acme/usage_idle"), "98.39679358731463"],
            [format!("cpu/cpu=cpu0,{tags},rack=r3,site=acme/usage_user"), "1.1022044088176353"],
            [
                format!(
                    "modbus/{tags},name=press,rack=r3,site=acme,slave_id=1,type=holding_register/oil temp"
                ),
                "41.5"
            ],
            [
                format!("modbus/{tags},name=press,rack=r3,site=acme,slave_id=1,type=holding_register/parts"),
                "18.0"
            ],
            ["net/host=edge1/sent".to_owned(), "1.0"],
            [
                format!("opcua/{tags},id=ns%3D3;s%3DTemperature,rack=r3,site=acme/Quality"),
                "The operation succeeded. StatusGood (0x0)"
            ],
            [format!("opcua/{tags},id=ns%3D3;s%3DTemperature,rack=r3,site=acme/Temp"), "off"],
        ])
    );
}

/// What stood where a sample was written again is told by `sys.corrections`, once the new one is in files.
#[test]
fn a_value_that_is_written_again_takes_the_place_of_the_first() {
    let plant = Plant::start();
    let token = plant.token("client", &["write:#"]);
    let write = |value: &str| {
        let line = format!("cpu,host=a idle={value} 1772323200000000000");
        plant.post("/write?db=plant").token(&token).body("text/plain", line).send().expect(204);
    };
    write("1");
    write("2");
    write("2");
    assert_eq!(plant.sql("SELECT value FROM samples"), json!([[2.0]]));
    let plant = plant.stop().start();
    let corrected = "SELECT action, signal, value, new_value FROM sys.corrections";
    assert_eq!(plant.sql(corrected), json!([["replace", "cpu/host=a/idle", "1", "2"]]));
}

/// A line has as many samples as fields; of a line with a field that cannot be kept the others are.
#[test]
fn an_export_is_counted_in_samples() {
    const T: &str = "177232320000000000";
    let plant = Plant::start();
    let long = "x".repeat(1025);
    let text = format!(
        "m,host=a idle=1,user=2 {T}1\nm,host=a idle=3,user=4,state=\"{long}\" {T}2\nm,host=a on=t {T}3\n"
    );
    let file = plant.home.file("export.lp", &text);
    let file = file.to_str().expect("a name of ours");
    let dry = plant.run(&["import", file, "--dry-run"]).expect(0).out;
    assert!(dry.contains("3 rows, 6 samples would be written, 0 rejected"), "{dry}");
    let told = plant.run(&["import", file]).expect(3).out;
    assert!(told.contains("3 rows, 5 samples written and durable, 1 rejected"), "{told}");
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'm/%'"), json!([[5]]));
    let rejected = std::fs::read_to_string(format!("{file}.rejected")).expect("it has the line");
    assert!(
        rejected.contains("idle=3,user=4,state=") && rejected.contains("the field 'state'"),
        "{rejected}"
    );
}

/// What Telegraf sends when more new names come within an hour than may: it is kept once the limit lets them in.
#[test]
fn names_that_come_too_fast_are_sent_again_and_nothing_is_lost_or_doubled() {
    let home = crate::plant::Home::new();
    std::fs::create_dir(home.plant()).expect("a folder in the temporary folder");
    home.file("plant/tidemill.toml", "[limits]\nsignals_new_per_hour = 3");
    let mut plant = home.start();
    let token = plant.token("telegraf", &["write:#"]);
    let body: String = (0..6).map(|number| format!("m,n={number} f={number} {}\n", number + 1)).collect();
    let doors = ["/write?db=x", "/api/v2/write?bucket=x", "/api/v3/write_lp?db=x"];
    let send =
        |plant: &Plant, door: &str| plant.post(door).token(&token).body("text/plain", body.clone()).send();
    for door in doors {
        let later = send(&plant, door).expect(503);
        assert_eq!(later.header("retry-after"), Some("60"), "{}", later.text());
    }
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal LIKE 'm/%'"), json!([[3]]));
    plant.home.file("plant/tidemill.toml", "[limits]\nsignals_new_per_hour = 100");
    plant.process.log_line("configuration.read");
    for door in doors {
        send(&plant, door).expect(204);
    }
    let rows = plant.sql("SELECT count(*), sum(value) FROM samples WHERE signal LIKE 'm/%'");
    assert_eq!(rows, json!([[6, 15.0]]));
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let number = three
            .iter()
            .enumerate()
            .fold(0_u32, |sum, (place, byte)| sum | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63] as char;
            out.push(if place > three.len() { '=' } else { digit });
        }
    }
    out
}
