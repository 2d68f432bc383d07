//! A credential and an address become an identity, or one refusal that says nothing about which part was wrong.

use std::net::{IpAddr, SocketAddr};

use tidemill_core::{AuditEntry, AuditResult, Credential, Identity, IdentityKind, Peer, Problem, codes};

use crate::guard::Guard;
use crate::refusals::{Noted, unknown};
use crate::settings::Zone;
use crate::token::{TokenError, TokenHash, check_token};

/// The superuser reads and changes every file of the plant anyway.
const SUPERUSER_UID: u32 = 0;
/// How much of a system user's name becomes part of an identity.
const USER_NAME_CHARS_MAX: usize = 64;
/// How many hops of a forwarded request are looked at.
const HOPS_MAX: usize = 32;

impl Guard {
    pub(crate) fn identify_now(&self, credential: Credential, peer: Peer) -> Result<Identity, Problem> {
        match credential {
            Credential::Token(text) => self.by_token(&text, peer),
            Credential::SystemUser { uid, name } => self.by_system_user(uid, &name, peer),
            Credential::None => self.by_zone(peer),
        }
    }

    fn by_token(&self, text: &str, peer: Peer) -> Result<Identity, Problem> {
        match check_token(text) {
            Ok(()) => {}
            Err(TokenError::Typo) => return Err(self.refuse(peer, "typing error in the token")),
            Err(TokenError::Form) => return Err(self.refuse(peer, "not a token")),
        }
        let now = self.clock.wall();
        let policy = self.policy.load();
        let Some(holder) = policy.holder_of(&TokenHash::of(text), now) else {
            return Err(self.refuse(peer, "token not known, expired or replaced"));
        };
        holder.uses.note(now, peer.address);
        Ok(Identity { name: holder.identity.clone(), kind: IdentityKind::Token, peer })
    }

    fn by_system_user(&self, uid: u32, name: &str, peer: Peer) -> Result<Identity, Problem> {
        let owner = self.policy.load().settings.owner_uid;
        if uid != SUPERUSER_UID && Some(uid) != owner {
            return Err(self.refuse(peer, "neither the owner of the folder nor the superuser"));
        }
        // The name ends up in the audit and as a source: whatever the user database holds, it is one plain word here.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-@".contains(c) { c } else { '_' };
        let name: String = name.chars().take(USER_NAME_CHARS_MAX).map(plain).collect();
        let name = if name.is_empty() { uid.to_string() } else { name };
        Ok(Identity { name: format!("owner:{name}").into(), kind: IdentityKind::Owner, peer })
    }

    fn by_zone(&self, peer: Peer) -> Result<Identity, Problem> {
        let policy = self.policy.load();
        let zone = peer.address.and_then(|address| policy.zone_of(address));
        match zone {
            Some(zone) if !zone.anonymous.is_empty() => {
                Ok(Identity { name: format!("zone:{}", zone.name).into(), kind: IdentityKind::Zone, peer })
            }
            _ => Err(self.refuse(peer, "nothing shown, and no zone that allows that")),
        }
    }

    fn refuse(&self, peer: Peer, why: &str) -> Problem {
        let noted = self.note_refusal(unknown(peer), String::new(), why);
        let problem = Problem::new(&codes::UNAUTHENTICATED, "what was shown gives no access here");
        if noted.wait_s == 0 { problem } else { problem.retry_after(noted.wait_s) }
    }

    /// Counts a refusal of someone unknown, and writes it to the audit while there are few.
    fn note_refusal(&self, who: Identity, target: String, why: &str) -> Noted {
        let noted = self.refusals.note(&who, "access.refused");
        if noted.write {
            let detail = serde_json::json!({ "why": why }).to_string();
            let result = AuditResult::Refused;
            let entry = AuditEntry { who, action: "access.refused", target, result, detail };
            if let Err(error) = self.log.append(entry) {
                tracing::warn!(event = "audit.refusal_lost", %error, "a refusal was not written to the audit");
            }
        }
        noted
    }

    /// Whether a listener of this zone serves a connection from this address: the zone is the one that the address is
    /// in, and it still says that it is plain, unless nobody but this machine reaches the listener. Whoever is turned
    /// away is counted, and while there are few, told to the audit and the log.
    ///
    /// This is about the connection, the thing that is plain: it needs no token, and none helps. A forwarded request
    /// comes by its proxy's connection.
    pub fn serves(&self, zone: &str, door: &'static str, listener: SocketAddr, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let policy = self.policy.load();
        let around = policy.zone_of(address);
        let plain = |around: &Zone| around.plain || listener.ip().to_canonical().is_loopback();
        if around.is_some_and(|around| around.name == zone && plain(around)) {
            return true;
        }
        self.strangers.add(1);
        let why = format!("the listener serves zone {zone} only");
        let who = unknown(Peer { door, address: Some(address) });
        if self.note_refusal(who, format!("{door} {listener}"), &why).write {
            let theirs = around.map_or("none", |around| around.name.as_str());
            tracing::warn!(
                event = "zone.refused", door, %listener, zone, %address, their_zone = theirs,
                "a connection from outside the listener's zone was closed"
            );
        }
        false
    }

    /// Where a request comes from: the address of its connection, or, behind a trusted proxy, the one that the proxy
    /// saw. `forwarded` is the value of `X-Forwarded-For`, nearest hop last, if the request has one, or an empty text if
    /// it shows in another way that it was forwarded.
    ///
    /// A forwarded request of a proxy that is not trusted has no address: a zone's rights are never given by hearsay,
    /// nor to the proxy in place of whoever stands behind it.
    pub fn peer(&self, door: &'static str, connection: IpAddr, forwarded: Option<&str>) -> Peer {
        let Some(chain) = forwarded else { return Peer { door, address: Some(connection.to_canonical()) } };
        let policy = self.policy.load();
        let trusted =
            |address: IpAddr| policy.settings.trusted_proxies.iter().any(|cidr| cidr.contains(address));
        if !trusted(connection) {
            return Peer { door, address: None };
        }
        let mut farthest = None;
        for hop in chain.rsplit(',').take(HOPS_MAX) {
            let address = hop.trim().trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            farthest = address.ok().map(|address| address.to_canonical());
            if !farthest.is_some_and(trusted) {
                break;
            }
        }
        Peer { door, address: farthest }
    }
}
