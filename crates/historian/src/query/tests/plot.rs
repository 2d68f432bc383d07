//! Decimation against the plain truth: no extreme is lost, gaps are seen, nothing is invented, and it stays small.

use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;
use tidemill_core::{Format, Pattern, Quality, ReadMode, ReadQuery, Value};

use super::fake::*;

/// Seconds and values; none for a bad sample, text for text.
#[derive(Clone, Debug)]
enum Point {
    Number(f64),
    Word,
    Bad,
}

fn plant_of(points: &[(i64, Point)]) -> Arc<Plant> {
    let plant = Arc::new(Plant::default());
    for (second, point) in points {
        let time = T0 + second * SECOND;
        match point {
            Point::Number(value) => plant.put("a", time, Value::Float(*value)),
            Point::Word => plant.put("a", time, Value::Text("word".into())),
            Point::Bad => plant.put_with("a", time, Value::None, Quality::BAD_NO_DATA, None),
        }
    }
    plant
}

fn decimated(plant: &Arc<Plant>, seconds: i64, points: u32) -> Vec<String> {
    let query = ReadQuery {
        patterns: vec![Pattern::everything()],
        from: T0,
        to: T0 + seconds * SECOND,
        mode: ReadMode::Points { points },
        limit: None,
    };
    let engine = engine(plant);
    exported(&engine, query, Format::Arrow)
}

/// The same by looking at each pixel on its own.
fn oracle(points: &[(i64, Point)], seconds: i64, count: i64) -> Vec<String> {
    let mut sorted: Vec<(i64, Point)> =
        points.iter().filter(|(second, _)| *second < seconds).cloned().collect();
    sorted.sort_by_key(|(second, _)| *second);
    let pixel = |second: i64| second * count / seconds;
    let bad = |at: Option<&(i64, Point)>| matches!(at, Some((_, Point::Bad)));
    let mut kept = std::collections::BTreeSet::new();
    for number in 0..count {
        let here: Vec<usize> = (0..sorted.len()).filter(|at| pixel(sorted[*at].0) == number).collect();
        let good: Vec<usize> = here.iter().copied().filter(|at| !bad(sorted.get(*at))).collect();
        kept.extend(good.first());
        kept.extend(good.last());
        let value = |at: &usize| match sorted[*at].1 {
            Point::Number(value) => Some(value),
            _ => None,
        };
        let numbers: Vec<usize> = good.iter().copied().filter(|at| value(at).is_some()).collect();
        let low =
            numbers.iter().copied().reduce(|best, at| if value(&at) < value(&best) { at } else { best });
        let high =
            numbers.iter().copied().reduce(|best, at| if value(&at) > value(&best) { at } else { best });
        kept.extend(low);
        kept.extend(high);
        // The first beginning of a gap here, and the last end of one.
        let begins = |at: &&usize| bad(sorted.get(**at)) && (**at == 0 || !bad(sorted.get(**at - 1)));
        let ends = |at: &&usize| bad(sorted.get(**at)) && !bad(sorted.get(**at + 1));
        kept.extend(here.iter().find(begins));
        kept.extend(here.iter().rfind(ends));
    }
    let line = |at: usize| {
        let (second, point) = &sorted[at];
        let time = tidemill_core::rfc3339(T0 + second * SECOND);
        match point {
            Point::Number(value) => format!("a,{time},{value:?},float,Good"),
            Point::Word => format!("a,{time},word,text,Good"),
            Point::Bad => format!("a,{time},,none,Bad_NoData"),
        }
    };
    kept.into_iter().map(line).collect()
}

