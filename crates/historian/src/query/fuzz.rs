//! Where fuzzing begins: foreign text through the whole of SQL over a plant without signals, and foreign bodies through
//! the decoders. Nothing here may panic, hang, or take more memory than its limits, whatever comes in.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::stub;
use tidemill_core::{
    Budget, ColumnSample, Format, Grant, Identity, Meta, NumberKind, Problem, ReadScope, SampleSink, Seq,
    SignalId, SignalPath, SqlQuery, TableSpec, Value, ValueRef, Verb, codes,
};
use tidemill_ground::{Metrics, SimClock};

use super::{Engine, Settings};
use tidemill_lake::{FileFact, SampleSource, Scan, ScanSpec, TableScan, View};

/// What one input may cost.
const BUDGET: Budget = Budget { time: Duration::from_secs(5), memory_bytes: 32 << 20, rows: 1_000 };

/// Reads, plans and runs a text as SQL, and says whether that went through.
///
/// # Panics
/// When a query failed inside: that is a finding.
pub fn sql(text: &[u8]) -> bool {
    static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| {
        let settings = Settings {
            concurrent: 4,
            waiting_max: 64,
            idle_time_max: super::IDLE_TIME_MAX,
            memory_bytes: 128 << 20,
            partitions: 1,
            slow: None,
            clock: Arc::new(SimClock::default()),
            metrics: Metrics::new(),
        };
        let nothing = Arc::new(Nothing::default());
        Engine::new(nothing.clone(), nothing.clone(), nothing, settings).ok()
    });
    let (Some(engine), Ok(text)) = (ENGINE.as_ref(), std::str::from_utf8(text)) else { return false };
    let query = SqlQuery { text: text.to_owned(), parameters: vec![Value::Int(1), Value::Text("a".into())] };
    let outcome: Option<Result<(), Problem>> = engine.block_on(async {
        let mut chunks = engine.sql(&ReadScope::everything(), query, Format::JsonLines, BUDGET).await?;
        while let Some(chunk) = chunks.next().await {
            chunk?;
        }
        Ok(())
    });
    if let Some(Err(problem)) = &outcome {
        assert!(problem.code.id != codes::INTERNAL.id, "{problem}");
    }
    matches!(outcome, Some(Ok(())))
}

/// Decodes bytes as an Arrow stream and as a Parquet file, and says whether one of them went through.
pub fn decode(body: &[u8]) -> bool {
    let mut read = false;
    for format in [Format::Arrow, Format::Parquet] {
        let body = Bytes::copy_from_slice(body);
        let measured = super::measure(format, &body).map(|measure| measure.rows);
        let mut samples = Counted(0);
        if super::decode(format, body, &mut samples).is_ok() {
            read = true;
            let announced = measured.is_ok_and(|rows| samples.0 <= rows);
            assert!(announced, "there are more samples than were announced");
        }
    }
    read
}

struct Counted(u64);

impl SampleSink for Counted {
    fn sample(&mut self, sample: &ColumnSample<'_>) -> Result<(), (&'static str, Problem)> {
        assert!(sample.value != ValueRef::None || !sample.quality.is_good(), "no value is never good");
        self.0 += 1;
        Ok(())
    }
}

/// A plant without signals, which takes any name.
#[derive(Default)]
struct Nothing(AtomicU32);

impl SampleSource for Nothing {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(Nothing::default())
    }
    fn applied(&self) -> Seq {
        Seq(0)
    }
    fn wait_applied(&self, _: Seq, _: Duration) -> bool {
        true
    }
}

impl View for Nothing {
    fn kept_bytes(&self) -> usize {
        0
    }

    fn scan(&self, _: &ScanSpec, _: usize) -> Vec<Scan> {
        Vec::new()
    }
    fn scan_table(&self, _: &'static TableSpec, _: i64, _: i64) -> TableScan {
        Box::new(std::iter::empty())
    }
    fn files(&self) -> Vec<FileFact> {
        Vec::new()
    }
}

impl stub::BusStub for Nothing {
    fn bind(&self, _: &Identity, verb: Verb, _: &SignalPath, _: &Meta) -> Result<Grant, Problem> {
        let number = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let none = || Problem::new(&codes::NOT_FOUND, "there is nothing here");
        let id = SignalId::new(number).ok_or_else(none)?;
        Ok(Grant { id, verb, epoch: 1, number: NumberKind::Float })
    }
}

impl stub::JournalStub for Nothing {}
