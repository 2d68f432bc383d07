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
                // NaN and the infinities are spelled as text, and only where the sample says that it is a float.
                ValueRef::Float(value) => {
                    assert!(value.is_finite() || sample.kind.as_deref() == Some("float"))
                }
                ValueRef::None => assert!(quality != Quality::GOOD, "no value is never good"),
                _ => {}
            }
        }
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        crate::is_told(&refused)
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let layout = if first % 2 == 0 { Layout::Json } else { Layout::JsonLines };
    decode(body, layout, &mut Values);
}
