//! Listeners behind TLS, as foreign clients meet them: curl, Python, and our own command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::client::Request;
use crate::partners::python;
use crate::plant::{Home, Plant, Process, Ran, ran, skip};

/// A plant that listens on loopback as ever, and for everybody behind TLS; and the port of the latter.
fn encrypted(settings: &str) -> (Plant, u16) {
    let home = Home::new();
    std::fs::create_dir(home.plant()).expect("a folder");
    home.file("plant/tidemill.toml", settings);
    start(home)
}

fn start(home: Home) -> (Plant, u16) {
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HTTP_LISTEN", r#"["127.0.0.1:0", "0.0.0.0:0"]"#);
    let plant = Plant::ready(home, Process::spawn(command));
    let line = plant.process.lines_so_far().last().expect("the ready line").clone();
    let port = line.split("https://0.0.0.0:").nth(1).unwrap_or_else(|| panic!("no https in {line}"));
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    (plant, port.parse().expect("a port"))
}

/// An address of this machine that is not loopback. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

/// curl, without any settings of this machine's user.
fn curl(words: &[&str]) -> Ran {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--max-time", "60", "--noproxy", "*"]).args(words);
    ran(command)
}

fn has_curl(test: &str) -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    if !there {
        skip(test, "this machine has no curl");
    }
    there
}

/// The authority's certificate, written by the command that people use.
fn authority(plant: &Plant) -> String {
    let file = plant.home.path("ca.pem");
    plant.ok(&["trust", "--output", &file.display().to_string()]);
    file.display().to_string()
}

#[test]
fn curl_verifies_a_listener_beyond_loopback() {
    if !has_curl("curl_verifies_a_listener_beyond_loopback") {
        return;
    }
    let (plant, port) = encrypted("[plant]\nname = \"leeds\"\n");
    let ca = authority(&plant);
    let token = plant.token("press", &["write:#", "read:#"]);
    let header = format!("Authorization: Bearer {token}");
    let write = format!("https://localhost:{port}/api/v1/write");
    let sent = curl(&["--cacert", &ca, "-H", &header, "--data-binary", "press/t value=1 1", &write]);
    assert_eq!(sent.expect(0).out, "");
    assert_eq!(plant.sql("SELECT value FROM samples")[0][0], 1.0);
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let probe = format!("https://127.0.0.1:{port}/health/live");
        let answer = curl(&["--cacert", &ca, version, "--http2", &probe]).expect(0);
        assert!(answer.out.contains("live"), "{answer:?}");
    }
    if let Some(own) = own_address() {
        let probe = format!("https://{own}:{port}/health/live");
        curl(&["--cacert", &ca, &probe]).expect(0);
    }
    // Without the authority, with another, and for a name that is none of this machine's.
    let probe = format!("https://localhost:{port}/health/live");
    curl(&[&probe]).expect(60);
    let other = encrypted("");
    curl(&["--cacert", &authority(&other.0), &probe]).expect(60);
    let renamed = format!("bank.example.org:{port}:127.0.0.1");
    let bank = format!("https://bank.example.org:{port}/health/live");
    curl(&["--cacert", &ca, "--resolve", &renamed, &bank]).expect(60);
    // Spoken plainly it says what to do, and does nothing.
    let plain = format!("http://localhost:{port}/api/v1/write");
    let told = curl(&["-H", &header, "--data-binary", "press/t value=2 2", &plain]).expect(0);
    assert!(told.out.contains("\"code\":\"tls-required\""), "{told:?}");
    assert_eq!(plant.sql("SELECT count(*) FROM samples")[0][0], 1);

    // What it trusts is there to be fetched, and the key is for the owner's eyes.
    let fetched = curl(&["-k", &format!("https://localhost:{port}/api/v1/ca.pem")]).expect(0);
    let kept = plant.home.plant().join("data/guard/ca.pem");
    let kept = std::fs::read_to_string(kept).expect("the authority's certificate");
    assert_eq!(fetched.out, kept);
    assert_eq!(std::fs::read_to_string(&ca).expect("the written one"), kept);
    let key = std::fs::metadata(plant.home.plant().join("data/guard/ca.key")).expect("its key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let entries = plant.ok(&["audit", "--json"]);
    assert!(entries.contains("authority.make") && entries.contains("leeds CA "), "{entries}");
}

