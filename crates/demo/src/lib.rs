//! The demo's works: a small plant whose machines live, wear and fail, their way into Tidemill as clients of its public door,
//! and the table that shows them in a terminal. Who starts a plant for them stands in the binary.
//!
//! **Invariants**: there is no way into the plant that a user's machines do not have; the same seed and the same steps give
//! the same values, so that what is sent twice is equal; a fill that was cut short goes on where a hole would begin.

mod feed;
mod kit;
mod screen;
mod works;

pub use feed::{Door, Feed, Filled, PREFIX, Values};
pub use screen::Screen;
pub use works::{Reading, SIGNALS, SignalSpec};
