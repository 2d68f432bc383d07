//! Subscriptions: who hears what, from where on, and what slowness costs whom.

use std::sync::mpsc;

use proptest::prelude::*;
use tidemill_core::{Journal, LagPolicy, Start};

use super::*;

const NEWEST: LagPolicy = LagPolicy::Latest { parcels_max: 100 };

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn subscribe(plant: &Plant, texts: &[&str], lag: LagPolicy, from: Start) -> Box<dyn Feed> {
    plant.bus.subscribe(&ReadScope::everything(), &patterns(texts), lag, from).unwrap()
}

/// Everything up to and including the parcel of this place.
fn until(plant: &Plant, feed: &mut dyn Feed, end: Seq) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let delivery = next(feed);
        let at = match &delivery {
            Delivery::Data { seq, .. } => *seq,
            Delivery::Lagged { to, .. } => *to,
            Delivery::Closed => Seq(u64::MAX),
        };
        seen.push(shown(&plant.bus, delivery));
        if at >= end {
            return seen;
        }
    }
}

#[test]
fn rows_go_to_those_who_mean_them() {
    let plant = Plant::new();
    let names = ["a/x", "a/y", "b/x"];
    let grants: Vec<Grant> = names.iter().map(|name| plant.bind(name)).collect();
    for lag in [NEWEST, LagPolicy::CatchUp] {
        let mut all = subscribe(&plant, &["#"], lag, Start::Now);
        let mut a = subscribe(&plant, &["a/#", "a/x"], lag, Start::Now);
        let mut x = subscribe(&plant, &["+/x"], lag, Start::Now);
        let mut none = subscribe(&plant, &["c"], lag, Start::Now);
        let scope = ReadScope::of(&patterns(&["b/#"]), 1, false);
        let mut scoped = plant.bus.subscribe(&scope, &patterns(&["+/x"]), lag, Start::Now).unwrap();
        let begun = Journal::durable(&*plant.journal);
        assert_eq!([all.place(), x.place()], [begun; 2], "where it begins is told before anything came");
        let rows = [0, 1, 0, 2].map(|at: usize| (grants[at], Stamp::At(1), Value::Int(at as i64)));
        let at = plant.wait(plant.publish(&rows).unwrap()).0;
        let heard = |feed: &mut Box<dyn Feed>| shown(&plant.bus, next(feed.as_mut()));
        assert_eq!(heard(&mut all), format!("{at}: a/x=0 a/y=1 a/x=0 b/x=2"));
        assert_eq!(heard(&mut a), format!("{at}: a/x=0 a/y=1 a/x=0"));
        assert_eq!(all.place(), Seq(at));
        assert_eq!(heard(&mut x), format!("{at}: a/x=0 a/x=0 b/x=2"));
        assert_eq!(heard(&mut scoped), format!("{at}: b/x=2"));
        assert!(ready(none.as_mut()).is_none());
    }
}

#[test]
fn later_names_are_heard_and_renamed_ones_too() {
    let plant = Plant::new();
    for lag in [NEWEST, LagPolicy::CatchUp] {
        let name = format!("late/{lag:?}").replace(['{', '}', ' ', ':'], "");
        let mut feed = subscribe(&plant, &["late/#"], lag, Start::Now);
        let mut other = subscribe(&plant, &["elsewhere/#"], lag, Start::Now);
        let at = plant.write(&name, 1, 1).0;
        assert_eq!(shown(&plant.bus, next(feed.as_mut())), format!("{at}: {name}=1"));
        let to = name.replace("late", "elsewhere");
        plant.wait(plant.edit(&name, MetaEdit { rename: Some(path(&to)), ..MetaEdit::default() }).unwrap());
        let at = plant.write(&to, 2, 2).0;
        // One that reads the log later finds the earlier sample under its present name as well.
        let heard = until(&plant, other.as_mut(), Seq(at));
        assert_eq!(heard.last(), Some(&format!("{at}: {to}=2")));
        assert_eq!(shown(&plant.bus, next(feed.as_mut())), format!("{at}: {to}=2"), "by its alias");
    }
}

