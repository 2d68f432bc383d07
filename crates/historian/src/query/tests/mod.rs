//! What a user sees of queries, over a plant in memory.

mod fake;
mod limits;
mod scope;
mod sql;
