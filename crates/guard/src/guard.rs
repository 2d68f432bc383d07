//! The guard itself: opened once, told about settings, asked by every door. The parts stand in files of their own; here
//! they meet.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tidemill_core::{
    AuditEntry, AuditResult, Authority, Boxed, Commit, Credential, Decision, Identity, Journal, Pattern,
    Peer, Problem, ReadScope, Seq, SignalPath, Verb,
};
use tidemill_ground::{Clock, Counter, Disk, Entropy, Gauge, Ground, Phase, create_dirs};

use crate::audit::{Log, Report};
use crate::error::Error;
use crate::policy::Policy;
use crate::refusals::Refusals;
use crate::settings::Settings;
use crate::store::{self, Tokens};
use crate::tls::Tls;

/// How long a change waits for its audit entry to be on disk.
const AUDIT_WAIT: Duration = Duration::from_secs(30);
/// How often the guard looks after itself.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How often the last uses of tokens are saved.
const USES_SAVED_EVERY: Duration = Duration::from_secs(600);

/// Who is who, who may what, and the record of it.
pub struct Guard {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tokens_path: PathBuf,
    pub(crate) log: Log,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) refusals: Refusals,
    tls: Arc<Tls>,
    state: Mutex<State>,
    damage: Gauge,
    token_count: Gauge,
    /// Connections from outside the zone that a listener is for.
    pub(crate) strangers: Counter,
}

/// What a policy is built from. Locked for the whole of a change; decisions do not need it.
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) tokens: Tokens,
    uses_saved: Duration,
}

impl Guard {
    /// Reads the tokens, opens the audit log, and begins to look after both. An audit log that cannot be written now is
    /// no error: changes are refused until it can, and data goes on.
    ///
    /// # Errors
    /// The settings have problems; the tokens cannot be read, or a file is of a newer version; the certificate authority is
    /// damaged or cannot be written.
    pub fn open(
        ground: &Ground,
        data_dir: &Path,
        journal: Arc<dyn Journal>,
        settings: Settings,
    ) -> Result<Arc<Guard>, Error> {
        settings.check().map_err(Error::Settings)?;
        create_dirs(ground.disk.as_ref(), data_dir).map_err(Error::disk("making", data_dir))?;
        let tokens_path = data_dir.join(store::FILE);
        let tokens = store::load(ground.disk.as_ref(), &tokens_path)?;
        let log = Log::open(ground, data_dir, journal, settings.limits.clone())?;
        let tls = Tls::open(ground, data_dir, settings.tls.clone())?;
        let settings = Arc::new(settings);
        let policy = Policy::build(None, 1, settings.clone(), &tokens, ground.clock.wall());
        let metrics = &ground.metrics;
        let guard = Arc::new(Guard {
            disk: ground.disk.clone(),
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            tokens_path,
            log,
            policy: ArcSwap::from_pointee(policy),
            refusals: Refusals::new(ground.clock.clone(), metrics),
            tls,
            damage: metrics.gauge("tidemill_audit_damage", "Findings of the last check of the audit chain."),
            token_count: metrics.gauge("tidemill_tokens", "Tokens there are."),
            strangers: metrics.counter(
                "tidemill_zone_refused",
                "Connections closed because their address is not in the zone that the listener serves.",
            ),
            state: Mutex::new(State {
                settings: settings.clone(),
                tokens,
                uses_saved: ground.clock.monotonic(),
            }),
        });
        guard.token_count.set(guard.lock().tokens.len() as i64);
        if !settings.zones.is_empty() {
            // A plain or anonymous network is recorded at each start; nobody waits for it.
            let _ = guard.log.append(zones_entry(&settings, AuditResult::Done));
        }
        guard.record_certificates();
        guard.look_after(ground)?;
        Ok(guard)
    }

