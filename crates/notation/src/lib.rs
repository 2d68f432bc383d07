//! Values and times as people and machines write them, in several languages, read from one text at a time: numbers with
//! their decimal marks, dates, times of day, zones, units, and the words for absence and quality. What does not live here:
//! files, rows, and what a column holds; that is decided in `connect` from all of its cells.
//!
//! **Invariants**
//! - What can be read in two ways says so; nothing is guessed here.
//! - Any text gives an answer or none, never a panic, in time that its length bounds.
//! - Only `connect` knows this crate.

pub mod cell;
pub mod civil;
pub mod steps;
pub mod time;
pub mod words;
