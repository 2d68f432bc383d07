//! Points of line protocol, put together from what others call them.

/// Appends a point without its line end; false and nothing if it has no fields.
pub(super) struct Point<'a> {
    pub(super) measurement: &'a str,
    pub(super) tags: Vec<(&'a str, &'a str)>,
    /// Names, and values as line protocol writes them.
    pub(super) fields: Vec<(&'a str, String)>,
    /// ns UTC.
    pub(super) time: Option<i64>,
}

impl Point<'_> {
    /// Appends it as a line; false if it has no name or no field.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> bool {
        if self.measurement.is_empty() || self.fields.is_empty() {
            return false;
        }
        escaped(self.measurement, false, out);
        for (name, value) in self.tags.iter().filter(|(_, value)| !value.is_empty()) {
            out.push(b',');
            escaped(name, true, out);
            out.push(b'=');
            escaped(value, true, out);
        }
        for (at, (name, value)) in self.fields.iter().enumerate() {
            out.push(if at == 0 { b' ' } else { b',' });
            escaped(name, true, out);
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
        if let Some(time) = self.time {
            out.push(b' ');
            out.extend_from_slice(time.to_string().as_bytes());
        }
        out.push(b'\n');
        true
    }
}

fn escaped(text: &str, equals: bool, out: &mut Vec<u8>) {
    for character in text.chars() {
        if matches!(character, ' ' | ',' | '\\') || (equals && character == '=') {
            out.push(b'\\');
        }
        let character = if character.is_control() { ' ' } else { character };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A text field.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value by its form: a number, a boolean, or a text.
pub(super) fn by_form(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number || matches!(text, "true" | "false") { text.to_owned() } else { quoted(text) }
}

/// ns UTC of an RFC 3339 text, or of a count since 1970 by its size.
pub(super) fn instant(text: &str) -> Option<i64> {
    use super::super::time::{Unit, epoch};
    if let Ok(number) = text.parse::<f64>() {
        return epoch(text, Unit::by_magnitude(number.abs())?).ok();
    }
    i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
}
