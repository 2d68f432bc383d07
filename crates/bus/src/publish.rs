//! A publish: checked once as a whole, stamped, completed with definitions that are not yet durable, appended. No lock
//! and no hash is taken for a row.

use std::sync::Arc;

use tidemill_core::{
    Commit, Durability, Flags, Identity, NANOS_PER_SECOND, Parcel, Problem, Publish, Record, SignalId,
    SourceId, StreamId, codes,
};

use crate::record::{SignalRecords, source_record};
use crate::registry::Registry;
use crate::shared::Shared;
use crate::writers::Writer;

fn settle(publish: &mut Publish, ids: &[SignalId]) -> Result<(), Problem> {
    if publish.samples.as_mut().is_none_or(|samples| samples.settle(ids)) {
        return Ok(());
    }
    Err(Problem::new(&codes::INTERNAL, "a row means a new name that the publish does not bring"))
}

impl Shared {
    pub(crate) fn publish(
        &self,
        who: &Identity,
        epoch: u64,
        publish: Publish,
        durability: Durability,
    ) -> Result<Commit, Problem> {
        self.stopping()?;
        self.check_epoch(epoch)?;
        if publish.records.iter().any(|record| record.stream == StreamId::REGISTRY) {
            return Err(Problem::new(&codes::INTERNAL, "definitions are written by the bus alone"));
        }
        let writer = self.writer(&who.name)?;
        let Some(key) = publish.once else { return self.append(who, epoch, &writer, publish, durability) };
        // Held to the end: of two that come at once, the second finds the first.
        let mut once = self.once();
        if let Some(first) = once.repeated(key) {
            self.meters.repeats.add(1);
            return Ok(first);
        }
        let commit = self.append(who, epoch, &writer, publish, durability)?;
        Ok(once.begin(key, commit))
    }

    fn append(
        &self,
        who: &Identity,
        epoch: u64,
        writer: &Arc<Writer>,
        mut publish: Publish,
        durability: Durability,
    ) -> Result<Commit, Problem> {
        let names = std::mem::take(&mut publish.names);
        if names.is_empty() {
            self.define(None, writer, &mut publish)?;
            return self.append_defined(epoch, writer, publish, durability);
        }
        // The later parts of a request find what the first one created.
        let found = self.created_before(&self.registry(), who, &names)?;
        if let Some(ids) = found {
            settle(&mut publish, &ids)?;
            self.define(None, writer, &mut publish)?;
            return self.append_defined(epoch, writer, publish, durability);
        }
        // Held from the first name to the append, so that both are done or neither; edits wait for the same lock.
        let mut registry = self.registry_mut();
        self.check_epoch(epoch)?;
        let created = self.create(&mut registry, who, writer, &names)?;
        let taken = settle(&mut publish, &created.ids)
            .and_then(|()| self.define(Some(&registry), writer, &mut publish))
            .and_then(|()| self.append_defined(epoch, writer, publish, durability));
        match taken {
            Ok(_) => self.note_created(&registry, writer, &created),
            Err(_) => self.take_back(&mut registry, writer, &created),
        }
        taken
    }

    /// Puts the definitions that must go along before the records. The registry is locked only where the caller does not
    /// hold it and something is missing.
    fn define(&self, held: Option<&Registry>, writer: &Writer, publish: &mut Publish) -> Result<(), Problem> {
        if let Some(samples) = &publish.samples {
            let mut definitions = self.definitions(held, writer.source, samples.signals())?;
            definitions.append(&mut publish.records);
            publish.records = definitions;
        }
        Ok(())
    }

