//! What the doors may ask beyond samples and signals: tokens, rights, audit, rereading the configuration, and where a
//! value came from. The web face has checked that the caller may.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_bus::Namespace;
use tidemill_core::{
    AuditEntry, AuditResult, Authority, Batches, Boxed, Budget, Bus, Chunks, Format, History, Identity,
    Journal, Pattern, Problem, Quality, ReadMode, ReadQuery, ReadScope, Signal, SignalPath, SqlQuery, Value,
    Verb, codes, parse_rfc3339, rfc3339,
};
use tidemill_ground::MemoryPlan;
use tidemill_guard::{Guard, Right, TokenInfo};
use tidemill_historian::Historian;
use tidemill_journal::Log;
use tidemill_sqldoors::SqlDoors;
use tidemill_web::{
    AccessAnswer, AccessQuestion, Admin, AuditReport, BackupOrder, CheckFinding, HealthWarning, Reloaded,
    Rule, TokenFacts, TokenOrder, TokenSecret, Web, WhyAnswer,
};

use crate::backup::{self, Backups};
use crate::config::{Config, sentence};
use crate::plant::Plant;
use crate::saved::Saved;
use crate::vitals::{self, Vitals};
use crate::{house, inspect, settings};

/// The keeper of the house's own affairs.
pub(crate) struct Keeper {
    plant: Plant,
    config: Mutex<Config>,
    /// As the plant was started.
    started: Config,
    guard: Arc<Guard>,
    journal: Arc<Log>,
    bus: Arc<Namespace>,
    historian: Arc<Historian>,
    saved: Mutex<Saved>,
    backups: Arc<Backups>,
    /// Why the files as they are now are not in force.
    refused: Mutex<Option<Problem>>,
    /// Set once it looks.
    vitals: OnceLock<Arc<Vitals>>,
    /// Set once the faces stand.
    faces: OnceLock<(Web, SqlDoors, MemoryPlan)>,
}

impl Keeper {
    pub(crate) fn new(
        plant: Plant,
        (config, saved): (Config, Saved),
        rooms: (Arc<Guard>, Arc<Log>, Arc<Namespace>, Arc<Historian>),
        backups: Arc<Backups>,
    ) -> Keeper {
        let (guard, journal, bus, historian) = rooms;
        let started = config.clone();
        let (config, saved) = (Mutex::new(config), Mutex::new(saved));
        let (refused, faces) = (Mutex::new(None), OnceLock::new());
        Keeper {
            plant,
            config,
            started,
            vitals: OnceLock::new(),
            guard,
            journal,
            bus,
            historian,
            saved,
            backups,
            refused,
            faces,
        }
    }

    pub(crate) fn attach(&self, web: Web, sql: SqlDoors, memory: MemoryPlan) {
        let fresh = self.faces.set((web, sql, memory)).is_ok();
        debug_assert!(fresh, "the faces are attached once");
    }

    /// From now on what it finds is told.
    pub(crate) fn listen_to(&self, vitals: Arc<Vitals>) {
        let fresh = self.vitals.set(vitals).is_ok();
        debug_assert!(fresh, "one looks after the plant");
    }

    /// Why saved settings are not in force, if they are not.
    pub(crate) fn refused(&self) -> Option<String> {
        let refused = lock(&self.refused);
        let lines = refused
            .as_ref()
            .map(|problem| problem.detail.lines().map(str::trim).collect::<Vec<_>>().join(" "));
        lines.map(|detail| format!("what was saved is not in force: {detail}"))
    }

    /// Which saved settings hold from the next start only.
    pub(crate) fn restart_waiting(&self) -> Vec<String> {
        needs_restart(&self.started, &lock(&self.config))
    }

    /// How often the plant's own figures are written; none for never.
    pub(crate) fn figures_every(&self) -> Option<Duration> {
        lock(&self.config).figures_every
    }

    /// How old the last backup may become; none for as old as it likes.
    pub(crate) fn backup_age(&self) -> Option<Duration> {
        lock(&self.config).backup_age
    }