    /// Takes other settings over. What was decided before is decided again: the epoch grows by one.
    ///
    /// # Errors
    /// The settings have problems, the owner's certificate cannot be used, or the change cannot be audited; the old ones then
    /// stay in force.
    pub fn update(&self, settings: Settings) -> Result<(), Error> {
        settings.check().map_err(Error::Settings)?;
        let mut state = self.lock();
        let changes = settings.zones != state.settings.zones
            || settings.trusted_proxies != state.settings.trusted_proxies
            || settings.owner_uid != state.settings.owner_uid;
        self.tls.update(settings.tls.clone())?;
        self.record_certificates();
        if changes && let Err(error) = self.record(zones_entry(&settings, AuditResult::Intended)) {
            // What was shown before was good before.
            let _ = self.tls.update(state.settings.tls.clone());
            return Err(error);
        }
        self.log.set_limits(settings.limits.clone());
        state.settings = Arc::new(settings);
        self.install(&state);
        if changes {
            self.record_after(zones_entry(&state.settings, AuditResult::Done));
        }
        Ok(())
    }

    /// The certificates that listeners show.
    pub fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// Nobody waits for it: whoever changed a file is not there to be told.
    fn record_certificates(&self) {
        for event in self.tls.events() {
            let _ = self.log.append(crate::audit::own_entry(event.action, event.target, &event.detail));
        }
    }

    /// Checks the whole audit chain, also while the plant runs.
    ///
    /// # Errors
    /// A file cannot be read, or is of a newer version.
    pub fn verify_audit(&self) -> Result<Report, Error> {
        let report = self.log.verify()?;
        self.damage
            .set(i64::try_from(report.findings.len() as u64 + report.findings_more).unwrap_or(i64::MAX));
        Ok(report)
    }

    /// Whether the file of the tokens is where it should be.
    ///
    /// # Errors
    /// It is missing, or nobody can tell because a file of the audit cannot be read.
    pub fn check_tokens(&self) -> Result<(), Error> {
        // A change writes the file before it is recorded as done.
        let _unchanging = self.lock();
        let folder = self.tokens_path.parent().unwrap_or(&self.tokens_path);
        crate::audit::check_tokens(self.disk.as_ref(), folder)
    }

    /// Why changes are refused now, if they are.
    pub fn audit_failure(&self) -> Option<Arc<str>> {
        self.log.failure()
    }

    /// Sums up refusals and saves last uses, as far as it is time for that. Called by the guard's own thread.
    pub fn tidy(&self) {
        self.tidy_now(false);
    }

    fn tidy_now(&self, ending: bool) {
        self.log.nudge();
        self.tls.tend();
        self.record_certificates();
        for sum in self.refusals.sums(ending) {
            if let Err(error) = self.log.append(sum) {
                tracing::warn!(event = "audit.refusal_lost", %error, "refusals were not written to the audit");
            }
        }
        let mut state = self.lock();
        let now = self.clock.monotonic();
        if ending || now.saturating_sub(state.uses_saved) >= USES_SAVED_EVERY {
            state.uses_saved = now;
            let tokens = self.with_uses(&state.tokens);
            if tokens != state.tokens {
                match store::save(self.disk.as_ref(), &self.tokens_path, &tokens) {
                    Ok(()) => state.tokens = tokens,
                    Err(error) => {
                        tracing::warn!(event = "tokens.uses_unsaved", %error, "the last uses of tokens were not saved")
                    }
                }
            }
        }
    }

    /// The tokens with when each was last used.
    pub(crate) fn with_uses(&self, tokens: &Tokens) -> Tokens {
        let policy = self.policy.load();
        let used = |(name, token): (&Arc<str>, &Arc<store::Token>)| {
            let uses = policy.holders.get(format!("token:{name}").as_str()).map(|holder| &holder.uses);
            let last = uses.and_then(|uses| uses.last());
            if last == token.last_used_ns {
                return (name.clone(), token.clone());
            }
            let mut token = store::Token::clone(token);
            token.last_used_ns = last;
            token.last_address = uses.and_then(|uses| *uses.address());
            (name.clone(), Arc::new(token))
        };
        tokens.iter().map(used).collect()
    }

    /// One thread: checks the chain once, then tidies until the engines stop.
    fn look_after(self: &Arc<Self>, ground: &Ground) -> Result<(), Error> {
        let weak = Arc::downgrade(self);
        ground.tasks.spawn("guard", Phase::Engines, move |stop| {
            if let Some(guard) = weak.upgrade() {
                guard.check_at_start();
            }
            loop {
                let ending = stop.wait(TIDY_EVERY);
                let Some(guard) = weak.upgrade() else { return };
                guard.tidy_now(ending);
                if ending {
                    return;
                }
            }
        })?;
        Ok(())
    }

