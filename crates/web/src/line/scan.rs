//! The scanner of line protocol: finds where things begin and end, and reads numbers. Knows no names.

use memchr::{memchr, memchr2};

use super::{FIELDS_MAX, Field, FieldValue};
use crate::error::{Error, Fault, excerpt, text_start};
use crate::times::TimeUnit;

pub(super) struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    /// The number of the line that begins next, from 1.
    pub(super) line: u64,
    /// Where that line begins.
    pub(super) line_start: usize,
}

/// Series, where it begins, and the time.
type Read<'a> = (&'a [u8], usize, Option<i64>);

impl<'a> Scanner<'a> {
    pub(super) fn new(body: &'a [u8]) -> Scanner<'a> {
        let at = text_start(body);
        Scanner { body, at, line: 1, line_start: at }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.body.get(from..to).unwrap_or_default()
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn end_of_line(&mut self) {
        self.step();
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    /// Skips blank lines, comments and leading space; false at the end of the body.
    pub(super) fn find_next_line(&mut self) -> bool {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.end_of_line(),
                b' ' | b'\t' | b'\r' | 0 => self.step(),
                b'#' => self.skip_rest_of_line(),
                _ => return true,
            }
        }
        false
    }

    /// Goes on after a line that was refused, at the next line break.
    pub(super) fn skip_rest_of_line(&mut self) {
        match memchr(b'\n', self.rest()) {
            Some(distance) => {
                self.at = self.at.saturating_add(distance);
                self.end_of_line();
            }
            None => self.at = self.body.len(),
        }
    }

    pub(super) fn read_line(
        &mut self,
        unit: TimeUnit,
        fields: &mut Vec<Field<'a>>,
    ) -> Result<Read<'a>, Fault> {
        let start = self.at;
        let series = self.series()?;
        while self.peek() == Some(b' ') {
            self.step();
        }
        loop {
            if fields.len() >= FIELDS_MAX {
                return Err(self.fault(self.at, Error::ManyFields(FIELDS_MAX)));
            }
            let at = self.at;
            let key = self.field_key(fields.is_empty())?;
            let value = self.value(key)?;
            fields.push(Field { key, at, value });
            match self.peek() {
                Some(b',') => self.step(),
                _ => break,
            }
        }
        let time = self.time(unit)?;
        Ok((series, start, time))
    }

    fn fault(&self, at: usize, error: Error) -> Fault {
        Fault { at, error }
    }

    fn is_escaped(&self, at: usize) -> bool {
        at.checked_sub(1).and_then(|before| self.body.get(before)) == Some(&b'\\')
    }

    /// Up to the first space that is not escaped.
    fn series(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        if self.peek() == Some(b',') {
            return Err(self.fault(start, Error::NoMeasurement));
        }
        loop {
            let Some(distance) = memchr2(b' ', b'\n', self.rest()) else {
                let end = self.body.len();
                return Err(self.fault(end, Error::NoFields));
            };
            self.at = self.at.saturating_add(distance);
            if self.peek() == Some(b'\n') {
                return Err(self.fault(self.at, Error::NoFields));
            }
            // The first byte of a line is never a space, so the byte before this one belongs to the series.
            if !self.is_escaped(self.at) {
                return Ok(self.slice(start, self.at));
            }
            self.step();
        }
    }