    /// Asks the guard what may wait for the disk, on a thread that may wait.
    async fn ask_guard<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Guard) -> Result<T, tidemill_guard::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let guard = self.guard.clone();
        let answered = tokio::task::spawn_blocking(move || ask(&guard)).await;
        Ok(answered.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))??)
    }

    /// May they? As the doors decide it, by whichever of the signal's names.
    fn may(&self, who: &str, verb: Verb, path: &SignalPath) -> Result<AccessAnswer, Problem> {
        let signal = self.bus.find(path);
        let present = signal.as_ref().map_or(path, |signal| &signal.path);
        let mut decided = self.guard.why(who, verb, present)?;
        let further = present != path;
        // A further name is no way around what holds for itself. Reading is asked of the present name alone.
        if further && decided.allowed && verb != Verb::Read {
            let own = self.guard.why(who, verb, path)?;
            if !own.allowed {
                decided.allowed = false;
                decided.rule = format!("{} on {path}, a further name of {present}", own.rule);
            }
        }
        let owner = signal.as_ref().map_or("", |signal| &*signal.meta.owner);
        if decided.allowed && verb == Verb::Write && !owner.is_empty() && owner != decided.who {
            decided.allowed = false;
            decided.rule = format!("its owner, {owner}, alone writes it");
        }
        let name_now = further.then(|| present.to_string());
        Ok(AccessAnswer { allowed: decided.allowed, rule: decided.rule, name_now })
    }

    /// Whether a file was saved that was not read since.
    pub(crate) fn saved_anew(&self) -> bool {
        lock(&self.saved).look()
    }

    /// Reads the files again. A bad file leaves everything as it is.
    fn reread(&self) -> Result<Reloaded, Problem> {
        // Before they are read: what is saved meanwhile is seen as another.
        lock(&self.saved).reading();
        let outcome = self.apply_files();
        *lock(&self.refused) = outcome.as_ref().err().cloned();
        outcome
    }

    fn apply_files(&self) -> Result<Reloaded, Problem> {
        let mut config = lock(&self.config);
        let fresh = house::load(&self.plant)?;
        let Some((web, sql, memory)) = self.faces.get() else {
            return Err(Problem::new(&codes::STOPPING, "the plant is still starting"));
        };
        let web_settings = settings::web(&self.plant, &fresh, memory)?;
        let templates_changed = web.templates() != web_settings.templates;
        self.guard.update(settings::guard(&self.plant, &fresh))?;
        self.bus.update(settings::bus(&fresh, memory));
        web.set_settings(web_settings);
        sql.set_settings(settings::sql(&fresh, memory));
        self.historian.set_slow_query(fresh.slow_query);
        let restart = needs_restart(&config, &fresh);
        let changed = *config != fresh || templates_changed;
        *config = fresh;
        Ok(Reloaded { changed, notes: Vec::new(), restart })
    }

    async fn explain(
        &self,
        who: &Identity,
        path: &SignalPath,
        at: Option<i64>,
    ) -> Result<WhyAnswer, Problem> {
        let scope = self.guard.scope(who);
        // An old name may lead to a signal that the caller may not read: the answer is that of a name that does not exist.
        let signal = self.bus.find(path).filter(|signal| scope.allows(&signal.path));
        let signal = signal.ok_or_else(|| {
            Problem::new(&codes::NOT_FOUND, format!("there is no signal {path} that you may read"))
        })?;
        let mut facts = Facts(Vec::new());
        if signal.path != *path {
            facts.add("name now", signal.path.to_string());
        }
        match self.sample(&scope, &signal, at).await? {
            None => facts.add("value", "none so far".to_owned()),
            Some(sample) => {
                let unit = if signal.meta.unit.is_empty() {
                    String::new()
                } else {
                    format!(" {}", signal.meta.unit)
                };
                facts.add("value", format!("{}{unit}", sample.value));
                facts.add("quality", sample.quality.to_string());
                facts.add("time", rfc3339(sample.time));
                if let Some(received) = sample.received {
                    facts.add("received", rfc3339(received));
                }
                for source in &sample.sources {
                    facts.add("source", source.to_string());
                    let rule = self.guard.why(source, Verb::Write, &signal.path);
                    facts.add("may write by", rule.map_or(GONE.to_owned(), |rule| rule.rule));
                }
                if sample.sources.is_empty() {
                    facts.add("source", "it is not kept who wrote it".to_owned());
                }
                facts.add("made of", "nothing else: it was written as it is".to_owned());
            }
        }
        facts.add("first written by", signal.creator.to_string());
        facts.add("known since", rfc3339(signal.created));
        if !signal.meta.owner.is_empty() {
            facts.add("owner", signal.meta.owner.to_string());
        }
        Ok(WhyAnswer { signal: path.to_string(), facts: facts.0 })
    }

    /// The sample at a time, from history; the last one, from the bus.
    async fn sample(
        &self,
        scope: &ReadScope,
        signal: &Signal,
        at: Option<i64>,
    ) -> Result<Option<Sample>, Problem> {
        let Some(at) = at else {
            let mut last = Vec::new();
            self.bus.last(scope, &[signal.id], &mut last);
            return Ok(last.pop().map(|last| Sample {
                received: ((last.received - last.time).abs() > 1_000_000_000).then_some(last.received),
                sources: Some(self.bus.source(last.source))
                    .filter(|name| !name.is_empty())
                    .into_iter()
                    .collect(),
                value: last.value.to_string(),
                quality: last.quality,
                time: last.time,
            }));
        };
        let query = ReadQuery {
            patterns: vec![Pattern::exactly(&signal.path)],
            from: i64::MIN,
            to: at.saturating_add(1),
            mode: ReadMode::Last,
            limit: None,
        };
        let budget = Budget { time: Duration::from_secs(10), memory_bytes: 64 << 20, rows: 16 };
        let mut batches: Box<dyn Batches> = self.historian.read(scope, query, budget).await?;
        let mut found = None;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if let Some(row) = batch.rows().last() {
                found = Some(Sample {
                    time: row.time,
                    value: row.value.to_string(),
                    quality: row.quality,
                    received: None,
                    sources: Vec::new(),
                });
            }
        }
        if let Some(sample) = &mut found {
            (sample.sources, sample.received) = self.writers(scope, signal, sample.time, budget).await?;
        }
        Ok(found)
    }

    /// Who wrote the samples of a signal at this time, and when the last of them was received where that is kept. Reading
    /// gives samples without it.
    async fn writers(
        &self,
        scope: &ReadScope,
        signal: &Signal,
        time: i64,
        budget: Budget,
    ) -> Result<(Vec<Arc<str>>, Option<i64>), Problem> {
        let text = format!(
            "SELECT source, max(received) FROM samples WHERE signal = $1 AND time = TIMESTAMP '{}' AND source <> '' \
             GROUP BY source ORDER BY source LIMIT {}",
            rfc3339(time),
            budget.rows
        );
        let query = SqlQuery { text, parameters: vec![Value::Text(signal.path.as_str().into())] };
        let mut chunks = self.historian.sql(scope, query, Format::Json, budget).await?;
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk?);
        }
        let answer: Json = serde_json::from_slice(&body)
            .map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let received = rows.iter().filter_map(|row| parse_rfc3339(row[1].as_str()?).ok()).max();
        Ok((rows.iter().filter_map(|row| Some(row[0].as_str()?.into())).collect(), received))
    }

    fn findings(&self) -> Vec<CheckFinding> {
        let mut findings: Vec<CheckFinding> = Vec::new();
        let mut find = |on: &str, problem: String, mend: &str, warning: bool| {
            findings.push(CheckFinding { on: on.to_owned(), problem, mend: mend.to_owned(), warning });
        };
        if let Some(refused) = lock(&self.refused).as_ref() {
            let detail: Vec<&str> = refused.detail.lines().map(str::trim).collect();
            let what =
                format!("what was saved is not in force, the settings before are: {}", detail.join(" "));
            find(crate::config::PLANT_FILE, what, refused.mend(), false);
        }
        for idle in crate::config::variables::idle(&crate::config::environment()) {
            find(&idle.file.to_string_lossy(), idle.what, &idle.mend, true);
        }
        if let Some((what, mend)) = crate::settings::cramped(&tidemill_ground::machine()) {
            find("limits.memory", what, &mend, true);
        }
        if let Some(failure) = self.guard.audit_failure() {
            find(
                "audit log",
                format!("it cannot be written, so changes are refused: {failure}"),
                "See that the disk is well and has room",
                false,
            );
        }
        if let Some(busy) = self.journal.refuses_samples() {
            let problem = Problem::from(busy);
            let what = format!("new values are refused: {}", problem.detail);
            find("data/journal", what, problem.mend(), false);
        }
        for damage in self.journal.damage() {
            let (what, mend) = inspect::parts(&inspect::damaged(&damage));
            find("data/journal", what, &mend, false);
        }
        if let Some(lost) = self.journal.lost().filter(|_| self.journal.is_relaxed()) {
            let (what, mend) = inspect::lost_end(lost);
            find("data/journal", what, mend, true);
        }
        for error in self.historian.check() {
            let (what, mend) = inspect::parts(&error.into());
            find("data/lake", what, &mend, false);
        }
        match self.guard.verify_audit() {
            Ok(report) => report.findings.iter().for_each(|finding| {
                find(
                    "data/guard/audit",
                    finding.to_string(),
                    "Compare with a backup; `tidemill audit verify` says more",
                    false,
                );
            }),
            Err(error) => find("data/guard/audit", error.to_string(), "See that the disk is well", false),
        }
        if let Err(error @ tidemill_guard::Error::TokensMissing { .. }) = self.guard.check_tokens() {
            let problem = Problem::from(error);
            find("data/guard", problem.detail.clone(), problem.mend(), false);
        }
        for concern in self.guard.tls().concerns() {
            find(&concern.on, concern.problem, &sentence(&concern.mend), concern.warning);
        }
        for twin in self.bus.twins() {
            find(
                twin.path.as_str(),
                format!("differs from {} only in case; {} brought it", twin.like, twin.by),
                "Rename one of them with `tidemill signals rename`, if they are meant to be one",
                true,
            );
        }
        if let Some((web, ..)) = self.faces.get() {
            for kept in web.default_kept() {
                find(
                    "connections/line-protocol.toml",
                    kept.to_string(),
                    "Give the series a template of its own before the others, for instance with another tag",
                    true,
                );
            }
            for tidemill_web::Shared { signal, first, other } in web.shared() {
                find(
                    &signal,
                    format!(
                        "was written from {first} first and is written from {other} too: samples of both stand in it"
                    ),
                    "Put {db} into its name, before more comes (presets = [\"influxdb-databases\"] in \
                     connections/line-protocol.toml); if a database only has another name now, set the signal's tag anew",
                    true,
                );
            }
        }
        if let Some(vitals) = self.vitals.get() {
            vitals
                .findings()
                .iter()
                .for_each(|(on, what, mend, warning)| find(on, what.clone(), mend, *warning));
        }
        findings
    }
}

