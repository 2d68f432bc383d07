//! Live values over a real socket: what is sent, to whom, and when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use expect_test::expect;
use futures_util::{SinkExt, StreamExt};
use tidemill_core::{BatchBuilder, Flags, Quality, SampleBatch, SignalId, SourceId, Stamp, ValueRef};
use tidemill_ground::Ground;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::fakes::Plant;
use crate::Settings;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Served {
    plant: Arc<Plant>,
    address: std::net::SocketAddr,
    ground: Ground,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn new(settings: Settings) -> Served {
        Served::for_some(settings, None).await
    }

    async fn for_some(settings: Settings, serves: Option<crate::Serves>) -> Served {
        let plant = Plant::new();
        let web = plant.web_with(settings);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ground, _) = Ground::simulated(1);
        let stop = ground.tasks.stop(tidemill_ground::Phase::Doors);
        let serving = tokio::spawn(async move { web.serve_tcp(listener, None, serves, stop).await });
        Served { plant, address, ground, serving }
    }

    async fn connect(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/api/v1/live{query}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }
}

const PRESS: (&str, &str) = ("authorization", "Bearer press");

async fn text(socket: &mut Socket) -> String {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn batch(rows: &[(u32, i64, ValueRef<'_>)]) -> SampleBatch {
    let mut builder = BatchBuilder::new(SourceId(1), Flags::default());
    for (id, time, value) in rows {
        builder.push(SignalId::new(*id).unwrap(), Stamp::At(*time), *value, Quality::GOOD).unwrap();
    }
    builder.finish(0, Flags::default())
}

/// Writes two signals, of which the token `press` may read one.
async fn written(served: &Served) {
    let client = super::House::of(served.plant.clone(), served.plant.web().router());
    assert_eq!(client.write("/api/v1/write", "acme/a f=1.5 1000\nother f=2 1000").await, "204 ");
}

#[tokio::test]
async fn json_frames_begin_with_last_values_and_stay_in_scope() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut socket = served.connect("?format=json&time=ns", &[PRESS]).await.unwrap();
    socket.send(Message::text(r#"{"subscribe":["acme/a/f","other/f"]}"#)).await.unwrap();
    expect![[r#"{"signals":[{"n":0,"signal":"acme/a/f","unit":""}]}"#]].assert_eq(&text(&mut socket).await);
    expect![[
        r#"{"seq":1,"last":true,"samples":[{"signal":"acme/a/f","time":1000,"value":1.5,"quality":"Good"}]}"#
    ]]
    .assert_eq(&text(&mut socket).await);
    served.plant.deliver(7, batch(&[(1, 2000, ValueRef::Float(2.5)), (2, 2000, ValueRef::Float(9.0))]));
    expect![[
        r#"{"seq":7,"last":false,"samples":[{"signal":"acme/a/f","time":2000,"value":2.5,"quality":"Good"}]}"#
    ]]
    .assert_eq(&text(&mut socket).await);
    for (message, code) in [
        ("{", "bad-json"),
        (r#"{"subscribe":["a//b"]}"#, "bad-pattern"),
        (r#"{"sub":[]}"#, "bad-json"),
        (r#"[["acme/a/f"],null]"#, "bad-json"),
    ] {
        socket.send(Message::text(message)).await.unwrap();
        assert!(text(&mut socket).await.contains(&format!("\"code\":\"{code}\"")), "{message}");
    }
}

/// The number stays, so that a client goes on with what it knows of the signal.
#[tokio::test]
async fn a_rename_is_told_before_the_first_sample_under_the_new_name() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let house = super::House::of(served.plant.clone(), served.plant.web().router());
    let rename = async |from: &str, to: &str| {
        let (line, body) =
            (format!("PATCH /api/v1/signals?signal={from}"), format!(r#"{{"rename":"{to}","unit":"bar"}}"#));
        let headers = [("content-type", "application/json")];
        assert_eq!(house.send(&line, &headers, body).await.status, 204);
    };
    let mut socket = served.connect("?format=json&time=ns&signal=acme/a/f", &[PRESS]).await.unwrap();
    let mut binary = served.connect("?signal=acme/a/f", &[PRESS]).await.unwrap();
    let old = [text(&mut socket).await, text(&mut socket).await];
    assert!(old.iter().all(|frame| frame.contains("acme/a/f")), "{old:?}");
    assert_eq!(text(&mut binary).await, old[0]);
    binary.next().await.unwrap().unwrap();
    rename("acme/a/f", "acme/oil").await;
    served.plant.deliver(7, batch(&[(1, 2000, ValueRef::Float(2.5))]));
    let told = expect![[r#"{"signals":[{"n":0,"signal":"acme/oil","unit":"bar"}]}"#]];
    told.assert_eq(&text(&mut socket).await);
    told.assert_eq(&text(&mut binary).await);
    assert_eq!(binary.next().await.unwrap().unwrap().into_data().len(), 24 + 25);
    let sample = |seq: u64, time: i64| {
        format!(
            r#"{{"seq":{seq},"last":false,"samples":[{{"signal":"acme/oil","time":{time},"value":2.5,"quality":"Good"}}]}}"#
        )
    };
    assert_eq!(text(&mut socket).await, sample(7, 2000));
    // Who comes by the old name is told the same.
    let mut late = served.connect("?format=json&time=ns&signal=acme/a/f", &[PRESS]).await.unwrap();
    told.assert_eq(&text(&mut late).await);
    expect![[
        r#"{"seq":1,"last":true,"samples":[{"signal":"acme/oil","time":1000,"value":1.5,"quality":"Good"}]}"#
    ]]
    .assert_eq(&text(&mut late).await);
    // Another unit alone is told too, and nothing where neither changed.
    let unit = r#"{"unit":"psi","description":"of the pump"}"#.to_owned();
    let headers = [("content-type", "application/json")];
    assert_eq!(house.send("PATCH /api/v1/signals?signal=acme/oil", &headers, unit).await.status, 204);
    served.plant.deliver(8, batch(&[(1, 2500, ValueRef::Float(2.5))]));
    expect![[r#"{"signals":[{"n":0,"signal":"acme/oil","unit":"psi"}]}"#]]
        .assert_eq(&text(&mut socket).await);
    assert_eq!(text(&mut socket).await, sample(8, 2500));
    let description = r#"{"description":"of the other pump"}"#.to_owned();
    assert_eq!(house.send("PATCH /api/v1/signals?signal=acme/oil", &headers, description).await.status, 204);
    served.plant.deliver(9, batch(&[(1, 2700, ValueRef::Float(2.5))]));
    assert_eq!(text(&mut socket).await, sample(9, 2700));
    // What was still under way when the signal went out of the scope: its name of now is not for this reader.
    rename("acme/oil", "other/oil").await;
    served.plant.deliver(10, batch(&[(1, 3000, ValueRef::Float(2.5))]));
    assert_eq!(text(&mut socket).await, sample(10, 3000));
}

#[tokio::test]
async fn who_was_beyond_the_log_is_told_and_begins_with_last_values() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut socket = served.connect("?format=json&time=ns", &[PRESS]).await.unwrap();
    socket.send(Message::text(r#"{"subscribe":["acme/a/f"],"since":99999999}"#)).await.unwrap();
    expect![[r#"{"lagged":{"missed":null,"seq":1}}"#]].assert_eq(&text(&mut socket).await);
    expect![[r#"{"signals":[{"n":0,"signal":"acme/a/f","unit":""}]}"#]].assert_eq(&text(&mut socket).await);
    expect![[
        r#"{"seq":1,"last":true,"samples":[{"signal":"acme/a/f","time":1000,"value":1.5,"quality":"Good"}]}"#
    ]]
    .assert_eq(&text(&mut socket).await);
    served.plant.deliver(2, batch(&[(1, 2000, ValueRef::Float(2.5))]));
    assert!(text(&mut socket).await.starts_with(r#"{"seq":2,"last":false"#));
}

#[tokio::test]
async fn binary_frames_are_columns() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut socket = served.connect("?signal=acme/a/f", &[PRESS]).await.unwrap();
    expect![[r#"{"signals":[{"n":0,"signal":"acme/a/f","unit":""}]}"#]].assert_eq(&text(&mut socket).await);
    let frame = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!((frame[0], frame[1], frame.len()), (1, 1, 24 + 25));
    served.plant.deliver(9, batch(&[(1, 2000, ValueRef::Text("grün")), (1, 3000, ValueRef::Float(0.5))]));
    let frame = socket.next().await.unwrap().unwrap().into_data();
    let u32_at = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().unwrap());
    assert_eq!((frame[1], u32_at(4), u64_at(8), u32_at(16)), (0, 2, 9, 5));
    assert_eq!((u64_at(24), u64_at(32)), (2000, 3000));
    assert_eq!((u64_at(40), u64_at(48)), (5, 0.5f64.to_bits()));
    assert_eq!((u32_at(56), u32_at(60), u32_at(64), u32_at(68)), (0, 0, 0, 0));
    assert_eq!(&frame[72..74], [5, 1]);
    assert_eq!(&frame[74..], "grün".as_bytes());
}

#[tokio::test]
async fn a_revoked_token_ends_it() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut socket = served.connect("?format=json&signal=acme/a/f", &[PRESS]).await.unwrap();
    // What the signal is, and its last value.
    text(&mut socket).await;
    text(&mut socket).await;
    served.plant.state().tokens.remove("press");
    served.plant.policy.fetch_add(1, Ordering::SeqCst);
    served.plant.deliver(7, batch(&[(1, 2000, ValueRef::Float(2.5))]));
    assert_eq!(closing(&mut socket).await, "1008 the token is no longer valid");
}

#[tokio::test]
async fn other_rights_cut_what_is_under_way() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut socket =
        served.connect("?format=json&time=ns&signal=acme/a/f&signal=other/f", &[PRESS]).await.unwrap();
    text(&mut socket).await;
    text(&mut socket).await;
    let deliver = |seq| {
        served.plant.deliver(seq, batch(&[(1, 2000, ValueRef::Float(2.5)), (2, 2000, ValueRef::Float(9.0))]));
    };
    served.plant.state().tokens.get_mut("press").unwrap().1 = super::fakes::rights(&["read:other/#"]);
    served.plant.policy.fetch_add(1, Ordering::SeqCst);
    deliver(7);
    while served.plant.state().feeds.len() < 2 {
        tokio::task::yield_now().await;
    }
    deliver(8);
    expect![[r#"{"signals":[{"n":1,"signal":"other/f","unit":""}]}"#]].assert_eq(&text(&mut socket).await);
    expect![[
        r#"{"seq":8,"last":false,"samples":[{"signal":"other/f","time":2000,"value":9.0,"quality":"Good"}]}"#
    ]]
    .assert_eq(&text(&mut socket).await);
}

/// A zone that was narrowed holds for sockets that stand, however valid the token is.
#[tokio::test]
async fn an_address_that_is_no_longer_served_ends_it() {
    let zone = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let within = zone.clone();
    let serves: crate::Serves = Arc::new(move |_| within.load(Ordering::SeqCst));
    let served = Served::for_some(Settings::default(), Some(serves)).await;
    written(&served).await;
    for news in [true, false] {
        zone.store(true, Ordering::SeqCst);
        let mut socket = served.connect("?format=json&signal=acme/a/f", &[PRESS]).await.unwrap();
        text(&mut socket).await;
        text(&mut socket).await;
        zone.store(false, Ordering::SeqCst);
        if news {
            served.plant.deliver(7, batch(&[(1, 2000, ValueRef::Float(2.5))]));
        }
        assert_eq!(closing(&mut socket).await, "1008 this listener no longer serves your address");
    }
}

#[tokio::test]
async fn who_may_not_connect() {
    let served = Served::new(Settings { live_max: 1, ..Settings::default() }).await;
    let refused = async |headers: &[(&'static str, &str)]| match served.connect("", headers).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[]).await, 401);
    assert_eq!(refused(&[PRESS, ("origin", "http://evil.example")]).await, 403);
    let own = format!("http://{}", served.address);
    let kept = served.connect("", &[PRESS, ("origin", &own)]).await.unwrap();
    assert_eq!(refused(&[PRESS]).await, 503, "one subscriber is the limit");
    drop(kept);
}

/// The next message, which has to be the server's word that it closes, and why; then the end, in order.
async fn closing(socket: &mut Socket) -> String {
    let said = match socket.next().await.unwrap().unwrap() {
        Message::Close(Some(close)) => format!("{} {}", u16::from(close.code), close.reason),
        other => panic!("{other:?}"),
    };
    assert!(socket.next().await.is_none(), "after the closing handshake comes the end");
    said
}

/// Also to a client that has subscribed to nothing, and to one that talks meanwhile.
#[tokio::test]
async fn stopping_says_so_to_who_listens() {
    let served = Served::new(Settings::default()).await;
    written(&served).await;
    let mut idle = served.connect("", &[PRESS]).await.unwrap();
    let mut socket = served.connect("?format=json&signal=acme/a/f", &[PRESS]).await.unwrap();
    text(&mut socket).await;
    text(&mut socket).await;
    for _ in 0..50 {
        socket.feed(Message::text(r#"{"subscribe":[]}"#)).await.unwrap();
    }
    let ground = served.ground.clone();
    let stopping =
        tokio::task::spawn_blocking(move || ground.tasks.shutdown(std::time::Duration::from_secs(20)));
    let flushed = socket.flush().await;
    assert_eq!(closing(&mut idle).await, "1012 the plant is stopping");
    assert!(flushed.is_ok());
    assert_eq!(closing(&mut socket).await, "1012 the plant is stopping");
    assert!(stopping.await.unwrap().is_clean());
    served.serving.await.unwrap();
}

/// Only requests are worth the drain. Beside both, who reads and answers is told as ever.
#[tokio::test]
async fn who_does_not_read_or_does_not_answer_holds_no_stop() {
    for blocked in [true, false] {
        let served = Served::new(Settings::default()).await;
        written(&served).await;
        let mut reader = served.connect("", &[PRESS]).await.unwrap();
        let mut mute = served.connect("?signal=acme/a/f", &[PRESS]).await.unwrap();
        text(&mut mute).await;
        mute.next().await.unwrap().unwrap();
        if blocked {
            // One frame with more than sockets hold: once its first byte is here, the rest is being sent.
            let long = "x".repeat(64 << 20);
            served.plant.deliver(7, batch(&[(1, 2000, ValueRef::Text(&long))]));
            mute.get_mut().read_exact(&mut [0]).await.unwrap();
        }
        let ground = served.ground.clone();
        let stopping =
            tokio::task::spawn_blocking(move || ground.tasks.shutdown(std::time::Duration::from_secs(20)));
        // Requests would have five seconds.
        let ended = tokio::time::timeout(std::time::Duration::from_secs(4), async {
            assert_eq!(closing(&mut reader).await, "1012 the plant is stopping");
            served.serving.await.unwrap();
        });
        assert!(ended.await.is_ok(), "blocked: {blocked}");
        assert!(stopping.await.unwrap().is_clean());
        if !blocked {
            let said = mute.next().await;
            assert!(
                matches!(said, Some(Ok(Message::Close(Some(_))))),
                "told, though it never answered: {said:?}"
            );
        }
    }
}

#[tokio::test]
async fn who_closes_is_answered() {
    let served = Served::new(Settings::default()).await;
    let mut socket = served.connect("", &[PRESS]).await.unwrap();
    socket.send(Message::Close(None)).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))), "the handshake is finished");
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn stopping_drains() {
    let served = Served::new(Settings::default()).await;
    let mut socket = served.connect("", &[PRESS]).await.unwrap();
    socket.close(None).await.unwrap();
    let ground = served.ground.clone();
    let report =
        tokio::task::spawn_blocking(move || ground.tasks.shutdown(std::time::Duration::from_secs(5)));
    assert!(report.await.unwrap().is_clean());
    served.serving.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
}
