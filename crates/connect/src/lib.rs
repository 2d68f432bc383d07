//! Where other people's data becomes samples. So far: files of any dialect ([`import`]). How one value or time is written
//! is known to its part, `notation`. What does not live here: the command line, the client that sends what is read, and
//! Parquet and Arrow, which the historian takes apart.
//!
//! # Invariants
//! - Knows only the words of `core`, no engine and no door: what is read is given to whoever asked.
//! - A bad row never stops the others, and is never lost.

pub mod import;
