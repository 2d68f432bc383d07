//! Samples written as JSON: `{"signal", "time", "value", "quality", "kind", "unit"}` as one object, an array, or one
//! object a line. Here: bytes to members. What a value becomes is decided by [`Sample::value`] and the signal's kind.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::borrow::Cow;
use std::ops::ControlFlow;

use tidemill_core::{Kind, NumberKind, Quality, Value, ValueRef, parse_rfc3339};

use super::NOT_FINITE;
pub use super::json::Member;
use super::json::Reader;
use crate::error::{Error, Fault, Refused, column, excerpt, text_start};
use crate::times::{TimeUnit, parse_number};

/// How deep the value of a sample lies, at most: in the sample's object, in an array.
pub(super) const SAMPLE_DEPTH: usize = 2;

/// How samples stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    JsonLines,
}

/// One sample as it was written.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the members' names")]
pub struct Sample<'a> {
    pub places: Places,
    pub signal: Cow<'a, str>,
    pub time: Option<Member<'a>>,
    pub value: Member<'a>,
    pub quality: Option<Member<'a>>,
    pub kind: Option<Cow<'a, str>>,
    pub unit: Option<Cow<'a, str>>,
}

/// Where the members' values begin in the body; that of one which is not there is where its sample begins.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the members' names")]
pub struct Places {
    pub signal: usize,
    pub time: usize,
    pub value: usize,
    pub quality: usize,
    pub kind: usize,
    pub unit: usize,
}

/// Who takes the samples.
pub trait Take {
    /// A sample that could be read.
    ///
    /// # Errors
    /// It is refused; [`Take::bad`] hears of it next.
    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Fault>;
    /// A sample that was refused: go on with the next, or stop.
    fn bad(&mut self, refused: Refused) -> ControlFlow<()>;
}

/// Reads all samples of a body, or up to where `take` stops. Broken JSON ends an array, but only its own line of
/// JSON lines.
pub fn decode(body: &[u8], layout: Layout, take: &mut impl Take) {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let _ = take.bad(place(body, Fault { at: error.valid_up_to(), error: Error::NotUtf8 }));
            return;
        }
    };
    match layout {
        Layout::Json => {
            if let Err(fault) = decode_json(text, body, take) {
                let _ = take.bad(place(body, fault));
            }
        }
        Layout::JsonLines => decode_lines(text, body, take),
    }
}

fn place(body: &[u8], fault: Fault) -> Refused {
    let before = body.get(..fault.at).unwrap_or(body);
    let line_start =
        memchr::memrchr(b'\n', before).map_or_else(|| text_start(body), |index| index.saturating_add(1));
    let line = memchr::memchr_iter(b'\n', before).count();
    let line = u64::try_from(line).unwrap_or(u64::MAX).saturating_add(1);
    Refused { line, column: column(body, line_start, fault.at), error: fault.error }
}

fn decode_json(text: &str, body: &[u8], take: &mut impl Take) -> Result<(), Fault> {
    let mut reader = Reader::new(text, text_start(body));
    reader.skip_space();
    if reader.peek().is_none() {
        return Ok(());
    }
    if !reader.take(b'[') {
        let sample = read_sample(&mut reader, 0)?;
        reader.skip_space();
        if reader.peek().is_some() {
            return Err(reader.fault(Error::Json(
                "something follows the object: samples go in an array, or one a line as application/x-ndjson",
            )));
        }
        return take.sample(&sample);
    }
    if !reader.take(b']') {
        loop {
            let sample = read_sample(&mut reader, 1)?;
            if let Err(fault) = take.sample(&sample)
                && take.bad(place(body, fault)).is_break()
            {
                return Ok(());
            }
            if reader.take(b']') {
                break;
            }
            reader.expect(b',', "expected ',' or ']' after a sample")?;
        }
    }
    reader.skip_space();
    if reader.peek().is_some() {
        Err(reader.fault(Error::Json("something follows the array")))
    } else {
        Ok(())
    }
}

