//! Prometheus remote write: the bytes of its protobuf, made here by hand, and what becomes of them.

use std::ops::ControlFlow;

use expect_test::expect;
use proptest::prelude::*;
use tidemill_core::{Flags, codes};

use super::{Answered, House};
use crate::line::template::Templates;
use crate::remote::{self, STALE_BITS};
use crate::{Error, Refused};

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn nested(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(inner.len() as u64, &mut out);
    out.extend(inner);
    out
}

fn label(name: &str, value: &str) -> Vec<u8> {
    nested(1, &[nested(1, name.as_bytes()), nested(2, value.as_bytes())].concat())
}

fn sample(value: f64, millis: i64) -> Vec<u8> {
    let mut inner = vec![1 << 3 | 1];
    inner.extend(value.to_bits().to_le_bytes());
    inner.push(2 << 3);
    varint(millis as u64, &mut inner);
    nested(2, &inner)
}

fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Vec<u8> {
    let labels = labels.iter().flat_map(|(name, value)| label(name, value));
    let samples = samples.iter().flat_map(|(value, millis)| sample(*value, *millis));
    nested(1, &labels.chain(samples).collect::<Vec<_>>())
}

fn snapped(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

impl House {
    async fn remote_write(&self, body: &[u8]) -> Answered {
        self.send("POST /api/v1/write", &HEADERS, snapped(body)).await
    }
}

#[tokio::test]
async fn series_become_signals() {
    let house = House::new();
    let metadata = nested(3, &[0x08, 0x01, 0x12, 0x02, b'u', b'p']);
    let exemplar = nested(3, &[0x11, 0, 0, 0, 0, 0, 0, 0, 0]);
    let late_labels = nested(1, &[sample(9.0, 3), exemplar, label("__name__", "late")].concat());
    let body = [
        series(&[("__name__", "up"), ("instance", "a:9100"), ("job", "node")], &[(1.0, 1), (0.0, 2)]),
        metadata,
        series(&[("__name__", "up"), ("empty", ""), ("mount", "/data")], &[(-0.0, -1)]),
        series(&[("__name__", "bare")], &[(f64::INFINITY, 1), (f64::from_bits(STALE_BITS), 2)]),
        series(&[("__name__", "no_samples")], &[]),
        late_labels,
    ];
    assert_eq!(house.remote_write(&body.concat()).await.brief(), "204 ");
    expect![[r#"
        up/instance=a:9100,job=node = 1 (float) at 1000000 Good
        up/instance=a:9100,job=node = 0 (float) at 2000000 Good
        up/mount=%2Fdata = -0 (float) at -1000000 Good
        bare = inf (float) at 1000000 Good
        bare = - (none) at 2000000 Bad_NoCommunication
        late = 9 (float) at 3000000 Good
    "#]]
    .assert_eq(&house.plant.shown());
    let state = house.plant.state();
    assert!(!state.published[0].flags.has(Flags::REPLACE), "Prometheus never overwrites");
    let tags = format!("{:?}", state.signals[0].meta.tags);
    assert_eq!(tags, r#"{"instance": "a:9100", "job": "node"}"#);
    assert!(!state.signals.iter().any(|signal| signal.path.as_str() == "no_samples"));
}

#[tokio::test]
async fn every_nan_is_one_value_but_the_stale_marker() {
    for bits in [0x7FF8_0000_0000_0001, 0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0000, 0x7FF0_0000_0000_0003] {
        let house = House::new();
        let body = series(&[("__name__", "n")], &[(f64::from_bits(bits), 1)]);
        assert_eq!(house.remote_write(&body).await.brief(), "204 ");
        assert_eq!(house.plant.state().published[0].bits, [0x7FF8_0000_0000_0000]);
    }
}

#[tokio::test]
async fn good_series_are_kept_and_bad_ones_counted() {
    let house = House::new();
    let histogram = nested(1, &[label("__name__", "h"), nested(4, &[0x08, 0x01])].concat());
    let many: Vec<_> = (0..257).map(|number| (format!("l{number}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let bad = [
        series(&[("job", "x")], &[(1.0, 1), (2.0, 2)]),
        series(&[("__name__", "m"), ("a", "1"), ("a", "2")], &[(1.0, 1)]),
        series(&[("__name__", "m"), ("", "1")], &[(1.0, 1)]),
        series(&[("__name__", "m")], &[(1.0, i64::MAX)]),
        histogram,
        series(&many, &[(1.0, 1)]),
        nested(1, &nested(1, &nested(2, b"\xFF"))),
    ];
    let mut told = String::new();
    for bad in &bad {
        let body = [
            series(&[("__name__", "a")], &[(1.0, 1)]),
            bad.clone(),
            series(&[("__name__", "z")], &[(2.0, 2)]),
        ];
        let answer = house.remote_write(&body.concat()).await;
        let hint = answer.json()["hint"].as_str().unwrap_or_default().to_owned();
        // Prometheus shows its user no more than this: what it says is about remote write.
        assert!(!["RFC 3339", "JSON", "openapi"].iter().any(|word| hint.contains(word)), "{hint}");
        told += &format!("{}. {hint}\n", answer.brief());
    }
    assert_eq!(house.plant.state().signals.len(), 2, "what is refused makes no name");
    expect![[r#"
        400 partial-write series 2: the series has no label __name__: it says how the metric is called; refused=1 kept=2. Give each series one __name__ and each label once: docs/reference/line-protocol.md says what they become
        400 partial-write series 2: the label 'a' stands twice: a series has each label once; refused=1 kept=2. Give each series one __name__ and each label once: docs/reference/line-protocol.md says what they become
        400 partial-write series 2: a label has no name; refused=1 kept=2. Give each series one __name__ and each label once: docs/reference/line-protocol.md says what they become
        400 partial-write series 2: the time 9223372036854775807 ms is outside the years 1677 to 2262; refused=1 kept=2. Check the clock of what is scraped: times are milliseconds since 1970
        400 partial-write series 2: native histograms have no form here: send classic ones, or drop them by send_native_histograms: false; refused=1 kept=2. Keep the classic ones: always_scrape_classic_histograms: true
        400 partial-write series 2: the series has more than 256 labels: drop some by write_relabel_configs; refused=1 kept=2. Give each series one __name__ and each label once: docs/reference/line-protocol.md says what they become
        400 partial-write series 2: the text is not UTF-8; refused=1 kept=2. Check Content-Encoding (gzip, zstd, snappy) and that the text is UTF-8
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn what_is_no_remote_write() {
    let house = House::new();
    let good = series(&[("__name__", "a")], &[(1.0, 1)]);
    let mut lying = snapped(&good);
    lying.splice(0..1, [0xFF, 0xFF, 0xFF, 0x0F]);
    let mut cut = snapped(&good);
    cut.truncate(cut.len() - 1);
    let version_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let version_1 = "application/x-protobuf; proto=prometheus.WriteRequest";
    let table: [(&str, &str, &[u8]); 9] = [
        (version_1, "snappy", &snapped(&good)),
        ("application/x-protobuf", "", &good),
        ("application/x-protobuf", "snappy", b""),
        ("application/x-protobuf", "snappy", &good),
        ("application/x-protobuf", "snappy", &lying),
        ("application/x-protobuf", "snappy", &cut),
        ("application/x-protobuf", "", b"up 1"),
        (version_2, "snappy", &snapped(&good)),
        ("application/x-protobuf", "br", &good),
    ];
    let headers = [("content-type", version_2), ("content-encoding", "snappy")];
    let named = house.send("POST /api/v1/write?format=prometheus", &headers, snapped(&good)).await;
    assert_eq!(named.status, 415, "it would be read as a message without series, and acknowledged");
    let mut told = String::new();
    for (media_type, coding, body) in table {
        let headers = [("content-type", media_type), ("content-encoding", coding)];
        let answer = house.send("POST /api/v1/write", &headers, body.to_vec()).await;
        told += &format!("{}\n", answer.brief());
    }
    expect![[r#"
        204 
        204 
        204 
        400 bad-encoding the body is not snappy's block format, or is cut off
        400 bad-encoding the body is not snappy's block format, or is cut off
        400 bad-encoding the body is not snappy's block format, or is cut off
        400 bad-encoding series 1: the body is no protobuf of remote write: it ends within a field; refused=1 kept=0
        415 unsupported-format this kind of protobuf cannot be written: send text/plain (line protocol), application/json, application/x-ndjson, application/vnd.apache.arrow.stream, application/vnd.apache.parquet or application/x-protobuf (Prometheus remote write 1.0)
        415 unsupported-format the body's Content-Encoding is not known: gzip, zstd, snappy and identity are
    "#]]
    .assert_eq(&told);
}

/// Prometheus repeats what a 5xx refused and drops the rest, 429 included unless it is told otherwise.
#[tokio::test]
async fn what_can_be_kept_later_is_a_503() {
    let house = House::new();
    let body = series(&[("__name__", "a")], &[(1.0, 1)]);
    house.plant.state().busy = 1;
    let busy = house.remote_write(&body).await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (503, "1"));
    house.plant.state().unresolved = vec![("new", &codes::SIGNALS_RATE)];
    let both = [body, series(&[("__name__", "new")], &[(2.0, 2)])].concat();
    let later = house.remote_write(&both).await;
    assert_eq!((later.status.as_u16(), later.header("retry-after")), (503, "60"), "{}", later.text());
    assert_eq!(house.plant.shown(), "a = 1 (float) at 1000000 Good\n", "what needs no new name is kept");
    house.plant.state().unresolved.clear();
    assert_eq!(house.remote_write(&both).await.brief(), "204 ");
}

#[tokio::test]
async fn templates_name_series_of_remote_write_too() {
    let templates: Templates =
        toml::from_str("[[template]]\nmatch = { job = \"*\" }\npath = \"{job}/{instance}/{measurement}\"")
            .unwrap();
    let house = House::with(crate::Settings { templates, ..crate::Settings::default() });
    let body = series(&[("__name__", "up"), ("instance", "a"), ("job", "node")], &[(1.0, 1)]);
    assert_eq!(house.remote_write(&body).await.brief(), "204 ");
    assert_eq!(house.plant.shown(), "node/a/up = 1 (float) at 1000000 Good\n");
}

/// Takes every series that has a name, and nothing more.
struct Nothing;

impl remote::Sink for Nothing {
    type Bound = ();

    fn check(&mut self, _: i64) -> Result<(), Error> {
        Ok(())
    }

    fn bind(&mut self, labels: &remote::Labels<'_, '_>) -> Result<(), Error> {
        labels.series()?.path("value").map(drop)
    }

    fn sample(&mut self, (): (), _: i64, _: f64) -> Result<(), Error> {
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        assert!(refused.line > 0);
        ControlFlow::Continue(())
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(prop_oneof![Just(0x0Au8), Just(0x12), Just(0x02), any::<u8>()], 0..80)) {
        remote::parse(&body, &mut Nothing);
    }

    /// What was whole and is broken in a few places.
    #[test]
    fn no_broken_message_panics(
        breaks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
    ) {
        let mut body = [
            series(&[("__name__", "up"), ("job", "node")], &[(1.0, 1), (f64::NAN, -1)]),
            nested(3, &[0x08, 0x01, 0x12, 0x02, b'u', b'p']),
            series(&[("__name__", "b"), ("a", "1")], &[(2.0, i64::MAX)]),
        ]
        .concat();
        for (at, byte) in breaks {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(length.index(body.len()) + 1);
        remote::parse(&body, &mut Nothing);
    }
}
