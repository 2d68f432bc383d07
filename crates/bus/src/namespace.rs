//! The front door: opening over a log and an authority, what its parts share, snapshots, and the contract's trait. Each
//! verb has a file of its own: `bind`, `publish`, `edit`; reading stands here.

use std::path::Path;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tidemill_core::{
    Authority, BatchBuilder, Boxed, Bus, Command, Commit, Durability, Facts, Feed, Flags, Grant, Hold,
    HoldAction, Identity, Journal, KeptNames, LagPolicy, LastValue, Meta, MetaEdit, Pattern, Problem,
    Publish, ReadBack, ReadScope, Recovered, Seq, Signal, SignalId, SignalPath, SourceId, Start, TableSpec,
    Verb, codes,
};
use tidemill_ground::{Ground, Limit, Phase, create_dirs};

use crate::delivery::Follower;
use crate::error::Error;
use crate::feed::{Log, Mailbox, Selector, Subscription};
use crate::settings::Settings;
use crate::shared::{CURSOR, EndGuard, SNAPSHOT_LOOK, SOURCES_MAX, Shared};
use crate::snapshot;

/// The bus holds the log until its snapshot is written. A snapshot is due every 64 MiB, so this is reached only when
/// none could be written for long; samples are refused then rather than names lost.
const HOLD: Hold =
    Hold { bytes_max: 4 << 30, age_max: Duration::from_secs(10 * 365 * 86_400), beyond: HoldAction::Refuse };
/// How long a start waits for the next parcel of the log before it gives up.
const REPLAY_STALL: Duration = Duration::from_secs(30);
/// How long a read of last values waits for what was durable when it began.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Carries commands to the machine behind the signals of one owner.
pub trait CommandHandler: Send + Sync {
    /// Does it, and says what was read back.
    fn command(&self, signal: Arc<Signal>, command: Command) -> Boxed<'_, Result<ReadBack, Problem>>;
}

/// Two names that differ in upper and lower case only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The later name.
    pub path: SignalPath,
    /// The one that was there.
    pub like: SignalPath,
    /// Who brought the later one.
    pub by: Arc<str>,
}

/// The unified namespace over one log.
pub struct Namespace {
    pub(crate) shared: Arc<Shared>,
}

impl Namespace {
    /// Opens the namespace kept in `dir`, and takes in what the log holds beyond its snapshot.
    ///
    /// # Errors
    /// [`Error`]: a file or a record is damaged, of a later version, missing although the log relies on it, or cannot be
    /// read.
    pub fn open(
        ground: &Ground,
        dir: &Path,
        journal: Arc<dyn Journal>,
        authority: Arc<dyn Authority>,
        settings: Settings,
    ) -> Result<Arc<Namespace>, Error> {
        let needed = journal.cursor(CURSOR).map(|(seq, _)| seq);
        let mut state = snapshot::open(ground.disk.as_ref(), dir, settings.last_values_bytes, needed)?;
        create_dirs(ground.disk.as_ref(), dir).map_err(|source| Error::File {
            file: dir.to_owned(),
            action: "written",
            source,
        })?;
        let replay_to = journal.durable();
        let known = state.once.iter().map(|(_, seq)| *seq).fold(state.seq, Seq::max);
        // A log that lost its end goes on above all that the snapshot knows, and so does the next snapshot: its place never
        // goes back behind the cursor. One that is younger (restored, begun anew) is followed from its end.
        let from = if journal.is_past(known) { state.seq } else { state.seq.min(replay_to) };
        if let Some((first, _)) = journal.lost() {
            // A producer that repeats what was lost must not be told that it is there.
            state.once.retain(|(_, seq)| *seq < first);
            if first <= state.seq {
                let end = state.registry.signals_end();
                state.last.end_with(&*journal, end, settings.last_values_bytes);
            }
        }
        journal.hold(CURSOR, HOLD);
        let feed = journal.follow(CURSOR, Some(from));
        let shared = Arc::new(Shared::new(ground, dir, journal, authority, settings, state, from)?);
        let namespace = Arc::new(Namespace { shared });
        namespace.start(ground, feed, replay_to)?;
        namespace.wait_for_replay(replay_to)?;
        namespace.shared.end_of_replay();
        namespace.watch(ground);
        Ok(namespace)
    }

