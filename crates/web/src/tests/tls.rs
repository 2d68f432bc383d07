//! Listeners behind TLS: who is served, who is told to use it, and who holds nobody up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidemill_ground::{Ground, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::fakes::Plant;
use super::serving::ask;
use crate::{Settings, Web};

const PROBE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A listener with a certificate for localhost, and a client that trusts it.
async fn serve(web: &Web) -> (SocketAddr, TlsConnector, Ground) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let der: CertificateDer<'static> = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ground, _) = Ground::simulated(1);
    let (stop, served) = (ground.tasks.stop(Phase::Doors), web.clone());
    let tls: crate::Acceptors = Arc::new(move |_| acceptor.clone());
    tokio::spawn(async move { served.serve_tcp(listener, Some(tls), None, stop).await });
    (address, TlsConnector::from(Arc::new(client)), ground)
}

async fn ask_encrypted(address: SocketAddr, connector: &TlsConnector) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    ask(connector.connect(name, stream).await.unwrap(), PROBE).await
}

fn counted(web: &Web, line: &str) -> bool {
    web.doors().metrics.render().lines().any(|one| one == line)
}

/// Waits until this line stands among the metrics.
async fn until_counted(web: &Web, line: &str) {
    let waiting = async {
        while !counted(web, line) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("no {line} in {}", web.doors().metrics.render()));
}

#[tokio::test]
async fn a_request_is_answered_and_one_without_tls_is_told_to_use_it() {
    let plant = Plant::new();
    let web = plant.web();
    let (address, connector, _ground) = serve(&web).await;
    let answer = ask_encrypted(address, &connector).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let told = ask(TcpStream::connect(address).await.unwrap(), PROBE).await;
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("\"code\":\"tls-required\""), "{told}");
    assert!(told.to_ascii_lowercase().contains("connection: close"), "{told}");
    until_counted(&web, "tidemill_http_tls_plain_total 1").await;
    // What is neither is closed, and harms nobody.
    for bytes in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x00\x00\x00\x2a", b"\x16"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    until_counted(&web, "tidemill_http_tls_failed_total 2").await;
    let answer = ask_encrypted(address, &connector).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// A read fails with an unexpected end where no `close_notify` came.
#[tokio::test]
async fn a_silent_connection_is_told_its_end() {
    let plant = Plant::new();
    let idle_max = Duration::from_millis(100);
    // The one by who serves it, the other because it never begins.
    for said in [&b""[..], b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let web = plant.web_with(Settings { idle_max, header_max: idle_max, ..Settings::default() });
        let (address, connector, _ground) = serve(&web).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut all = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
        ended.expect("it ends").expect("its end is told");
        assert_eq!(all.is_empty(), said.is_empty());
    }
}

#[tokio::test]
async fn handshakes_that_do_not_end_hold_nobody_up() {
    let plant = Plant::new();
    let settings = Settings { handshakes_max: 4, ..Settings::default() };
    let web = plant.web_with(settings.clone());
    let (address, connector, _ground) = serve(&web).await;
    let standing = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut standing = connector.connect(name, standing).await.unwrap();
    // The share of one address; of those that have ended none is held.
    let mut held = Vec::new();
    for begun in [&b""[..], b"\x16"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        held.push(stream);
    }
    until_counted(&web, "tidemill_limit_used{limit=\"http_handshakes\"} 2").await;
    let mut none = Vec::new();
    let mut third = TcpStream::connect(address).await.unwrap();
    let _ = third.read_to_end(&mut none).await;
    until_counted(&web, "tidemill_http_handshake_peer_refused_total 1").await;
    // A connection that stands is served all the while.
    standing.write_all(PROBE.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    standing.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // And who left makes room.
    drop(held);
    until_counted(&web, "tidemill_limit_used{limit=\"http_handshakes\"} 0").await;
    assert!(ask_encrypted(address, &connector).await.starts_with("HTTP/1.1 200 OK"));
    // Those who stay are given up in time.
    web.set_settings(Settings { handshake_max: Duration::from_millis(200), ..settings });
    let mut late = TcpStream::connect(address).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(20), late.read_to_end(&mut none)).await.unwrap();
    until_counted(&web, "tidemill_http_tls_late_total 1").await;
    assert!(none.is_empty());
}
