//! Rights as they are asked for: who there is, and what each may do, compiled. A policy is immutable; a change makes a
//! new one, with a higher epoch.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tidemill_core::{
    Decision, Identity, IdentityKind, PATH_SEGMENTS_MAX, Pattern, PatternTrie, ReadScope, SignalPath,
    UNKNOWN, Verb,
};

use crate::right::{HOUSE, Right, changes};
use crate::settings::{Settings, Zone};
use crate::store::{Token, Tokens};
use crate::token::TokenHash;

/// Everything that decisions need, at one epoch.
pub(crate) struct Policy {
    pub(crate) epoch: u64,
    pub(crate) settings: Arc<Settings>,
    /// Tokens and zones by the name of their identity.
    pub(crate) holders: HashMap<Arc<str>, Arc<Holder>>,
    secrets: HashMap<u64, Vec<KnownSecret>>,
    /// When the next token or replaced secret expires: decisions then change without anyone changing a setting.
    pub(crate) next_expiry_ns: i64,
}

struct KnownSecret {
    hash: TokenHash,
    until_ns: i64,
    holder: Arc<Holder>,
}

/// A token or a zone with its rights compiled.
pub(crate) struct Holder {
    /// As an identity's name: `token:press-line`.
    pub(crate) identity: Arc<str>,
    pub(crate) kind: IdentityKind,
    pub(crate) grants: Grants,
    pub(crate) expires_ns: Option<i64>,
    pub(crate) uses: Arc<Uses>,
}

/// When a token was last shown, and from where. Kept in memory, saved now and then.
pub(crate) struct Uses {
    pub(crate) last_ns: AtomicI64,
    pub(crate) address: std::sync::Mutex<Option<IpAddr>>,
}

/// Rights, compiled: a trie for each verb, and what may be read as a scope.
pub(crate) struct Grants {
    pub(crate) rights: Vec<Right>,
    tries: [PatternTrie<usize>; Verb::ALL.len()],
    pub(crate) scope: ReadScope,
}

/// Numbers read scopes, in one process never twice, so that equal keys mean equal scopes.
static NEXT_SCOPE: AtomicU64 = AtomicU64::new(1);

impl Grants {
    /// Compiles rights. Where what may be read is what it was `before`, its scope keeps its key.
    pub(crate) fn compile(rights: &[Right], before: Option<&Grants>) -> Grants {
        let mut tries: [PatternTrie<usize>; Verb::ALL.len()] = Default::default();
        for (index, right) in rights.iter().enumerate() {
            if let Some(trie) = tries.get_mut(right.verb as usize) {
                trie.insert(&right.pattern, index);
            }
        }
        let (patterns, tables) = readable(rights);
        let same = before.filter(|before| readable(&before.rights) == (patterns.clone(), tables));
        let scope = same
            .map(|before| before.scope.clone())
            .unwrap_or_else(|| ReadScope::of(&patterns, NEXT_SCOPE.fetch_add(1, Ordering::Relaxed), tables));
        Grants { rights: rights.to_vec(), tries, scope }
    }

    /// The first right, as they are written, that allows it.
    pub(crate) fn allows(&self, verb: Verb, path: &SignalPath) -> Option<&Right> {
        let trie = self.tries.get(verb as usize)?;
        let mut first: Option<usize> = None;
        trie.visit(path, |index| {
            first = Some(first.map_or(*index, |first| first.min(*index)));
            true
        });
        self.rights.get(first?)
    }

    /// Whether the rights together allow it for every path that the pattern means.
    ///
    /// A wildcard level of the pattern stands for infinitely many names, and the rights name finitely many: so it is
    /// allowed for all of them exactly if it is allowed for one that no right names. And `#` stands for finitely many
    /// depths. So a few shapes stand for all paths of the pattern.
    pub(crate) fn allows_all(&self, verb: Verb, pattern: &Pattern) -> bool {
        let fixed: Vec<Level<'_>> = pattern
            .levels()
            .filter(|level| *level != "#")
            .map(|level| if level == "+" { Level::Any } else { Level::Name(level) })
            .collect();
        let depths = if pattern.as_str().ends_with('#') {
            fixed.len().max(1)..=PATH_SEGMENTS_MAX.max(fixed.len())
        } else {
            fixed.len()..=fixed.len()
        };
        let rights: Vec<&Right> = self.rights.iter().filter(|right| right.verb == verb).collect();
        depths.into_iter().all(|depth| {
            let mut shape = fixed.clone();
            shape.resize(depth, Level::Any);
            rights.iter().any(|right| means(&right.pattern, &shape))
        })
    }
}

