//! What a user sees of queries, over a plant in memory.

pub(crate) mod fake;
mod formats;
mod hostile;
mod limits;
mod plot;
mod reference;
mod scope;
mod sql;
mod store;
