//! Refusals are counted always, told to the audit within bounds, and answered more slowly the more there are: a flood of
//! wrong tokens must not fill the audit, nor the memory, nor hide one refusal that matters.
//!
//! Nobody is locked out. Guessing a token of 131 random bits is hopeless at any rate, so a right one is taken at once
//! even from an address that just showed a thousand wrong ones: behind one address there may be a whole plant.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidemill_core::{AuditEntry, AuditResult, Identity, IdentityKind, Peer};
use tidemill_ground::{Clock, Counter, Metrics, TokenBucket};

/// How many who are refused are told apart. Beyond it they are counted together.
pub(crate) const SOURCES_MAX: usize = 4096;
/// How many refusals of one source are written one by one before they are summed up.
const SINGLE_MAX: u32 = 5;
/// Single refusals written a second, of all sources, with a burst of [`SINGLE_BURST`].
const SINGLE_PER_SECOND: u64 = 1;
const SINGLE_BURST: u64 = 50;
/// Who was quiet for so long begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// How often, at most, those who were quiet are looked for when there is no room.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// How often what was held back is summed up.
const SUM_EVERY: Duration = Duration::from_secs(60);
/// How many sources get a sum of their own.
const SUMS_MAX: usize = 10;
/// The longest wait that is asked for.
const WAIT_S_MAX: u32 = 60;
const OTHERS: &str = "others";

/// Counts refusals by who is refused.
pub(crate) struct Refusals {
    clock: Arc<dyn Clock>,
    single: TokenBucket,
    sources: Mutex<Sources>,
    total: Counter,
    summed: Counter,
}

#[derive(Default)]
struct Sources {
    by_key: HashMap<Box<str>, Source>,
    summed_at: Duration,
    forgot_at: Duration,
}

struct Source {
    count: u32,
    last: Duration,
    held_back: u64,
    who: Identity,
    action: &'static str,
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Whether it gets an entry of its own.
    pub(crate) write: bool,
    /// How long they should wait before they try again.
    pub(crate) wait_s: u32,
}

impl Refusals {
    pub(crate) fn new(clock: Arc<dyn Clock>, metrics: &Metrics) -> Refusals {
        Refusals {
            single: TokenBucket::new(clock.clone(), SINGLE_PER_SECOND, SINGLE_BURST),
            sources: Mutex::new(Sources {
                by_key: HashMap::new(),
                summed_at: clock.monotonic(),
                forgot_at: clock.monotonic(),
            }),
            clock,
            total: metrics
                .counter("tidemill_refused", "Requests refused because of who asked or what they may not."),
            summed: metrics.counter("tidemill_refused_summed", "Refusals that stand in the audit as a sum."),
        }
    }

    /// Counts one refusal of `who`.
    pub(crate) fn note(&self, who: &Identity, action: &'static str) -> Noted {
        self.total.add(1);
        let now = self.clock.monotonic();
        let mut sources = self.lock();
        let mut key = key_of(who);
        if !sources.by_key.contains_key(&*key) && sources.by_key.len() >= SOURCES_MAX {
            // Not at each: looking through all of them for every stranger is what a flood would want.
            if now.saturating_sub(sources.forgot_at) >= FORGET_EVERY {
                sources.forget(now);
            }
            if sources.by_key.len() >= SOURCES_MAX {
                key = OTHERS.into();
            }
        }
        let source = sources.by_key.entry(key).or_insert_with_key(|key| Source {
            count: 0,
            last: now,
            held_back: 0,
            who: if &**key == OTHERS {
                unknown(Peer { door: who.peer.door, address: None })
            } else {
                who.clone()
            },
            action,
        });
        if now.saturating_sub(source.last) >= FORGET_AFTER {
            source.count = 0;
        }
        source.count = source.count.saturating_add(1);
        source.last = now;
        let write = source.count <= SINGLE_MAX && self.single.try_take(1).is_ok();
        if !write {
            source.held_back += 1;
            self.summed.add(1);
        }
        let over = source.count.saturating_sub(SINGLE_MAX);
        let wait_s = if over == 0 {
            0
        } else {
            1_u32.checked_shl(over - 1).map_or(WAIT_S_MAX, |wait| wait.min(WAIT_S_MAX))
        };
        Noted { write, wait_s }
    }

