//! The queue in front of the audit files, and the one thread that writes them. Whoever audits gets a commit at once and
//! awaits it; while one sync runs the next group grows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_core::{AuditEntry, Commit, CommitGroup, Journal, NotDurable, Seq, is_full};
use tidemill_ground::{Clock, Counter, Disk, Gauge, Ground, Phase};

use super::FOLDER;
use super::rows::{self, Rows};
use super::verify::{Durable, Report, verify_until};
use super::writer::{Pending, Writer};
use crate::error::Error;
use crate::settings::Limits;

/// How many entries may wait for the disk. Changes come by the second, not by the thousand; refusals are summed up
/// before they get here.
pub(crate) const QUEUE_ENTRIES_MAX: usize = 1024;
/// How long an entry that is on disk waits for its row: what was answered is to be seen in the table. A journal that takes
/// longer holds nobody up: the files are the record.
const ROW_WAIT: Duration = Duration::from_secs(2);
/// After a failure the disk is left alone for so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The audit log.
pub(crate) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    queue: Mutex<Queue>,
    wake: Condvar,
    counters: Counters,
}

struct Counters {
    entries: Counter,
    failures: Counter,
    mark_failures: Counter,
    rows_missing: Counter,
    unwritable: Gauge,
}

struct Queue {
    waiting: Vec<Pending>,
    group: CommitGroup,
    next_seq: u64,
    limits: Limits,
    /// Why the files cannot be written, and when that was last tried.
    failed: Option<(Arc<str>, Duration)>,
    /// Whether the end of the chain is known. Until then nothing can be taken.
    ready: bool,
    /// How far the chain is durable, for a check while entries are added.
    durable_end: Option<Durable>,
    /// Whether the thread is to look after what is left to do, entries or not.
    nudged: bool,
    stopping: bool,
}

impl Log {
    /// Opens the files and starts their thread. A disk that cannot be read or written now is no error: entries are
    /// refused until it can.
    pub(crate) fn open(
        ground: &Ground,
        data_dir: &Path,
        journal: Arc<dyn Journal>,
        limits: Limits,
    ) -> Result<Log, Error> {
        let metrics = &ground.metrics;
        let counters = Counters {
            entries: metrics.counter("tidemill_audit_entries", "Audit entries made durable."),
            failures: metrics
                .counter("tidemill_audit_failures", "Audit entries that could not be made durable."),
            mark_failures: metrics.counter(
                "tidemill_audit_mark_failures",
                "Times the mark of the audit chain could not be written.",
            ),
            rows_missing: metrics.counter(
                "tidemill_audit_rows_missing",
                "Audit entries that are in the files but not in the table sys.audit.",
            ),
            unwritable: metrics.gauge(
                "tidemill_audit_unwritable",
                "1 while audit entries cannot be written and changes are refused.",
            ),
        };
        let queue = Queue {
            waiting: Vec::new(),
            group: CommitGroup::default(),
            next_seq: 1,
            limits,
            failed: None,
            ready: false,
            durable_end: None,
            nudged: false,
            stopping: false,
        };
        let shared = Arc::new(Shared {
            disk: ground.disk.clone(),
            dir: data_dir.join(FOLDER),
            clock: ground.clock.clone(),
            journal,
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            counters,
        });
        let writer = match shared.recover() {
            Err(error @ Error::Newer { .. }) => return Err(error),
            other => other.ok(),
        };
        let thread = shared.clone();
        ground.tasks.spawn("audit", Phase::Log, move |stop| {
            let stopped = thread.clone();
            stop.on_stop(move || stopped.stop());
            thread.run(writer);
        })?;
        Ok(Log { shared })
    }

    /// Takes an entry. The commit resolves when it is on disk.
    pub(crate) fn append(&self, entry: AuditEntry) -> Result<Commit, Error> {
        self.shared.append(entry)
    }

