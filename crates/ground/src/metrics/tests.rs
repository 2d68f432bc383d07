//! What is shown is what OpenMetrics 1.0 asks for, and what is refused is counted.

use super::*;
use expect_test::expect;

#[test]
fn text_is_openmetrics() {
    let metrics = Metrics::new();
    metrics.counter("tidemill_writes_total", "Requests that wrote.").add(3);
    for (door, bytes) in [("http", 7), ("mqtt", 5), ("http", 1)] {
        metrics
            .counter_with("tidemill_bytes", "Bytes taken in.", &[("door", door), ("way", "in")])
            .add(bytes);
    }
    metrics.gauge("tidemill_lag", "Goes below zero.").set(-4);
    metrics.watch("tidemill_share", "Asked for.", &[], || 0.25);
    let seconds =
        metrics.histogram("tidemill_sync_seconds", "Time of a sync.", &[1.0, 0.001, 1e-6, f64::NAN]);
    for value in [0.001, 0.0011, 1.0, 7.5, 0.0, f64::NAN] {
        seconds.observe(value);
    }
    expect![[r#"
        # TYPE tidemill_bytes counter
        # HELP tidemill_bytes Bytes taken in.
        tidemill_bytes_total{door="http",way="in"} 8
        tidemill_bytes_total{door="mqtt",way="in"} 5
        # TYPE tidemill_lag gauge
        # HELP tidemill_lag Goes below zero.
        tidemill_lag -4
        # TYPE tidemill_metrics_refused counter
        # HELP tidemill_metrics_refused Instruments that are not shown: too many series, an illegal name, or a name of another kind.
        tidemill_metrics_refused_total 0
        # TYPE tidemill_share gauge
        # HELP tidemill_share Asked for.
        tidemill_share 0.25
        # TYPE tidemill_sync_seconds histogram
        # HELP tidemill_sync_seconds Time of a sync.
        tidemill_sync_seconds_bucket{le="1e-6"} 1
        tidemill_sync_seconds_bucket{le="0.001"} 2
        tidemill_sync_seconds_bucket{le="1.0"} 4
        tidemill_sync_seconds_bucket{le="+Inf"} 5
        tidemill_sync_seconds_count 5
        tidemill_sync_seconds_sum 8.5021
        # TYPE tidemill_writes counter
        # HELP tidemill_writes Requests that wrote.
        tidemill_writes_total 3
        # EOF
    "#]]
    .assert_eq(&metrics.render());
}

#[test]
fn values_and_help_are_escaped() {
    let metrics = Metrics::with_series_max(9);
    metrics.counter_with("odd", "two\nlines \\ \"quoted\"", &[("path", "a\\b\"c\"\nd{}é")]).add(1);
    let text = metrics.render();
    expect![[r##"
        # HELP tidemill_odd two\nlines \\ \"quoted\"
        tidemill_odd_total{path="a\\b\"c\"\nd{}é"} 1"##]]
    .assert_eq(
        &text
            .lines()
            .filter(|line| line.contains("odd ") || line.contains("odd_"))
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n"),
    );
}

#[test]
fn numbers_are_written_as_openmetrics_does() {
    let shown =
        [0.0, 1.0, -2.5, 1e21, 1e-9, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(|n| Real(n).to_string());
    assert_eq!(shown, ["0.0", "1.0", "-2.5", "1e21", "1e-9", "+Inf", "-Inf", "NaN"]);
}

#[test]
fn one_name_is_one_number() {
    let metrics = Metrics::new();
    metrics.counter("a", "").add(1);
    metrics.counter("a_total", "").add(1);
    metrics.histogram("h", "", &[1.0]).observe(0.5);
    metrics.histogram("h", "", &[2.0, 3.0]).observe(2.5);
    assert_eq!(metrics.counter("a", "").get(), 2);
    assert_eq!(metrics.histogram("h", "", &[]).count(), 2);
    assert_eq!(metrics.histogram("h", "", &[]).sum(), 3.0);
}

#[test]
fn what_cannot_be_shown_still_counts_and_is_counted() {
    let metrics = Metrics::with_series_max(3); // one of them its own
    let label = |value| [("n", value)];
    for value in ["1", "2", "3", "4"] {
        let counter = metrics.counter_with("many", "", &label(value));
        counter.add(5);
        assert_eq!(counter.get(), 5);
    }
    metrics.gauge("many", "of another kind").set(1);
    metrics.gauge("9lives", "begins with a digit").set(1);
    metrics.gauge_with("fine", "", &[("le", "1")]).set(1);
    metrics.gauge("", "").set(1);
    let shown: Vec<_> = metrics.snapshot().into_iter().map(|reading| (reading.name, reading.value)).collect();
    let expected =
        [("tidemill_many_total", 5.0), ("tidemill_many_total", 5.0), ("tidemill_metrics_refused_total", 6.0)];
    assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_watched_gauge_may_ask_the_registry() {
    let metrics = Metrics::new();
    let again = metrics.clone();
    metrics.watch("watched", "", &[], move || again.counter("other", "").get() as f64);
    metrics.counter("other", "").add(9);
    assert!(metrics.render().contains("\ntidemill_watched 9.0\n"));
}

#[test]
fn rows_have_all_that_the_text_has() {
    let metrics = Metrics::new();
    metrics.histogram_with("h", "Some.", &[0.5], &[("a", "b")]).observe(2.0);
    metrics.gauge("g", "").add(-2);
    let rows = metrics
        .snapshot()
        .iter()
        .map(|row| format!("{} {:?} {:?} {}", row.name, row.kind, row.labels, row.value))
        .collect::<Vec<_>>();
    expect![[r#"
        tidemill_g Gauge [] -2
        tidemill_h_bucket Histogram [("a", "b"), ("le", "0.5")] 0
        tidemill_h_bucket Histogram [("a", "b"), ("le", "+Inf")] 1
        tidemill_h_count Histogram [("a", "b")] 1
        tidemill_h_sum Histogram [("a", "b")] 2
        tidemill_metrics_refused_total Counter [] 0"#]]
    .assert_eq(&rows.join("\n"));
}