#[test]
fn resumes_without_a_gap_and_without_a_double() {
    let plant = Plant::new();
    let places: Vec<Seq> = (0..50).map(|value| plant.write("a", value, value)).collect();
    for lag in [NEWEST, LagPolicy::CatchUp] {
        for from in [0, 1, 30, 49] {
            let mut feed = subscribe(&plant, &["a"], lag, Start::After(places[from]));
            let end = plant.write("a", 100, 100);
            let heard = until(&plant, feed.as_mut(), end);
            let mut expected: Vec<String> =
                places[from + 1..].iter().map(|seq| format!("{}: a={}", seq.0, seq.0 - 1)).collect();
            let extra = (places[49].0 + 1..=end.0).map(|seq| format!("{seq}: a=100"));
            expected.extend(extra);
            assert_eq!(heard, expected, "{lag:?} after {from}");
        }
    }
}

#[test]
fn resumes_while_others_write() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    let publish =
        |value: i64| plant.wait(plant.publish(&[(grant, Stamp::At(value), Value::Int(value))]).unwrap());
    let first = publish(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..=2_000).fold(first, |_, value| publish(value)));
        let mut feeds = Vec::new();
        while !writer.is_finished() {
            let lag = if feeds.len() % 2 == 0 {
                LagPolicy::Latest { parcels_max: 10_000 }
            } else {
                LagPolicy::CatchUp
            };
            feeds.push(subscribe(&plant, &["#"], lag, Start::After(first)));
            std::thread::yield_now();
            if feeds.len() > 20 {
                break;
            }
        }
        let end = writer.join().unwrap();
        for mut feed in feeds {
            let heard = until(&plant, feed.as_mut(), end);
            let expected: Vec<String> =
                (first.0 + 1..=end.0).map(|seq| format!("{seq}: a={}", seq - first.0)).collect();
            assert_eq!(heard, expected);
        }
    });
}

#[test]
fn the_slow_lose_the_oldest_and_are_told() {
    let plant = Plant::new();
    let mut slow = subscribe(&plant, &["a"], LagPolicy::Latest { parcels_max: 2 }, Start::Now);
    let mut end = Seq(0);
    for value in 0..5 {
        end = plant.write("a", value, value);
    }
    // Another subscription that saw the last one: the slow one was told as well.
    let mut quick = subscribe(&plant, &["a"], LagPolicy::CatchUp, Start::After(Seq(0)));
    until(&plant, quick.as_mut(), end);
    wait_for(|| plant.counted("tidemill_bus_deliveries_dropped_total") == 3.0);
    let (_, facts) = plant.bus.facts().into_iter().find(|(table, _)| table.name == "subscriptions").unwrap();
    let row: Vec<String> = facts.rows()[0].iter().map(|value| value.as_ref().to_string()).collect();
    assert_eq!((&*row[1], &*row[2], &*row[4], &*row[5]), ("a", "2", "3", "5"));
    assert_eq!(until(&plant, slow.as_mut(), end), ["missed 3 to 3", "4: a=3", "5: a=4"]);
    assert!(ready(slow.as_mut()).is_none());
}

#[test]
fn a_mailbox_has_a_limit_of_bytes() {
    let plant = Plant::with(Settings { subscriber_bytes: 1, ..Settings::default() });
    let mut feed = subscribe(&plant, &["a"], NEWEST, Start::Now);
    for value in 0..3 {
        plant.write("a", value, value);
    }
    wait_for(|| plant.counted("tidemill_bus_deliveries_dropped_total") == 2.0);
    assert_eq!(shown(&plant.bus, next(feed.as_mut())), "missed 2 to 2");
    assert_eq!(shown(&plant.bus, next(feed.as_mut())), "3: a=2", "the newest stays, however large");
}

#[test]
fn a_stalled_subscriber_holds_up_nobody() {
    let plant = Plant::new();
    let stalled: Vec<_> = (0..20)
        .map(|_| subscribe(&plant, &["#"], LagPolicy::Latest { parcels_max: 1 }, Start::Now))
        .collect();
    let asleep = subscribe(&plant, &["#"], LagPolicy::CatchUp, Start::Now);
    let mut quick = subscribe(&plant, &["#"], LagPolicy::Latest { parcels_max: 5_000 }, Start::Now);
    let end = (0..2_000).fold(Seq(0), |_, value| plant.write("a", value, value));
    assert_eq!(until(&plant, quick.as_mut(), end).len(), 2_000, "every parcel, though others never came");
    wait_for(|| plant.counted("tidemill_bus_deliveries_dropped_total") == 20.0 * 1_999.0);
    drop((stalled, asleep));
    assert!(plant.bus.shared.router.all().len() == 1 && plant.bus.shared.router.patterns() == 1);
}

