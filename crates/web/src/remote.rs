//! Prometheus remote write 1.0 (<https://prometheus.io/docs/specs/prw/remote_write_spec/>): a protobuf `WriteRequest` of
//! series, read without copies, bounded, never panicking. Here: bytes to series and samples. What a series is called and what
//! happens to its samples is decided by others; snappy is taken off before (`body`).
//!
//! Decided where the standard is vague: a label without a value is no label, as in Prometheus; a label that stands twice
//! refuses its series; native histograms are refused one by one; exemplars and metadata are no samples and passed over.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::ops::ControlFlow;

use crate::error::{Error, Refused, excerpt};
use crate::line::name::Series;

/// The label with the name of a metric.
const NAME: &str = "__name__";
/// The bits of the value that says that a series has ended; another NaN is a value.
pub const STALE_BITS: u64 = 0x7FF0_0000_0000_0002;
/// Nanoseconds of the milliseconds in which the standard counts.
const NANOS_PER_MILLI: i64 = 1_000_000;
/// The most labels of a series.
pub const LABELS_MAX: usize = 256;

/// A series: what tells it from others, byte by byte, and its labels.
#[derive(Debug)]
pub struct Labels<'a, 'l> {
    /// All label messages as they stand, one after the other, each with its length.
    pub key: &'l [u8],
    /// Name and value.
    pub pairs: &'l [(&'a str, &'a str)],
}

impl Labels<'_, '_> {
    /// The same as a series of line protocol: the metric's name, and the other labels as tags.
    ///
    /// # Errors
    /// A label stands twice; none says how the metric is called.
    pub fn series(&self) -> Result<Series, Error> {
        let mut series = Series::default();
        for (name, value) in self.pairs.iter().filter(|(_, value)| !value.is_empty()) {
            let is_twice = match *name {
                NAME if series.measurement.is_empty() => {
                    series.measurement = (*value).to_owned();
                    false
                }
                NAME => true,
                "" => return Err(Error::NoLabelName),
                name => series.tags.insert(name.into(), (*value).into()).is_some(),
            };
            if is_twice {
                return Err(Error::LabelTwice(excerpt(name.as_bytes())));
            }
        }
        if series.measurement.is_empty() { Err(Error::NoMetricName) } else { Ok(series) }
    }
}

/// Who takes the samples.
pub trait Sink {
    /// What a series stands for.
    type Bound: Copy;
    /// Looks at a time (ns UTC) before its series is bound: what is refused here makes no name.
    ///
    /// # Errors
    /// The sample is refused.
    fn check(&mut self, time: i64) -> Result<(), Error>;
    /// Binds a series, once for all of its samples.
    ///
    /// # Errors
    /// The series is refused with all that is left of it.
    fn bind(&mut self, labels: &Labels<'_, '_>) -> Result<Self::Bound, Error>;
    /// A sample: ns UTC, and the float to the bit.
    ///
    /// # Errors
    /// The sample is refused; its series is bound again for the next one.
    fn sample(&mut self, series: Self::Bound, time: i64, value: f64) -> Result<(), Error>;
    /// A sample, a histogram or a whole series that was refused, `line` being the number of its series: go on with the
    /// next, or stop.
    fn bad(&mut self, refused: Refused) -> ControlFlow<()>;
}

/// Reads all series of a request, or up to where the sink stops. What is not protobuf ends it: where the next series would
/// begin cannot be known.
pub fn parse(body: &[u8], sink: &mut impl Sink) {
    let mut request = Message { rest: body };
    let mut key = Vec::new();
    let mut series = 0u64;
    loop {
        let read = match request.next() {
            Ok(None) => return,
            Ok(Some((1, Value::Bytes(message)))) => {
                series = series.saturating_add(1);
                parse_series(message, series, &mut key, sink)
            }
            // Metadata, and what later versions add.
            Ok(Some(_)) => ControlFlow::Continue(()),
            Err(error) => {
                let line = series.saturating_add(1);
                let _ = sink.bad(Refused { line, column: 1, error });
                return;
            }
        };
        if read.is_break() {
            return;
        }
    }
}

/// Reads a `TimeSeries`: its labels may stand before its samples or behind them.
fn parse_series<S: Sink>(message: &[u8], line: u64, key: &mut Vec<u8>, sink: &mut S) -> ControlFlow<()> {
    let refused = |error| Refused { line, column: 1, error };
    let mut pairs = Vec::new();
    key.clear();
    if let Err(error) = read_labels(message, &mut pairs, key) {
        return sink.bad(refused(error));
    }
    let labels = Labels { key, pairs: &pairs };
    let mut bound = None;
    let mut fields = Message { rest: message };
    // No field can be broken: reading the labels went over all of them.
    while let Ok(Some(field)) = fields.next() {
        let read = match field {
            (2, Value::Bytes(sample)) => read_sample(sample),
            (4, Value::Bytes(_)) => Err(Error::Histogram),
            _ => continue,
        };
        let (time, value) = match read.and_then(|(time, value)| sink.check(time).map(|()| (time, value))) {
            Ok(sample) => sample,
            Err(error) => {
                sink.bad(refused(error))?;
                continue;
            }
        };
        let series = match bound {
            Some(series) => series,
            None => match sink.bind(&labels) {
                Ok(series) => *bound.insert(series),
                Err(error) => return sink.bad(refused(error)),
            },
        };
        if let Err(error) = sink.sample(series, time, value) {
            bound = None;
            sink.bad(refused(error))?;
        }
    }
    ControlFlow::Continue(())
}

fn read_labels<'a>(
    message: &'a [u8],
    pairs: &mut Vec<(&'a str, &'a str)>,
    key: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut fields = Message { rest: message };
    while let Some(field) = fields.next()? {
        let (1, Value::Bytes(label)) = field else { continue };
        if pairs.len() >= LABELS_MAX {
            return Err(Error::ManyLabels(LABELS_MAX));
        }
        let (mut name, mut value) = ("", "");
        let mut parts = Message { rest: label };
        while let Some(part) = parts.next()? {
            match part {
                (1, Value::Bytes(text)) => name = utf8(text)?,
                (2, Value::Bytes(text)) => value = utf8(text)?,
                _ => {}
            }
        }
        pairs.push((name, value));
        // With its length, so that no two lists of labels are the same bytes.
        key.extend_from_slice(&label.len().to_le_bytes());
        key.extend_from_slice(label);
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8)
}

/// Time in ns, and value.
fn read_sample(message: &[u8]) -> Result<(i64, f64), Error> {
    let (mut millis, mut value) = (0i64, 0.0);
    let mut fields = Message { rest: message };
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Eight(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(number)) => millis = number.cast_signed(),
            _ => {}
        }
    }
    let time = millis.checked_mul(NANOS_PER_MILLI);
    Ok((time.ok_or(Error::MillisRange(millis))?, value))
}

/// A value as it stands in a message.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Varint(u64),
    Eight(u64),
    Four,
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other (<https://protobuf.dev/programming-guides/encoding/>).
struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Value::Eight(u64::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| cut())?)?)
            }
            5 => {
                self.take(4)?;
                Value::Four
            }
            _ => return Err(Error::Protobuf("a field is of a type that does not exist")),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(cut)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::Protobuf("a number has more than ten bytes"))
    }
}

fn cut() -> Error {
    Error::Protobuf("it ends within a field")
}
