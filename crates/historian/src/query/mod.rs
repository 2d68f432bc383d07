//! The query half of the historian: SQL, retrieval modes, formats out and in. It sees the store only through
//! [`tidemill_lake`], and everyone else through the traits of core.
//!
//! Invariants
//! - Every scan is cut to the caller's scope before it starts; nothing outside it reaches a plan, a list of names or a
//!   message.
//! - SQL only reads, and reads nothing but the tables given to it: no file, no address, no setting.
//! - A query has a time, a memory and a row limit, holds one of a bounded number of places, and stops when nobody
//!   listens any more. Samples as they are stream in bounded memory: their rows have no limit, their time is each step's. It runs on threads of
//!   its own, never on those of the doors.
//! - A query whose answer nobody takes holds no place, no thread of a scan, and works at nothing; how many there are, and for
//!   how long, is bounded.
//! - What is exported imports to the same samples.

mod aliases;
mod bounds;
mod clock;
mod columns;
mod earliest;
mod engine;
mod errors;
mod formats;
mod functions;
pub mod fuzz;
mod gate;
mod guard;
mod intervals;
mod ledger;
mod manual;
mod meanings;
mod meter;
mod modes;
mod names;
mod pace;
mod planning;
mod plot;
mod pool;
mod push;
mod read_function;
mod relation;
mod rules;
mod run;
mod samples;
mod session;
mod shape;
mod signals;
mod sum;
mod syntax;
mod system;
mod whole;
mod wire;
mod zeros;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use engine::{Engine, Settings};
pub use manual::{FunctionNote, functions};
pub(crate) use pace::IDLE_TIME_MAX;
pub use tidemill_formats::{ColumnFile, ColumnText, Naming, Part, Untimed};
pub(crate) use tidemill_formats::{decode, measure, values};