    /// Whether entries can be written, as far as is known; else why not.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.shared.lock().failed.as_ref().map(|(why, _)| why.clone())
    }

    /// Lets the thread look whether it is time to try a disk again that could not be read at the start, and whether the
    /// journal takes the rows that wait.
    pub(crate) fn nudge(&self) {
        self.shared.lock().nudged = true;
        self.shared.wake.notify_all();
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.shared.lock().limits = limits;
    }

    /// Checks the chain while entries are added behind it.
    pub(crate) fn verify(&self) -> Result<Report, Error> {
        let until = || self.shared.lock().durable_end;
        let check = || verify_until(self.shared.disk.as_ref(), &self.shared.dir, until);
        // A file that retention removes between being listed and being read is not missing.
        let removed = |result: &Result<Report, Error>| matches!(result, Err(Error::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound);
        let mut result = check();
        for _ in 0..3 {
            if removed(&result) {
                result = check();
            }
        }
        result
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_all();
    }

    fn append(&self, entry: AuditEntry) -> Result<Commit, Error> {
        let now = self.clock.monotonic();
        let mut queue = self.lock();
        if queue.stopping {
            return Err(Error::Stopping);
        }
        if let Some((why, at)) = &queue.failed
            && (!queue.ready || now.saturating_sub(*at) < RETRY_AFTER)
        {
            let why = why.to_string();
            self.counters.failures.add(1);
            // The thread looks whether it is time to try again.
            self.wake.notify_all();
            return Err(Error::AuditUnwritable(why));
        }
        if queue.waiting.len() >= QUEUE_ENTRIES_MAX {
            self.counters.failures.add(1);
            return Err(Error::AuditUnwritable(format!(
                "{QUEUE_ENTRIES_MAX} entries wait for the disk already"
            )));
        }
        let commit = queue.push(self.clock.wall(), entry, None);
        drop(queue);
        self.wake.notify_all();
        Ok(commit)
    }

    /// Finds the end of the chain; from then on entries can be taken.
    fn recover(&self) -> Result<Writer, Error> {
        let limits = self.lock().limits.clone();
        let handed_on = rows::handed_on(self.journal.as_ref());
        match Writer::open(self.disk.clone(), self.dir.clone(), limits, handed_on) {
            Ok((writer, notes)) => {
                let mut queue = self.lock();
                queue.ready = true;
                queue.failed = None;
                queue.next_seq = writer.chain().seq + 1;
                queue.durable_end = writer.durable_end();
                for note in notes {
                    tracing::warn!(
                        event = "audit.mended",
                        action = note.action,
                        detail = note.detail,
                        "the audit log was mended"
                    );
                    drop(queue.push(self.clock.wall(), note, None));
                }
                self.counters.unwritable.set(0);
                Ok(writer)
            }
            Err(error) => {
                self.failed(&mut self.lock(), &error);
                Err(error)
            }
        }
    }

    fn failed(&self, queue: &mut Queue, error: &Error) {
        if queue.failed.is_none() {
            tracing::error!(event = "audit.unwritable", %error, "the audit log cannot be written: changes are refused, data goes on");
        }
        queue.failed = Some((error.to_string().into(), self.clock.monotonic()));
        self.counters.unwritable.set(1);
    }

    fn run(&self, mut writer: Option<Writer>) {
        let mut rows = Rows::new(self.journal.clone(), self.counters.rows_missing.clone());
        let mut begun = false;
        loop {
            if let (Some(writer), false) = (&writer, begun) {
                rows.begin(self.disk.as_ref(), &self.dir, writer.chain().seq);
                begun = true;
            }
            let Some((group, commits)) = self.next_group(writer.is_some()) else { break };
            match &mut writer {
                Some(_) if group.is_empty() => rows.hand_on(Vec::new(), Duration::ZERO),
                Some(writer) => self.write(writer, &group, &commits, &mut rows),
                None => writer = self.recover().ok(),
            }
        }
        rows.end();
    }

    /// Waits for work; none when it is time to end. Without a writer an empty group means: try to get one.
    fn next_group(&self, ready: bool) -> Option<(Vec<Pending>, CommitGroup)> {
        let mut queue = self.lock();
        loop {
            if !ready {
                let tried = queue.failed.as_ref().map(|(_, at)| *at).unwrap_or_default();
                if queue.stopping {
                    return None;
                }
                if self.clock.monotonic().saturating_sub(tried) >= RETRY_AFTER {
                    return Some(Default::default());
                }
            } else if !queue.waiting.is_empty() {
                if let Some(end) = &mut queue.durable_end {
                    end.writing = true;
                }
                return Some((std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.group)));
            } else if queue.stopping {
                return None;
            } else if std::mem::take(&mut queue.nudged) {
                return Some(Default::default());
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, writer: &mut Writer, group: &[Pending], commits: &CommitGroup, rows: &mut Rows) {
        writer.set_limits(self.lock().limits.clone());
        match writer.append(group) {
            Ok(new) => {
                self.counters.entries.add(group.len() as u64);
                self.counters.unwritable.set(0);
                {
                    let mut queue = self.lock();
                    queue.failed = None;
                    queue.durable_end = writer.durable_end();
                }
                rows.hand_on(new, ROW_WAIT);
                commits.resolve(Ok(()));
                writer.sync_mark();
                self.trim(writer);
            }
            Err(error) => {
                let behind = {
                    let mut queue = self.lock();
                    self.failed(&mut queue, &error);
                    self.counters.failures.add((group.len() + queue.waiting.len()) as u64);
                    queue.waiting.clear();
                    queue.next_seq = writer.chain().seq + 1;
                    std::mem::take(&mut queue.group)
                };
                let why = not_durable(&error);
                commits.resolve(Err(why.clone()));
                behind.resolve(Err(why));
            }
        }
        self.counters.mark_failures.add(std::mem::take(&mut writer.mark_failures));
    }

    fn trim(&self, writer: &mut Writer) {
        let now = self.clock.wall();
        for entry in writer.noticed() {
            drop(self.lock().push(now, entry, None));
        }
        match writer.trims(now) {
            Ok(trims) => {
                let mut queue = self.lock();
                for (first, entry) in trims {
                    drop(queue.push(now, entry, Some(first)));
                }
            }
            Err(error) => {
                tracing::warn!(event = "audit.trim_failed", %error, "old audit files were not looked through")
            }
        }
    }
}

/// What who waits for an entry is told.
fn not_durable(error: &Error) -> NotDurable {
    let why = format!("audit: {error}").into();
    match error {
        Error::Disk { source, .. } if is_full(source) => NotDurable::Full(why),
        _ => NotDurable::Disk(why),
    }
}

impl Queue {
    fn push(&mut self, time: i64, entry: AuditEntry, removes: Option<u64>) -> Commit {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.waiting.push(Pending { seq, time, entry, removes });
        self.group.waiter(Seq(seq))
    }
}
