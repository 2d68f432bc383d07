//! The trait of the unified namespace: registry, order, last values, subscriptions, routing of commands. The bus is the
//! only caller of the journal for data.

use std::sync::Arc;

use crate::authority::{Identity, ReadScope, Verb};
use crate::batch::{BatchBuilder, Flags};
use crate::commit::{Boxed, Commit};
use crate::names::NewName;
use crate::parcel::{Durability, Message, Parcel, Record, Seq};
use crate::path::SignalPath;
use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::quality::Quality;
use crate::signal::{Meta, NumberKind, Signal, SignalId, SourceId};
use crate::value::Value;

/// A right to a path that was granted, with the id that stands for it. Valid while the authority's epoch is the same;
/// doors cache it by their own name for the signal, so that rights cost nothing per sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The signal.
    pub id: SignalId,
    /// For which verb.
    pub verb: Verb,
    /// Under which policy and registry state.
    pub epoch: u64,
    /// What a bare number becomes.
    pub number: NumberKind,
}

/// A change to what is known about a signal. `None` leaves a fact as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of Meta and Signal")]
pub struct MetaEdit {
    pub unit: Option<Arc<str>>,
    pub unit_ucum: Option<Arc<str>>,
    pub description: Option<Arc<str>>,
    pub number: Option<NumberKind>,
    pub stepped: Option<Option<bool>>,
    pub owner: Option<Arc<str>>,
    pub stale_after_ns: Option<i64>,
    /// Added or replaced; an empty value removes.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// The new path; the old one becomes an alias.
    pub rename: Option<SignalPath>,
    /// A further name.
    pub alias: Option<SignalPath>,
    /// Deletes the signal for this reason: its samples go with its name ([`Deletion`](crate::Deletion), in the same parcel), and its id is
    /// never used again.
    pub retire: Option<Arc<str>>,
}

/// The newest sample of a signal, as it reads now.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the words of the one idea")]
pub struct LastValue {
    pub id: SignalId,
    pub time: i64,
    pub value: Value,
    /// Uncertain_LastUsableValue where the sample was good and is older than the signal's `stale_after`.
    pub quality: Quality,
    pub received: i64,
    pub source: SourceId,
    /// The signal also has samples that were too far ahead of the clock for a last value: by now history may hold a newer one.
    pub ahead: bool,
}

/// What happens to a subscriber that is slower than its signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagPolicy {
    /// It reads the log again and misses nothing that is still there.
    CatchUp,
    /// It keeps the newest so many parcels; the oldest are dropped and it is told how many.
    Latest {
        /// How many parcels may wait.
        parcels_max: usize,
    },
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes after now.
    Now,
    /// After this place. One that the log does not reach (it was restored, or lost its tail) is now, and the feed's
    /// [`Feed::place`] lies before what was asked for.
    After(Seq),
}

/// Which rows of a parcel's batch are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// These, in order.
    Some(Vec<u32>),
}

/// What a feed gives. Lag is data, not an error.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A parcel, and which of its rows.
    Data {
        /// Its place. A parcel that was only live has the place of the durable one before it.
        seq: Seq,
        /// The parcel, shared by all.
        parcel: Arc<Parcel>,
        /// The rows that are meant and may be seen.
        rows: Rows,
    },
    /// So many parcels were missed; it goes on after `to`.
    Lagged {
        /// How many.
        missed: u64,
        /// Where it goes on.
        to: Seq,
    },
    /// No more will come.
    Closed,
}

/// A reader of parcels: one await per batch.
pub trait Feed: Send {
    /// The next delivery, when there is one. Cancel safe.
    fn next(&mut self) -> Boxed<'_, Delivery>;
    /// Up to where it has come: what it gives next stands behind that. 0 where it does not say.
    fn place(&self) -> Seq {
        Seq(0)
    }
}

/// An order to the machine behind a signal.
#[derive(Clone, Debug)]
pub struct Command {
    /// What to set.
    pub value: Value,
    /// Why; audited.
    pub reason: String,
}

/// What the machine said after a command.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBack {
    /// The value that was read back.
    pub value: Value,
    /// How good it is.
    pub quality: Quality,
}

