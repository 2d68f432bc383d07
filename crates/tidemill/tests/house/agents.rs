//! Agents of other systems as they are, sending here: Prometheus and vmagent by remote write. What they scrape is served by
//! the test, which knows what it served. Clients of InfluxDB are in `influx`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::client::Request;
use crate::plant::{Home, Plant, Process, skip};

/// How long an agent may take to send what it scraped.
const PATIENCE: Duration = Duration::from_secs(90);
/// From this scrape on one of the series is gone.
const SCRAPES_WITH_ALL: u64 = 4;

/// A program of Debian that the partners have.
fn agent(name: &str, test: &str) -> Option<Command> {
    let folder = std::env::var_os("TIDEMILL_PARTNERS").map(std::path::PathBuf::from);
    let program = folder.map(|folder| folder.join("debian/usr/bin").join(name)).filter(|path| path.is_file());
    let Some(program) = program else {
        skip(
            test,
            &format!("{name} is not below TIDEMILL_PARTNERS; `cargo xtask test` sets it up on Debian"),
        );
        return None;
    };
    Some(Command::new(program))
}

/// Something to scrape: its values count how often it was asked.
struct Target {
    address: SocketAddr,
    scrapes: Arc<AtomicU64>,
}

impl Target {
    fn serve() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scrapes = Arc::new(AtomicU64::new(0));
        let counted = scrapes.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, counted.fetch_add(1, Ordering::SeqCst) + 1);
            }
        });
        Target { address, scrapes }
    }
}