struct Sample {
    time: i64,
    value: String,
    quality: Quality,
    received: Option<i64>,
    /// Several where there are other values at the same time; none where it is not kept.
    sources: Vec<Arc<str>>,
}

/// Instead of the rule by which one may write who has no rights now: a revoked token.
const GONE: &str = "nothing now: nobody of that name is known any more";

struct Facts(Vec<(String, String)>);

impl Facts {
    fn add(&mut self, label: &str, text: String) {
        self.0.push((label.to_owned(), text));
    }
}

/// Keys that were changed and hold from the next start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let changes = [
        ("plant.name", old.plant_name != new.plant_name),
        ("plant.timezone", old.timezone != new.timezone),
        ("http.listen", old.http_listen != new.http_listen),
        ("postgres.listen", old.postgres_listen != new.postgres_listen),
        ("flight.listen", old.flight_listen != new.flight_listen),
        ("storage.commit_window", old.commit_window != new.commit_window),
        ("storage.durability", old.relaxed != new.relaxed),
        ("storage.free_min", old.free_min != new.free_min),
        ("storage.keep", old.keep != new.keep),
        ("storage.flush_after", old.flush_after != new.flush_after),
        ("storage.flush_young_after", old.flush_young_after != new.flush_young_after),
        ("storage.values", old.values_open != new.values_open),
        ("storage.merge_every", old.merge_every != new.merge_every),
        ("limits.memory", old.memory_bytes != new.memory_bytes),
    ];
    changes
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| format!("{key} holds from the next start"))
        .collect()
}

