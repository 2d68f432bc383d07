//! Who may come in, and as whom: credentials, proxies, hosts, origins, and the control calls.

use std::sync::Arc;

use super::fakes::rights;
use super::{House, from};
use crate::{Connection, Settings};

const WRITE: &str = "POST /api/v1/write";

#[tokio::test]
async fn every_spelling_of_a_token() {
    let house = House::new();
    let network = || from("10.0.0.9:5000", "10.0.0.1:8443");
    // "user:press" in base64.
    for value in ["Bearer press", "bearer press", "Token press", "Token user:press", "Basic dXNlcjpwcmVzcw=="]
    {
        let answer = house.send_by(network(), WRITE, &[("authorization", value)], "acme/a f=1").await;
        assert_eq!(answer.brief(), "204 ", "{value}");
    }
    for value in ["Bearer wrong", "Bearer", "Digest x", "Basic %%%", "Bearer all press"] {
        let answer = house.send_by(network(), WRITE, &[("authorization", value)], "acme/a f=1").await;
        assert_eq!(answer.status, 401, "{value}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tidemill\"");
        assert!(!answer.text().contains("wrong"), "a credential is never repeated");
    }
    let none = house.send_by(network(), WRITE, &[], "acme/a f=1").await;
    assert_eq!(none.status, 401);
    let elsewhere =
        house.send_by(network(), WRITE, &[("authorization", "Bearer press")], "acme/a f=1\nb f=1").await;
    assert_eq!(elsewhere.brief(), "403 forbidden 2:3 token:press may not write b/f");
}

#[tokio::test]
async fn the_control_socket_knows_its_user() {
    let house = House::new();
    let control = Connection::Control { uid: 1000, name: "anna".to_owned() };
    let answer = house.send_by(control.clone(), WRITE, &[], "acme/a f=1").await;
    assert_eq!(answer.brief(), "204 ");
    assert_eq!(&*house.plant.state().signals[0].creator, "owner:anna");
    let answer = house.send_by(control, "GET /api/v1/tokens", &[], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn zones_hold_for_their_addresses_and_not_through_proxies() {
    let proxy: std::net::IpAddr = "10.0.0.2".parse().unwrap();
    let settings =
        Settings { trusted_proxy: Arc::new(move |address| address == proxy), ..Settings::default() };
    let house = House::with(settings);
    house.plant.state().zone = Some(("192.168.1.7".parse().unwrap(), rights(&["write:farm/#"])));
    let local = "10.0.0.1:8443";
    let table = [
        ("192.168.1.7:5", None, 204),
        ("[::ffff:192.168.1.7]:5", None, 204),
        ("192.168.1.8:5", None, 401),
        // An unknown proxy within the zone lends its address to nobody.
        ("192.168.1.7:5", Some("8.8.8.8"), 401),
        ("192.168.1.7:5", Some("192.168.1.7"), 401),
        ("10.0.0.2:5", Some("192.168.1.7"), 204),
        ("10.0.0.2:5", Some("192.168.1.7, 10.0.0.2"), 204),
        // What the client itself put in front is not believed.
        ("10.0.0.2:5", Some("192.168.1.7, 8.8.8.8"), 401),
        ("10.0.0.2:5", Some("garbage"), 401),
        ("10.0.0.2:5", None, 401),
    ];
    for (peer, forwarded, status) in table {
        let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        let answer = house.send_by(from(peer, local), WRITE, &headers, "farm/a f=1").await;
        assert_eq!(answer.status, status, "{peer} {forwarded:?}: {}", answer.brief());
    }
    let odd = [("forwarded", "for=192.168.1.7")];
    assert_eq!(house.send_by(from("192.168.1.7:5", local), WRITE, &odd, "farm/a f=1").await.status, 401);
}

#[tokio::test]
async fn foreign_hosts_and_origins_stay_outside() {
    let house = House::new();
    let token = ("authorization", "Bearer all");
    let table = [
        ("POST", vec![("host", "localhost:8440")], 204),
        ("POST", vec![("host", "[::1]:8440")], 204),
        ("POST", vec![("host", "evil.example:8440")], 403),
        ("POST", vec![("host", "localhost:8440"), ("origin", "http://localhost:8440")], 204),
        ("POST", vec![("host", "localhost:8440"), ("origin", "http://evil.example")], 403),
        ("POST", vec![("host", "localhost:8440"), ("origin", "null")], 403),
        ("POST", vec![("host", "localhost:8440"), ("origin", "http://localhost:3000")], 403),
        ("GET", vec![("host", "localhost:8440"), ("origin", "http://evil.example")], 405),
    ];
    for (method, mut headers, status) in table {
        headers.push(token);
        let line = format!("{method} /api/v1/write");
        let answer = house.send_by(from("127.0.0.1:5", "127.0.0.1:8440"), &line, &headers, "a f=1").await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    // Beyond loopback any name may lead here.
    let headers = [("host", "plant.example"), token];
    let answer = house.send_by(from("10.0.0.9:5", "10.0.0.1:8443"), WRITE, &headers, "a f=1").await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn control_calls_need_administer() {
    let house = House::new();
    let calls = [
        ("GET /api/v1/tokens", "", 200),
        ("POST /api/v1/tokens", r#"{"name":"x","allow":["write:a/#"]}"#, 201),
        ("POST /api/v1/tokens/x/rotate?overlap=1h", "", 201),
        ("GET /api/v1/check", "", 200),
        ("GET /api/v1/access", "", 200),
        ("GET /api/v1/access?who=x&verb=read&path=a", "", 200),
        ("GET /api/v1/access?who=x", "", 400),
        ("GET /api/v1/check", "", 200),
        ("POST /api/v1/audit/verify", "", 200),
        ("POST /api/v1/reload", "", 200),
        ("DELETE /api/v1/tokens/x", "", 204),
    ];
    let json = ("content-type", "application/json");
    for (line, body, status) in calls {
        let answer = house.send(line, &[json], body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.brief());
        let headers = [json, ("authorization", "Bearer press")];
        let refused = house.send_by(from("10.0.0.9:5", "10.0.0.1:8443"), line, &headers, body).await;
        if status != 400 {
            assert_eq!(refused.status, 403, "{line}: {}", refused.brief());
        }
    }
}
