//! Connections as they are: the control socket with the kernel's word for who calls, and limits on their number.

use tidemill_ground::{Ground, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::fakes::Plant;
use crate::Settings;

pub(super) async fn ask(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, request: &str) -> String {
    // A connection that is closed at once may refuse even the question.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_control_socket_asks_the_kernel_who_calls() {
    let plant = Plant::new();
    let (web, folder) = (plant.web(), tempfile::tempdir().unwrap());
    let path = folder.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let (ground, _) = Ground::simulated(1);
    let stop = ground.tasks.stop(Phase::Doors);
    let serving = tokio::spawn(async move { web.serve_unix(listener, stop).await });
    let body = "acme/a f=1 1";
    let request = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(UnixStream::connect(&path).await.unwrap(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let creator = plant.state().signals[0].creator.clone();
    assert!(creator.starts_with("owner:") && creator.len() > "owner:".len(), "{creator}");
    let shutdown =
        tokio::task::spawn_blocking(move || ground.tasks.shutdown(std::time::Duration::from_secs(5)));
    serving.await.unwrap();
    assert!(shutdown.await.unwrap().is_clean());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_counted() {
    let plant = Plant::new();
    let web = plant.web_with(Settings { connections_max: 1, ..Settings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ground, _) = Ground::simulated(1);
    let stop = ground.tasks.stop(Phase::Doors);
    let served = web.clone();
    tokio::spawn(async move { served.serve_tcp(listener, None, None, stop).await });
    let probe = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(probe.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let second = ask(TcpStream::connect(address).await.unwrap(), probe).await;
    assert_eq!(second, "", "closed without an answer");
    assert_eq!(web.0.limits.connections.refused(), 1);
}

pub(super) async fn serve(web: &crate::Web) -> (std::net::SocketAddr, Ground) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ground, _) = Ground::simulated(1);
    let (stop, served) = (ground.tasks.stop(Phase::Doors), web.clone());
    tokio::spawn(async move { served.serve_tcp(listener, None, None, stop).await });
    (address, ground)
}

const PROBE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn half_a_head(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: lo").await.unwrap();
    stream
}

#[tokio::test]
async fn one_address_cannot_hold_all_connections_and_the_owner_gets_in() {
    let plant = Plant::new();
    let web = plant.web_with(Settings { connections_max: 8, ..Settings::default() });
    let (address, ground) = serve(&web).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    let (listener, stop, served) =
        (UnixListener::bind(&path).unwrap(), ground.tasks.stop(Phase::Doors), web.clone());
    tokio::spawn(async move { served.serve_unix(listener, stop).await });
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(half_a_head(address).await);
    }
    assert_eq!(
        ask(TcpStream::connect(address).await.unwrap(), PROBE).await,
        "",
        "half of them is one's share"
    );
    assert!(
        web.doors().metrics.render().contains("tidemill_http_peer_refused_total 1\n"),
        "{}",
        web.doors().metrics.render()
    );
    assert_eq!(web.0.limits.connections.used(), 4, "others get in");
    // Also when others hold the rest, the owner does.
    let _rest = web.0.limits.connections.try_take(4).unwrap();
    let answer = ask(UnixStream::connect(&path).await.unwrap(), PROBE).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_its_connection() {
    let plant = Plant::new();
    let header_max = std::time::Duration::from_millis(200);
    let web = plant.web_with(Settings { header_max, ..Settings::default() });
    let (address, _ground) = serve(&web).await;
    let mut whole = TcpStream::connect(address).await.unwrap();
    whole.write_all(PROBE.replace("Connection: close\r\n", "").as_bytes()).await.unwrap();
    let mut first = [0; 15];
    whole.read_exact(&mut first).await.unwrap();
    let (mut half, mut none) = (half_a_head(address).await, TcpStream::connect(address).await.unwrap());
    let mut answer = Vec::new();
    for late in [&mut half, &mut none] {
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), late.read_to_end(&mut answer));
        // Closed or reset: no longer held.
        drop(ended.await.expect("the connection is given up"));
    }
    assert_eq!(answer, b"", "there was nothing to answer");
    assert!(
        web.doors().metrics.render().contains("tidemill_http_headers_late_total 2\n"),
        "{}",
        web.doors().metrics.render()
    );
    let rest = ask(whole, PROBE).await;
    assert!(rest.contains("HTTP/1.1 200 OK"), "one that has asked is kept longer: {rest}");
}