fn answer(mut stream: std::net::TcpStream, number: u64) {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let third = number as f64 / 3.0;
    let mut text = format!(
        "# TYPE scrapes_total counter\nscrapes_total {number}\n# TYPE third gauge\nthird{{path=\"/data,a=b\"}} {third:?}\n\
         strange{{kind=\"nan\"}} NaN\nstrange{{kind=\"inf\"}} -Inf\n"
    );
    if number <= SCRAPES_WITH_ALL {
        text += "leaving 1\n";
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn scrape_configuration(home: &Home, target: SocketAddr, more: &str) -> String {
    let text = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: plant\n    \
         static_configs: [{{ targets: ['{target}'], labels: {{ site: leeds }} }}]\n{more}"
    );
    home.file("scrape.yaml", text).display().to_string()
}

/// Asks until the plant holds what is wanted.
#[track_caller]
fn eventually(plant: &Plant, query: &str, is_there: impl Fn(&Json) -> bool) -> Json {
    let until = Instant::now() + PATIENCE;
    loop {
        let rows = plant.sql(query);
        if is_there(&rows) {
            return rows;
        }
        assert!(Instant::now() < until, "never came: {query}: {rows}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What both agents must have brought, whatever they scraped when.
fn check_what_came(plant: &Plant, target: &Target) {
    let tags = format!("instance={},job=plant,site=leeds", target.address);
    let gone = format!(
        "SELECT text FROM samples WHERE signal = 'leaving/{tags}' AND value IS NULL AND quality = 2150694912"
    );
    eventually(plant, &gone, |rows| rows.as_array().is_some_and(|rows| !rows.is_empty()));
    let counted = format!(
        "SELECT value FROM samples WHERE signal = 'scrapes_total/{tags}' AND value IS NOT NULL ORDER BY time"
    );
    let served = target.scrapes.load(Ordering::SeqCst);
    let rows = eventually(plant, &counted, |rows| {
        rows.as_array().and_then(|rows| rows.last()?[0].as_f64()).is_some_and(|last| last >= served as f64)
    });
    let values: Vec<f64> = rows.as_array().into_iter().flatten().filter_map(|row| row[0].as_f64()).collect();
    assert!(values.windows(2).all(|pair| pair[1] > pair[0]), "each in order, none twice: {values:?}");
    // A scrape that took too long on a busy machine is one that failed, and the agent says so.
    let good = format!(
        "SELECT count(*) FROM samples u LEFT JOIN samples s ON s.time = u.time AND s.signal = 'scrapes_total/{tags}'
         WHERE u.signal = 'up/{tags}' AND u.value = 1 AND s.value IS NULL"
    );
    assert_eq!(plant.sql(&good), json!([[0]]), "what was scraped is here");
    let thirds = format!(
        "SELECT count(*), bool_and(t.value = s.value / 3.0) FROM samples t JOIN samples s ON t.time = s.time
         WHERE t.signal = 'third/instance={},job=plant,path=%2Fdata%2Ca%3Db,site=leeds' AND s.signal = 'scrapes_total/{tags}'",
        target.address
    );
    let thirds = plant.sql(&thirds);
    assert!(thirds[0][0].as_u64().is_some_and(|count| count >= 5) && thirds[0][1] == true, "{thirds}");
    let strange = "SELECT DISTINCT CAST(value AS TEXT) FROM samples WHERE signal LIKE 'strange/%' ORDER BY 1";
    assert_eq!(plant.sql(strange), json!([["-inf"], ["NaN"]]));
    let up = format!("SELECT s.tags FROM signals s WHERE s.signal = 'up/{tags}'");
    let tags = plant.sql(&up)[0][0].to_string();
    assert!(["plant", "leeds"].iter().all(|tag| tags.contains(tag)), "{tags}");
}

/// A plant on this port, so that an agent finds it again.
fn start_on(home: Home, port: u16) -> Plant {
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HTTP_LISTEN", format!("[\"127.0.0.1:{port}\"]"));
    Plant::ready(home, Process::spawn(command))
}

/// Also what it scrapes while the plant is away, killed in the midst of it all.
#[test]
fn prometheus_sends_what_it_scrapes() {
    let Some(mut prometheus) = agent("prometheus", "prometheus_sends_what_it_scrapes") else { return };
    let port_here = free_port();
    let plant = start_on(Home::new(), port_here);
    let token = plant.token("prometheus", &["write:#"]);
    let target = Target::serve();
    let remote = format!(
        "remote_write:\n  - url: http://{}/api/v1/write\n    authorization: {{ credentials: {token} }}\n    \
         queue_config: {{ batch_send_deadline: 100ms }}\n",
        plant.address
    );
    let port = free_port();
    prometheus
        .arg(format!("--config.file={}", scrape_configuration(&plant.home, target.address, &remote)))
        .arg(format!("--storage.tsdb.path={}", plant.home.path("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Process::spawn(prometheus);
    eventually(&plant, "SELECT count(*) FROM samples WHERE signal LIKE 'up/%'", |rows| {
        rows[0][0].as_u64().is_some_and(|count| count >= 2)
    });
    let home = plant.kill();
    let before = target.scrapes.load(Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    while target.scrapes.load(Ordering::SeqCst) < before + 2 {
        assert!(Instant::now() < until, "it goes on scraping");
        std::thread::sleep(Duration::from_millis(50));
    }
    let plant = start_on(home, port_here);
    check_what_came(&plant, &target);
    // Its own history says the same, by time and value.
    let own =
        Request::new(SocketAddr::from(([127, 0, 0, 1], port)), "GET", "/api/v1/query?query=third%5B10m%5D");
    let own = own.send().expect(200).json();
    let own = own["data"]["result"][0]["values"].as_array().expect("it scraped").clone();
    let ours = eventually(
        &plant,
        "SELECT CAST(time AS BIGINT) / 1000000, value FROM samples WHERE signal LIKE 'third/%' AND value IS NOT NULL ORDER BY time",
        |rows| rows.as_array().is_some_and(|rows| rows.len() >= own.len()),
    );
    for (own, ours) in own.iter().zip(ours.as_array().expect("rows")) {
        let millis = own[0].as_f64().map(|seconds| (seconds * 1000.0).round());
        assert_eq!(
            (millis, own[1].as_str().and_then(|text| text.parse().ok())),
            (ours[0].as_f64(), ours[1].as_f64())
        );
    }
}

#[test]
fn vmagent_sends_what_it_scrapes() {
    let Some(mut vmagent) = agent("vmagent", "vmagent_sends_what_it_scrapes") else { return };
    let plant = Plant::start();
    let token = plant.token("vmagent", &["write:#"]);
    let target = Target::serve();
    vmagent
        .arg(format!("-promscrape.config={}", scrape_configuration(&plant.home, target.address, "")))
        .arg(format!("-remoteWrite.url=http://{}/api/v1/write", plant.address))
        .arg(format!("-remoteWrite.bearerToken={token}"))
        .arg("-remoteWrite.flushInterval=100ms")
        .arg(format!("-remoteWrite.tmpDataPath={}", plant.home.path("vmagent").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{}", free_port()));
    let _vmagent = Process::spawn(vmagent);
    check_what_came(&plant, &target);
}
