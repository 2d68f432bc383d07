//! Prometheus remote write, after snappy is taken off: any bytes become series and samples or refusals, and what a series is
//! told from others by says the same as its labels.

use std::collections::HashMap;
use std::ops::ControlFlow;
use tidemill_web::remote::{LABELS_MAX, Labels, Sink, parse};
use tidemill_web::{Error, Refused};

#[derive(Default)]
struct Names {
    /// The labels of every key that was seen.
    seen: HashMap<Vec<u8>, Vec<(String, String)>>,
}

impl Sink for Names {
    type Bound = ();

    fn check(&mut self, time: i64) -> Result<(), Error> {
        assert!(time % 1_000_000 == 0, "times are whole milliseconds");
        Ok(())
    }

    fn bind(&mut self, labels: &Labels<'_, '_>) -> Result<(), Error> {
        assert!(labels.pairs.len() <= LABELS_MAX);
        let pairs: Vec<_> =
            labels.pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let known = self.seen.entry(labels.key.to_vec()).or_insert_with(|| pairs.clone());
        assert_eq!(*known, pairs, "one key, two series");
        let series = labels.series()?;
        let path = series.path("value")?;
        assert_eq!(series.path("value")?, path, "a name is the same twice");
        Ok(())
    }

    fn sample(&mut self, (): (), _: i64, _: f64) -> Result<(), Error> {
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        crate::is_told(&refused)
    }
}

pub(crate) fn run(data: &[u8]) {
    parse(data, &mut Names::default());
}
