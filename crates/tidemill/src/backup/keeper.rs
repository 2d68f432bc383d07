//! A backup of a running plant through its doors: made on a thread of its own while it is sent, at a rate that leaves the disk
//! to those who wait for acknowledgements. Nothing of it is kept here: whoever asks takes the bytes as they come, and who
//! ceases to take them is given up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tidemill_backup::{Done, Since};
use tidemill_core::{AuditEntry, AuditResult, Authority, Boxed, Bus, Chunks, Identity, Problem, codes};
use tidemill_ground::{Counter, Ground, Phase, Stop, TokenBucket};
use tidemill_guard::Guard;
use tidemill_historian::Historian;
use tidemill_journal::Log;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Pace;
use super::capture::{self, Rooms};
use crate::plant::Plant;

/// Sent at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// So many wait for the network: what is read ahead for a slow client.
const CHUNKS_WAITING_MAX: usize = 4;
/// A client that takes nothing for so long has hung, and the rooms hold their files for it.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// Read at most. What flushes and merges write at most as well: so much a disk gives beside the log's syncs.
const RATE_BYTES_PER_S: u64 = 64 << 20;

/// Makes backups, one at a time.
pub(crate) struct Backups {
    ground: Ground,
    plant: Plant,
    name: String,
    guard: Arc<Guard>,
    journal: Arc<Log>,
    historian: Arc<Historian>,
    bus: Arc<dyn Bus>,
    busy: Arc<AtomicBool>,
    made: Counter,
    broken: Counter,
    abandoned: Counter,
}

impl Backups {
    pub(crate) fn new(
        ground: &Ground,
        plant: &Plant,
        name: &str,
        (guard, journal, historian): (Arc<Guard>, Arc<Log>, Arc<Historian>),
        bus: Arc<dyn Bus>,
    ) -> Arc<Backups> {
        let counter = |name, help| ground.metrics.counter(name, help);
        Arc::new(Backups {
            plant: plant.clone(),
            name: name.to_owned(),
            guard,
            journal,
            historian,
            bus,
            busy: Arc::default(),
            made: counter("tidemill_backups", "Backups that were sent whole."),
            broken: counter("tidemill_backups_failed", "Backups that were not."),
            abandoned: counter(
                "tidemill_backups_abandoned",
                "Backups given up because nobody took their bytes any more.",
            ),
            ground: ground.clone(),
        })
    }

