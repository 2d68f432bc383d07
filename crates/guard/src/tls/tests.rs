//! The authority and its certificates on a simulated disk and clock: made once, renewed in time, mended where a file is lost,
//! and believed by a foreign reader of TLS. What the doors do with them is tested at the doors.

use std::net::Ipv4Addr;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use tidemill_ground::{Simulation, create_dirs, replace};

use super::*;

const DIR: &str = "/plant/data/guard";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: Duration = Duration::from_secs(DAY_S as u64);
/// 2026-06-01.
const BEGIN_NS: i64 = 1_780_272_000_000_000_000;

struct Room {
    ground: Ground,
    simulation: Simulation,
}

impl Room {
    fn new() -> Room {
        let (ground, simulation) = Ground::simulated(7);
        simulation.clock.set_wall(BEGIN_NS);
        create_dirs(ground.disk.as_ref(), Path::new(DIR)).unwrap();
        Room { ground, simulation }
    }

    fn open(&self, settings: &Settings) -> Arc<Tls> {
        Tls::open(&self.ground, Path::new(DIR), settings.clone()).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        replace(self.ground.disk.as_ref(), Path::new(path), text.as_bytes()).unwrap();
    }

    /// Writes a certificate for localhost and its key where `own` says, from and until days from now.
    fn write_own(&self, from_days: i64, until_days: i64) -> String {
        let now_s = self.ground.clock.wall() / 1_000_000_000;
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let date =
            |days: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs((now_s + days * DAY_S) as u64);
        (params.not_before, params.not_after) = (date(from_days), date(until_days));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        self.write("/plant/cert.pem", &certificate);
        self.write("/plant/cert.key", &key.serialize_pem());
        certificate
    }
}

fn listening() -> Settings {
    Settings {
        plant: "leeds".to_owned(),
        listeners: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        names: vec!["mill.example.org".parse().unwrap(), "10.0.0.7".parse().unwrap()],
        own: None,
    }
}

fn own() -> Settings {
    let own = Own { certificate: "/plant/cert.pem".into(), key: "/plant/cert.key".into() };
    Settings { own: Some(own), ..listening() }
}

/// The client's clock is that of the simulation.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// A client that trusts this PEM alone, with a listener whose address it reached; what it was shown, or why it refused.
fn shake(room: &Room, tls: &Arc<Tls>, local: IpAddr, trusted: &str, name: &str) -> Result<Vec<u8>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let now = Duration::from_nanos(room.ground.clock.wall() as u64);
    let clock = Arc::new(At(UnixTime::since_unix_epoch(now)));
    let client = ClientConfig::builder_with_details(tls.provider.clone(), clock)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let acceptor = tls.acceptors(&["http/1.1"]).unwrap()(local);
    let mut server = ServerConnection::new(acceptor.config().clone()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets().map_err(|error| error.to_string())?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}

fn told(tls: &Tls) -> String {
    let line = |one: Concern| {
        let how = if one.warning { "warning" } else { "problem" };
        format!("{how} {}: {}. {}\n", one.on, one.problem, one.mend)
    };
    tls.concerns().into_iter().map(line).collect()
}

#[test]
fn an_authority_is_made_at_the_first_need_and_kept() {
    let room = Room::new();
    let tls = room.open(&Settings { listeners: Vec::new(), ..listening() });
    assert_eq!(tls.authority(), None, "nothing encrypts");
    assert!(room.ground.disk.list(Path::new(DIR)).unwrap().is_empty());

    let tls = room.open(&listening());
    let authority = tls.authority().unwrap();
    let event = tls.events().pop().unwrap();
    assert_eq!(event.action, "authority.make");
    assert!(event.target.starts_with("leeds CA "), "{}", event.target);
    let first = shake(&room, &tls, HERE, &authority, "localhost").unwrap();

    // Another start, another certificate, the same authority; the plant's name does not change it.
    let tls = room.open(&Settings { plant: "york".to_owned(), ..listening() });
    assert_eq!(tls.authority().as_ref(), Some(&authority));
    assert!(tls.events().is_empty());
    assert_ne!(shake(&room, &tls, HERE, &authority, "localhost").unwrap(), first);

    // A lost certificate is made again from the key: whoever trusted the old one still does.
    room.ground.disk.remove(&Path::new(DIR).join("ca.pem")).unwrap();
    let tls = room.open(&listening());
    assert_ne!(tls.authority().as_ref(), Some(&authority));
    shake(&room, &tls, HERE, &authority, "localhost").unwrap();
}