const SHAKE: &str = r#"
import json, socket, ssl, sys
ca, port = sys.argv[1], int(sys.argv[2])
def shake(low, high, protocols=None):
    context = ssl.create_default_context(cafile=ca)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = low, high
    if protocols:
        context.set_alpn_protocols(protocols)
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as tcp:
            with context.wrap_socket(tcp, server_hostname="localhost") as tls:
                return [tls.version(), tls.selected_alpn_protocol()]
    except ssl.SSLError as error:
        # What the plant said, not what Python would not do.
        return "alert" if "alert" in str(error).lower() else str(error)
version = ssl.TLSVersion
import warnings; warnings.simplefilter("ignore")
print(json.dumps([
    shake(version.TLSv1_2, version.TLSv1_2),
    shake(version.TLSv1_2, version.TLSv1_3, ["h2", "http/1.1"]),
    shake(version.TLSv1_1, version.TLSv1_1),
    shake(version.TLSv1, version.TLSv1_1),
    shake(version.TLSv1_2, version.TLSv1_3, ["h2"]),
]))
"#;

#[test]
fn python_negotiates_what_is_safe_and_nothing_else() {
    let Some(python) = python("python_negotiates_what_is_safe_and_nothing_else") else { return };
    let (plant, port) = encrypted("");
    let mut command = Command::new(python);
    command.args(["-c", SHAKE, &authority(&plant), &port.to_string()]);
    let told = ran(command).expect(0).json();
    let expected =
        serde_json::json!([["TLSv1.2", null], ["TLSv1.3", "http/1.1"], "alert", "alert", "alert",]);
    assert_eq!(told, expected);
}

#[test]
fn the_command_line_trusts_the_plants_in_reach_and_nobody_else_unasked() {
    let (plant, port) = encrypted("");
    let token = plant.token("press", &["write:#", "read:#"]);
    let ca = authority(&plant);
    let away = Home::new();
    let run = |home: &Home, words: &[&str], ca: Option<&str>| {
        let mut command = home.command(words);
        command.env("TIDEMILL_URL", format!("https://localhost:{port}")).env("TIDEMILL_TOKEN", &token);
        if let Some(ca) = ca {
            command.env("TIDEMILL_CA", ca);
        }
        ran(command)
    };
    // Beside the plant's folder nothing need be said; elsewhere the authority is named.
    run(&plant.home, &["write", "press/t", "20.5"], None).expect(0);
    run(&away, &["write", "press/t", "21.5"], None).expect_problem("untrusted");
    run(&away, &["write", "press/t", "21.5"], Some(&ca)).expect(0);
    run(&away, &["trust"], Some(&ca)).expect(0);
    // A file that is named is all that is trusted.
    let (other, _) = encrypted("");
    run(&plant.home, &["signals"], Some(&authority(&other))).expect_problem("untrusted");
    run(&plant.home, &["signals"], Some(&plant.home.plant().join("tidemill.toml").display().to_string()))
        .expect_problem("file-unreadable");
    let listed = run(&away, &["signals", "--json"], Some(&ca)).expect(0);
    assert!(listed.out.contains("press/t"), "{}", listed.out);
    // The live connection too.
    let mut command = away.command(&["watch", "press/#", "--url", &format!("https://localhost:{port}")]);
    command.env("TIDEMILL_TOKEN", &token).env("TIDEMILL_CA", &ca);
    let mut watch = Process::spawn(command);
    watch.line("press/t");
    plant.ok(&["write", "press/u", "7"]);
    watch.line("press/u");
    // TLS spoken to a plain listener, and the other way round.
    let mut command = away.command(&["signals", "--url", &format!("https://{}", plant.address)]);
    command.env("TIDEMILL_TOKEN", &token).env("TIDEMILL_CA", &ca);
    let told = ran(command).expect_problem("not-running");
    assert!(told.err.contains("does not speak TLS"), "{}", told.err);
    let plain = format!("http://localhost:{port}");
    let told = plant.run(&["signals", "--url", &plain, "--token", &token]).expect_problem("tls-required");
    assert!(told.err.contains("https://"), "{}", told.err);
}