/// The unified namespace.
pub trait Bus: Send + Sync {
    /// Binds a path for someone: asks the authority, checks limits and owner, registers a new name for [`Verb::Write`]
    /// (with `hint` as its first metadata) and gives its id. Dear once, then cached by the caller.
    ///
    /// # Errors
    /// `forbidden`, `not-owner`, `signals-limit`, `signals-rate`, `not-found` (verbs other than write).
    fn bind(&self, who: &Identity, verb: Verb, path: &SignalPath, hint: &Meta) -> Result<Grant, Problem>;
    /// Binds a path for writing without creating it: none where it does not exist and may be created by this identity,
    /// together with so many other `new` names. Requests are read with it (through [`crate::NewNames`]), so that one
    /// that is refused creates nothing.
    ///
    /// # Errors
    /// `forbidden`, `not-owner`, `signals-limit`, `signals-rate`.
    fn resolve(&self, who: &Identity, path: &SignalPath, new: usize) -> Result<Option<Grant>, Problem>;
    /// The epoch under which grants are valid now: grows with policy and with edits that change owner, name, kind or
    /// unit.
    fn epoch(&self) -> u64;
    /// A builder with the source of this identity.
    fn batch(&self, who: &Identity, flags: Flags) -> Result<BatchBuilder, Problem>;
    /// Publishes one batch with what belongs to it, all or nothing: stamps rows without a time, adds the definitions of
    /// ids used for the first time, appends. Followers see it once committed. `epoch` is the one under which the rows
    /// were bound. The new names are created all or none, and only if the parcel is taken.
    ///
    /// # Errors
    /// `busy`, `share-exceeded`, `disk-full`, `stopping`; `signals-limit`, `signals-rate`; `conflict` when the epoch is
    /// over or someone else created one of the names otherwise: bind again.
    fn publish(
        &self,
        who: &Identity,
        epoch: u64,
        publish: Publish,
        durability: Durability,
    ) -> Result<Commit, Problem>;
    /// Live parcels whose rows match one of the patterns and are within the scope.
    fn subscribe(
        &self,
        scope: &ReadScope,
        patterns: &[Pattern],
        lag: LagPolicy,
        from: Start,
    ) -> Result<Box<dyn Feed>, Problem>;
    /// The last values of these signals, those outside the scope or without one left out.
    fn last(&self, scope: &ReadScope, ids: &[SignalId], out: &mut Vec<LastValue>);
    /// The signals of a pattern within the scope, sorted by path, retired ones left out.
    fn describe(&self, scope: &ReadScope, pattern: &Pattern) -> Vec<Arc<Signal>>;
    /// The signal of an id, retired or not. For engines: asks no scope.
    fn signal(&self, id: SignalId) -> Option<Arc<Signal>>;
    /// The path of an id, and whether its signal is retired: of [`Bus::signal`] what is asked for each of many. Asks no scope.
    fn path(&self, id: SignalId) -> Option<(SignalPath, bool)> {
        self.signal(id).map(|signal| (signal.path.clone(), signal.retired))
    }
    /// The signal of a path or alias. For engines: asks no scope.
    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>>;
    /// The name of a source.
    fn source(&self, id: SourceId) -> Arc<str>;
    /// Whether definitions may have gone with parcels that could not be read: then who keeps names beside samples gives them
    /// to [`Bus::recover`] before anybody asks.
    fn lacks_names(&self) -> bool {
        false
    }
    /// Takes back signals and sources that it does not know, from one who keeps them: each under the name that it had, or
    /// under [`SignalId::unknown_name`] where nobody knows it, or another signal has it. Gives the signals that came back.
    fn recover(&self, kept: KeptNames) -> Vec<Recovered> {
        drop(kept);
        Vec::new()
    }
    /// Changes what is known about a signal; the grant is for [`Verb::Configure`]. With one for [`Verb::Write`] a signal
    /// without a unit gets its first, and nothing else is changed.
    ///
    /// # Errors
    /// `conflict` (also a unit that the signal got meanwhile), `exists` (a rename onto a living name), `busy` and its kin.
    fn edit(&self, who: &Identity, grant: &Grant, edit: MetaEdit) -> Result<Commit, Problem>;
    /// Orders the machine behind a signal; the grant is for [`Verb::Command`].
    fn command<'a>(&'a self, grant: &Grant, command: Command) -> Boxed<'a, Result<ReadBack, Problem>>;
}

/// What is known of names beside the bus.
#[derive(Clone, Debug, Default)]
pub struct KeptNames {
    /// Signals that have samples, and the name by which these are kept.
    pub signals: Vec<(SignalId, Option<Arc<str>>)>,
    /// Who wrote them.
    pub sources: Vec<(SourceId, Arc<str>)>,
}

/// A signal whose definition was lost and that came back.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The signal as it is now.
    pub signal: Arc<Signal>,
    /// The name by which its samples were kept, if any was.
    pub kept: Option<Arc<str>>,
}

/// What one publish brings, before it is stamped and becomes a [`Parcel`].
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// The samples.
    pub samples: Option<BatchBuilder>,
    /// Names to be created, for which rows have provisional ids. Each part of a request brings all names of the request:
    /// the first creates them, the others find them.
    pub names: Arc<[NewName]>,
    /// Raw messages to go along.
    pub messages: Vec<Message>,
    /// Records to go along.
    pub records: Vec<Record>,
    /// The producer's own number; a repeated one resolves with the first one's place and changes nothing.
    pub once: Option<(crate::parcel::ProducerId, u64)>,
}