/// The patterns that may be read, and whether tables that are not about paths may be.
fn readable(rights: &[Right]) -> (Vec<Pattern>, bool) {
    let of = |verb| rights.iter().filter(move |right| right.verb == verb).map(|right| &right.pattern);
    (of(Verb::Read).cloned().collect(), of(Verb::Administer).any(|pattern| pattern.as_str() == "#"))
}

/// A level of the paths that a pattern means.
#[derive(Clone, Copy, PartialEq)]
enum Level<'a> {
    Name(&'a str),
    /// A name that no right names.
    Any,
}

/// Whether a pattern means every path of this shape.
fn means(pattern: &Pattern, shape: &[Level<'_>]) -> bool {
    let mut theirs = shape.iter();
    for level in pattern.levels() {
        match (level, theirs.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(Level::Name(name))) if level == *name => {}
            _ => return false,
        }
    }
    theirs.next().is_none()
}

impl Policy {
    /// Compiles the settings and the tokens that have not expired by `now`. What did not change since `old` is taken
    /// over, so that its scope keeps its key and engines their caches.
    pub(crate) fn build(
        old: Option<&Policy>,
        epoch: u64,
        settings: Arc<Settings>,
        tokens: &Tokens,
        now: i64,
    ) -> Policy {
        let mut holders = HashMap::new();
        let mut secrets: HashMap<u64, Vec<KnownSecret>> = HashMap::new();
        for token in tokens.values() {
            let holder = Holder::keep(
                old,
                &format!("token:{}", token.name),
                IdentityKind::Token,
                &token.allow,
                Some(token),
            );
            for secret in token.secrets.iter().filter(|_| !token.expired(now)) {
                secrets.entry(secret.sha256.key()).or_default().push(KnownSecret {
                    hash: secret.sha256,
                    until_ns: secret.until_ns.unwrap_or(i64::MAX),
                    holder: holder.clone(),
                });
            }
            holders.insert(holder.identity.clone(), holder);
        }
        for zone in settings.zones.iter().filter(|zone| !zone.anonymous.is_empty()) {
            let holder =
                Holder::keep(old, &format!("zone:{}", zone.name), IdentityKind::Zone, &zone.anonymous, None);
            holders.insert(holder.identity.clone(), holder);
        }
        let overlaps = tokens.values().flat_map(|token| &token.secrets).filter_map(|secret| secret.until_ns);
        let expiries = tokens.values().filter_map(|token| token.expires_ns).chain(overlaps);
        let next_expiry_ns = expiries.filter(|expires| *expires > now).min().unwrap_or(i64::MAX);
        Policy { epoch, settings, holders, secrets, next_expiry_ns }
    }

    /// Whose token this is. None for one that is not known, has expired or was replaced; all take the same way.
    pub(crate) fn holder_of(&self, hash: &TokenHash, now: i64) -> Option<&Arc<Holder>> {
        let candidates = self.secrets.get(&hash.key())?;
        let known = candidates.iter().find(|known| known.hash.same(hash))?;
        (now < known.until_ns && !known.holder.expired(now)).then_some(&known.holder)
    }

    /// The zone that an address is in: the one with the smallest network around it.
    pub(crate) fn zone_of(&self, address: IpAddr) -> Option<&Zone> {
        let networks =
            self.settings.zones.iter().flat_map(|zone| zone.cidr.iter().map(move |cidr| (zone, cidr)));
        let around = networks.filter(|(_, cidr)| cidr.contains(address));
        around.max_by_key(|(_, cidr)| cidr.prefix()).map(|(zone, _)| zone)
    }

    pub(crate) fn decide(&self, who: &Identity, verb: Verb, path: &SignalPath, now: i64) -> Decision {
        // What came back without its name is for the owner to name.
        let nameless = path.as_str().strip_prefix(UNKNOWN).is_some_and(|rest| rest.starts_with('/'));
        let named = nameless && verb == Verb::Configure && who.kind == IdentityKind::Owner;
        let of_house = path.segments().next() == Some(HOUSE) && !named;
        self.reason(who, verb, now, of_house, &|| path.to_string(), &|grants| {
            grants.allows(verb, path).map(|right| format!("{right} allows it"))
        })
    }

    pub(crate) fn decide_all(&self, who: &Identity, verb: Verb, pattern: &Pattern, now: i64) -> Decision {
        // A wildcard as first level means the house's own paths as well.
        let first = pattern.levels().next().unwrap_or_default();
        let of_house = matches!(first, HOUSE | "+" | "#");
        if who.kind == IdentityKind::House && verb == Verb::Write && first != HOUSE {
            return no(format!("{} writes tidemill/# alone", who.name));
        }
        self.reason(who, verb, now, of_house, &|| pattern.to_string(), &|grants| {
            grants.allows_all(verb, pattern).then(|| "its rights cover all of it".to_owned())
        })
    }

