//! Which statements can be cancelled from another connection: by a number and a secret that only their client was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_ground::Entropy;
use tokio::sync::watch;

type Sessions = HashMap<i32, ([u8; 4], watch::Sender<()>)>;

/// All sessions that run.
pub(crate) struct Cancels {
    sessions: Arc<Mutex<Sessions>>,
    entropy: Arc<dyn Entropy>,
}

/// A session's place; given back when dropped.
pub(crate) struct Cancellable {
    sessions: Arc<Mutex<Sessions>>,
    pub(crate) process: i32,
    pub(crate) secret: [u8; 4],
    /// Changes when the session's statement is to stop.
    pub(crate) asked: watch::Receiver<()>,
}

impl Cancels {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Cancels {
        Cancels { sessions: Arc::default(), entropy }
    }

    fn random(&self) -> [u8; 4] {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A place for a session, under a number that no other has.
    pub(crate) fn enter(&self) -> Cancellable {
        let secret = self.random();
        let (tell, asked) = watch::channel(());
        let mut sessions = lock(&self.sessions);
        let mut process = i32::from_be_bytes(self.random()).unsigned_abs().cast_signed().max(1);
        while sessions.contains_key(&process) {
            process = process.wrapping_add(1).max(1);
        }
        sessions.insert(process, (secret, tell));
        Cancellable { sessions: self.sessions.clone(), process, secret, asked }
    }

    /// Stops a session's statement, if the secret is right. Whoever asks is told nothing either way.
    pub(crate) fn cancel(&self, process: i32, secret: &[u8]) {
        if let Some((known, tell)) = lock(&self.sessions).get(&process)
            && known.as_slice() == secret
        {
            tell.send_replace(());
        }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        lock(&self.sessions).remove(&self.process);
    }
}

fn lock(sessions: &Mutex<Sessions>) -> MutexGuard<'_, Sessions> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}