impl Admin for Keeper {
    fn token_create<'a>(
        &'a self,
        who: &'a Identity,
        order: TokenOrder,
    ) -> Boxed<'a, Result<TokenSecret, Problem>> {
        Box::pin(async move {
            let bad = |error: tidemill_guard::RightError| {
                Problem::new(&codes::BAD_PARAMETER, error.to_string())
                    .hint("Write rights like write:acme/leeds/press/#")
            };
            let allow = order
                .allow
                .iter()
                .map(|text| Right::parse(text))
                .collect::<Result<Vec<_>, _>>()
                .map_err(bad)?;
            let expires = order.expires_s.map(|seconds| {
                now().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000))
            });
            let (who, name) = (who.clone(), order.name.clone());
            let secret = self.ask_guard(move |guard| guard.create(&who, &name, allow, expires)).await?;
            Ok(TokenSecret {
                name: order.name,
                token: secret.reveal().to_owned(),
                expires: expires.map(rfc3339),
            })
        })
    }

    fn tokens<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Vec<TokenFacts>, Problem>> {
        Box::pin(async move {
            let who = who.clone();
            let tokens = self.ask_guard(move |guard| Ok(guard.list(&who))).await?;
            Ok(tokens.into_iter().map(facts_of).collect())
        })
    }

    fn token_revoke<'a>(&'a self, who: &'a Identity, name: &'a str) -> Boxed<'a, Result<(), Problem>> {
        Box::pin(async move {
            let (who, name) = (who.clone(), name.to_owned());
            self.ask_guard(move |guard| guard.revoke(&who, &name)).await
        })
    }

    fn token_rotate<'a>(
        &'a self,
        who: &'a Identity,
        name: &'a str,
        overlap: Duration,
    ) -> Boxed<'a, Result<TokenSecret, Problem>> {
        Box::pin(async move {
            let (who, token) = (who.clone(), name.to_owned());
            let secret = self.ask_guard(move |guard| guard.rotate(&who, &token, overlap)).await?;
            Ok(TokenSecret { name: name.to_owned(), token: secret.reveal().to_owned(), expires: None })
        })
    }

    fn access_why<'a>(
        &'a self,
        _who: &'a Identity,
        question: AccessQuestion,
    ) -> Boxed<'a, Result<AccessAnswer, Problem>> {
        Box::pin(async move {
            let verb = Verb::from_name(&question.verb).ok_or_else(|| {
                Problem::new(&codes::BAD_PARAMETER, format!("there is no verb '{}'", question.verb))
                    .hint("Use read, write, command, configure or administer")
            })?;
            self.may(&question.who, verb, &SignalPath::new(&question.path)?)
        })
    }

    fn access_list<'a>(&'a self, _who: &'a Identity) -> Boxed<'a, Result<Vec<Rule>, Problem>> {
        Box::pin(async move {
            let list = self.ask_guard(|guard| Ok(guard.access_list())).await?;
            let rules = list.into_iter().flat_map(|access| {
                let (who, note) = (access.who, access.note);
                access.rights.into_iter().map(move |right| Rule {
                    who: who.clone(),
                    right,
                    from: note.clone(),
                })
            });
            Ok(rules.collect())
        })
    }

    fn audit_verify<'a>(&'a self, _who: &'a Identity) -> Boxed<'a, Result<AuditReport, Problem>> {
        Box::pin(async move {
            let report = self.ask_guard(|guard| guard.verify_audit()).await?;
            Ok(crate::command::audit::told(report))
        })
    }

    fn reload<'a>(&'a self, who: &'a Identity) -> Boxed<'a, Result<Reloaded, Problem>> {
        Box::pin(async move {
            let entry = |result, detail: String| AuditEntry {
                who: who.clone(),
                action: "configuration.apply",
                target: crate::config::PLANT_FILE.to_owned(),
                result,
                detail,
            };
            self.guard.audit(entry(AuditResult::Intended, String::new()))?.await?;
            let outcome = tokio::task::block_in_place(|| self.reread());
            let (result, detail) = match &outcome {
                Ok(done) => (AuditResult::Done, json!({ "changed": done.changed, "restart": done.restart })),
                Err(problem) => (AuditResult::Failed, json!({ "problem": problem.detail })),
            };
            self.guard.audit(entry(result, detail.to_string()))?.await?;
            outcome
        })
    }

    fn authority(&self) -> Option<String> {
        self.guard.tls().authority()
    }

    fn check<'a>(&'a self, _who: &'a Identity) -> Boxed<'a, Result<Vec<CheckFinding>, Problem>> {
        Box::pin(async move { Ok(tokio::task::block_in_place(|| self.findings())) })
    }

    fn backup<'a>(
        &'a self,
        who: &'a Identity,
        order: BackupOrder,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        Box::pin(async move {
            let since = order.since.map(|bytes| backup::since(&bytes)).transpose()?;
            self.backups.begin(who, since, order.rate_bytes_per_s).await
        })
    }

    fn health(&self) -> Vec<HealthWarning> {
        self.vitals.get().map(|vitals| vitals::told(vitals)).unwrap_or_default()
    }

    fn why<'a>(
        &'a self,
        who: &'a Identity,
        path: SignalPath,
        at: Option<i64>,
    ) -> Boxed<'a, Result<WhyAnswer, Problem>> {
        Box::pin(async move { self.explain(who, &path, at).await })
    }
}

fn facts_of(token: TokenInfo) -> TokenFacts {
    TokenFacts {
        name: token.name.to_string(),
        allow: token.allow.iter().map(ToString::to_string).collect(),
        created: rfc3339(token.created_ns),
        expires: token.expires_ns.map(rfc3339),
        last_used: token.last_used_ns.map(rfc3339),
        rotating: token.overlap_until_ns.is_some(),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> i64 {
    crate::command::now()
}
