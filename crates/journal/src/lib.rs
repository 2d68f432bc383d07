//! The journal: one durable append log, shared by everything that must not be lost.
//!
//! What lives here: segments, frames, group commit, recovery, cursors of engines, followers. What does not: any meaning of
//! what is written (that is `core`), any queue of a client (those are lists of references, kept by their engines), any
//! decision who may write (that is the bus).
//!
//! Invariants
//! - An acknowledged parcel survives kill -9, power loss and a torn tail. `relaxed` gives that up, and says so.
//! - Recovery never invents: a parcel is whole or absent, and each is there once, in the order of the appends.
//! - Below the highest durable mark seen nothing is cut: what cannot be read is reported, the rest is served.
//! - A number that was seen is never given to another parcel, also not after a failure or a restart.
//! - A file whose sync failed is never written or synced again; a segment that was left is never changed.
//! - Followers see committed parcels only, in one order, and a slow one never stops an append.
//! - Nothing here blocks a caller: one who comes too fast is told `Busy`. Only [`Log::stop`] waits.
//! - The writer is a state machine without threads or sleeps ([`Writer::step`]), so that a simulation can drive it.

mod ahead; //    reading before it is asked for
mod copy; //     what is held while the files are copied
mod cursor; //   how far each engine is done, and what it may hold back
mod damage; //   what engines went past
mod decode; //   bytes to parcel
mod encode; //   parcel to bytes
mod error; //    why it does not open
mod examine; //  reading bytes as recovery would
mod feed; //     followers
mod fill; //      zeros into the next segment
pub mod frame; // heads and checksums; spec: docs/spec/journal.md
mod front; //    where appends wait
mod gauges; //   what is counted
mod log; //      the front door
mod reader; //   reading segments
mod recover; //  what to believe after a crash
mod reserve; //  room on the disk, trimming
mod ring; //     committed parcels in memory
mod segment; //  files
pub mod settings;
mod window; //   reading a file in sequence
mod writer; //   the one that writes

#[cfg(test)]
mod frame_tests;

pub use copy::{CopiedSegment, Copy};
pub use decode::{Malformed, decode};
pub use error::Error;
pub use examine::{Examined, Memory, Newer, examine};
pub use log::Log;
pub use settings::Settings;
pub use writer::{Next, Writer};