    fn check_at_start(&self) {
        match self.verify_audit() {
            Ok(report) if report.is_sound() => {
                tracing::info!(
                    event = "audit.sound",
                    entries = report.entries,
                    last = report.last,
                    "the audit chain is sound"
                );
            }
            Ok(report) => {
                for finding in &report.findings {
                    tracing::error!(event = "audit.damaged", %finding, "the audit chain is damaged: `tidemill audit verify` lists all of it");
                }
            }
            Err(error) => {
                tracing::error!(event = "audit.unchecked", %error, "the audit chain could not be checked")
            }
        }
        if let Err(error @ Error::TokensMissing { .. }) = self.check_tokens() {
            tracing::error!(event = "tokens.missing", "{error}");
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the policy anew and puts it in force.
    pub(crate) fn install(&self, state: &State) {
        let old = self.policy.load();
        let now = self.clock.wall();
        let next = Policy::build(Some(&old), old.epoch + 1, state.settings.clone(), &state.tokens, now);
        self.policy.store(Arc::new(next));
        self.token_count.set(state.tokens.len() as i64);
    }

    /// Writes an entry and waits until it is on disk.
    pub(crate) fn record(&self, entry: AuditEntry) -> Result<(), Error> {
        match self.log.append(entry)?.wait(AUDIT_WAIT) {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Error::AuditUnwritable(error.to_string())),
            None => Err(Error::AuditUnwritable(format!(
                "the disk did not answer within {} s",
                AUDIT_WAIT.as_secs()
            ))),
        }
    }

    /// Writes how a change ended. The change is made, or not; its intention is on disk: so a failure here is told to
    /// the log and to nobody else.
    pub(crate) fn record_after(&self, entry: AuditEntry) {
        let (action, target) = (entry.action, entry.target.clone());
        if let Err(error) = self.record(entry) {
            tracing::error!(event = "audit.change_unrecorded", action, target, %error, "how a change ended was not written to the audit");
        }
    }
}

fn zones_entry(settings: &Settings, result: AuditResult) -> AuditEntry {
    let zones: Vec<_> = settings
        .zones
        .iter()
        .map(|zone| {
            serde_json::json!({
                "zone": zone.name,
                "cidr": zone.cidr.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "plain": zone.plain,
                "anonymous": zone.anonymous,
            })
        })
        .collect();
    let proxies: Vec<_> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    let detail =
        serde_json::json!({ "zones": zones, "trusted_proxies": proxies, "owner_uid": settings.owner_uid });
    AuditEntry { result, ..crate::audit::own_entry("access.apply", "zones".to_owned(), &detail) }
}

impl Authority for Guard {
    fn identify<'a>(&'a self, credential: Credential, peer: Peer) -> Boxed<'a, Result<Identity, Problem>> {
        Box::pin(std::future::ready(self.identify_now(credential, peer)))
    }

    fn epoch(&self) -> u64 {
        let policy = self.policy.load();
        if self.clock.wall() < policy.next_expiry_ns {
            return policy.epoch;
        }
        // A token has just expired. Whoever holds the lock is about to build a policy anyway.
        if let Ok(state) = self.state.try_lock()
            && self.policy.load().epoch == policy.epoch
        {
            self.install(&state);
        }
        self.policy.load().epoch
    }

    fn decide(&self, who: &Identity, verb: Verb, path: &SignalPath) -> Decision {
        self.policy.load().decide(who, verb, path, self.clock.wall())
    }

    fn decide_all(&self, who: &Identity, verb: Verb, pattern: &Pattern) -> Decision {
        self.policy.load().decide_all(who, verb, pattern, self.clock.wall())
    }

    fn scope(&self, who: &Identity) -> ReadScope {
        self.policy.load().scope(who, self.clock.wall())
    }

    /// Refusals are summed up when there are many; the commit of one that is only counted is ready at once.
    fn audit(&self, entry: AuditEntry) -> Result<Commit, Problem> {
        if entry.result == AuditResult::Refused && !self.refusals.note(&entry.who, entry.action).write {
            return Ok(Commit::ready(Seq(0)));
        }
        Ok(self.log.append(entry)?)
    }
}
