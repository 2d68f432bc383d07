//! Sections in which a panic is expected and caught: libraries that are given foreign bytes may panic over them. The report
//! that a panic writes to standard error, with its backtrace, would let whoever sends such bytes fill what is meant for
//! defects of the house; here its place alone is kept. Every other panic is reported as ever.
//!
//! The hook and the count belong to the process, as panics do: simulated worlds beside each other share them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{LazyLock, Once};
use std::thread::panicking;

use crate::metrics::{Counter, Metrics};

thread_local! {
    /// Whether this thread is in such a section.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of such a section began.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

static CAUGHT: LazyLock<Counter> = LazyLock::new(Counter::default);
static HOOK: Once = Once::new();

/// A panic that was caught and not reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// File, line and column in the source. What the panic said is left out: it may quote the bytes.
    pub place: String,
}

/// Runs `work`; a panic in it, on this thread, is caught and counted (`tidemill_panics_caught_total`) instead of being
/// reported. What `work` was changing is to be given up with it.
///
/// # Errors
/// It panicked.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, Caught> {
    // On a thread that unwinds no hook can be set; such a panic would end the process anyhow.
    if !panicking() {
        HOOK.call_once(keep_quiet);
    }
    let before = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    outcome.map_err(|_| {
        CAUGHT.add(1);
        Caught { place: PLACE.take().unwrap_or_else(|| "an unknown place".to_owned()) }
    })
}

/// Puts a hook before the one that stands, to which it leaves all other panics.
fn keep_quiet() {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        if QUIET.get() {
            PLACE.set(panic.location().map(ToString::to_string));
        } else {
            report(panic);
        }
    }));
}

/// Shows how many were caught since the process began.
pub(crate) fn count_in(metrics: &Metrics) {
    let help = "Panics of libraries over foreign bytes: caught, and the bytes refused.";
    metrics.show("tidemill_panics_caught", help, &CAUGHT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_panic_within_is_counted_and_every_other_is_reported() {
        assert_eq!(quietly(|| 7), Ok(7));
        let reported = Arc::new(Mutex::new(Vec::new()));
        let (report, reports) = (take_hook(), reported.clone());
        set_hook(Box::new(move |panic| {
            // Other tests panic at the same time.
            if let Some(text) = panic.payload_as_str().filter(|text| text.starts_with("quiet test: ")) {
                reports.lock().unwrap().push(text.to_owned());
            } else {
                report(panic);
            }
        }));
        keep_quiet();
        let before = CAUGHT.get();
        let caught = quietly(|| {
            assert_eq!(quietly(|| panic!("quiet test: within both")).map_err(|_| ()), Err::<(), ()>(()));
            panic!("quiet test: within one");
        });
        let caught: Caught = Result::<(), Caught>::unwrap_err(caught);
        assert!(caught.place.contains("quiet.rs:"), "{}", caught.place);
        let elsewhere = std::thread::spawn(|| panic!("quiet test: on another thread"));
        quietly(|| assert!(elsewhere.join().is_err())).unwrap();
        assert!(catch_unwind(|| panic!("quiet test: after it")).is_err());
        let reported = reported.lock().unwrap().clone();
        assert_eq!(reported, ["quiet test: on another thread", "quiet test: after it"]);
        let metrics = Metrics::new();
        count_in(&metrics);
        assert!(CAUGHT.get() >= before + 2);
        assert!(metrics.render().contains(&format!("tidemill_panics_caught_total {}\n", CAUGHT.get())));
    }
}
