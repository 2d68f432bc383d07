//! The shape in which the rooms of Tidemill meet: names, values, quality, time, columnar batches, parcels,
//! and the traits of journal, bus, history and authority. What does not live here: any I/O, any async
//! runtime, any arrow, any protocol, any policy. `std`, `bytes` and the tables of Unicode are enough.
//!
//! Invariants
//! - A sample is {signal, time, value, quality}. A signal is a path. Everything else is derived.
//! - Numbers that reach a disk or a wire ([`Kind`], [`StreamId`], [`Quality`]) are frozen: a new one is added
//!   at the end, none is changed.
//! - `dyn` is paid per batch or per request, never per sample.
//! - Nothing in this crate panics on foreign input; nothing blocks except [`Commit::wait`], which says so.

mod authority;
mod batch;
mod bus;
mod commit;
mod deletion;
mod duration;
mod escape;
mod event;
mod history;
mod journal;
mod names;
mod nearest;
mod parcel;
mod path;
mod pattern;
mod problem;
mod quality;
pub mod quantity;
mod read_grant;
mod signal;
pub mod stub;
mod table;
mod time;
mod trie;
mod units;
mod value;
mod wire;

pub use authority::{
    AuditEntry, AuditResult, Authority, Credential, Decision, Identity, IdentityKind, Peer, ReadScope, Verb,
};
pub use batch::{
    BATCH_HEAP_BYTES_MAX, BATCH_ROWS_MAX, BatchBuilder, BatchFull, Column, Flags, Row, SampleBatch, Stamp,
};
pub use bus::{
    Bus, Command, Delivery, Feed, Grant, KeptNames, LagPolicy, LastValue, MetaEdit, Publish, ReadBack,
    Recovered, Rows, Start,
};
pub use commit::{Boxed, Commit, CommitGroup, NotDurable};
pub use deletion::Deletion;
pub use duration::{decimal_units, format_duration, parse_duration, roughly};
pub use escape::{Escape, EscapeRule, escape_rules};
pub use event::{EVENTS, Event};
pub use history::{
    Amend, Amended, Batches, Budget, Chunks, ColumnMeasure, ColumnSample, Format, History, ReadMode,
    ReadQuery, SampleSink, SqlQuery, SqlShape,
};
pub use journal::{Busy, CursorId, DAMAGE_FILE, Damaged, Epoch, Hold, HoldAction, Journal};
pub use names::{NEW_NAMES_MAX, NewName, NewNames, SIGNAL_NUMBER_MAX};
pub use nearest::nearest;
pub use parcel::{Durability, Message, OriginId, Parcel, ProducerId, Record, Seq, StreamId};
pub use path::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX, PathError, SignalPath};
pub use pattern::{Pattern, PatternError};
pub use problem::{Code, Problem, codes, is_full};
pub use quality::{Quality, QualityError};
pub use read_grant::ReadGrant;
pub use signal::{Meta, NumberKind, OWN, Signal, SignalId, SourceId, UNKNOWN, is_own};
pub use table::{ColumnKind, ColumnSpec, Facts, TableSpec, column};
pub use time::{NANOS_PER_SECOND, TimeError, civil_from_days, format_rfc3339, parse_rfc3339, rfc3339};
pub use trie::PatternTrie;
pub use units::{UNIT_BYTES_MAX, Unit, same_unit, ucum, units};
pub use value::{Kind, Value, ValueRef};
pub use wire::{TypeNumber, WireQuery, WireSession, WireShape, WireValue};