fn decode_lines(text: &str, body: &[u8], take: &mut impl Take) {
    let mut start = text_start(body);
    for line in text.get(start..).unwrap_or_default().split_inclusive('\n') {
        let end = start.saturating_add(line.len());
        if !line.trim().is_empty() {
            // The reader sees only this line, so that a sample never runs on into the next.
            let mut reader = Reader::new(text.get(..end).unwrap_or_default(), start);
            let read = read_sample(&mut reader, 0).and_then(|sample| {
                reader.skip_space();
                if reader.peek().is_some() {
                    return Err(reader.fault(Error::Json("something follows the object: one sample a line")));
                }
                take.sample(&sample)
            });
            if let Err(fault) = read
                && take.bad(place(body, fault)).is_break()
            {
                return;
            }
        }
        start = end;
    }
}

fn read_sample<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<Sample<'a>, Fault> {
    reader.skip_space();
    let at = reader.at();
    reader.expect(b'{', "expected a sample: {\"signal\": …, \"time\": …, \"value\": …}")?;
    let mut places = Places { signal: at, time: at, value: at, quality: at, kind: at, unit: at };
    let (mut signal, mut time, mut value, mut quality) = (None, None, None, None);
    let (mut kind, mut unit) = (None, None);
    let mut first = true;
    while let Some((key_at, key)) = reader.next_key(first)? {
        first = false;
        let (slot, place) = match &*key {
            "signal" => (&mut signal, &mut places.signal),
            "time" => (&mut time, &mut places.time),
            "value" => (&mut value, &mut places.value),
            "quality" => (&mut quality, &mut places.quality),
            "kind" => (&mut kind, &mut places.kind),
            "unit" => (&mut unit, &mut places.unit),
            other => return Err(Fault { at: key_at, error: Error::JsonMember(excerpt(other.as_bytes())) }),
        };
        *place = reader.at();
        let member = reader.value(depth.saturating_add(1))?;
        if slot.replace(member).is_some() {
            return Err(Fault { at: key_at, error: Error::JsonTwice(key.into_owned()) });
        }
    }
    let missing = |name| Fault { at, error: Error::JsonMissing(name) };
    let text = |member: Option<Member<'a>>, name: &'static str, at: usize| match member {
        None | Some(Member::Null) => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Fault { at, error: Error::JsonType { member: name, wanted: "a string" } }),
    };
    Ok(Sample {
        places,
        signal: text(signal, "signal", places.signal)?.ok_or_else(|| missing("signal"))?,
        time: time.filter(|time| *time != Member::Null),
        value: value.ok_or_else(|| missing("value"))?,
        quality: quality.filter(|quality| *quality != Member::Null),
        kind: text(kind, "kind", places.kind)?,
        unit: text(unit, "unit", places.unit)?,
    })
}

