//! What a copy of the log needs while the log goes on: that nothing is trimmed of what the copied cursors still want, and
//! where the segments end. Whoever copies reads the files; opened again, they are a log that was cut short at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_core::Seq;

use crate::frame::SEGMENT_HEAD_BYTES;
use crate::log::{Log, Shared};

/// The copies that are being made, each with what it still wants: all after this parcel.
#[derive(Default)]
pub(crate) struct Copies(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    held: BTreeMap<u64, Seq>,
}

impl Copies {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where may be trimmed, of all that the engines are done with.
    pub(crate) fn trimmed_to(&self, done: Seq) -> Seq {
        self.lock().held.values().copied().fold(done, Seq::min)
    }

    /// Lets go of all: room is needed. Whether anything was held.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.lock();
        let held = !state.held.is_empty();
        state.held.clear();
        held
    }
}

/// Holds the log's files for one who copies them, until it is dropped. On a full disk it is given up: see [`Copy::is_held`].
pub struct Copy {
    shared: Arc<Shared>,
    id: u64,
    cursors: Vec<u8>,
}

/// A file of the log to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedSegment {
    /// Its name in the log's folder.
    pub name: String,
    /// So many bytes of it; none for all.
    pub bytes: Option<u64>,
}

impl Log {
    /// Begins a copy. What engines have made durable since is in what they keep: whoever copies that afterwards, and the
    /// segments at last, has all of it.
    pub fn hold_for_copy(&self) -> Copy {
        let shared = self.shared().clone();
        let id = {
            let mut state = shared.copies.lock();
            let id = state.next;
            state.next += 1;
            // Nothing may go until it is known what the cursors want.
            state.held.insert(id, Seq(0));
            id
        };
        let (cursors, done) = shared.cursors.image();
        if let Some(held) = shared.copies.lock().held.get_mut(&id) {
            *held = done;
        }
        Copy { shared, id, cursors }
    }
}

impl Copy {
    /// The file `cursors` as it is to be in the copy; empty where there is none.
    pub fn cursors(&self) -> &[u8] {
        &self.cursors
    }

    /// The segments as of now, and the last parcel that is durable in them.
    pub fn segments(&self) -> (Vec<CopiedSegment>, Seq) {
        let well = self.shared.front.refuses_samples().is_none();
        let durable = self.shared.ring.durable();
        let segments = self.shared.segments.with(|all| all.clone());
        let count = segments.len();
        let copied = segments.iter().enumerate().map(|(place, segment)| {
            // Where the log cannot be written, its last segment may hold what was never served.
            let open = place + 1 == count && well;
            let bytes = open.then(|| segment.end().max(SEGMENT_HEAD_BYTES as u64));
            CopiedSegment { name: segment.name(), bytes }
        });
        (copied.collect(), durable)
    }

    /// Whether the files are still held: if not, what was copied may lack some.
    pub fn is_held(&self) -> bool {
        self.shared.copies.lock().held.contains_key(&self.id)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.shared.copies.lock().held.remove(&self.id);
    }
}
