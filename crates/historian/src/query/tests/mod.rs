//! What a user sees of queries, over a plant in memory.

mod conditions;
pub(crate) mod fake;
mod formats;
mod hostile;
mod idle;
mod leaks;
mod limits;
mod members;
mod mistakes;
mod numbers;
mod plot;
mod postgres;
mod reference;
mod scope;
mod shape;
mod slow;
pub(crate) mod small;
mod spans;
mod sql;
mod store;
