//! How a query keeps pace with who reads its answer. Its time is counted while it works, and stands while nobody takes
//! what it gave. An answer that is not taken for a moment is idle: it gives its place to who waits for one, holds no
//! thread for its scans, and nothing of it works on. What it keeps, its view and its memory, is bounded: so many answers
//! may be idle, for so long, and where others need their memory the longest idle gives way. What is not here: who sends
//! and who reads ([`super::run`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Counter, Gauge, Limit, Metrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::ledger::{Entry, State};
use super::pool::Pool;

/// An answer that is not taken for so long is idle.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long an answer may be idle.
pub(crate) const IDLE_TIME_MAX: Duration = Duration::from_secs(3_600);
/// How many answers may be idle for each query that may run.
const IDLE_PER_PLACE: usize = 4;
/// So often it is looked at what an idle answer keeps; and where as many are idle as may be, one more asks so often whether
/// it may, and keeps its place until then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the time of a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// The whole answer.
    All,
    /// Each step: an answer in bounded memory may go on for as long as it comes forward and is taken.
    Steps,
}

/// What a query does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It works, or waits for a place.
    Works,
    /// It waits for its reader.
    Waits,
    /// It waited for long enough to have given up its place.
    Idles,
    /// Its reader came back; it has no place yet.
    Returns,
}

impl Doing {
    fn rests(self) -> bool {
        matches!(self, Doing::Idles | Doing::Returns)
    }
}

#[derive(Clone, Copy, Debug)]
struct Course {
    doing: Doing,
    /// How long it worked before.
    worked: Duration,
    /// Since when it works, or its reader takes nothing.
    since: Instant,
    stopped: bool,
    gives_way: Option<For>,
}

/// What an answer gives way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Memory,
    Others,
}

/// One query's pace. Whatever works for the query holds it, and with it the query's place.
#[derive(Debug)]
pub(crate) struct Pace {
    course: Arc<watch::Sender<Course>>,
    /// The same as in its course, for expressions that ask at every call.
    stopped: AtomicBool,
    within: Within,
    time: Duration,
    places: Arc<Semaphore>,
    place: Mutex<Option<OwnedSemaphorePermit>>,
    running: Gauge,
    idle: Arc<Idle>,
    entry: Arc<Entry>,
}

impl Pace {
    /// Of a query that begins: its time counts from here on, also while it waits for its place.
    pub(crate) fn new(
        (within, time): (Within, Duration),
        places: Arc<Semaphore>,
        running: Gauge,
        idle: Arc<Idle>,
        entry: Arc<Entry>,
    ) -> Pace {
        let course = Course {
            doing: Doing::Works,
            worked: Duration::ZERO,
            since: Instant::now(),
            stopped: false,
            gives_way: None,
        };
        Pace {
            course: Arc::new(watch::Sender::new(course)),
            stopped: AtomicBool::new(false),
            within,
            time,
            places,
            place: Mutex::default(),
            running,
            idle,
            entry,
        }
    }