    /// The order of the rules, the same for one path and for all paths of a pattern.
    fn reason(
        &self,
        who: &Identity,
        verb: Verb,
        now: i64,
        of_house: bool,
        what: &dyn Fn() -> String,
        allowed: &dyn Fn(&Grants) -> Option<String>,
    ) -> Decision {
        let name = &who.name;
        match (who.kind, verb) {
            (IdentityKind::House, Verb::Read) => return yes("the house reads everything".to_owned()),
            (IdentityKind::House, Verb::Write) if of_house => {
                return yes("the house writes tidemill/#".to_owned());
            }
            (IdentityKind::House, _) => {
                return no(format!("{name} reads everything and writes tidemill/#, no more"));
            }
            (_, verb) if of_house && changes(verb) => {
                return no(format!(
                    "tidemill/# is written by the house alone, and {name} asks to {verb} {}",
                    what()
                ));
            }
            (IdentityKind::Owner, _) => {
                return yes(format!("{name} owns the plant's folder and may everything"));
            }
            (IdentityKind::Token | IdentityKind::Zone, _) => {}
        }
        let Some(holder) = self.holders.get(name).filter(|holder| holder.kind == who.kind) else {
            return no(format!("{name} is not known, or has no rights any more"));
        };
        if holder.expired(now) {
            return no(format!("{name} has expired"));
        }
        match allowed(&holder.grants) {
            Some(rule) => yes(format!("{name}: {rule}")),
            None => no(format!("{name} has no right that allows {verb} on {}", what())),
        }
    }

    pub(crate) fn scope(&self, who: &Identity, now: i64) -> ReadScope {
        self.readable(who, now).of_identity(who)
    }

    fn readable(&self, who: &Identity, now: i64) -> ReadScope {
        match who.kind {
            IdentityKind::Owner | IdentityKind::House => return ReadScope::everything(),
            IdentityKind::Token | IdentityKind::Zone => {}
        }
        let holder =
            self.holders.get(&who.name).filter(|holder| holder.kind == who.kind && !holder.expired(now));
        holder.map_or_else(nothing, |holder| holder.grants.scope.clone())
    }
}

/// The scope in which nothing is seen; key 0 is its own.
fn nothing() -> ReadScope {
    ReadScope::of(&[], 0, false)
}

fn yes(rule: String) -> Decision {
    Decision { allowed: true, rule }
}

fn no(rule: String) -> Decision {
    Decision { allowed: false, rule }
}

impl Holder {
    fn keep(
        old: Option<&Policy>,
        identity: &str,
        kind: IdentityKind,
        rights: &[Right],
        token: Option<&Arc<Token>>,
    ) -> Arc<Holder> {
        let expires_ns = token.and_then(|token| token.expires_ns);
        let before = old.and_then(|old| old.holders.get(identity)).filter(|holder| holder.kind == kind);
        if let Some(holder) = before
            && holder.grants.rights == rights
            && holder.expires_ns == expires_ns
        {
            return holder.clone();
        }
        let uses = before.map_or_else(|| Arc::new(Uses::of(token)), |holder| holder.uses.clone());
        Arc::new(Holder {
            identity: identity.into(),
            kind,
            grants: Grants::compile(rights, before.map(|holder| &holder.grants)),
            expires_ns,
            uses,
        })
    }

    pub(crate) fn expired(&self, now: i64) -> bool {
        self.expires_ns.is_some_and(|expires| now >= expires)
    }
}

impl Uses {
    fn of(token: Option<&Arc<Token>>) -> Uses {
        let last_ns = token.and_then(|token| token.last_used_ns).unwrap_or(i64::MIN);
        let address = token.and_then(|token| token.last_address);
        Uses { last_ns: AtomicI64::new(last_ns), address: std::sync::Mutex::new(address) }
    }

    /// When, if ever.
    pub(crate) fn last(&self) -> Option<i64> {
        Some(self.last_ns.load(Ordering::Relaxed)).filter(|last| *last != i64::MIN)
    }

    pub(crate) fn note(&self, now: i64, address: Option<IpAddr>) {
        self.last_ns.store(now, Ordering::Relaxed);
        *self.address() = address;
    }

    pub(crate) fn address(&self) -> std::sync::MutexGuard<'_, Option<IpAddr>> {
        self.address.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