#[test]
fn trust_tells_what_is_to_be_compared_and_where_nothing_is_to_be_trusted() {
    let plain = Plant::start();
    plain.run(&["trust"]).expect_problem("not-found");
    plain.get("/api/v1/ca.pem").send().expect_problem(404, "not-found");
    let metrics = plain.get("/metrics").send().expect(200).text();
    assert!(!metrics.contains("tidemill_tls_"), "{metrics}");

    let (plant, port) = encrypted("[plant]\nname = \"leeds\"\n");
    let told = plant.run(&["trust", "--json"]).expect(0).json();
    let sha256 = told["sha256"].as_str().expect("a fingerprint").to_owned();
    let text = plant.ok(&["trust"]);
    assert!(text.contains(&sha256) && text.contains("leeds CA ") && text.contains("ca.pem"), "{text}");
    if let Ok(openssl) = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &authority(&plant)])
        .output()
    {
        let theirs = String::from_utf8_lossy(&openssl.stdout).into_owned();
        assert!(theirs.trim().ends_with(&format!("={sha256}")), "{theirs} is not {sha256}");
    }
    plant.run(&["check"]).expect(0);
    let metrics = plant.get("/metrics").send().expect(200).text();
    let days = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|days| days.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {metrics}"))
    };
    assert!((89.0..90.1).contains(&days("tidemill_tls_certificate_days")), "{metrics}");
    assert!((3600.0..3653.0).contains(&days("tidemill_tls_authority_days")), "{metrics}");
    // The authority outlasts the plant that made it, and a plant that does not run tells the same.
    let home = plant.stop();
    let mut command = home.command(&["trust", "--json"]);
    command.env("TIDEMILL_PLANT", home.plant());
    assert_eq!(ran(command).expect(0).json()["sha256"], sha256);
    // What is typed on other machines names the ports that they reach, and nothing that does not listen.
    let ways = |http: &str, postgres: &str| {
        let mut command = home.command(&["trust"]);
        command.env("TIDEMILL_PLANT", home.plant());
        command.env("TIDEMILL_HTTP_LISTEN", http).env("TIDEMILL_POSTGRES_LISTEN", postgres);
        ran(command).expect(0).out
    };
    let elsewhere = ways("127.0.0.1:8440, 0.0.0.0:9443", "127.0.0.1:5432, 0.0.0.0:15432");
    for part in ["curl -k https://HOST:9443/", "--url https://HOST:9443 ", "host=HOST port=15432 "] {
        assert!(elsewhere.contains(part), "no '{part}': {elsewhere}");
    }
    assert!(!elsewhere.contains("8443") && !elsewhere.contains("=5432 "), "{elsewhere}");
    let plain = ways("127.0.0.1:8440", "127.0.0.1:5432");
    assert!(!plain.contains("HOST") && plain.contains("openssl x509"), "{plain}");
    let (plant, other_port) = start(home);
    assert!(port != 0 && other_port != 0);
    let url = format!("https://localhost:{other_port}");
    let away = plant.run(&["trust", "--url", &url, "--ca", &authority(&plant)]).expect(0).out;
    assert!(away.contains(&format!("https://HOST:{other_port}/")) && away.contains("port=PORT "), "{away}");
    assert_eq!(plant.run(&["trust", "--json"]).expect(0).json()["sha256"], sha256);
}

/// A certificate for localhost that signs itself, for so many days, and its key, where the settings of [`OWN`] say.
fn write_own(home: &Home, days: u32) -> String {
    let folder = home.plant();
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let day = std::time::Duration::from_secs(86_400);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + (now - day * 100);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + day * days);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    home.file("plant/cert.pem", &certificate);
    let file = home.file("plant/cert.key", key.serialize_pem());
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).expect("our own file");
    certificate
}

const OWN: &str = "[tls]\ncertificate = \"cert.pem\"\nkey = \"cert.key\"\n";

fn answers(home: &Home, port: u16, trusted: &str) -> bool {
    let file = home.file("trusted.pem", trusted);
    let mut command = home.command(&["trust", "--url", &format!("https://localhost:{port}")]);
    command.env("TIDEMILL_CA", file);
    // Whoever is trusted has no authority of the plant's own to tell of.
    let told = ran(command);
    assert!(told.err.contains("[not-found]") || told.err.contains("[untrusted]"), "{told:?}");
    told.err.contains("[not-found]")
}

