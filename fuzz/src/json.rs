//! JSON samples, whole and one a line: any bytes become samples or refusals, and what is taken is a value that can be kept.

use std::ops::ControlFlow;
use tidemill_core::{NumberKind, Quality, ValueRef};
use tidemill_web::samples::{Layout, Sample, Take, decode};
use tidemill_web::times::TimeUnit;
use tidemill_web::{Fault, Refused};

struct Values;

impl Take for Values {
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Fault> {
        sample.time(TimeUnit::Nanoseconds)?;
        let quality = sample.quality()?;
        for number in [NumberKind::Float, NumberKind::Integer] {
            let value = sample.value(number)?;
            match value.as_ref() {
                ValueRef::Float(value) => assert!(value.is_finite()),
                ValueRef::None => assert!(quality != Quality::GOOD, "no value is never good"),
                _ => {}
            }
        }
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        assert!(refused.line > 0 && refused.column > 0);
        let _ = refused.error.to_string();
        ControlFlow::Continue(())
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let layout = if first % 2 == 0 { Layout::Json } else { Layout::JsonLines };
    decode(body, layout, &mut Values);
}
