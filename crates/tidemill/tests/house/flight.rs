//! Flight SQL as its clients speak it: ADBC and pyarrow as they come from PyPI, and others who mean no good. What a query
//! means is tested in the historian, the bytes of messages in `sqldoors`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::partners::python;
use crate::plant::{Plant, ran};

/// What every script begins with: `argv` is the address, then tokens.
const BEGIN: &str = r#"
import datetime, json, re, sys, warnings
import pyarrow as pa, pyarrow.flight as fl
import adbc_driver_manager as adbc, adbc_driver_flightsql.dbapi as dbapi
warnings.simplefilter("ignore")
uri, tokens = sys.argv[1], sys.argv[2:]
token = tokens[0]
def connect(token=token, **options):
    return dbapi.connect(uri, {"adbc.flight.sql.authorization_header": "Bearer " + token, **options}, autocommit=True)
def failing(work):
    try:
        work()
    except Exception as error:
        # Without what drivers of one version or another put behind it.
        return re.sub(r"(\. gRPC client debug context| \(\w+; \w).*$", "", str(error))
    return "nothing failed"
"#;

const LISTEN: &str = "[flight]\nlisten = [\"127.0.0.1:0\"]\n";

/// A plant with two lines of machines.
fn plant() -> Plant {
    Plant::with_two_lines(LISTEN, 100)
}

/// Where the door listens.
fn address(plant: &Plant) -> String {
    let words = plant.process.lines_so_far().iter().flat_map(|line| line.split_whitespace());
    let address = words.into_iter().find(|word| word.starts_with("grpc"));
    address.expect("the ready line names the door").to_owned()
}

