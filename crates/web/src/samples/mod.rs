//! Samples as JSON, both ways: reading what is written to the plant, and writing what is read from it.

pub mod decode;
pub(crate) mod encode;
mod json;

pub use decode::{Layout, Member, Sample, Take, decode};
pub use json::JSON_DEPTH_MAX;

#[cfg(test)]
mod tests;