    fn start(&self, ground: &Ground, mut feed: Box<dyn Feed>, replay_to: Seq) -> Result<(), Error> {
        let shared = self.shared.clone();
        let stop = ground.tasks.stop(Phase::Engines);
        let weak = Arc::downgrade(&self.shared);
        stop.on_stop(move || {
            if let Some(shared) = weak.upgrade() {
                shared.ending.request(true);
            }
        });
        ground.tasks.spawn("bus", Phase::Engines, move |_| {
            // Also when this thread panics, nobody waits for it for ever.
            let end = EndGuard(shared.clone());
            let outcome = Follower::new(shared.clone(), replay_to).run(feed.as_mut());
            if outcome.is_ok() && shared.ending.is_orderly() {
                shared.finish();
            }
            end.with(outcome.err());
        })?;
        let weak: Weak<Shared> = Arc::downgrade(&self.shared);
        ground.tasks.spawn("bus-snapshot", Phase::Engines, move |stop| {
            while !stop.wait(SNAPSHOT_LOOK) {
                let Some(shared) = weak.upgrade().filter(|shared| !shared.ending.requested()) else { return };
                if shared.snapshot_is_due() {
                    // Counted where it failed, and tried again when it is due again.
                    let _ = shared.snapshot();
                }
            }
        })?;
        Ok(())
    }

    fn wait_for_replay(&self, replay_to: Seq) -> Result<(), Error> {
        let progress = &self.shared.progress;
        loop {
            let before = progress.applied();
            if progress.wait(replay_to, REPLAY_STALL) {
                return Ok(());
            }
            let mut state = progress.lock();
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            if state.ended || progress.applied() == before {
                drop(state);
                self.shared.ending.request(false);
                return Err(Error::Replay { at: progress.applied().0, of: replay_to.0 });
            }
        }
    }