fn points() -> impl Strategy<Value = Vec<(i64, Point)>> {
    let point = prop_oneof![
        6 => (-5..5i32).prop_map(|value| Point::Number(f64::from(value))),
        1 => Just(Point::Word),
        3 => Just(Point::Bad),
    ];
    proptest::collection::vec((0..50i64, point), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_look_at_each_pixel(points in points(), count in 1..12u32, batch_rows in 1..9u64, all_good: bool) {
        let mut points = points;
        if all_good {
            points.retain(|(_, point)| matches!(point, Point::Number(_)));
        }
        let plant = plant_of(&points);
        plant.batch_rows.store(batch_rows, std::sync::atomic::Ordering::Relaxed);
        let found = decimated(&plant, 50, count);
        prop_assert!(found.len() <= count as usize * 6);
        prop_assert_eq!(found, oracle(&points, 50, i64::from(count)));
    }
}

#[test]
fn a_spike_among_a_hundred_thousand_is_kept() {
    let mut points: Vec<(i64, Point)> =
        (0..100_000).map(|second| (second, Point::Number((second % 10) as f64))).collect();
    points[77_777] = (77_777, Point::Number(1e6));
    points[50_000..50_100].fill((0, Point::Bad));
    for (second, point) in points.iter_mut().enumerate().skip(50_000).take(100) {
        *point = (second as i64, Point::Bad);
    }
    let found = decimated(&plant_of(&points), 100_000, 10);
    assert!(found.iter().any(|line| line.contains("1000000.0")));
    expect![[r#"
        a,2026-01-01T00:00:00Z,0.0,float,Good
        a,2026-01-01T00:00:09Z,9.0,float,Good
        a,2026-01-01T02:46:39Z,9.0,float,Good
        a,2026-01-01T02:46:40Z,0.0,float,Good
        a,2026-01-01T02:46:49Z,9.0,float,Good
        a,2026-01-01T05:33:19Z,9.0,float,Good
        a,2026-01-01T05:33:20Z,0.0,float,Good
        a,2026-01-01T05:33:29Z,9.0,float,Good
        a,2026-01-01T08:19:59Z,9.0,float,Good
        a,2026-01-01T08:20:00Z,0.0,float,Good
        a,2026-01-01T08:20:09Z,9.0,float,Good
        a,2026-01-01T11:06:39Z,9.0,float,Good
        a,2026-01-01T11:06:40Z,0.0,float,Good
        a,2026-01-01T11:06:49Z,9.0,float,Good
        a,2026-01-01T13:53:19Z,9.0,float,Good
        a,2026-01-01T13:53:20Z,,none,Bad_NoData
        a,2026-01-01T13:54:59Z,,none,Bad_NoData
        a,2026-01-01T13:55:00Z,0.0,float,Good
        a,2026-01-01T13:55:09Z,9.0,float,Good
        a,2026-01-01T16:39:59Z,9.0,float,Good
        a,2026-01-01T16:40:00Z,0.0,float,Good
        a,2026-01-01T16:40:09Z,9.0,float,Good
        a,2026-01-01T19:26:39Z,9.0,float,Good
        a,2026-01-01T19:26:40Z,0.0,float,Good
        a,2026-01-01T21:36:17Z,1000000.0,float,Good
        a,2026-01-01T22:13:19Z,9.0,float,Good
        a,2026-01-01T22:13:20Z,0.0,float,Good
        a,2026-01-01T22:13:29Z,9.0,float,Good
        a,2026-01-02T00:59:59Z,9.0,float,Good
        a,2026-01-02T01:00:00Z,0.0,float,Good"#]]
    .assert_eq(&found[..30.min(found.len())].join("\n"));
}

#[test]
fn each_signal_has_its_own_pixels() {
    let plant = plant_of(&[(0, Point::Number(1.0)), (9, Point::Bad)]);
    plant.put("b", T0, Value::Float(5.0));
    plant.put("b", T0 + SECOND, Value::Float(f64::NAN));
    plant.put("b", T0 + 9 * SECOND, Value::Bool(true));
    expect![[r#"
        a,2026-01-01T00:00:00Z,1.0,float,Good
        a,2026-01-01T00:00:09Z,,none,Bad_NoData
        b,2026-01-01T00:00:00Z,5.0,float,Good
        b,2026-01-01T00:00:01Z,NaN,float,Good
        b,2026-01-01T00:00:09Z,true,boolean,Good"#]]
    .assert_eq(&decimated(&plant, 10, 2).join("\n"));
}
