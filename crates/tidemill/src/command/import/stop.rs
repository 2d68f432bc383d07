//! Ctrl-C during an import. Reading a file leaves the command's own runtime no time to listen, so that a thread does; a
//! second Ctrl-C ends the command at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The status of a command that Ctrl-C ended, as shells have it.
const STATUS: i32 = 130;

/// Whether someone wants the import stopped.
#[derive(Clone, Default)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    told: Arc<Notify>,
}

impl Stop {
    /// Listens from now on. Where no thread can be had, Ctrl-C ends the command at once, as before.
    pub(super) fn listen() -> Stop {
        let stop = Stop::default();
        let own = stop.clone();
        let thread = std::thread::Builder::new().name("interrupt".to_owned());
        drop(thread.spawn(move || own.wait()));
        stop
    }

    fn wait(&self) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if self.asked.swap(true, Ordering::Relaxed) {
                    std::process::exit(STATUS);
                }
                self.told.notify_one();
            }
        });
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns once it is asked for.
    pub(super) async fn asked(&self) {
        if !self.is_asked() {
            self.told.notified().await;
        }
    }

    /// Ends the command.
    pub(super) fn end() -> ! {
        std::process::exit(STATUS);
    }
}