    /// Stops: what is committed is taken in, feeds are closed, the state is written. Publishing and binding are refused
    /// from now on.
    ///
    /// # Errors
    /// The log held something that could not be taken in.
    pub fn stop(&self) -> Result<(), Error> {
        self.shared.ending.request(true);
        match self.shared.progress.wait_for_end() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Writes the state to its file, and lets the log before it go.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn snapshot(&self) -> Result<(), Error> {
        self.shared.snapshot()
    }

    /// Puts other limits in force. What is held above them stays.
    pub fn update(&self, settings: Settings) {
        self.shared.settings.store(Arc::new(settings));
    }

    /// New names of this run that differ from older ones in case only, the last thousand. Those of which one has another
    /// name by now, or is gone, are none.
    pub fn twins(&self) -> Vec<Twin> {
        self.shared.near_twins()
    }

    /// Commands to signals of this owner go to `handler`, from now on. An owner has one; a new one takes over.
    pub fn own(&self, owner: &str, handler: Arc<dyn CommandHandler>) {
        self.shared.handlers.write().unwrap_or_else(PoisonError::into_inner).insert(owner.into(), handler);
    }

    /// Commands to signals of this owner go nowhere any more.
    pub fn disown(&self, owner: &str) {
        self.shared.handlers.write().unwrap_or_else(PoisonError::into_inner).remove(owner);
    }

    /// The last parcel that was taken in.
    pub fn applied(&self) -> Seq {
        self.shared.progress.applied()
    }

    /// Tables that show what the bus holds right now.
    pub fn facts(&self) -> Vec<(&'static TableSpec, Arc<dyn Facts>)> {
        crate::facts::facts(&self.shared)
    }

    fn watch(&self, ground: &Ground) {
        type Ask = fn(&Shared) -> f64;
        type Bound = fn(&Settings) -> u64;
        let limits: [(&str, Ask, Bound); 6] = [
            ("signals", |shared| shared.registry().counted() as f64, |settings| settings.signals_max),
            // Each identity has its own hour: no one number says how much of it is used.
            ("signals_new_per_hour", |_| 0.0, |settings| settings.signals_new_per_hour),
            ("registry_bytes", |shared| shared.registry().bytes() as f64, |settings| settings.registry_bytes),
            (
                "sources",
                |shared| f64::from(shared.registry().sources_end().saturating_sub(1)),
                |_| u64::from(SOURCES_MAX),
            ),
            ("patterns", |shared| shared.router.patterns() as f64, |settings| settings.patterns_max),
            (
                "last_values_bytes",
                |shared| shared.last().texts_bytes() as f64,
                |settings| settings.last_values_bytes,
            ),
        ];
        for (name, used, max) in limits {
            let (of_used, of_max) = (Arc::downgrade(&self.shared), Arc::downgrade(&self.shared));
            let used = move || of_used.upgrade().map_or(0.0, |shared| used(&shared));
            let max = move || of_max.upgrade().map_or(0.0, |shared| max(&shared.settings.load()) as f64);
            Limit::show(&ground.metrics, name, used, max);
        }
        let gauges: [(&str, &str, Ask); 6] = [
            ("tidemill_bus_signals", "Living signals.", |shared| shared.registry().living() as f64),
            (
                "tidemill_bus_registry_bytes",
                "About how much memory signals and their names take.",
                |shared| shared.registry().bytes() as f64,
            ),
            ("tidemill_bus_subscriptions", "Subscriptions.", |shared| shared.router.all().len() as f64),
            ("tidemill_bus_patterns", "Patterns of all subscriptions.", |shared| {
                shared.router.patterns() as f64
            }),
            ("tidemill_bus_last_values_bytes", "Bytes of texts among the last values.", |shared| {
                shared.last().texts_bytes() as f64
            }),
            ("tidemill_bus_lag_parcels", "Durable parcels that the bus has not taken in yet.", |shared| {
                shared.journal.durable().0.saturating_sub(shared.progress.applied().0) as f64
            }),
        ];
        for (name, help, ask) in gauges {
            let weak = Arc::downgrade(&self.shared);
            ground.metrics.watch(name, help, &[], move || weak.upgrade().map_or(0.0, |shared| ask(&shared)));
        }
    }
}

/// A namespace that is dropped without a stop ends as a crash would: nothing is written.
impl Drop for Namespace {
    fn drop(&mut self) {
        self.shared.ending.request(false);
    }
}

impl Bus for Namespace {
    fn bind(&self, who: &Identity, verb: Verb, path: &SignalPath, hint: &Meta) -> Result<Grant, Problem> {
        self.shared.bind(who, verb, path, hint)
    }

    fn resolve(&self, who: &Identity, path: &SignalPath, new: usize) -> Result<Option<Grant>, Problem> {
        self.shared.resolve(who, path, new)
    }

    fn epoch(&self) -> u64 {
        self.shared.epoch()
    }

    fn batch(&self, who: &Identity, flags: Flags) -> Result<BatchBuilder, Problem> {
        self.shared.stopping()?;
        Ok(BatchBuilder::new(self.shared.writer(&who.name)?.source, flags))
    }

    fn publish(
        &self,
        who: &Identity,
        epoch: u64,
        publish: Publish,
        durability: Durability,
    ) -> Result<Commit, Problem> {
        self.shared.publish(who, epoch, publish, durability)
    }