    /// Takes a place among those that run, in order of arrival.
    ///
    /// # Errors
    /// `stopping`.
    pub(crate) async fn enter(&self) -> Result<(), Problem> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| Problem::new(&codes::STOPPING, "no more queries are taken"))?;
        self.running.add(1);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        self.entry.is(State::Running);
        Ok(())
    }

    fn leave(&self) {
        if self.place.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.running.add(-1);
        }
    }

    /// Whether to stop: time is up, or nobody listens.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.course.send_modify(|course| course.stopped = true);
    }

    /// Until it is to stop.
    pub(crate) async fn until_stopped(&self) {
        self.until(|course| course.stopped).await;
    }

    /// Until its answer is idle, or it is to stop.
    pub(crate) async fn until_idle(&self) {
        self.until(|course| course.stopped || course.doing.rests()).await;
    }

    /// Until its answer is taken: what works beside that which gives the answer asks before each batch.
    pub(crate) async fn until_taken(&self) {
        if self.rests() {
            self.until(|course| course.stopped || !course.doing.rests()).await;
        }
    }

    /// Whether nothing of it is to work now.
    pub(crate) fn rests(&self) -> bool {
        self.course.borrow().doing.rests()
    }

    async fn until(&self, is: impl FnMut(&Course) -> bool) {
        // Its other end is held here.
        drop(self.course.subscribe().wait_for(is).await);
    }

    /// A piece of the answer was handed over, of so many bytes.
    pub(crate) fn gave(&self, bytes: usize) {
        self.entry.handed_over(bytes);
        if self.within == Within::Steps {
            self.course.send_if_modified(|course| {
                (course.worked, course.since) = (Duration::ZERO, Instant::now());
                false
            });
        }
    }

    /// Its reader does not take the next piece: from here on its time stands.
    pub(crate) fn waits(&self) {
        self.entry.waits();
        self.course.send_modify(|course| {
            course.worked += course.since.elapsed();
            (course.doing, course.since) = (Doing::Waits, Instant::now());
            // Its reader came back before it did.
            course.gives_way = None;
        });
    }

    /// Its reader took the piece: its time goes on, and it does, once it has a place. False where there is none any more.
    pub(crate) async fn goes_on(&self) -> bool {
        let mut idled = false;
        self.course.send_modify(|course| {
            idled = course.doing == Doing::Idles;
            course.doing = if idled { Doing::Returns } else { Doing::Works };
            course.since = Instant::now();
        });
        self.entry.goes_on();
        if idled {
            self.idle.leave(&self.entry);
            self.entry.is(State::Waiting);
            let entered = self.enter().await;
            self.course.send_modify(|course| course.doing = Doing::Works);
            return entered.is_ok();
        }
        true
    }

    /// Makes an answer idle that waits for its reader still; false where too many are.
    fn idles(&self) -> bool {
        if !self.idle.enter(&self.course, &self.entry, self.time) {
            return false;
        }
        let idles = self.course.send_if_modified(|course| {
            let waits = course.doing == Doing::Waits;
            if waits {
                course.doing = Doing::Idles;
                // Within, so that one that goes on at once finds its place given up.
                self.leave();
                self.entry.is(State::Idle);
            }
            waits
        });
        if !idles {
            self.idle.leave(&self.entry);
        }
        true
    }

    /// Waits until it has worked for longer than its time, or its answer was idle for too long or gives way; also makes
    /// idle what waits. Polled where timers are, and never by what works.
    pub(crate) async fn over(&self) -> Problem {
        let mut course = self.course.subscribe();
        let mut asks_at = None;
        let mut kept = None;
        loop {
            let Course { doing, worked, since, gives_way, .. } = *course.borrow_and_update();
            let until = match doing {
                Doing::Works | Doing::Returns => since + self.time.saturating_sub(worked),
                Doing::Waits => asks_at.unwrap_or(since + PATIENCE).max(since + PATIENCE),
                Doing::Idles => since + self.idle.time_max,
            };
            kept = (doing == Doing::Idles).then(|| self.weighed(kept.take())).flatten();
            if let (Doing::Idles, Some(what)) = (doing, gives_way) {
                return self.ended_for(what, since.elapsed());
            }
            let now = Instant::now();
            if until <= now {
                match doing {
                    Doing::Works | Doing::Returns => return self.took_too_long(),
                    Doing::Idles => return idle_too_long(since.elapsed()),
                    Doing::Waits => {
                        asks_at = if self.idles() { None } else { Some(now + LOOK_EVERY) };
                        continue;
                    }
                }
            }
            let until = if doing == Doing::Idles { until.min(now + LOOK_EVERY) } else { until };
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                // Its other end is held here.
                _ = course.changed() => {}
            }
        }
    }

    /// Charges an idle answer with what its view keeps of samples that files hold by now: nobody else knows of that memory.
    fn weighed(&self, charged: Option<MemoryReservation>) -> Option<MemoryReservation> {
        let charged = charged.or_else(|| {
            let pool: Arc<dyn MemoryPool> = self.entry.pool()?;
            Some(MemoryConsumer::new("view").register(&pool))
        })?;
        charged.resize(self.entry.kept_bytes());
        Some(charged)
    }

    fn took_too_long(&self) -> Problem {
        let detail = match self.within {
            Within::All => format!("the query was stopped after {:?}", self.time),
            Within::Steps => format!("the answer was stopped: nothing of it came for {:?}", self.time),
        };
        Problem::new(&codes::QUERY_TIME, detail)
    }

    fn ended_for(&self, what: For, idle: Duration) -> Problem {
        let idle = idle.as_secs();
        match what {
            For::Memory => {
                let why = "other queries need its memory (limits.memory)";
                Problem::new(&codes::QUERY_MEMORY, format!("nobody took the answer for {idle} s, and {why}"))
                    .hint("Take it without such pauses, ask for less at once, or raise limits.memory")
            }
            For::Others => {
                let why = format!("more than {} answers wait for their readers", self.idle.count_max);
                Problem::new(&codes::QUERY_TIME, format!("nobody took the answer for {idle} s, and {why}"))
                    .hint("Take it without such pauses, and close what is not read to its end")
            }
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.idle.leave(&self.entry);
        self.leave();
    }
}