#[test]
fn names_and_addresses_that_clients_ask_for() {
    let room = Room::new();
    let tls = room.open(&listening());
    let authority = tls.authority().unwrap();
    let reached: IpAddr = "192.168.1.5".parse().unwrap();
    for (local, name, trusted) in [
        (HERE, "localhost", true),
        (HERE, "mill.example.org", true),
        (HERE, "10.0.0.7", true),
        (HERE, "127.0.0.1", true),
        (HERE, "::1", true),
        (HERE, "bank.example.org", false),
        (HERE, "192.168.1.5", false),
        (reached, "192.168.1.5", true),
        // From now on also by another way.
        (HERE, "192.168.1.5", true),
        ("::ffff:192.168.1.6".parse().unwrap(), "192.168.1.6", true),
        ("127.9.9.9".parse().unwrap(), "127.9.9.9", false),
    ] {
        let outcome = shake(&room, &tls, local, &authority, name);
        assert_eq!(outcome.is_ok(), trusted, "{local} {name}: {outcome:?}");
    }
    // However many there are, a certificate has an end; the newest is in it.
    for last in 0..=255 {
        tls.reached(Ipv4Addr::new(10, 1, 1, last).into());
    }
    assert_eq!(tls.lock().reached.len(), REACHED_MAX);
    shake(&room, &tls, HERE, &authority, "10.1.1.255").unwrap();
    assert!(shake(&room, &tls, HERE, &authority, "10.1.1.1").is_err());
}

#[test]
fn another_authority_is_refused() {
    let (room, other) = (Room::new(), Room::new());
    let (tls, stranger) = (room.open(&listening()), other.open(&listening()));
    let refused = shake(&room, &tls, HERE, &stranger.authority().unwrap(), "localhost");
    expect!["invalid peer certificate: UnknownIssuer"].assert_eq(&refused.unwrap_err());
}

#[test]
fn a_certificate_is_renewed_long_before_it_ends() {
    let room = Room::new();
    let tls = room.open(&listening());
    let authority = tls.authority().unwrap();
    let shown = || shake(&room, &tls, HERE, &authority, "localhost").unwrap();
    let first = shown();
    room.simulation.clock.advance(DAY * 59);
    tls.tend();
    assert_eq!(shown(), first);
    room.simulation.clock.advance(DAY * 2);
    tls.tend();
    let second = shown();
    assert_ne!(second, first);
    // A clock that was set back by years, and forward again.
    room.simulation.clock.set_wall(BEGIN_NS - 100 * DAY_S * 1_000_000_000);
    tls.tend();
    let third = shown();
    assert_ne!(third, second);
    room.simulation.clock.set_wall(BEGIN_NS + 300 * DAY_S * 1_000_000_000);
    tls.tend();
    assert_ne!(shown(), third);
    assert_eq!(told(&tls), "");
    // With other names at once.
    let named = Settings { names: vec!["other.example.org".parse().unwrap()], ..listening() };
    tls.update(named).unwrap();
    shake(&room, &tls, HERE, &authority, "other.example.org").unwrap();
    assert!(shake(&room, &tls, HERE, &authority, "mill.example.org").is_err());
}