#[test]
fn a_feed_wakes_its_reader_and_ends_with_the_bus() {
    let plant = Plant::new();
    let mut feed = subscribe(&plant, &["a"], NEWEST, Start::Now);
    let (send, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        let bus = &plant.bus;
        scope.spawn(move || {
            loop {
                let word = shown(bus, next(feed.as_mut()));
                let closed = word == "closed";
                send.send(word).unwrap();
                if closed {
                    return;
                }
            }
        });
        for value in 0..3 {
            plant.write("a", value, value);
            assert_eq!(
                heard.recv_timeout(Duration::from_secs(60)).unwrap(),
                format!("{}: a={value}", value + 1)
            );
        }
        plant.bus.stop().unwrap();
        assert_eq!(heard.recv_timeout(Duration::from_secs(60)).unwrap(), "closed");
    });
}

#[test]
fn patterns_have_a_limit() {
    let plant = Plant::with(Settings { patterns_max: 3, ..Settings::default() });
    let scope = ReadScope::everything();
    let first = plant.bus.subscribe(&scope, &patterns(&["a", "b"]), NEWEST, Start::Now).unwrap();
    assert_eq!(code(plant.bus.subscribe(&scope, &patterns(&["a", "b"]), NEWEST, Start::Now)), "busy");
    drop(first);
    assert_eq!(code(plant.bus.subscribe(&scope, &patterns(&["a", "b"]), NEWEST, Start::Now)), "ok");
}

/// For what another thread does soon; fails after a minute.
fn wait_for(mut condition: impl FnMut() -> bool) {
    let clock = tidemill_ground::RealClock::new();
    while !condition() {
        assert!(tidemill_ground::Clock::monotonic(&clock) < Duration::from_secs(60), "it never came true");
        std::thread::yield_now();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Every subscriber hears exactly the rows that its patterns mean, one by one.
    #[test]
    fn as_matching_one_by_one_does(
        sets in prop::collection::vec(prop::collection::vec("([ab+]/[ab+](/#)?|#|a/#|[ab]/[ab]/[ab])", 1..4), 1..6),
        batches in prop::collection::vec(prop::collection::vec("[ab]/[ab](/[ab])?", 1..6), 1..6),
        mixed in any::<bool>(),
    ) {
        let plant = Plant::new();
        let mut feeds: Vec<_> = sets.iter().enumerate().map(|(at, set)| {
            let texts: Vec<&str> = set.iter().map(String::as_str).collect();
            let lag = if mixed && at % 2 == 0 { LagPolicy::CatchUp } else { NEWEST };
            (patterns(&texts), subscribe(&plant, &texts, lag, Start::Now), Vec::new())
        }).collect();
        let mut end = Seq(0);
        for names in &batches {
            let rows: Vec<_> = names.iter().enumerate().map(|(at, name)| (plant.bind(name), Stamp::At(1), Value::Int(at as i64))).collect();
            end = plant.wait(plant.publish(&rows).unwrap());
            for (patterns, _, expected) in &mut feeds {
                let meant = |name: &&String| patterns.iter().any(|pattern| pattern.matches(&path(name)));
                let rows: Vec<String> = names.iter().enumerate().filter(|(_, name)| meant(name)).map(|(at, name)| format!("{name}={at}")).collect();
                if !rows.is_empty() {
                    expected.push(format!("{}: {}", end.0, rows.join(" ")));
                }
            }
        }
        for (_, feed, expected) in &mut feeds {
            let heard: Vec<String> = expected.iter().map(|_| shown(&plant.bus, next(feed.as_mut()))).collect();
            prop_assert_eq!(&heard, expected);
        }
        prop_assert!(end > Seq(0));
    }
}

/// A client that comes again after a restore, or after a log that lost its tail, is told so: else it would wait for places
/// that others will be given.
#[test]
fn a_place_that_the_log_does_not_reach_is_told_and_is_now() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    for lag in [NEWEST, LagPolicy::CatchUp] {
        for beyond in [1, 99_999_999, u64::MAX] {
            let durable = plant.journal.durable().0;
            let start = Start::After(Seq(durable.saturating_add(beyond)));
            let mut feed = subscribe(&plant, &["#"], lag, start);
            assert_eq!(feed.place(), Seq(durable), "{lag:?} {beyond}");
            assert!(ready(feed.as_mut()).is_none());
            let at = plant.write("a", 2, 2).0;
            assert_eq!(shown(&plant.bus, next(feed.as_mut())), format!("{at}: a=2"));
        }
    }
}