    fn append_defined(
        &self,
        epoch: u64,
        writer: &Arc<Writer>,
        publish: Publish,
        durability: Durability,
    ) -> Result<Commit, Problem> {
        let Publish { samples, messages, records, once, .. } = publish;
        let (now, monotonic) = (self.clock.wall(), self.clock.monotonic());
        // One lock from the stamp to the append, so that the order of stamps is the order of the log.
        let mut order = self.order();
        // Names may have changed meanwhile: nothing may stand in the log behind the deletion of its signal.
        self.check_epoch(epoch)?;
        self.check_share(writer, &mut order.unsynced, monotonic)?;
        let stamper = order.stamper;
        let samples = samples.filter(|samples| !samples.is_empty()).map(|samples| {
            let (received, flags) = order.stamper.next(now, samples.last_stamp().unwrap_or(0));
            Arc::new(samples.finish(received, flags))
        });
        let stepped = samples.as_ref().is_some_and(|batch| batch.flags.has(Flags::CLOCK_STEP));
        let parcel = Arc::new(Parcel { samples, messages, records, once });
        let bytes = parcel.bytes() as u64;
        let commit = match self.journal.append(parcel, durability) {
            Ok(commit) => commit,
            Err(busy) => {
                // Nothing was taken, so nobody saw these stamps, and a step of the clock is still to be told.
                order.stamper = stamper;
                return Err(busy.into());
            }
        };
        if durability != Durability::Live {
            order.unsynced.push(commit.seq(), bytes, writer, monotonic);
        }
        drop(order);
        if stepped {
            self.meters.clock_steps.add(1);
            let (_, highest) = stamper.parts();
            let back_s = highest.saturating_sub(now) as f64 / NANOS_PER_SECOND as f64;
            tracing::warn!(
                event = "clock.stepped_back",
                back_s,
                parcel = commit.seq().0,
                "the clock went back: the times that the server gives follow it from here on, and samples that came while it \
                 was ahead stand in the future"
            );
        }
        Ok(commit)
    }

    /// The definitions that must go along: of the source and of all signals that are not known to be durable. They go
    /// with every parcel until one of these was seen committed, so that each parcel is understood by itself.
    fn definitions(
        &self,
        held: Option<&Registry>,
        source: SourceId,
        signals: &[SignalId],
    ) -> Result<Vec<Record>, Problem> {
        let mut missing = self.signals_defined.missing(signals.iter().map(|id| id.get()));
        let source_missing = !self.sources_defined.missing(std::iter::once(source.0)).is_empty();
        if missing.is_empty() && !source_missing {
            return Ok(Vec::new());
        }
        missing.sort_unstable();
        missing.dedup();
        let locked = if held.is_none() { Some(self.registry()) } else { None };
        let Some(registry) = held.or(locked.as_deref()) else { return Ok(Vec::new()) };
        let mut records = Vec::with_capacity(missing.len() + 1);
        let mut signals = SignalRecords::default();
        if let Some(name) = registry.source(source).filter(|_| source_missing) {
            records.push(source_record(source, name));
        }
        for number in missing {
            let entry = SignalId::new(number).and_then(|id| registry.get(id));
            let Some(entry) = entry else {
                return Err(Problem::new(&codes::INTERNAL, format!("signal {number} was never bound")));
            };
            signals.add(entry.revision, &entry.signal());
        }
        records.extend(signals.finish());
        Ok(records)
    }

    /// Whether this writer may have more waiting. Asked before a parcel is taken, so that one parcel larger than the
    /// share still passes when nothing waits.
    fn check_share(
        &self,
        writer: &Writer,
        unsynced: &mut crate::writers::Unsynced,
        monotonic: std::time::Duration,
    ) -> Result<(), Problem> {
        let max_bytes = self.settings.load().identity_unsynced_bytes;
        if writer.unsynced_bytes() < max_bytes {
            return Ok(());
        }
        unsynced.release(self.journal.durable(), monotonic);
        let waiting_bytes = writer.unsynced_bytes();
        if waiting_bytes < max_bytes {
            return Ok(());
        }
        self.meters.share_refused.add(1);
        Err(tidemill_core::Busy::Share { who: writer.name.clone(), waiting_bytes, max_bytes }.into())
    }
}
