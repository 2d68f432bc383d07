//! Who may do what: the words, and the trait behind which rights are decided in one place. How they are stored,
//! compiled and decided is `guard`'s business.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::commit::{Boxed, Commit};
use crate::path::SignalPath;
use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::trie::PatternTrie;

/// What someone wants to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verb {
    /// See values, history and metadata.
    Read,
    /// Add samples.
    Write,
    /// Act on the machine behind a signal.
    Command,
    /// Change metadata, model, flows, displays.
    Configure,
    /// Change people, rights, listeners; see the audit log.
    Administer,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 5] = [Verb::Read, Verb::Write, Verb::Command, Verb::Configure, Verb::Administer];

    /// As it is written in rights: `read`, `write`, `command`, `configure`, `administer`.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Command => "command",
            Verb::Configure => "configure",
            Verb::Administer => "administer",
        }
    }

    /// The verb of that name.
    pub fn from_name(name: &str) -> Option<Verb> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What kind of someone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentityKind {
    /// Owns the plant's folder and came through the control socket.
    Owner,
    /// Shows a token.
    Token,
    /// Has nothing to show and comes from a zone that allows it.
    Zone,
    /// An engine of the house itself.
    House,
}

/// Someone who has been identified. Cheap to clone; rights are looked up by name at each decision, so that a change
/// of policy holds at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Unique within the plant, e.g. `token:press-line`, `owner:anna`, `zone:farm`, `house:historian`. It is also the
    /// name of the source of what it writes.
    pub name: Arc<str>,
    /// What kind.
    pub kind: IdentityKind,
    /// Where it came from.
    pub peer: Peer,
}

/// Where someone comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Which door: `http`, `control`, `mqtt`, `house`.
    pub door: &'static str,
    /// The network address; none on the control socket.
    pub address: Option<IpAddr>,
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(out, "{} {address}", self.door),
            None => out.write_str(self.door),
        }
    }
}

/// What someone shows.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// A token.
    Token(String),
    /// The user of the process at the other end of the control socket, as the kernel says.
    SystemUser {
        /// Its number.
        uid: u32,
        /// Its name.
        name: String,
    },
}

/// Why a decision fell as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub allowed: bool,
    /// The rule that decided, for `access why`: `token press-line allows write:acme/leeds/#`.
    pub rule: String,
}

/// What someone may read, compiled: every read takes one.
#[derive(Clone)]
pub struct ReadScope {
    patterns: Arc<PatternTrie<()>>,
    everything: bool,
    key: u64,
    tables: bool,
    who: Option<(Arc<str>, &'static str)>,
}

impl ReadScope {
    /// Everything, the system's own tables included: for the house itself and for administrators.
    pub fn everything() -> ReadScope {
        ReadScope { patterns: Arc::default(), everything: true, key: u64::MAX, tables: true, who: None }
    }

    /// What these patterns mean. `key` is equal only for equal scopes (guard numbers them), so that engines may cache
    /// by it; `tables` says whether tables that are not about paths may be read (administer on `#`).
    pub fn of(patterns: &[Pattern], key: u64, tables: bool) -> ReadScope {
        let mut trie = PatternTrie::default();
        patterns.iter().for_each(|pattern| trie.insert(pattern, ()));
        let everything = patterns.iter().any(|pattern| pattern.as_str() == "#");
        ReadScope { patterns: Arc::new(trie), everything, key, tables, who: None }
    }

    /// The same, and for whom it is: what is asked with it is told under that name.
    #[must_use]
    pub fn of_identity(mut self, who: &Identity) -> ReadScope {
        self.who = Some((who.name.clone(), who.peer.door));
        self
    }

    /// Who asks, and by which door; the house itself where nobody is named.
    pub fn asked_by(&self) -> (Arc<str>, &'static str) {
        self.who.clone().unwrap_or_else(|| ("house".into(), "house"))
    }

    /// Whether the path may be read.
    pub fn allows(&self, path: &SignalPath) -> bool {
        self.everything || self.patterns.any(path)
    }

    /// Whether every path may be read.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether tables that are not about paths (audit, for one) may be read.
    pub fn allows_tables(&self) -> bool {
        self.tables
    }

    /// Equal only for equal scopes.
    pub fn key(&self) -> u64 {
        self.key
    }
}

impl fmt::Debug for ReadScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "ReadScope(everything: {}, patterns: {}, key: {})",
            self.everything,
            self.patterns.len(),
            self.key
        )
    }
}

/// How something ended that is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditResult {
    /// About to be done: written before a change that must not go unrecorded.
    Intended,
    /// Done.
    Done,
    /// Not allowed.
    Refused,
    /// Allowed and failed.
    Failed,
}

impl AuditResult {
    /// As it stands in the audit table.
    pub fn name(self) -> &'static str {
        match self {
            AuditResult::Intended => "intended",
            AuditResult::Done => "done",
            AuditResult::Refused => "refused",
            AuditResult::Failed => "failed",
        }
    }
}

/// Who did what, from where, with what result. Never a secret.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Who.
    pub who: Identity,
    /// What, as `noun.verb`: `token.create`, `signal.delete`, `configuration.apply`, `access.refused`.
    pub action: &'static str,
    /// On what: a path, a token's name, a file.
    pub target: String,
    /// With what result.
    pub result: AuditResult,
    /// Before and after, or the reason, as a JSON object; empty for none.
    pub detail: String,
}

/// The one place where rights are decided and identities are known (`guard`).
pub trait Authority: Send + Sync {
    /// Who this is. A refusal says nothing about which part was wrong.
    fn identify<'a>(&'a self, credential: Credential, peer: Peer) -> Boxed<'a, Result<Identity, Problem>>;
    /// Grows by one at any change of policy; what was decided under an older epoch is decided again.
    fn epoch(&self) -> u64;
    /// May they?
    fn decide(&self, who: &Identity, verb: Verb, path: &SignalPath) -> Decision;
    /// May they, for every path of a pattern? (A token may create another only within its own rights.)
    fn decide_all(&self, who: &Identity, verb: Verb, pattern: &Pattern) -> Decision;
    /// What they may read. No read exists without one.
    fn scope(&self, who: &Identity) -> ReadScope;
    /// Records it in the audit chain; the commit resolves when it is on disk.
    ///
    /// # Errors
    /// `audit-unwritable`: what was to be audited must not be done.
    fn audit(&self, entry: AuditEntry) -> Result<Commit, Problem>;
}
