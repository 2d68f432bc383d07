//! Samples as JSON, both ways: reading what is written to the plant, and writing what is read from it.

pub mod decode;
pub(crate) mod encode;
mod json;

pub use decode::{Layout, Member, Sample, Take, decode};
pub use json::JSON_DEPTH_MAX;

/// The floats that JSON has no numbers for, as every text format here spells them.
pub(crate) const NOT_FINITE: [(&str, f64); 3] =
    [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

#[cfg(test)]
mod tests;
