//! The table's log, after the Delta Lake protocol (reader 1, writer 2; <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>),
//! written by our own hand: one process writes, so no commit meets another's, and every step is synced, which general
//! writers do not do. What does not live here: what is in the files, and when they are written.

mod action; //      the lines of a log entry
mod checkpoint; //  the log so far as one Parquet file
mod log; //         reading, committing, cleaning

pub(crate) use action::{APP_ID, Action, Add, CommitInfo, Format, MetaData, Remove, Txn, timestamp_ms};
pub(crate) use log::{Log, TableState};