    fn subscribe(
        &self,
        scope: &ReadScope,
        patterns: &[Pattern],
        lag: LagPolicy,
        from: Start,
    ) -> Result<Box<dyn Feed>, Problem> {
        self.shared.stopping()?;
        let shared = &self.shared;
        let settings = shared.settings.load();
        let (parcels_max, routed) = match lag {
            LagPolicy::Latest { parcels_max } => (parcels_max, true),
            LagPolicy::CatchUp => (1, false),
        };
        let durable = shared.journal.durable();
        let after = match from {
            // Whatever was handed out is durable: a place beyond is of another life of the log, restored or cut since.
            Start::After(seq) => seq.min(durable),
            Start::Now => durable,
        };
        let mailbox = Mailbox::new(parcels_max, settings.subscriber_bytes, after);
        let added = shared.router.add(patterns, scope, mailbox, routed, settings.patterns_max);
        let Some((subscriber, told_after)) = added else {
            shared.meters.patterns_refused.add(1);
            let detail =
                format!("all subscriptions together would have more than {} patterns", settings.patterns_max);
            return Err(Problem::new(&codes::BUSY, detail)
                .hint("End subscriptions that are not needed, or use wider patterns"));
        };
        if shared.ending.requested() {
            // Those that came before are closed at the end.
            subscriber.mailbox.close();
        }
        let read = |until| {
            let feed = shared.journal.follow(CURSOR, Some(after));
            Log { feed, until, selector: Selector::of(&subscriber) }
        };
        let log = match lag {
            LagPolicy::CatchUp => Some(read(None)),
            LagPolicy::Latest { .. } => (after < told_after).then(|| read(Some(told_after))),
        };
        Ok(Box::new(Subscription::new(shared.clone(), subscriber.clone(), log)))
    }

    fn last(&self, scope: &ReadScope, ids: &[SignalId], out: &mut Vec<LastValue>) {
        let shared = &self.shared;
        if !shared.progress.wait(shared.journal.durable(), READ_WAIT) {
            shared.meters.late_reads.add(1);
        }
        let now = shared.clock.wall();
        let registry = shared.registry();
        let last = shared.last();
        let living = ids.iter().filter_map(|id| registry.get(*id));
        let readable = living.filter(|entry| !entry.retired && scope.allows(&entry.path));
        out.extend(readable.filter_map(|entry| last.get(entry.id, entry.about.meta.stale_after_ns, now)));
    }

    fn describe(&self, scope: &ReadScope, pattern: &Pattern) -> Vec<Arc<Signal>> {
        let registry = self.shared.registry();
        let readable = registry.matching(pattern).filter(|entry| scope.allows(&entry.path));
        readable.map(|entry| Arc::new(entry.signal())).collect()
    }

    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        self.shared.registry().get(id).map(|entry| Arc::new(entry.signal()))
    }

    fn path(&self, id: SignalId) -> Option<(SignalPath, bool)> {
        self.shared.registry().get(id).map(|entry| (entry.path.clone(), entry.retired))
    }

    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>> {
        self.shared.registry().find(path.as_str()).map(|entry| Arc::new(entry.signal()))
    }

    fn source(&self, id: SourceId) -> Arc<str> {
        self.shared.registry().source(id).cloned().unwrap_or_default()
    }

    fn lacks_names(&self) -> bool {
        self.shared.lost.is_noted()
    }

    fn recover(&self, kept: KeptNames) -> Vec<Recovered> {
        self.shared.recover(kept)
    }

    fn edit(&self, who: &Identity, grant: &Grant, edit: MetaEdit) -> Result<Commit, Problem> {
        self.shared.edit(who, grant, edit)
    }

    fn command<'a>(&'a self, grant: &Grant, command: Command) -> Boxed<'a, Result<ReadBack, Problem>> {
        match self.shared.handler(grant) {
            Ok((handler, signal)) => Box::pin(async move { handler.command(signal, command).await }),
            Err(problem) => Box::pin(std::future::ready(Err(problem))),
        }
    }
}

impl Shared {
    fn handler(&self, grant: &Grant) -> Result<(Arc<dyn CommandHandler>, Arc<Signal>), Problem> {
        self.stopping()?;
        self.current(grant, Verb::Command)?;
        let signal = self.registry().get(grant.id).map(|entry| Arc::new(entry.signal()));
        let signal = signal.ok_or_else(|| Problem::new(&codes::NOT_FOUND, "there is no such signal"))?;
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        match handlers.get(&signal.meta.owner) {
            Some(handler) => Ok((handler.clone(), signal)),
            None => {
                let detail = format!("no connector that takes commands owns {}", signal.path);
                let hint = "Set its `owner` to a connector that runs, with `tidemill signals set`";
                Err(Problem::new(&codes::NOT_FOUND, detail).hint(hint))
            }
        }
    }
}
