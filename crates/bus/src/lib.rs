//! The unified namespace: which signals there are, who may bind them, in which order their samples come, what their
//! last values are, and who is told. It implements [`tidemill_core::Bus`] over a journal and an authority.
//!
//! What does not live here: the log itself (`journal`), any decision about rights (`guard`), history (`historian`), any
//! protocol's names (`core::Escape` and the faces).
//!
//! Invariants
//! - An id stands for one signal for ever: it is reserved on disk before it is given out, so that not even a lost
//!   commit, a damaged log or an old backup of the log makes it mean another signal.
//! - A request that is refused leaves no name: new names are created with the parcel that first carries their samples,
//!   all or none.
//! - A parcel carries the definition of every id in it that is not yet known to be durable; a parcel that is whole is
//!   therefore understood by itself, whatever happened to those before it.
//! - In the log, `received` grows from batch to batch, also across restarts; where the clock went back by more than a
//!   second, the batch says so.
//! - A publish takes no lock and no hash for a row; matching and last values are paid once for a signal and batch.
//! - Subscribers and last values see committed parcels only (and those that were asked to be only live). No
//!   subscriber can make a publisher, or another subscriber, wait.
//! - Every map, queue and list here has a limit in [`Settings`] or a constant, and a counter for what it refused.

#[doc(hidden)]
pub mod bench; // what examples/bench.rs measures inside
mod bind; //      paths to grants: authority, owner
mod create; //    new names, all or none
mod defined; //   which definitions are durable, a bit each
mod delivery; //  the one thread that follows the log
mod edit; //      changes to what is known of a signal
mod error; //     what can go wrong
mod facts; //     what the bus can say of itself in SQL
mod feed; //      what a subscriber holds
mod last; //      last values, in columns
mod meters; //    what is counted
mod namespace; // the front door
mod once; //      publishes that came before
mod publish; //   stamps, definitions, shares, append
mod record; //    bytes <-> definitions; spec: docs/spec/registry.md
mod recover; //   names that were lost
mod registry; //  ids, paths, metadata, aliases, sources
mod reserve; //   ids are reserved before they are used
mod route; //     signals to subscribers
mod settings; //  limits
mod shared; //    what the parts share, and the order of locks
mod snapshot; //  the state in one file
mod stamp; //     server time
mod writers; //   sources and their shares

pub use error::Error;
pub use namespace::{CommandHandler, Namespace, Twin};
pub use settings::Settings;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