#[test]
fn the_owners_certificate_is_shown_and_a_bad_one_leaves_it_in_force() {
    let home = Home::new();
    let first = write_own(&home, 90);
    home.file("plant/tidemill.toml", OWN);
    let (mut plant, port) = start(home);
    assert!(!plant.home.plant().join("data/guard/ca.key").exists(), "nobody needed an authority");
    assert!(answers(&plant.home, port, &first));
    plant.run(&["check"]).expect(0);
    let reload = |plant: &mut Plant| {
        plant.process.signal(Signal::HUP);
        plant.process.log_line("configuration.read");
    };
    // Another is taken up by those who connect from now on.
    let second = write_own(&plant.home, 20);
    reload(&mut plant);
    assert!(answers(&plant.home, port, &second) && !answers(&plant.home, port, &first));
    let told = plant.run(&["check"]).expect(3);
    assert!(told.out.contains("the certificate ends in "), "{}", told.out);
    // A bad one is told, and changes nothing.
    plant.home.file("plant/cert.pem", "no certificate");
    reload(&mut plant);
    assert!(answers(&plant.home, port, &second));
    let told = plant.run(&["check"]).expect(3);
    assert!(told.out.contains("the certificate before it is still shown"), "{}", told.out);
    // Nor do settings that name none.
    plant.home.file("plant/tidemill.toml", OWN.replace("cert.pem", "none.pem"));
    plant.process.signal(Signal::HUP);
    let refused = plant.process.log_line("configuration.refused");
    assert!(refused.contains("none.pem"), "{refused}");
    assert!(answers(&plant.home, port, &second));
}

/// The rank of what is the matter is the same in `check`, in `tidemill` and in SQL.
#[test]
fn what_is_wrong_with_a_certificate_has_one_rank() {
    let home = Home::new();
    write_own(&home, 20);
    home.file("plant/tidemill.toml", OWN);
    let (mut plant, _) = start(home);
    let ranks = |plant: &mut Plant, code: &str, words: &str| {
        plant.process.log_line(&format!("code=\"{code}\""));
        let line = |told: String| {
            let line = told.lines().find(|line| line.contains(words)).map(str::trim_start);
            line.and_then(|line| line.split_once(':')).unwrap_or_else(|| panic!("{told}")).0.to_owned()
        };
        let told = [plant.run(&["check"]).expect(3).out, plant.ok(&[])].map(line);
        (told, plant.sql("SELECT code, now FROM sys.health"))
    };
    let warning = ["warning".to_owned(), "warning".to_owned()];
    let told = ranks(&mut plant, "certificate", "the certificate ends in ");
    assert_eq!(told, (warning, serde_json::json!([["certificate", false]])));
    // Another key than that of the certificate.
    write_own(&plant.home, 90);
    let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    plant.home.file("plant/cert.key", key);
    plant.process.signal(Signal::HUP);
    plant.process.log_line("tls.certificate_refused");
    let problem = ["problem".to_owned(), "problem".to_owned()];
    let told = ranks(&mut plant, "certificate-unusable", "the certificate before it is still shown");
    assert_eq!(told.0, problem);
    assert!(
        told.1
            .as_array()
            .is_some_and(|rows| { rows.contains(&serde_json::json!(["certificate-unusable", true])) }),
        "{}",
        told.1
    );
}

#[test]
fn tls_on_loopback_is_spoken_where_it_is_wished_for() {
    let home = Home::new();
    let listen = r#"["127.0.0.1:0", { address = "127.0.0.1:0", tls = true }]"#;
    let mut command = home.command(&["run", "--plant", "plant"]);
    command.env("TIDEMILL_HTTP_LISTEN", listen);
    let plant = Plant::ready(home, Process::spawn(command));
    let line = plant.process.lines_so_far().last().expect("the ready line").clone();
    let address = line.split("https://").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address: SocketAddr = address.and_then(|text| text.parse().ok()).expect("an address");
    assert_eq!(address.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    Request::new(address, "GET", "/health/live").send().expect_problem(400, "tls-required");
    let url = format!("https://{address}");
    let token = plant.token("press", &["read:#"]);
    plant.run(&["signals", "--url", &url, "--token", &token]).expect(0);
    assert!(Path::new(&authority(&plant)).is_file());
}