    /// What was held back, summed up, if it is time for that.
    pub(crate) fn sums(&self, at_once: bool) -> Vec<AuditEntry> {
        let now = self.clock.monotonic();
        let mut sources = self.lock();
        if !at_once && now.saturating_sub(sources.summed_at) < SUM_EVERY {
            return Vec::new();
        }
        sources.summed_at = now;
        let mut held: Vec<&mut Source> =
            sources.by_key.values_mut().filter(|source| source.held_back > 0).collect();
        held.sort_by(|one, other| {
            other.held_back.cmp(&one.held_back).then_with(|| one.who.name.cmp(&other.who.name))
        });
        let rest = held.split_off(held.len().min(SUMS_MAX));
        let mut sums: Vec<AuditEntry> = held
            .into_iter()
            .map(|source| {
                let more = std::mem::take(&mut source.held_back);
                sum(source.who.clone(), source.action, serde_json::json!({ "more": more }))
            })
            .collect();
        if !rest.is_empty() {
            let from = rest.len();
            let more: u64 = rest.into_iter().map(|source| std::mem::take(&mut source.held_back)).sum();
            let who = unknown(Peer { door: "house", address: None });
            sums.push(sum(who, "access.refused", serde_json::json!({ "more": more, "sources": from })));
        }
        sources.forget(now);
        sums
    }

    #[cfg(test)]
    pub(crate) fn sources(&self) -> usize {
        self.lock().by_key.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    fn forget(&mut self, now: Duration) {
        self.forgot_at = now;
        self.by_key
            .retain(|_, source| source.held_back > 0 || now.saturating_sub(source.last) < FORGET_AFTER);
    }
}

fn sum(who: Identity, action: &'static str, detail: serde_json::Value) -> AuditEntry {
    AuditEntry {
        who,
        action,
        target: String::new(),
        result: AuditResult::Refused,
        detail: detail.to_string(),
    }
}

/// Someone who showed nothing that is known.
pub(crate) fn unknown(peer: Peer) -> Identity {
    Identity { name: UNKNOWN.into(), kind: IdentityKind::Zone, peer }
}

const UNKNOWN: &str = "unknown";

/// A known one by name, an unknown one by address; of IPv6 the network of 64 bits, which one host may fill alone.
fn key_of(who: &Identity) -> Box<str> {
    match who.peer.address {
        _ if &*who.name != UNKNOWN => who.name[..].into(),
        Some(address) => match address.to_canonical() {
            IpAddr::V4(address) => address.to_string().into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string().into(),
        },
        None => who.peer.door.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_ground::SimClock;

    fn refusals() -> (Refusals, Arc<SimClock>) {
        let clock = Arc::new(SimClock::default());
        (Refusals::new(clock.clone(), &Metrics::new()), clock)
    }

    fn from(address: &str) -> Identity {
        unknown(Peer { door: "http", address: Some(address.parse().unwrap()) })
    }

    #[test]
    fn a_flood_is_summed_up_and_slowed() {
        let (refusals, clock) = refusals();
        let noted: Vec<Noted> = (0..42).map(|_| refusals.note(&from("10.0.0.5"), "access.refused")).collect();
        assert_eq!(noted.iter().filter(|noted| noted.write).count(), 5);
        let waits: Vec<u32> = noted.iter().map(|noted| noted.wait_s).take(13).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        // Another address is not hurt.
        assert_eq!(refusals.note(&from("10.0.0.6"), "access.refused"), Noted { write: true, wait_s: 0 });
        assert!(refusals.sums(false).is_empty(), "not yet");
        clock.advance(SUM_EVERY);
        let sums = refusals.sums(false);
        assert_eq!(sums.len(), 1);
        assert_eq!(
            (sums[0].detail.as_str(), sums[0].who.peer.to_string().as_str()),
            ("{\"more\":37}", "http 10.0.0.5")
        );
        assert!(refusals.sums(true).is_empty(), "once");
        clock.advance(FORGET_AFTER);
        assert_eq!(refusals.note(&from("10.0.0.5"), "access.refused"), Noted { write: true, wait_s: 0 });
    }

    #[test]
    fn twenty_thousand_addresses_are_bounded_and_none_is_lost_from_the_count() {
        let (refusals, _) = refusals();
        let many = 20_000_u32;
        let written = (0..many)
            .filter(|number| {
                refusals
                    .note(
                        &from(&Ipv6Addr::from_bits(u128::from(*number) << 64).to_string()),
                        "access.refused",
                    )
                    .write
            })
            .count();
        assert!(refusals.sources() <= SOURCES_MAX + 1);
        assert!(written as u64 <= SINGLE_BURST);
        let sums = refusals.sums(true);
        assert!(sums.len() <= SUMS_MAX + 1);
        let more: u64 = sums
            .iter()
            .map(|sum| {
                serde_json::from_str::<serde_json::Value>(&sum.detail).unwrap()["more"].as_u64().unwrap()
            })
            .sum();
        assert_eq!(more + written as u64, u64::from(many));
    }

    #[test]
    fn one_network_of_ipv6_is_one_source() {
        let (refusals, _) = refusals();
        for host in 0..100_u128 {
            refusals
                .note(&from(&Ipv6Addr::from_bits((0x2001_0db8 << 96) + host).to_string()), "access.refused");
        }
        assert_eq!(refusals.sources(), 1);
    }
}
