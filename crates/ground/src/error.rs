//! What can go wrong on the ground floor apart from plain input and output, which stays `std::io::Error`.

use crate::tasks::Phase;

/// A refusal of the ground floor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The memory given is less than the rooms need to work at all.
    #[error(
        "limits.memory is {given_mib} MiB, and the plant needs at least {least_mib} MiB to work; \
             set limits.memory to {least_mib} MiB or more"
    )]
    Memory {
        /// What was given, in MiB, rounded down.
        given_mib: u64,
        /// The least that works, in MiB.
        least_mib: u64,
    },
    /// A task was started in a phase that has already been told to stop.
    #[error(
        "task {task} was not started: the {phase} are already stopping; start it before the shutdown begins"
    )]
    Stopping {
        /// The name of the task.
        task: String,
        /// The phase it would have belonged to.
        phase: Phase,
    },
    /// The operating system refused a thread.
    #[error(
        "task {task} was not started, no thread is to be had ({source}): raise the limit of threads of this service"
    )]
    Thread {
        /// The name of the task.
        task: String,
        /// Why the operating system refused.
        source: std::io::Error,
    },
}
