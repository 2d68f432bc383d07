//! The same questions over the real store, half in files and half in memory: the answers are those of the plant in
//! memory. And what a question over everything costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tidemill_core::{
    BatchBuilder, Flags, Format, Parcel, Pattern, ReadMode, ReadQuery, ReadScope, SampleBatch, Seq, Stamp,
};
use tidemill_ground::{Ground, Simulation};

use super::fake::*;
use super::scope::{conditions, oracle, plain, random_plant, rows_of, samples, scope};
use super::small::plant;
use crate::query::Engine;
use tidemill_lake::{Settings as LakeSettings, Store};

/// A store over the registry of a plant, driven step by step.
pub(crate) struct Kept {
    store: Arc<Store>,
    plant: Arc<Plant>,
    seq: AtomicU64,
    _simulation: Simulation,
}

impl Kept {
    pub(crate) fn new(plant: &Arc<Plant>) -> Kept {
        let (ground, simulation) = Ground::simulated(7);
        let settings = LakeSettings { write_bytes_per_s: 1 << 40, ..LakeSettings::default() };
        let lake = Path::new("/plant/data/lake");
        let store = Store::open(&ground, lake, plant.clone(), plant.clone(), settings).unwrap();
        Kept { store, plant: plant.clone(), seq: AtomicU64::new(0), _simulation: simulation }
    }

    /// What the plant holds, the first half of it in files.
    pub(crate) fn of(plant: &Arc<Plant>) -> Kept {
        let kept = Kept::new(plant);
        let samples = plant.samples();
        for (number, stored) in samples.iter().enumerate() {
            if number == samples.len() / 2 {
                kept.flush();
            }
            let mut builder = BatchBuilder::new(stored.source, Flags::default());
            builder
                .push(stored.signal, Stamp::At(stored.time), stored.value.as_ref(), stored.quality)
                .unwrap();
            kept.write(builder.finish(stored.received.unwrap_or(stored.time), Flags::default()));
        }
        kept
    }

    fn write(&self, batch: SampleBatch) {
        let seq = Seq(self.seq.fetch_add(1, Ordering::Relaxed) + 1);
        self.store.apply(seq, &Parcel::of_samples(batch));
    }

    pub(crate) fn flush(&self) {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| self.store.flush_now());
            while !asked.is_finished() {
                self.store.flush_step().unwrap();
                std::thread::yield_now();
            }
            asked.join().unwrap().unwrap();
        });
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.store.clone(), self.plant.clone(), self.plant.clone(), settings()).unwrap()
    }
}

#[test]
fn the_store_answers_as_the_plant_in_memory() {
    let plant = plant();
    let (kept, memory) = (Kept::of(&plant).engine(), engine(&plant));
    let everything = ReadScope::everything();
    for query in [
        "SELECT * FROM samples ORDER BY signal, time, text",
        "SELECT count(*) AS n FROM samples",
        "SELECT signal, count(*) AS n, min(time) AS a, max(value) AS b, max(quality) AS c FROM samples GROUP BY signal ORDER BY signal",
        "SELECT signal, time, received, source, kind FROM samples WHERE received IS NOT NULL",
        "SELECT value FROM samples WHERE signal = 'acme/press/temperature' ORDER BY time",
        "SELECT signal, text FROM samples WHERE matches(signal, '+/+/state') ORDER BY signal, time, text",
        "SELECT count(*) AS n FROM samples WHERE time > '2026-01-01T00:00:01Z' AND value > 20",
        "SELECT count(*) AS n FROM samples WHERE signal = 'beta/mill/gone'",
        "SELECT sum(value) AS s FROM samples WHERE quality = 0 AND signal LIKE 'acme/press/t%'",
        "SELECT time, value FROM read('acme/press/temperature', '2026-01-01T00:00:00Z', '2026-01-01T00:01:01Z', 'points', 2)",
        "SELECT signal, time, value, text FROM read('#', NULL, '2026-01-01T00:00:01Z', 'last') ORDER BY signal",
    ] {
        assert_eq!(ask(&kept, &everything, query), ask(&memory, &everything, query), "{query}");
    }
    assert!(ask(&kept, &everything, "SELECT count(*) AS n FROM sys.files").starts_with("n\n"));
    let all = ReadQuery {
        patterns: vec![Pattern::everything()],
        from: i64::MIN,
        to: i64::MAX,
        mode: ReadMode::Raw,
        limit: None,
    };
    for format in [Format::Csv, Format::JsonLines] {
        let export = |engine: &Engine| {
            wait(async { collect(engine.export(&everything, all.clone(), format, BUDGET).await?).await })
                .map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(export(&kept), export(&memory));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn random_questions_of_the_store_agree_with_the_plain_truth(
        samples in samples(),
        asked in proptest::collection::vec(conditions(), 1..5),
    ) {
        // Equal samples are one to the store.
        let mut samples = samples;
        samples.sort();
        samples.dedup();
        let plant = random_plant(&samples);
        let engine = Kept::of(&plant).engine();
        let scope = scope(&["a/#", "b/+"], false);
        for condition in &asked {
            let query = format!("SELECT signal, time, value FROM samples WHERE {}", condition.sql);
            let expected = plain(oracle(&plant, &scope, &*condition.keep));
            let found = rows_of(sql_bytes(&engine, &scope, &query, Vec::new(), Format::JsonLines));
            prop_assert_eq!(&found, &expected, "{}", query);
        }
    }
}