fn socket(plant: &Plant) -> TcpStream {
    let address = address(plant);
    let (_, address) = address.split_once("://").expect("an address has a scheme");
    let stream = TcpStream::connect(address).expect("the door listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
    stream
}

/// What a script prints.
fn run(python: &Path, plant: &Plant, script: &str, words: &[&str]) -> Json {
    let mut command = Command::new(python);
    command.args(["-c", &format!("{BEGIN}{script}"), &address(plant)]).args(words);
    ran(command).expect(0).json()
}

/// One line for each of what a script tells.
fn shown(told: &Json) -> String {
    let lines: Vec<String> = match told {
        Json::Object(members) => members.iter().map(|(name, told)| format!("{name}: {told}")).collect(),
        other => other.as_array().into_iter().flatten().map(Json::to_string).collect(),
    };
    lines.join("\n")
}

#[test]
fn adbc_reads_as_its_users_do() {
    const SCRIPT: &str = r#"
told = {}
with connect() as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT signal, count(*) AS n, max(value) AS most FROM samples GROUP BY signal ORDER BY signal")
        table = cursor.fetch_arrow_table()
        told["schema"] = str(table.schema)
        told["rows"] = table.to_pylist()
        cursor.execute("SELECT time, value FROM samples WHERE signal = $1 AND value > $2 ORDER BY time LIMIT 2", ("acme/press", 10.0))
        told["bound"] = [[str(cell) for cell in row] for row in cursor.fetchall()]
        cursor.execute("SELECT $1 + 1 AS next", pa.record_batch({"1": [1, 2, 3]}))
        told["many"] = cursor.fetchall()
        times = pa.array([[datetime.datetime(2026, 3, 1, 0, 0, second, tzinfo=datetime.timezone.utc) for second in (1, 2)]])
        for column, wanted in (("value", [[0.25, None, 7e9], []]), ("quality", [[0, 1]]), ("signal", [["acme/press", "nix"]]), ("time", times)):
            cursor.execute(f"SELECT count(*) FROM samples WHERE signal = 'acme/press' AND {column} = ANY($1)", pa.record_batch({"1": wanted}))
            told["any " + column] = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM read($1, $2)", ("acme/press", datetime.datetime(2026, 3, 1, 0, 1, 30, tzinfo=datetime.timezone.utc)))
        told["read"] = cursor.fetchall()
        told["open list"] = str(cursor.adbc_prepare("SELECT count(*) FROM read($1, $2, $3) WHERE value = ANY($4)"))
        cursor.execute("SELECT $1 IS NULL AS none, coalesce($1, 7) AS seven", (None,))
        told["null"] = cursor.fetchall()
        told["described"] = str(cursor.adbc_execute_schema("SELECT signal, time FROM samples"))
        told["open"] = str(cursor.adbc_prepare("SELECT value FROM samples WHERE signal = $1 AND time > $2"))
        cursor.execute("SELECT value FROM samples WHERE false")
        told["empty"] = cursor.fetch_arrow_table().shape
        told["wrong"] = failing(lambda: cursor.execute("SELECT valu FROM samples"))
        told["write"] = failing(lambda: cursor.execute("INSERT INTO samples VALUES (1)"))
        told["update"] = failing(lambda: cursor.executemany("DELETE FROM samples WHERE signal = $1", [("a",)]))
        told["ingest"] = failing(lambda: cursor.adbc_ingest("samples", pa.table({"a": [1]})))
    # By PollFlightInfo: the first answer has all of it, and the next says so.
    with connection.cursor() as cursor, connection.cursor() as reader:
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        told["polled"] = []
        while partitions := cursor.adbc_execute_partitions("SELECT count(*) FROM samples")[0]:
            for partition in partitions:
                reader.adbc_read_partition(partition)
                told["polled"].append(reader.fetchall())
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.flight.sql.rpc.timeout_seconds.query": "0.5", "adbc.flight.sql.rpc.timeout_seconds.fetch": "0.5"})
        late = lambda: (cursor.execute("SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b WHERE a.value <> b.value"), cursor.fetchall())
        told["late"] = failing(late).split(":")[0]
print(json.dumps(told))
"#;
    let Some(python) = python("adbc_reads_as_its_users_do") else { return };
    let plant = plant();
    let token = plant.token("reader", &["read:#"]);
    let told = run(&python, &plant, SCRIPT, &[&token]);
    expect![[r#"
        any quality: [[100]]
        any signal: [[100]]
        any time: [[2]]
        any value: [[1],[0]]
        bound: [["2026-03-01 00:00:41+00:00","10.25"],["2026-03-01 00:00:42+00:00","10.5"]]
        described: "signal: string not null\ntime: timestamp[ns, tz=UTC] not null"
        empty: [0,1]
        ingest: "NOT_IMPLEMENTED: [FlightSQL] read-only: loading rows is not allowed: this door only reads. Use SELECT, EXPLAIN or SHOW; values are written by HTTP (/api/v1/write), MQTT or `tidemill import`"
        late: "TIMEOUT"
        many: [[2],[3],[4]]
        null: [[true,7]]
        open: "$1: string\n$2: timestamp[ns, tz=UTC]"
        open list: "$1: string\n$2: string\n$3: string\n$4: list<item: double>\n  child 0, item: double"
        polled: [[[300]]]
        read: [[10]]
        rows: [{"most":24.75,"n":100,"signal":"acme/press"},{"most":null,"n":100,"signal":"acme/press/state"},{"most":99.0,"n":100,"signal":"beta/mill"}]
        schema: "signal: string not null\nn: int64 not null\nmost: double"
        update: "INVALID_ARGUMENT: [FlightSQL] bad-sql: DELETE is not allowed: this door only reads. Use SELECT, EXPLAIN, DESCRIBE or SHOW TABLES; values are written by /api/v1/write"
        write: "INVALID_ARGUMENT: [FlightSQL] bad-sql: INSERT is not allowed: this door only reads. Use SELECT, EXPLAIN, DESCRIBE or SHOW TABLES; values are written by /api/v1/write"
        wrong: "INVALID_ARGUMENT: [FlightSQL] bad-sql: there is no column 'valu' (line 1, column 8). Did you mean value?""#]].assert_eq(&shown(&told));
}

#[test]
fn the_catalogue_is_what_a_query_finds() {
    const SCRIPT: &str = r#"
told = {}
with connect() as connection:
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    told["tables"] = {
        f'{catalog["catalog_name"]}.{schema["db_schema_name"]}.{table["table_name"]}':
            [table["table_type"], len(table["table_columns"])]
        for catalog in objects for schema in catalog["catalog_db_schemas"] for table in schema["db_schema_tables"]
        if schema["db_schema_name"] == "public"
    }
    few = connection.adbc_get_objects(depth="tables", db_schema_filter="s_s", table_name_filter="lim%").read_all().to_pylist()
    told["few"] = [table["table_name"] for schema in few[0]["catalog_db_schemas"] for table in schema["db_schema_tables"]]
    told["types"] = connection.adbc_get_table_types()
    told["columns"] = str(connection.adbc_get_table_schema("samples"))
    told["system"] = connection.adbc_get_table_schema("limits", db_schema_filter="sys").names
    info = connection.adbc_get_info()
    told["info"] = {key: info[key] for key in ("vendor_name", "vendor_arrow_version")}
client = fl.FlightClient(uri)
options = fl.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
def ask(name, body=b""):
    url = b"type.googleapis.com/arrow.flight.protocol.sql." + name
    command = b"\x0a" + bytes([len(url)]) + url + (b"\x12" + bytes([len(body)]) + body if body else b"")
    info = client.get_flight_info(fl.FlightDescriptor.for_command(command), options)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    table.validate(full=True)
    assert table.schema == info.schema == client.get_schema(fl.FlightDescriptor.for_command(command), options).schema
    return table
infos = ask(b"CommandGetSqlInfo")
told["infos"] = [infos.num_rows, str(infos.schema)]
told["some"] = ask(b"CommandGetSqlInfo", b"\x0a\x06\x00\x03\x80\x04\x85\x04").to_pylist()
types = ask(b"CommandGetXdbcTypeInfo")
told["xdbc"] = [types.num_rows, types["type_name"].to_pylist()]
told["bigint"] = ask(b"CommandGetXdbcTypeInfo", b"\x08\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01")["type_name"].to_pylist()
told["keys"] = [ask(name).shape for name in (b"CommandGetPrimaryKeys", b"CommandGetExportedKeys", b"CommandGetImportedKeys", b"CommandGetCrossReference")]
told["catalogs"] = ask(b"CommandGetCatalogs").to_pylist()
told["schemas"] = [row["db_schema_name"] for row in ask(b"CommandGetDbSchemas").to_pylist() if row["db_schema_name"] in ("public", "sys")]
told["actions"] = sorted(action.type for action in client.list_actions(options))
told["flights"] = len(list(client.list_flights(options=options)))
print(json.dumps(told))
"#;
    let Some(python) = python("the_catalogue_is_what_a_query_finds") else { return };
    let plant = plant();
    let token = plant.token("chief", &["read:#", "administer:#"]);
    let told = run(&python, &plant, SCRIPT, &[&token]);
    expect![[r#"
        actions: ["CancelFlightInfo","CancelQuery","ClosePreparedStatement","CreatePreparedStatement"]
        bigint: ["BIGINT","BIGINT UNSIGNED"]
        catalogs: [{"catalog_name":"tidemill"}]
        columns: "signal: string not null\ntime: timestamp[ns, tz=UTC] not null\nvalue: double\ninteger: int64\ntext: string\nquality: uint32 not null\nreceived: timestamp[ns, tz=UTC]\nkind: string not null\nsource: string"
        few: ["limits"]
        flights: 0
        info: {"vendor_arrow_version":"1.5","vendor_name":"Tidemill"}
        infos: [89,"info_name: uint32 not null\nvalue: dense_union<string_value: string=0, bool_value: bool=1, bigint_value: int64=2, int32_bitmask: int32= (... 104 chars omitted) not null\n  child 0, string_value: string\n  child 1, bool_value: bool\n  child 2, bigint_value: int64\n  child 3, int32_bitmask: int32\n  child 4, string_list: list<string_data: string>\n      child 0, string_data: string\n  child 5, int32_to_int32_list_map: map<int32, list<$data$: int32>>\n      child 0, entries: struct<key: int32 not null, value: list<$data$: int32>> not null\n          child 0, key: int32 not null\n          child 1, value: list<$data$: int32>\n              child 0, $data$: int32"]
        keys: [[0,6],[0,13],[0,13],[0,13]]
        schemas: ["public","sys"]
        some: [{"info_name":0,"value":"Tidemill"},{"info_name":3,"value":true},{"info_name":512,"value":["date_bin","date_part","date_trunc","now","to_timestamp"]},{"info_name":517,"value":[[0,[0,2,6,7,19]],[6,[0,6,7,19]],[16,[4,16,19]],[19,[0,2,4,6,7,16,19]]]}]
        system: ["name","max","used","high_water","refused","share","key","description"]
        tables: {"tidemill.public.samples":["TABLE",9],"tidemill.public.signals":["TABLE",19]}
        types: ["SYSTEM TABLE","TABLE"]
        xdbc: [13,["BOOLEAN","TINYINT","BIGINT","BIGINT UNSIGNED","BYTEA","DECIMAL","INTEGER","INTEGER UNSIGNED","SMALLINT","REAL","DOUBLE","VARCHAR","TIMESTAMP"]]"#]].assert_eq(&shown(&told));
}

/// The manual's example, as it stands there.
#[test]
fn the_manual_is_right() {
    const PAGE: &str = include_str!("../../../../docs/reference/sql-clients.md");
    let Some(python) = python("the_manual_is_right") else { return };
    let plant = plant();
    let token = plant.token("reader", &["read:#"]);
    let example = PAGE.split("```python\nimport adbc").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("the page has an example for ADBC");
    let example = example.replace("grpc://127.0.0.1:8441", &address(&plant));
    let script = format!("TOKEN = token\nimport adbc{example}\nprint(json.dumps(str(table.schema)))");
    let told = run(&python, &plant, &script, &[&token]);
    assert_eq!(told, json!("time: timestamp[ns, tz=UTC] not null\nvalue: double"));
}

/// Each call is cut to what its caller may read now; a ticket is no right.
#[test]
fn who_asks_sees_their_own() {
    const SCRIPT: &str = r#"
told = {}
def seen(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT signal FROM samples ORDER BY signal")
        return [row[0] for row in cursor.fetchall()]
with connect(tokens[0]) as one, connect(tokens[1]) as other:
    told["seen"] = [seen(one), seen(other)]
with dbapi.connect(uri, {"username": "whoever", "password": tokens[0]}, autocommit=True) as connection:
    told["by password"] = seen(connection)
told["wrong token"] = failing(lambda: connect("wrong").cursor().execute("SELECT 1"))
told["wrong password"] = failing(lambda: dbapi.connect(uri, {"username": "x", "password": "wrong"}).cursor().execute("SELECT 1"))
told["nothing"] = failing(lambda: dbapi.connect(uri, {}).cursor().execute("SELECT 1"))
client = fl.FlightClient(uri)
header = client.authenticate_basic_token("x", tokens[0])
told["header"] = header == (b"authorization", b"Bearer " + tokens[0].encode())
class Handler(fl.ClientAuthHandler):
    def __init__(self): super().__init__(); self.token = b""
    def authenticate(self, out, into):
        out.write(fl.BasicAuth("x", tokens[0]).serialize())
        self.token = into.read()
    def get_token(self): return self.token
older = fl.FlightClient(uri)
older.authenticate(Handler())
url, query = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery", b"SELECT DISTINCT signal FROM samples ORDER BY 1"
command = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(query) + 2]) + b"\x0a" + bytes([len(query)]) + query
descriptor = fl.FlightDescriptor.for_command(command)
info = older.get_flight_info(descriptor)
told["older"] = older.do_get(info.endpoints[0].ticket).read_all().to_pydict()
as_other = fl.FlightCallOptions(headers=[(b"authorization", b"Bearer " + tokens[1].encode())])
told["stolen"] = failing(lambda: client.do_get(info.endpoints[0].ticket, as_other).read_all())
told["guessed"] = failing(lambda: older.do_get(fl.Ticket(b"guessed")).read_all())
told["path"] = failing(lambda: older.get_flight_info(fl.FlightDescriptor.for_path("samples")))
told["exchange"] = failing(lambda: older.do_exchange(descriptor)[1].read_chunk())
told["action"] = failing(lambda: list(older.do_action(fl.Action("drop", b""))))
told["transaction"] = failing(lambda: list(older.do_action(fl.Action("BeginTransaction", b""))))
told["again"] = older.do_get(info.endpoints[0].ticket).read_all().num_rows
def varint(n):
    out = b""
    while n > 127: out += bytes([n & 127 | 128]); n >>= 7
    return out + bytes([n])
body = b"\x0a" + varint(len(info.serialize())) + info.serialize()
told["cancelled"] = [result.body.to_pybytes().hex() for result in older.do_action(fl.Action("CancelFlightInfo", body))]
told["after"] = failing(lambda: older.do_get(info.endpoints[0].ticket).read_all())
print(json.dumps(told))
"#;
    let Some(python) = python("who_asks_sees_their_own") else { return };
    let plant = plant();
    let (one, other) = (plant.token("one", &["read:acme/#"]), plant.token("other", &["read:beta/#"]));
    let told = run(&python, &plant, SCRIPT, &[&one, &other]);
    expect![[r#"
        action: "Flight returned unimplemented error, with message: unsupported-format: the action drop is not supported here. See docs/reference/sql-clients.md for what this door speaks"
        after: "Flight returned not found error, with message: not-found: there is no such ticket, or it has expired. Ask for the flight again (GetFlightInfo): tickets hold for ten minutes"
        again: 2
        by password: ["acme/press","acme/press/state"]
        cancelled: ["0801"]
        exchange: "Flight returned unimplemented error, with message: unsupported-format: the call DoExchange is not supported here. See docs/reference/sql-clients.md for what this door speaks"
        guessed: "Flight returned invalid argument error, with message: bad-parameter: the client sent what is no message of the protocol: a field of a message has no known type. See docs/reference/sql-clients.md for what this door speaks"
        header: true
        nothing: "UNAUTHENTICATED: [FlightSQL] unauthenticated: what was shown gives no access here. Send Authorization: Bearer TOKEN; `tidemill token create` makes one"
        older: {"signal":["acme/press","acme/press/state"]}
        path: "Flight returned invalid argument error, with message: bad-parameter: the client sent what is no message of the protocol: flights are asked for by a command of Flight SQL, not by a path. See docs/reference/sql-clients.md for what this door speaks"
        seen: [["acme/press","acme/press/state"],["beta/mill"]]
        stolen: "Flight returned not found error, with message: not-found: there is no such ticket, or it has expired. Ask for the flight again (GetFlightInfo): tickets hold for ten minutes"
        transaction: "Flight returned unimplemented error, with message: unsupported-format: the action BeginTransaction is not supported here. See docs/reference/sql-clients.md for what this door speaks"
        wrong password: "UNAUTHENTICATED: [FlightSQL] unauthenticated: what was shown gives no access here. Send Authorization: Bearer TOKEN; `tidemill token create` makes one"
        wrong token: "UNAUTHENTICATED: [FlightSQL] unauthenticated: what was shown gives no access here. Send Authorization: Bearer TOKEN; `tidemill token create` makes one""#]].assert_eq(&shown(&told));
    // A right that is taken is gone at the next call.
    plant.ok(&["token", "revoke", "one"]);
    let gone = r#"print(json.dumps(failing(lambda: connect().cursor().execute("SELECT 1"))))"#;
    let gone = run(&python, &plant, gone, &[&one]);
    assert!(gone.as_str().is_some_and(|gone| gone.starts_with("UNAUTHENTICATED")), "{gone}");
    let refused = plant
        .sql("SELECT count(*) AS n FROM sys.audit WHERE action = 'access.refused' AND detail LIKE '%token%'");
    assert_ne!(refused, json!([[0]]), "wrong tokens are told to the audit");
}

/// Rows by the million stream in bounded memory, at their reader's pace; who goes away stops the query.
#[test]
fn large_answers_stream_and_can_be_left() {
    const SCRIPT: &str = r#"
import threading, urllib.request
def running():
    request = urllib.request.Request(tokens[2] + "/metrics", headers={"Authorization": "Bearer " + tokens[1]})
    lines = urllib.request.urlopen(request).read().decode().splitlines()
    return any(line.startswith("tidemill_queries_running ") and not line.endswith(" 0") for line in lines)
with connect() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT value AS number, value * 0.5 AS half FROM generate_series(1, 2000000)")
    rows = total = 0
    for batch in cursor.fetch_record_batch():
        rows += batch.num_rows
        total += pa.compute.sum(batch["number"]).as_py()
    # Left while it computes, and in the middle of its rows.
    cursor.execute("SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b WHERE a.value <> b.value")
    left = []
    reader = threading.Thread(target=lambda: left.append(failing(cursor.fetchall)))
    reader.start()
    while not running(): pass
    cursor.adbc_cancel()
    reader.join()
    cursor.execute("SELECT value FROM generate_series(1, 9000000)")
    first = cursor.fetch_record_batch().read_next_batch().num_rows
    cursor.close()
    while running(): pass
with connect() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT 1 AS one")
    print(json.dumps([rows, total, first > 0, "ancel" in left[0], cursor.fetchall()]))
"#;
    let Some(python) = python("large_answers_stream_and_can_be_left") else { return };
    let plant = plant();
    let (token, chief) = (plant.token("reader", &["read:#"]), plant.token("chief", &["administer:#"]));
    let http = format!("http://{}", plant.address);
    let told = run(&python, &plant, SCRIPT, &[&token, &chief, &http]);
    assert_eq!(told, json!([2_000_000, 2_000_001_000_000_u64, true, true, [[1]]]));
    let metrics = plant.get("/metrics").token(&chief).send().expect(200).text();
    let reads = |start: &str| metrics.lines().any(|line| line.starts_with(start) && !line.ends_with(" 0"));
    assert!(reads("tidemill_queries_total{outcome=\"cancelled\"}"), "{metrics}");
    assert!(metrics.contains("tidemill_limit_used{limit=\"flight_calls\"} 0\n"), "{metrics}");
    // The answer alone has 32 MB; the plant holds some pieces of it.
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", plant.process.id())).expect("a process has one");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: u64 =
        peak.and_then(|peak| peak.trim().split(' ').next()?.parse().ok()).expect("it says its peak");
    assert!(peak_kib < 400 << 10, "{peak_kib} KiB");
}

#[test]
fn others_are_told_and_closed() {
    let Some(python) = python("others_are_told_and_closed") else { return };
    let plant = plant();
    let said = |bytes: &[u8]| {
        let mut stream = socket(&plant);
        // Whoever is closed upon early may not get all of it across.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all
    };
    let told = String::from_utf8(said(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).expect("an answer in text");
    assert!(told.starts_with("HTTP/1.1 505 ") && told.contains("gRPC (Arrow Flight SQL)"), "{told}");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let hostile: [Vec<u8>; 6] = [
        vec![0; 100_000],
        vec![0xff; 100_000],
        preface[..20].to_vec(),
        [&preface[..], &[0xff; 50_000]].concat(),
        // A frame that says it is 16 MiB long.
        [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat(),
        // Settings, and the same settings ten thousand times.
        [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(10_000)].concat(),
    ];
    for bytes in hostile {
        said(&bytes);
    }
    // More connections than one address may have; those that say nothing are closed when their time is over.
    let held: Vec<TcpStream> = (0..300).map(|_| socket(&plant)).collect();
    drop(held);
    const SCRIPT: &str = r#"
import concurrent.futures
told = []
client = fl.FlightClient(uri)
options = fl.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
for command in (b"\xff" * 100, b"", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"x" * 3_000_000):
    told.append(failing(lambda: client.get_flight_info(fl.FlightDescriptor.for_command(command), options)))
def asked(number):
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM generate_series(1, 100000)")
        return cursor.fetchone()[0]
with concurrent.futures.ThreadPoolExecutor(40) as pool:
    told.append(set(pool.map(asked, range(120))) == {100000})
with connect() as connection, connection.cursor() as cursor:
    told.append(failing(lambda: cursor.execute("SELECT '" + "x" * 900_000 + "'"))[:300])
    cursor.execute("SELECT 1")
    told.append(cursor.fetchall())
print(json.dumps(told))
"#;
    let token = plant.token("reader", &["read:#"]);
    let told = run(&python, &plant, SCRIPT, &[&token]);
    expect![[r#"
        "Flight returned invalid argument error, with message: bad-parameter: the client sent what is no message of the protocol: a number of a message is longer than 64 bits. See docs/reference/sql-clients.md for what this door speaks"
        "Flight returned invalid argument error, with message: bad-parameter: the client sent what is no message of the protocol: a command is no message of Flight SQL. See docs/reference/sql-clients.md for what this door speaks"
        "Flight returned invalid argument error, with message: bad-parameter: the client sent what is no message of the protocol: a message ends within a field. See docs/reference/sql-clients.md for what this door speaks"
        "gRPC returned resource exhausted error, with message: too-large: a message of 3000007 bytes is more than the 1048576 that are read at once. Say it in fewer words, or with parameters"
        true
        "INVALID_ARGUMENT: [FlightSQL] bad-sql: the query has 900009 bytes; at most 65536 are allowed. Say it in fewer words, or with parameters"
        [[1]]"#]].assert_eq(&shown(&told));
}

/// With TLS the plant's own authority vouches for it; without it nothing is said.
#[test]
fn the_door_encrypts() {
    const SCRIPT: &str = r#"
pem = open(tokens[1]).read()
named = uri.replace("127.0.0.1", "localhost")
told = []
for place in (uri, named):
    options = {"adbc.flight.sql.authorization_header": "Bearer " + token, "adbc.flight.sql.client_option.tls_root_certs": pem}
    with dbapi.connect(place, options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM samples")
        told.append(cursor.fetchone()[0])
headers = fl.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])
told.append(len(list(fl.FlightClient(uri, tls_root_certs=pem).list_actions(headers))))
told.append("ertificate" in failing(lambda: connect().cursor().execute("SELECT 1")))
plain = fl.FlightClient(uri.replace("grpc+tls", "grpc"))
told.append(failing(lambda: list(plain.list_actions(headers))) != "nothing failed")
print(json.dumps(told))
"#;
    let Some(python) = python("the_door_encrypts") else { return };
    let plant = Plant::start_with("[flight]\nlisten = [{ address = \"127.0.0.1:0\", tls = true }]\n");
    plant.ok(&["write", "acme/press", "1"]);
    let token = plant.token("reader", &["read:#"]);
    let authority = plant.home.path("ca.pem");
    plant.ok(&["trust", "--output", &authority.display().to_string()]);
    assert!(address(&plant).starts_with("grpc+tls://"), "{}", address(&plant));
    let told = run(&python, &plant, SCRIPT, &[&token, &authority.display().to_string()]);
    assert_eq!(told, json!([1, 1, 4, true, true]));
}