    /// Begins one for `who`, and gives its bytes as they are made.
    pub(crate) async fn begin(
        self: &Arc<Backups>,
        who: &Identity,
        since: Option<Since>,
        rate_bytes_per_s: Option<u64>,
    ) -> Result<Box<dyn Chunks>, Problem> {
        if self.busy.swap(true, Ordering::AcqRel) {
            let problem = Problem::new(&codes::BUSY, "another backup of this plant is being made");
            return Err(problem.hint("Wait until that is done").retry_after(60));
        }
        // Free again when it is dropped, however this ends.
        let one = One(self.busy.clone());
        let detail = json!({ "since": since.as_ref().map(|since| since.hash.to_string()) });
        self.guard.audit(self.entry(who, AuditResult::Intended, detail))?.await?;
        let (queue, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
        let (backups, who, handle) = (self.clone(), who.clone(), Handle::current());
        let spawned = self.ground.tasks.spawn("backup", Phase::Doors, move |stop| {
            let rate = rate_bytes_per_s.unwrap_or(RATE_BYTES_PER_S).max(1);
            let bucket = TokenBucket::new(backups.ground.clock.clone(), rate, CHUNK_BYTES as u64);
            let ended = stop.clone();
            let pace = move |bytes| {
                ended.wait(bucket.take(bytes));
            };
            let (buffer, abandoned) = (Vec::with_capacity(CHUNK_BYTES), backups.abandoned.clone());
            let out = Sender { queue, buffer, handle, stop, abandoned, taken_within: TAKEN_WITHIN };
            backups.make(&who, since, out, &pace);
            drop(one);
        });
        spawned.map_err(|error| Problem::new(&codes::STOPPING, error.to_string()))?;
        Ok(Box::new(Receiver(chunks)))
    }

    fn entry(&self, who: &Identity, result: AuditResult, detail: serde_json::Value) -> AuditEntry {
        let (action, target) = ("backup.take", self.name.clone());
        AuditEntry { who: who.clone(), action, target, result, detail: detail.to_string() }
    }

    fn make(&self, who: &Identity, since: Option<Since>, out: Sender, pace: Pace<'_>) {
        let (queue, handle) = (out.queue.clone(), out.handle.clone());
        let made = self.try_make(since, out, pace);
        let (result, detail) = match &made {
            Ok(done) => {
                self.made.add(1);
                tracing::info!(
                    event = "backup.made",
                    bytes = done.bytes,
                    files = done.files,
                    notes = done.notes.len()
                );
                if let Err(problem) = tidemill_vitals::write_backup(&self.bus, done.bytes, None) {
                    tracing::warn!(event = "figures.unwritten", code = problem.code.id, "{}", problem.detail);
                }
                let hash = done.hash.to_string();
                (AuditResult::Done, json!({ "sha256": hash, "bytes": done.bytes, "files": done.files }))
            }
            Err(problem) => {
                self.broken.add(1);
                tracing::warn!(event = "backup.failed", code = problem.code.id, "{problem}");
                (AuditResult::Failed, json!({ "problem": problem.detail }))
            }
        };
        match self.guard.audit(self.entry(who, result, detail)) {
            Ok(written) => drop(written),
            Err(error) => {
                tracing::error!(event = "backup.unrecorded", %error, "how it ended is not in the audit")
            }
        }
        if let Err(problem) = made {
            // Who went away hears nothing.
            let _ =
                handle.block_on(async { tokio::time::timeout(TAKEN_WITHIN, queue.send(Err(problem))).await });
        }
    }

    fn try_make(&self, since: Option<Since>, out: Sender, pace: Pace<'_>) -> Result<Done, Problem> {
        let rooms = Rooms { guard: &self.guard, journal: &self.journal, historian: &self.historian };
        let capture = capture::of_running(&self.ground, &self.plant, &self.name, &rooms)?;
        let packed = super::pack(self.ground.disk.as_ref(), capture, since, out, pace);
        packed.map(|(_, done)| done)
    }
}

/// The right to be the one backup.
struct One(Arc<AtomicBool>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Where the packer writes.
struct Sender {
    queue: mpsc::Sender<Result<Bytes, Problem>>,
    buffer: Vec<u8>,
    handle: Handle,
    stop: Stop,
    abandoned: Counter,
    taken_within: Duration,
}

impl Sender {
    fn send(&mut self) -> io::Result<()> {
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        if self.stop.requested() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the plant stops"));
        }
        let sent = async { tokio::time::timeout(self.taken_within, self.queue.send(Ok(bytes.into()))).await };
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "who asked for it went away")),
            Err(_) => {
                self.abandoned.add(1);
                let why = format!("nobody took its bytes for {:?}", self.taken_within);
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send() }
    }
}

/// Where the door reads.
struct Receiver(mpsc::Receiver<Result<Bytes, Problem>>);

impl Chunks for Receiver {
    fn next(&mut self) -> Boxed<'_, Option<Result<Bytes, Problem>>> {
        Box::pin(self.0.recv())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_nothing_is_given_up_and_who_takes_slowly_is_not() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime");
        let (ground, _) = Ground::simulated(1);
        let abandoned = ground.metrics.counter("abandoned", "Given up.");
        let (queue, mut chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
        let mut sender = Sender {
            queue,
            buffer: Vec::new(),
            handle: runtime.handle().clone(),
            stop: ground.tasks.stop(Phase::Doors),
            abandoned: abandoned.clone(),
            taken_within: Duration::from_millis(100),
        };
        let chunk = vec![7; CHUNK_BYTES];
        // What may wait for the network is not waited for.
        (0..CHUNKS_WAITING_MAX).for_each(|_| sender.write_all(&chunk).expect("there is room"));
        let given_up = sender.write_all(&chunk).expect_err("nobody takes it");
        let told = "nobody took its bytes for 100ms";
        assert_eq!((given_up.kind(), given_up.to_string().as_str()), (io::ErrorKind::TimedOut, told));
        assert_eq!(abandoned.get(), 1);
        for _ in 0..10 {
            assert!(chunks.blocking_recv().is_some_and(|taken| taken == Ok(chunk.clone().into())));
            sender.write_all(&chunk).expect("one was taken");
        }
        drop(chunks);
        let gone = sender.write_all(&chunk).expect_err("nobody is there");
        assert_eq!((gone.kind(), abandoned.get()), (io::ErrorKind::BrokenPipe, 1));
    }
}