    /// Up to and without its `=`.
    fn field_key(&mut self, first: bool) -> Result<&'a [u8], Fault> {
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'=') if !self.is_escaped(self.at) => {
                    let key = self.slice(start, self.at);
                    self.step();
                    return if key.is_empty() { Err(self.fault(start, Error::NoFieldKey)) } else { Ok(key) };
                }
                Some(b',' | b' ') if self.is_escaped(self.at) => self.step(),
                Some(b',' | b' ' | b'\n') | None => {
                    let key = self.slice(start, self.at);
                    let error = match (key.trim_ascii().is_empty(), first) {
                        (true, true) => Error::NoFields,
                        (true, false) => Error::NoFieldKey,
                        (false, _) => Error::NoFieldValue(excerpt(key.trim_ascii())),
                    };
                    return Err(self.fault(start, error));
                }
                Some(_) => self.step(),
            }
        }
    }

    fn value(&mut self, key: &[u8]) -> Result<FieldValue<'a>, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.text(),
            Some(b'0'..=b'9' | b'-' | b'.') => self.number(),
            Some(b',' | b' ' | b'\n' | b'\r') | None => {
                Err(self.fault(start, Error::NoFieldValue(excerpt(key))))
            }
            Some(_) => match self.token() {
                b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok(FieldValue::Bool(true)),
                b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok(FieldValue::Bool(false)),
                other => Err(self.fault(start, Error::FieldValue(excerpt(other)))),
            },
        }
    }

    /// Up to the next comma, space or end of the line.
    fn token(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if matches!(byte, b',' | b' ' | b'\n' | b'\r') {
                break;
            }
            self.step();
        }
        self.slice(start, self.at)
    }

    fn number(&mut self) -> Result<FieldValue<'a>, Fault> {
        let start = self.at;
        let token = self.token();
        match token.split_last() {
            Some((b'i', digits)) => self.integer(start, digits, FieldValue::Int),
            Some((b'u', digits)) => self.integer(start, digits, FieldValue::UInt).map_err(|fault| {
                let negative = digits.starts_with(b"-") && matches!(fault.error, Error::IntegerRange(_));
                if negative { self.fault(start, Error::Negative(excerpt(digits))) } else { fault }
            }),
            _ => match fast_float2::parse::<f64, _>(token) {
                Ok(value) if value.is_finite() => {
                    // What is a number is ASCII.
                    Ok(FieldValue::Float { value, written: std::str::from_utf8(token).unwrap_or_default() })
                }
                // Words such as -inf are read as floats too; digits that are too many are another matter.
                Ok(_) if !token.iter().any(|byte| matches!(byte, b'n' | b'N')) => {
                    Err(self.fault(start, Error::FloatRange(excerpt(token))))
                }
                _ => Err(self.fault(start, Error::FieldValue(excerpt(token)))),
            },
        }
    }

    fn integer<T: std::str::FromStr>(
        &self,
        at: usize,
        digits: &[u8],
        wrap: fn(T) -> FieldValue<'a>,
    ) -> Result<FieldValue<'a>, Fault> {
        let is_integer = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if !is_integer(digits.strip_prefix(b"-").unwrap_or(digits)) {
            return Err(self.fault(at, Error::FieldValue(excerpt(digits))));
        }
        let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        parsed.map(wrap).ok_or_else(|| self.fault(at, Error::IntegerRange(excerpt(digits))))
    }

    /// From the opening to the closing quote.
    fn text(&mut self) -> Result<FieldValue<'a>, Fault> {
        let quote = self.at;
        self.step();
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(distance) = memchr2(b'"', b'\\', self.rest()) else {
                return Err(self.fault(quote, Error::OpenText));
            };
            self.at = self.at.saturating_add(distance);
            if self.peek() == Some(b'"') {
                break;
            }
            escaped = true;
            self.at = self.at.saturating_add(2);
        }
        let bytes = self.slice(start, self.at);
        self.step();
        let raw = std::str::from_utf8(bytes)
            .map_err(|error| self.fault(start.saturating_add(error.valid_up_to()), Error::NotUtf8))?;
        if let Some(last) = memchr::memrchr(b'\n', bytes) {
            let breaks = memchr::memchr_iter(b'\n', bytes).count();
            self.line = self.line.saturating_add(u64::try_from(breaks).unwrap_or(u64::MAX));
            self.line_start = start.saturating_add(last).saturating_add(1);
        }
        match self.peek() {
            Some(b',' | b' ' | b'\n' | b'\r') | None => Ok(FieldValue::Text { raw, escaped }),
            Some(_) => {
                let after = self.at;
                let token = self.token();
                Err(self.fault(after, Error::FieldValue(excerpt(token))))
            }
        }
    }

    fn time(&mut self, unit: TimeUnit) -> Result<Option<i64>, Fault> {
        self.skip_spaces();
        let start = self.at;
        let token = self.token();
        self.skip_spaces();
        if !matches!(self.peek(), Some(b'\n') | None) {
            let at = self.at;
            let more = self.token();
            return Err(self.fault(at, Error::AfterTimestamp(excerpt(more))));
        }
        if token.is_empty() {
            return Ok(None);
        }
        let (negative, digits) = token.strip_prefix(b"-").map_or((false, token), |digits| (true, digits));
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(self.fault(start, Error::Timestamp(excerpt(token))));
        }
        let number = whole_number(digits)
            .map(i128::from)
            .map(|number| if negative { number.saturating_neg() } else { number });
        let time = number.and_then(|number| number.checked_mul(i128::from(unit.nanoseconds())));
        let time = time.and_then(|time| i64::try_from(time).ok());
        time.map(Some).ok_or_else(|| self.fault(start, Error::TimeRange(excerpt(token))))
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.step();
        }
    }
}

/// The number that ASCII digits write; none if it does not fit. Eight digits at a time: nearly every line ends in
/// nineteen.
fn whole_number(digits: &[u8]) -> Option<u64> {
    let (eights, rest) = digits.as_chunks::<8>();
    let mut number = 0u64;
    for eight in eights {
        number = number.checked_mul(100_000_000)?.checked_add(eight_digits(*eight))?;
    }
    for digit in rest {
        number = number.checked_mul(10)?.checked_add(u64::from(digit & 0x0F))?;
    }
    Some(number)
}

/// Pairs, then fours, then all eight, in one register each (<https://kholdstare.github.io/technical/2020/05/26/faster-integer-parsing.html>).
fn eight_digits(digits: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(digits) & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::whole_number;

    #[test]
    fn whole_numbers() {
        for text in [
            "0",
            "7",
            "12345678",
            "123456789",
            "1767225600000000000",
            "18446744073709551615",
            "00000000000000000000042",
        ] {
            assert_eq!(whole_number(text.as_bytes()), text.parse().ok(), "{text}");
        }
        assert_eq!(whole_number(b"18446744073709551616"), None);
        assert_eq!(whole_number("9".repeat(60).as_bytes()), None);
    }
}