#[test]
fn a_certificate_never_outlives_its_authority_and_its_end_is_told() {
    let room = Room::new();
    let tls = room.open(&listening());
    let authority = tls.authority().unwrap();
    room.simulation.clock.advance(DAY * (3651 - 20));
    tls.tend();
    let mend = "Move ca.pem away and start the plant again: the same key gets another certificate. Give that to the machines that trust the plant (`tidemill trust`)";
    expect![[r#"
        warning /plant/data/guard/ca.pem: the plant's certificate authority ends in 20 day(s): clients refuse it then. MEND
    "#]]
    .assert_eq(&told(&tls).replace(mend, "MEND"));
    shake(&room, &tls, HERE, &authority, "localhost").unwrap();
    let before = tls.lock().about.clone();
    tls.tend();
    assert_eq!(tls.lock().about, before, "it is not made anew all the time");
    room.simulation.clock.advance(DAY * 21);
    tls.tend();
    assert!(
        told(&tls).contains(
            "problem /plant/data/guard/ca.pem: the plant's certificate authority ended 1 day(s) ago"
        )
    );
    assert!(shake(&room, &tls, HERE, &authority, "localhost").is_err());
}

#[test]
fn the_owners_certificate_is_shown_and_its_successor_taken_up() {
    let room = Room::new();
    let first = room.write_own(-1, 90);
    let tls = room.open(&own());
    assert_eq!(tls.authority(), None, "nobody needed one");
    assert_eq!(tls.events().pop().unwrap().action, "certificate.use");
    shake(&room, &tls, HERE, &first, "localhost").unwrap();
    tls.reached("192.168.1.5".parse().unwrap());

    // A new one; before it stands still, or is whole, the one before stays.
    let second = room.write_own(-1, 80);
    tls.tend();
    shake(&room, &tls, HERE, &first, "localhost").unwrap();
    tls.tend();
    shake(&room, &tls, HERE, &second, "localhost").unwrap();
    assert_eq!(told(&tls), "");
    room.write("/plant/cert.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    tls.tend();
    tls.tend();
    shake(&room, &tls, HERE, &second, "localhost").unwrap();
    expect![[r#"
        problem /plant/cert.pem: /plant/cert.key cannot be used (it is not the key of /plant/cert.pem); the certificate before it is still shown. put a certificate with its chain, and its key without passphrase, both as PEM, where tls.certificate and tls.key say
    "#]]
    .assert_eq(&told(&tls));
    let third = room.write_own(-1, 70);
    // A reload waits for nothing.
    tls.update(own()).unwrap();
    shake(&room, &tls, HERE, &third, "localhost").unwrap();
    assert_eq!(told(&tls), "");

    // Settings that cannot be used change nothing.
    let mut wrong = own();
    wrong.own = Some(Own { certificate: "/plant/none.pem".into(), key: "/plant/cert.key".into() });
    assert!(tls.update(wrong).is_err());
    shake(&room, &tls, HERE, &third, "localhost").unwrap();
    // And back to the plant's own.
    tls.update(listening()).unwrap();
    shake(&room, &tls, HERE, &tls.authority().unwrap(), "mill.example.org").unwrap();
}

#[test]
fn the_end_of_the_owners_certificate_is_told() {
    let check = |from_days, until_days, expected: Expect| {
        let room = Room::new();
        room.write_own(from_days, until_days);
        let tls = room.open(&own());
        let mend = "Put the renewed certificate and its key in their places; they are taken up by themselves";
        expected.assert_eq(told(&tls).replace(mend, "MEND").trim_end());
    };
    check(-1, 31, expect![""]);
    check(
        -100,
        29,
        expect!["warning /plant/cert.pem: the certificate ends in 29 day(s): clients refuse it then. MEND"],
    );
    // One of six days is not warned of all its life.
    check(-1, 5, expect![""]);
    check(
        -5,
        1,
        expect!["warning /plant/cert.pem: the certificate ends in 1 day(s): clients refuse it then. MEND"],
    );
    check(
        -100,
        -2,
        expect!["problem /plant/cert.pem: the certificate ended 2 day(s) ago: clients refuse it. MEND"],
    );
    check(
        2,
        90,
        expect!["problem /plant/cert.pem: the certificate does not hold yet, by this machine's clock. MEND"],
    );
}

#[test]
fn an_owners_certificate_that_is_none_keeps_no_plant_from_starting() {
    for (certificate, key, why) in [
        ("", "", "there is no certificate in it"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "",
            "there is no certificate in it",
        ),
        ("-----BEGIN CERTIFICATE-----\nAA", "", "it is no PEM"),
    ] {
        let room = Room::new();
        room.write("/plant/cert.pem", certificate);
        room.write("/plant/cert.key", key);
        let tls = room.open(&own());
        let concern = told(&tls);
        assert!(
            concern.contains(why) && concern.contains("of the plant's own authority is shown"),
            "{concern}"
        );
        shake(&room, &tls, HERE, &tls.authority().unwrap(), "localhost").unwrap();
        // The right ones are taken up.
        let certificate = room.write_own(-1, 90);
        tls.tend();
        tls.tend();
        shake(&room, &tls, HERE, &certificate, "localhost").unwrap();
        assert_eq!(told(&tls), "");
    }
}

#[test]
fn a_damaged_authority_is_refused_by_name() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let certificate = {
        let room = Room::new();
        room.open(&listening()).authority().unwrap()
    };
    let check = |file: &str, text: Option<&str>, expected: Expect| {
        let room = Room::new();
        room.open(&listening());
        let path = Path::new(DIR).join(file);
        match text {
            Some(text) => room.write(&path.to_string_lossy(), text),
            None => room.ground.disk.remove(&path).unwrap(),
        }
        let error = Tls::open(&room.ground, Path::new(DIR), listening()).err().unwrap();
        expected.assert_eq(error.to_string().split(": ").next().unwrap());
    };
    check("ca.key", None, expect!["/plant/data/guard/ca.key cannot be used (it is missing)"]);
    check("ca.key", Some("x"), expect!["/plant/data/guard/ca.key cannot be used (it is no private key)"]);
    check(
        "ca.key",
        Some(&key),
        expect!["/plant/data/guard/ca.pem cannot be used (it does not belong to the key beside it)"],
    );
    check(
        "ca.pem",
        Some(&certificate),
        expect!["/plant/data/guard/ca.pem cannot be used (it does not belong to the key beside it)"],
    );
    check(
        "ca.pem",
        Some("x"),
        expect!["/plant/data/guard/ca.pem cannot be used (there is no certificate in it)"],
    );
}

#[test]
fn what_a_certificate_says_of_itself() {
    let room = Room::new();
    let tls = room.open(&listening());
    let der = CertificateDer::from_pem_slice(tls.authority().unwrap().as_bytes()).unwrap();
    let about = super::about::about(&der).unwrap();
    let begin_s = BEGIN_NS / 1_000_000_000;
    assert_eq!((about.from_s, about.until_s), (begin_s - DAY_S, begin_s + 3651 * DAY_S));
    // Beyond 2049 times are written otherwise.
    room.simulation.clock.set_wall(4_102_444_800_000_000_000);
    room.write_own(0, 10);
    let far = room.open(&own());
    assert_eq!(far.lock().about.as_ref().unwrap().until_s, 4_102_444_800 + 10 * DAY_S);
}

#[test]
fn names_of_machines() {
    for (text, expected) in [
        ("Mill.Example.ORG", Some("mill.example.org")),
        ("192.168.1.5", Some("192.168.1.5")),
        ("::ffff:10.0.0.1", Some("10.0.0.1")),
        ("fd00::1", Some("fd00::1")),
        ("edge_1", Some("edge_1")),
        ("", None),
        ("*.example.org", None),
        ("a b", None),
        ("mill:8443", None),
        ("müll.example", None),
    ] {
        let read = text.parse::<Name>().ok().map(|name| name.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(at in 0usize..500, byte: u8, cut in 0usize..600) {
        let room = Room::new();
        let pem = room.write_own(-1, 90);
        let mut der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        der.truncate(cut);
        if let Some(place) = der.get_mut(at) {
            *place = byte;
        }
        let _ = super::about::about(&CertificateDer::from(der));
    }
}