impl Sample<'_> {
    /// Its time, ns UTC; none where the server is to stamp it.
    ///
    /// # Errors
    /// Neither RFC 3339 nor a decimal number that fits in the unit.
    pub fn time(&self, unit: TimeUnit) -> Result<Option<i64>, Fault> {
        let fault = |error| Fault { at: self.places.time, error };
        match &self.time {
            None => Ok(None),
            Some(Member::Text(text)) => {
                let time = parse_rfc3339(text).map_err(tidemill_core::Problem::from);
                time.map(Some).map_err(|problem| fault(problem.into()))
            }
            Some(Member::Number(number)) => parse_number(number, unit).map(Some).ok_or_else(|| {
                let shown = excerpt(number.as_bytes());
                let exponent = number.contains(['e', 'E']);
                fault(if exponent { Error::TimeExponent(shown) } else { Error::TimeRange(shown) })
            }),
            Some(_) => Err(fault(Error::JsonType { member: "time", wanted: "RFC 3339 text or a number" })),
        }
    }

    /// Its quality: as it says, else good with a value and bad without one. No value is ever good.
    ///
    /// # Errors
    /// Not a quality.
    pub fn quality(&self) -> Result<Quality, Fault> {
        let fault = |error| Fault { at: self.places.quality, error };
        let quality = match &self.quality {
            None => Quality::GOOD,
            Some(Member::Bool(good)) => {
                if *good {
                    Quality::GOOD
                } else {
                    Quality::BAD
                }
            }
            Some(Member::Text(text)) => {
                Quality::parse(text).map_err(|error| fault(tidemill_core::Problem::from(error).into()))?
            }
            Some(Member::Number(number)) => number.parse().map(Quality::from_number).map_err(|_| {
                fault(Error::JsonType { member: "quality", wanted: "a name or a whole number" })
            })?,
            Some(_) => {
                return Err(fault(Error::JsonType { member: "quality", wanted: "a name or a number" }));
            }
        };
        Ok(if self.value == Member::Null && quality.is_good() { Quality::BAD } else { quality })
    }

    /// Its value, of the kind it names, else of the kind that `number` says.
    ///
    /// # Errors
    /// The value is not of the named kind, or no finite number.
    pub fn value(&self, number: NumberKind) -> Result<Held<'_>, Fault> {
        let Some(name) = &self.kind else { return self.plain_value(number) };
        let kind = Kind::from_name(name).ok_or_else(|| {
            let wanted = "float, integer, unsigned, boolean, text, json or bytes";
            Fault { at: self.places.kind, error: Error::JsonType { member: "kind", wanted } }
        })?;
        let mismatch = |why| {
            let error = Error::KindMismatch { kind: excerpt(name.as_bytes()), why };
            Fault { at: self.places.value, error }
        };
        Ok(Held::Borrowed(match (kind, &self.value) {
            (_, Member::Null) => ValueRef::None,
            (Kind::Float, Member::Number(text)) => ValueRef::Float(self.finite(text)?),
            (Kind::Float, Member::Text(text)) => {
                let found = NOT_FINITE.iter().find(|(name, _)| *name == text);
                let wanted = "write a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
                ValueRef::Float(found.ok_or_else(|| mismatch(wanted))?.1)
            }
            (Kind::Int, Member::Number(text)) => {
                ValueRef::Int(text.parse().map_err(|_| mismatch("it is no whole number within 64 bits"))?)
            }
            (Kind::UInt, Member::Number(text)) => ValueRef::UInt(
                text.parse().map_err(|_| mismatch("it is no whole number from 0 within 64 bits"))?,
            ),
            (Kind::Bool, Member::Bool(value)) => ValueRef::Bool(*value),
            (Kind::Text, Member::Text(text)) => ValueRef::Text(text),
            (Kind::Json, Member::Document(text) | Member::Number(text)) => ValueRef::Json(text),
            (Kind::Json, Member::Bool(value)) => ValueRef::Json(if *value { "true" } else { "false" }),
            (Kind::Json, Member::Text(text)) if holds_document(text) => ValueRef::Json(text),
            (Kind::Json, Member::Text(_)) => {
                return Err(mismatch(
                    "the string holds no JSON document; a document that is a text is \"\\\"text\\\"\"",
                ));
            }
            (Kind::Bytes, Member::Text(text)) => {
                let bytes = text.strip_prefix("0x").and_then(bytes_of_hex);
                let bytes =
                    bytes.ok_or_else(|| mismatch("bytes are written as \"0x\" and pairs of hex digits"))?;
                return Ok(Held::Owned(Value::Bytes(bytes.into())));
            }
            _ => return Err(mismatch("the JSON type does not fit")),
        }))
    }

    fn plain_value(&self, number: NumberKind) -> Result<Held<'_>, Fault> {
        Ok(Held::Borrowed(match &self.value {
            Member::Null => ValueRef::None,
            Member::Bool(value) => ValueRef::Bool(*value),
            Member::Text(text) => ValueRef::Text(text),
            Member::Document(text) => ValueRef::Json(text),
            Member::Number(text) => number.value(text, self.finite(text)?),
        }))
    }

    fn finite(&self, text: &str) -> Result<f64, Fault> {
        match fast_float2::parse(text) {
            Ok(value) if f64::is_finite(value) => Ok(value),
            _ => {
                let error = Error::FloatRange(excerpt(text.as_bytes()));
                Err(Fault { at: self.places.value, error })
            }
        }
    }
}

/// A value that is borrowed from the body, or had to be made.
#[derive(Debug)]
#[allow(missing_docs, reason = "plain words")]
pub enum Held<'a> {
    Borrowed(ValueRef<'a>),
    Owned(Value),
}

impl Held<'_> {
    /// Borrows it.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Held::Borrowed(value) => *value,
            Held::Owned(value) => value.as_ref(),
        }
    }
}

/// A document within a string is kept as it is, whatever door it came by first: so this asks only whether it is one.
fn holds_document(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
