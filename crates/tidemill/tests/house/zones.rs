//! Plain listeners beyond loopback: whom they serve, whom they turn away, and what is told about that.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use rustix::process::Signal;

use crate::client::{Request, connect};
use crate::plant::{Home, Plant, Process};

const ZONE: &str =
    "[zone.farm]\ncidr = [\"127.0.0.3\"]\nplain = true\nanonymous = [\"write:farm/sensors/#\"]\n";
const FARM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// A new plant with a listener for everybody on this machine and one for the farm, and the port of the latter.
fn farm() -> (Plant, SocketAddr) {
    let home = Home::new();
    std::fs::create_dir(home.plant()).expect("a folder");
    home.file("plant/tidemill.toml", ZONE);
    let mut command = home.command(&["run", "--plant", "plant"]);
    let listen = r#"["127.0.0.1:0", { address = "0.0.0.0:0", zone = "farm" }]"#;
    command.env("TIDEMILL_HTTP_LISTEN", listen);
    let mut plant = Plant::ready(home, Process::spawn(command));
    let line = plant.process.lines_so_far().last().expect("the ready line").clone();
    let port = line.split("http://0.0.0.0:").nth(1).expect("the listener of the zone");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    assert!(plant.process.log_so_far().iter().all(|line| !line.contains("damaged")));
    (plant, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().expect("a port")))
}

fn write(address: SocketAddr, body: &str) -> Request {
    Request::new(address, "POST", "/api/v1/write").body("text/plain", body)
}

/// An address of this machine that is not loopback. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn a_plain_listener_of_a_zone_serves_that_zone_alone() {
    let (mut plant, address) = farm();
    let token = plant.token("press", &["write:#"]);
    let send = |source: IpAddr| write(address, "press/t value=1 1").token(&token).from(source).try_send();
    assert_eq!(send(FARM).expect("an answer").status, 204);
    assert_eq!(write(address, "farm/sensors/t value=1 1").from(FARM).send().status, 204);
    // From elsewhere neither a token nor anything else gets an answer, not even a probe.
    for source in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
        assert!(send(source.into()).is_none(), "{source} is outside the zone");
        assert!(Request::new(address, "GET", "/health/live").from(source.into()).try_send().is_none());
    }
    if let Some(own) = own_address() {
        let there = SocketAddr::new(own, address.port());
        assert!(write(there, "press/t value=1 2").token(&token).try_send().is_none(), "{own} is outside");
    }
    (0..30).for_each(|_| assert!(send(Ipv4Addr::LOCALHOST.into()).is_none()));
    let told = plant.process.log_line("zone.refused");
    assert!(told.contains("127.0.0.1") && told.contains("0.0.0.0:") && told.contains("farm"), "{told}");
    let metrics = plant.get("/metrics").send().expect(200).text();
    let count = metrics.lines().find_map(|line| line.strip_prefix("tidemill_zone_refused_total "));
    assert!(count.and_then(|count| count.parse().ok()).is_some_and(|count: u64| count >= 34), "{metrics}");
    let lines = plant.process.log_so_far().iter().filter(|line| line.contains("zone.refused")).count();
    assert!(lines <= 15, "{lines} lines for three addresses");
    let entries = plant.ok(&["audit", "--json"]);
    assert!(entries.contains("the listener serves zone farm only"), "{entries}");
    assert_eq!(plant.sql("SELECT count(*) FROM samples WHERE signal = 'press/t'")[0][0], 1);
    plant.run(&["audit", "verify"]).expect(0);
}

#[test]
fn a_forwarded_request_has_no_right_of_a_zone() {
    let (plant, address) = farm();
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let line = "farm/sensors/t value=1";
        let there = write(plant.address, line).header(header, "127.0.0.3");
        there.send().expect_problem(401, "unauthenticated");
        let from_farm = write(address, line).header(header, "127.0.0.3").from(FARM);
        from_farm.send().expect_problem(401, "unauthenticated");
    }
}

#[test]
fn a_zone_that_is_changed_holds_for_connections_that_stand() {
    let (mut plant, address) = farm();
    let mut standing = connect(address, Some(FARM));
    let mut ask = || {
        let request = write(address, "farm/sensors/t value=1").header("Connection", "keep-alive");
        request.write_to(&mut standing).expect("it stands");
        let mut head = [0; 12];
        standing.read_exact(&mut head).expect("an answer");
        String::from_utf8_lossy(&head).into_owned()
    };
    assert_eq!(ask(), "HTTP/1.1 204");
    plant.home.file("plant/tidemill.toml", ZONE.replace("127.0.0.3", "127.0.0.4"));
    plant.process.signal(Signal::HUP);
    plant.process.log_line("configuration.read");
    assert!(write(address, "farm/sensors/t value=1").from(FARM).try_send().is_none());
    let mut rest = Vec::new();
    let request = write(address, "farm/sensors/t value=1").header("Connection", "keep-alive");
    request.write_to(&mut standing).expect("it stands");
    standing.read_to_end(&mut rest).expect("it is closed by the plant");
    assert!(String::from_utf8_lossy(&rest).contains("HTTP/1.1 403"), "{}", String::from_utf8_lossy(&rest));
}
