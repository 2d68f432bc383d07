//! The log through its public door.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidemill_core::{CursorId, Delivery, Durability, Feed, Journal, Parcel, Seq, StreamId};
use tidemill_ground::Ground;
use tidemill_journal::{Log, Settings};

fn record(text: &str) -> Arc<Parcel> {
    Arc::new(Parcel::of_record(StreamId(9), "k", text.to_owned()))
}

/// What a feed has now.
fn ready(feed: &mut dyn Feed) -> Vec<String> {
    let mut out = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(delivery) = feed.next().as_mut().poll(&mut context) {
        match delivery {
            Delivery::Data { seq, parcel, .. } => {
                let text = String::from_utf8_lossy(&parcel.records[0].value).into_owned();
                out.push(format!("{} {text}", seq.0));
            }
            Delivery::Lagged { missed, to } => out.push(format!("missed {missed} to {}", to.0)),
            Delivery::Closed => {
                out.push("closed".to_owned());
                break;
            }
        }
    }
    out
}

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn what_is_acknowledged_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        Settings { free_min_bytes: 0, segment_bytes: 1 << 20, reserve_bytes: 1 << 20, ..Settings::default() };
    let ground = Ground::real();
    let log = Log::open(&ground, dir.path(), settings.clone()).unwrap();
    let mut feed = log.follow(CursorId("engine"), None);
    for number in 1..=3 {
        let commit = log.append(record(&format!("p{number}")), Durability::Commit).unwrap();
        assert_eq!(commit.wait(LIMIT), Some(Ok(Seq(number))));
    }
    assert_eq!(log.durable(), Seq(3));
    assert_eq!(ready(feed.as_mut()), ["1 p1", "2 p2", "3 p3"]);
    log.advance(CursorId("engine"), Seq(2), "note".into()).wait(LIMIT).unwrap().unwrap();
    assert!(Log::open(&Ground::real(), dir.path(), settings.clone()).is_err(), "a second opening is refused");
    log.stop();
    assert_eq!(ready(feed.as_mut()), ["closed"]);
    drop(log);
    let log = Log::open(&Ground::real(), dir.path(), settings).unwrap();
    assert_eq!(log.damage(), []);
    assert_eq!(log.cursor(CursorId("engine")), Some((Seq(2), "note".into())));
    let mut feed = log.follow(CursorId("engine"), None);
    assert_eq!(ready(feed.as_mut()), ["3 p3"]);
    let commit = log.append(record("p4"), Durability::Commit).unwrap();
    assert_eq!(commit.wait(LIMIT), Some(Ok(Seq(4))));
    assert_eq!(ready(feed.as_mut()), ["4 p4"]);
    log.stop();
}