fn idle_too_long(idle: Duration) -> Problem {
    Problem::new(&codes::QUERY_TIME, format!("nobody took the answer for {} s", idle.as_secs()))
        .hint("Take it without such pauses, or ask again for what is left")
}

/// Answers that are idle, of all queries.
#[derive(Debug)]
pub(crate) struct Idle {
    count_max: usize,
    time_max: Duration,
    gave_way: Counter,
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    /// By the number of the query.
    idle: BTreeMap<u64, Resting>,
    /// What gave way last, whose memory may not be free yet.
    gives_way: Weak<Pool>,
}

#[derive(Debug)]
struct Resting {
    course: Arc<watch::Sender<Course>>,
    pool: Option<Arc<Pool>>,
    since: Instant,
    /// Before it was idle for so long it gives way to nobody.
    time: Duration,
}

impl Idle {
    pub(crate) fn new(metrics: &Metrics, concurrent: usize, time_max: Duration) -> Arc<Idle> {
        const NAME: &str = "queries_idle";
        let count_max = concurrent.saturating_mul(IDLE_PER_PLACE);
        let gave_way = Limit::refusals(metrics, NAME);
        let idle = Arc::new(Idle { count_max, time_max, gave_way, answers: Mutex::default() });
        let (watched, max) = (idle.clone(), u32::try_from(count_max).unwrap_or(u32::MAX));
        let used = move || u32::try_from(watched.lock().idle.len()).map_or(f64::MAX, f64::from);
        Limit::show(metrics, NAME, used, move || f64::from(max));
        idle
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one more; where as many are idle as may be, the longest idle gives way, if it was so for its time.
    fn enter(&self, course: &Arc<watch::Sender<Course>>, entry: &Entry, time: Duration) -> bool {
        let since = course.borrow().since;
        let mut answers = self.lock();
        if answers.idle.len() >= self.count_max {
            if answers.end(For::Others, |_| true).is_none() {
                return false;
            }
            self.gave_way.add(1);
        }
        let resting = Resting { course: course.clone(), pool: entry.pool(), since, time };
        answers.idle.insert(entry.number(), resting);
        true
    }

    fn leave(&self, entry: &Entry) {
        self.lock().idle.remove(&entry.number());
    }

    /// Memory is short: the longest idle that holds some gives way, if it was idle for its time.
    pub(crate) fn press(&self) {
        let mut answers = self.lock();
        if answers.idle.is_empty() || answers.gives_way.upgrade().is_some_and(|pool| pool.reserved() > 0) {
            return;
        }
        let holds = |resting: &Resting| resting.pool.as_ref().is_some_and(|pool| pool.reserved() > 0);
        if let Some(pool) = answers.end(For::Memory, holds).and_then(|ended| ended.pool) {
            answers.gives_way = Arc::downgrade(&pool);
        }
    }
}

impl Answers {
    /// Ends the longest idle of those that it fits.
    fn end(&mut self, what: For, fits: impl Fn(&Resting) -> bool) -> Option<Resting> {
        let may = |resting: &Resting| resting.since.elapsed() >= resting.time && fits(resting);
        let longest = self.idle.iter().filter(|(_, resting)| may(resting));
        let number = *longest.min_by_key(|(_, resting)| resting.since)?.0;
        let ended = self.idle.remove(&number)?;
        ended.course.send_modify(|course| course.gives_way = Some(what));
        Some(ended)
    }
}
