//! A bus and a log of which only a part is there, for tests, measurements and fuzzing: a type says what it does, all else
//! is refused, empty, or done at once. What a room does with a whole one is tested with the real room.

use std::sync::Arc;

use bytes::Bytes;

use crate::authority::{Identity, ReadScope, Verb};
use crate::batch::{BatchBuilder, Flags};
use crate::bus::{
    Bus, Command, Delivery, Feed, Grant, KeptNames, LagPolicy, LastValue, MetaEdit, Publish, ReadBack,
    Recovered, Start,
};
use crate::commit::{Boxed, Commit};
use crate::journal::{Busy, CursorId, Damaged, Epoch, Hold, Journal};
use crate::parcel::{Durability, Parcel, Seq};
use crate::path::SignalPath;
use crate::pattern::Pattern;
use crate::problem::{Problem, codes};
use crate::signal::{Meta, Signal, SignalId, SourceId};

fn refused<T>() -> Result<T, Problem> {
    Err(Problem::new(&codes::NOT_FOUND, "this bus is only a part of one"))
}

/// The part of a [`Bus`] that is there. It is named as `stub::BusStub`, not brought into scope: its methods have the
/// names of the whole.
#[expect(missing_docs, reason = "the methods of Bus")]
pub trait BusStub: Send + Sync {
    fn bind(&self, _: &Identity, _: Verb, _: &SignalPath, _: &Meta) -> Result<Grant, Problem> {
        refused()
    }
    fn resolve(&self, _: &Identity, _: &SignalPath, _: usize) -> Result<Option<Grant>, Problem> {
        Ok(None)
    }
    fn publish(&self, _: Publish) -> Result<Commit, Problem> {
        refused()
    }
    fn last(&self, _: &ReadScope, _: &[SignalId], _: &mut Vec<LastValue>) {}
    fn describe(&self, _: &ReadScope, _: &Pattern) -> Vec<Arc<Signal>> {
        Vec::new()
    }
    fn signal(&self, _: SignalId) -> Option<Arc<Signal>> {
        None
    }
    fn find(&self, _: &SignalPath) -> Option<Arc<Signal>> {
        None
    }
    fn source(&self, id: SourceId) -> Arc<str> {
        format!("token:source-{}", id.0).into()
    }
    fn lacks_names(&self) -> bool {
        false
    }
    fn recover(&self, _: KeptNames) -> Vec<Recovered> {
        Vec::new()
    }
}

impl<B: BusStub> Bus for B {
    fn bind(&self, who: &Identity, verb: Verb, path: &SignalPath, hint: &Meta) -> Result<Grant, Problem> {
        BusStub::bind(self, who, verb, path, hint)
    }
    fn resolve(&self, who: &Identity, path: &SignalPath, new: usize) -> Result<Option<Grant>, Problem> {
        BusStub::resolve(self, who, path, new)
    }
    fn epoch(&self) -> u64 {
        1
    }
    fn batch(&self, _: &Identity, flags: Flags) -> Result<BatchBuilder, Problem> {
        Ok(BatchBuilder::new(SourceId(1), flags))
    }
    fn publish(&self, _: &Identity, _: u64, publish: Publish, _: Durability) -> Result<Commit, Problem> {
        BusStub::publish(self, publish)
    }
    fn subscribe(
        &self,
        _: &ReadScope,
        _: &[Pattern],
        _: LagPolicy,
        _: Start,
    ) -> Result<Box<dyn Feed>, Problem> {
        refused()
    }
    fn last(&self, scope: &ReadScope, ids: &[SignalId], out: &mut Vec<LastValue>) {
        BusStub::last(self, scope, ids, out);
    }
    fn describe(&self, scope: &ReadScope, pattern: &Pattern) -> Vec<Arc<Signal>> {
        BusStub::describe(self, scope, pattern)
    }
    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        BusStub::signal(self, id)
    }
    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>> {
        BusStub::find(self, path)
    }
    fn source(&self, id: SourceId) -> Arc<str> {
        BusStub::source(self, id)
    }
    fn lacks_names(&self) -> bool {
        BusStub::lacks_names(self)
    }
    fn recover(&self, kept: KeptNames) -> Vec<Recovered> {
        BusStub::recover(self, kept)
    }
    fn edit(&self, _: &Identity, _: &Grant, _: MetaEdit) -> Result<Commit, Problem> {
        refused()
    }
    fn command<'a>(&'a self, _: &Grant, _: Command) -> Boxed<'a, Result<ReadBack, Problem>> {
        Box::pin(std::future::ready(refused()))
    }
}

/// The part of a [`Journal`] that is there. It is named as `stub::JournalStub`, not brought into scope: its methods have
/// the names of the whole.
#[expect(missing_docs, reason = "the methods of Journal")]
pub trait JournalStub: Send + Sync {
    fn append(&self, _: Arc<Parcel>, _: Durability) -> Result<Commit, Busy> {
        Err(Busy::Stopping)
    }
    fn durable(&self) -> Seq {
        Seq(0)
    }
    fn follow(&self, _: CursorId, _: Option<Seq>) -> Box<dyn Feed> {
        Box::new(Ended)
    }
    fn read(&self, seq: Seq) -> Result<Arc<Parcel>, Damaged> {
        Err(Damaged { segment: "of a stub".into(), from: 0, to: 0, first: seq, last: seq })
    }
    fn advance(&self, _: CursorId, upto: Seq, _: Bytes) -> Commit {
        Commit::ready(upto)
    }
    fn cursor(&self, _: CursorId) -> Option<(Seq, Bytes)> {
        None
    }
    fn is_past(&self, place: Seq) -> bool {
        place <= JournalStub::durable(self)
    }
    fn wants_room(&self) -> bool {
        false
    }
    fn lend_reserve(&self) -> bool {
        false
    }
    fn return_reserve(&self) {}
}

impl<J: JournalStub> Journal for J {
    fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy> {
        JournalStub::append(self, parcel, durability)
    }
    fn durable(&self) -> Seq {
        JournalStub::durable(self)
    }
    fn follow(&self, cursor: CursorId, from: Option<Seq>) -> Box<dyn Feed> {
        JournalStub::follow(self, cursor, from)
    }
    fn read<'a>(&'a self, seq: Seq) -> Boxed<'a, Result<Arc<Parcel>, Damaged>> {
        Box::pin(std::future::ready(JournalStub::read(self, seq)))
    }
    fn advance(&self, cursor: CursorId, upto: Seq, note: Bytes) -> Commit {
        JournalStub::advance(self, cursor, upto, note)
    }
    fn cursor(&self, cursor: CursorId) -> Option<(Seq, Bytes)> {
        JournalStub::cursor(self, cursor)
    }
    fn hold(&self, _: CursorId, _: Hold) {}
    fn first(&self) -> Seq {
        Seq(1)
    }
    fn is_past(&self, place: Seq) -> bool {
        JournalStub::is_past(self, place)
    }
    fn lend_reserve(&self) -> bool {
        JournalStub::lend_reserve(self)
    }
    fn wants_room(&self) -> bool {
        JournalStub::wants_room(self)
    }
    fn return_reserve(&self) {
        JournalStub::return_reserve(self);
    }
    fn epoch(&self) -> Epoch {
        Epoch(1)
    }
    fn damage(&self) -> Vec<Damaged> {
        Vec::new()
    }
}

/// A feed of nothing.
struct Ended;

impl Feed for Ended {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(std::future::ready(Delivery::Closed))
    }
}
