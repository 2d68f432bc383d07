//! The right to read for something that lasts: an answer on its way, a cursor, a live subscription. What was let in once
//! is asked for again as soon as the policy changes. What does not live here: deciding (that is the authority), and
//! identifying who asks for the first time, which each door does in its own words.

use std::sync::Arc;

use crate::authority::{Authority, Credential, Identity, Peer, ReadScope};
use crate::problem::{Problem, codes};

/// Who was let in with what, and what they may read.
///
/// Contract: whoever holds one asks [`ReadGrant::check`] before anything is passed on. While no policy changes that costs
/// what [`Authority::epoch`] costs.
#[derive(Clone)]
pub struct ReadGrant {
    authority: Arc<dyn Authority>,
    credential: Credential,
    identity: Identity,
    scope: ReadScope,
    epoch: u64,
}

impl ReadGrant {
    /// Identifies who shows this, and takes down what they may read.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn ask(
        authority: &Arc<dyn Authority>,
        credential: Credential,
        peer: Peer,
    ) -> Result<ReadGrant, Problem> {
        // Before anything is asked: what changes meanwhile is asked again.
        let epoch = authority.epoch();
        let identity = authority.identify(credential.clone(), peer).await?;
        let scope = authority.scope(&identity);
        Ok(ReadGrant { authority: authority.clone(), credential, identity, scope, epoch })
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What they may read.
    pub fn scope(&self) -> &ReadScope {
        &self.scope
    }

    /// Takes over what holds now; whether they may read something else than before.
    ///
    /// # Errors
    /// `unauthenticated`: what was shown gives no access any more.
    pub async fn renew(&mut self) -> Result<bool, Problem> {
        let Some(now) = self.changed().await? else { return Ok(false) };
        let differs = now.scope.key() != self.scope.key();
        *self = now;
        Ok(differs)
    }

    /// Whether what was begun with it may go on. What may not never may again.
    ///
    /// # Errors
    /// `unauthenticated`; `rights-changed`: they may read something else than when it began, be it more or less.
    pub async fn check(&mut self) -> Result<(), Problem> {
        let Some(now) = self.changed().await? else { return Ok(()) };
        if now.scope.key() != self.scope.key() {
            let detail = "what you may read has changed since this answer began";
            return Err(Problem::new(&codes::RIGHTS_CHANGED, detail));
        }
        *self = now;
        Ok(())
    }

    /// What holds now, if the policy has changed.
    async fn changed(&self) -> Result<Option<ReadGrant>, Problem> {
        if self.authority.epoch() == self.epoch {
            return Ok(None);
        }
        let peer = self.identity.peer.clone();
        ReadGrant::ask(&self.authority, self.credential.clone(), peer).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{AuditEntry, Decision, IdentityKind, Verb};
    use crate::commit::{Boxed, Commit};
    use crate::path::SignalPath;
    use crate::pattern::Pattern;
    use std::future::Future;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    /// An epoch, whether anyone is known, and the key of what they may read.
    struct Paper(Mutex<(u64, bool, u64)>);

    impl Authority for Paper {
        fn identify<'a>(&'a self, _: Credential, peer: Peer) -> Boxed<'a, Result<Identity, Problem>> {
            let known = self.0.lock().unwrap().1;
            let found = Identity { name: "token:anna".into(), kind: IdentityKind::Token, peer };
            let unknown = Problem::new(&codes::UNAUTHENTICATED, "nobody");
            Box::pin(std::future::ready(if known { Ok(found) } else { Err(unknown) }))
        }

        fn epoch(&self) -> u64 {
            self.0.lock().unwrap().0
        }

        fn decide(&self, _: &Identity, _: Verb, _: &SignalPath) -> Decision {
            unreachable!("reading asks for a scope")
        }

        fn decide_all(&self, _: &Identity, _: Verb, _: &Pattern) -> Decision {
            unreachable!("reading asks for a scope")
        }

        fn scope(&self, _: &Identity) -> ReadScope {
            ReadScope::of(&[], self.0.lock().unwrap().2, false)
        }

        fn audit(&self, _: AuditEntry) -> Result<Commit, Problem> {
            unreachable!("nothing is audited by it")
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = Box::pin(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("paper does not wait"),
        }
    }

    #[test]
    fn it_falls_with_the_rights_that_it_was_given_by() {
        let paper = Arc::new(Paper(Mutex::new((1, true, 7))));
        let authority: Arc<dyn Authority> = paper.clone();
        let mut grant = now(ReadGrant::ask(&authority, Credential::None, Peer::default())).unwrap();
        // The policy, and what comes of it for an answer that began before.
        for (policy, expected) in [
            ((1, false, 8), None),
            ((2, true, 7), None),
            ((3, false, 7), Some("unauthenticated")),
            ((4, true, 8), Some("rights-changed")),
            ((4, true, 8), Some("rights-changed")),
        ] {
            *paper.0.lock().unwrap() = policy;
            let told = now(grant.check()).err().map(|problem| problem.code.id);
            assert_eq!(told, expected, "{policy:?}");
        }
        // What goes on with what holds now is told that it is something else, once.
        assert_eq!((now(grant.renew()).unwrap(), now(grant.renew()).unwrap()), (true, false));
        assert_eq!((grant.scope().key(), now(grant.check()).is_ok()), (8, true));
    }
}
