//! Line protocol: any bytes become lines or refusals, and every name and text that is made of a line is sound.

use std::ops::ControlFlow;
use tidemill_web::line::name::{Series, field_name};
use tidemill_web::line::{FieldValue, Line, Sink, parse, unescape_text};
use tidemill_web::times::TimeUnit;
use tidemill_web::{Fault, Refused};

struct Names {
    text: String,
}

impl Sink for Names {
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault> {
        assert!(!line.fields.is_empty(), "a line has fields");
        let fault = |error| Fault { at: line.at, error };
        let series = Series::parse(line.series).map_err(|fault| fault.within(line.at))?;
        for field in line.fields {
            let name = field_name(field.key).map_err(fault)?;
            let path = series.path(&name).map_err(fault)?;
            assert_eq!(series.path(&name).map_err(fault)?, path, "a name is the same twice");
            if let FieldValue::Text { raw, .. } = field.value {
                self.text.clear();
                unescape_text(raw, &mut self.text);
                assert!(self.text.len() <= raw.len());
            }
            if let FieldValue::Float { value, .. } = field.value {
                assert!(value.is_finite(), "NaN and infinities are refused");
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
    let units = [TimeUnit::Nanoseconds, TimeUnit::Microseconds, TimeUnit::Milliseconds, TimeUnit::Seconds];
    let unit = units[usize::from(first % 4)];
    parse(body, unit, &mut Names { text: String::new() });
}
