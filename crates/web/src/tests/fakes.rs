//! Rooms made of paper: the traits of core over plain vectors, so that the doors are tested alone.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::*;
use tidemill_ground::{Metrics, SimClock};

use crate::admin::*;
use crate::{Connection, Doors, PlantFacts, Settings, Web};

/// The plant on paper.
pub(super) struct Plant {
    pub(super) state: Mutex<State>,
    pub(super) epoch: AtomicU64,
    pub(super) policy: AtomicU64,
    pub(super) ready: AtomicBool,
    pub(super) clock: Arc<SimClock>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) signals: Vec<Arc<Signal>>,
    pub(super) published: Vec<Arc<SampleBatch>>,
    pub(super) once: Vec<Option<(ProducerId, u64)>>,
    /// How often a name was asked for.
    pub(super) binds: u64,
    /// No more names than these.
    pub(super) signals_max: Option<usize>,
    /// Refuse so many publishes as busy.
    pub(super) busy: u32,
    /// No more batches than these, then it stops.
    pub(super) batches_max: Option<u32>,
    /// Refuse the next publishes with these.
    pub(super) refusing: Vec<&'static tidemill_core::Code>,
    /// These names are not there and cannot come now.
    pub(super) unresolved: Vec<(&'static str, &'static tidemill_core::Code)>,
    /// Answer so many publishes with a change of the epoch.
    pub(super) conflicts: u32,
    /// Once so many are published.
    pub(super) conflicts_after: usize,
    /// Commits fail.
    pub(super) not_durable: bool,
    /// Token → (name, rights as verb:pattern).
    pub(super) tokens: HashMap<String, (String, Vec<(Verb, Pattern)>)>,
    pub(super) zone: Option<(IpAddr, Vec<(Verb, Pattern)>)>,
    pub(super) audited: Vec<String>,
    pub(super) amended: Vec<(Amend, String)>,
    pub(super) feeds: Vec<(Vec<Pattern>, tokio::sync::mpsc::UnboundedSender<Delivery>)>,
    pub(super) queries: Vec<String>,
}

impl State {
    fn create(&mut self, who: &Identity, name: &NewName) -> SignalId {
        if let Some(signal) = self.signals.iter().find(|signal| signal.path == name.path && !signal.retired) {
            return signal.id;
        }
        let id = SignalId::new(self.signals.len() as u32 + 1).unwrap();
        self.signals.push(Arc::new(Signal {
            id,
            path: name.path.clone(),
            aliases: Vec::new(),
            meta: Meta::clone(&name.hint),
            creator: who.name.clone(),
            created: 0,
            retired: false,
        }));
        id
    }
}

pub(super) fn rights(all: &[&str]) -> Vec<(Verb, Pattern)> {
    let one = |text: &&str| {
        let (verb, pattern) = text.split_once(':').unwrap();
        (Verb::from_name(verb).unwrap(), Pattern::new(pattern).unwrap())
    };
    all.iter().map(one).collect()
}

impl Plant {
    pub(super) fn new() -> Arc<Plant> {
        let mut state = State::default();
        let everything = rights(&["read:#", "write:#", "configure:#", "administer:#"]);
        state.tokens.insert("all".into(), ("root".into(), everything));
        state.tokens.insert("press".into(), ("press".into(), rights(&["write:acme/#", "read:acme/#"])));
        Arc::new(Plant {
            state: Mutex::new(state),
            epoch: AtomicU64::new(1),
            policy: AtomicU64::new(1),
            ready: AtomicBool::new(true),
            clock: Arc::new(SimClock::default()),
        })
    }

    pub(super) fn web(self: &Arc<Plant>) -> Web {
        self.web_with(Settings::default())
    }

    pub(super) fn web_with(self: &Arc<Plant>, settings: Settings) -> Web {
        let plant = self.clone();
        Web::new(Doors {
            bus: self.clone(),
            history: self.clone(),
            authority: self.clone(),
            admin: self.clone(),
            metrics: Metrics::new(),
            clock: self.clock.clone(),
            plant: PlantFacts {
                name: "paper".into(),
                version: "0.0.0".into(),
                timezone: Some("Europe/Berlin".into()),
            },
            settings,
            ready: Arc::new(move || match plant.ready.load(Ordering::SeqCst) {
                true => Ok(()),
                false => Err(Problem::new(&codes::STOPPING, "it stops").retry_after(1)),
            }),
        })
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What was published, as a user would see it: one line a sample.
    pub(super) fn shown(&self) -> String {
        let state = self.state();
        let mut out = String::new();
        for batch in &state.published {
            for row in batch.rows() {
                let path = &state.signals[row.signal.index()].path;
                let at = row.time;
                let kind = row.value.kind().name();
                out += &format!("{path} = {} ({kind}) at {at} {}\n", row.value, row.quality);
            }
        }
        out
    }

    fn allowed(&self, who: &Identity, verb: Verb, wanted: impl Fn(&Pattern) -> bool) -> bool {
        if who.kind == IdentityKind::Owner {
            return true;
        }
        let state = self.state();
        let of_token = state.tokens.values().find(|(name, _)| *who.name == format!("token:{name}"));
        let of_zone =
            state.zone.as_ref().filter(|_| who.kind == IdentityKind::Zone).map(|(_, rights)| rights);
        let rights = of_token.map(|(_, rights)| rights).or(of_zone);
        rights.is_some_and(|rights| rights.iter().any(|(has, pattern)| *has == verb && wanted(pattern)))
    }

    /// Sends a parcel to live subscribers.
    pub(super) fn deliver(&self, seq: u64, batch: SampleBatch) {
        let state = self.state();
        for (patterns, feed) in &state.feeds {
            let meant = |row: &u32| {
                let id = batch.signal[*row as usize];
                let signal = &state.signals[id.index()];
                let mut names = std::iter::once(&signal.path).chain(&signal.aliases);
                names.any(|name| patterns.iter().any(|pattern| pattern.matches(name)))
            };
            let rows = (0..batch.len() as u32).filter(meant).collect();
            let parcel = Arc::new(Parcel::of_samples(batch.clone()));
            let _ = feed.send(Delivery::Data { seq: Seq(seq), parcel, rows: Rows::Some(rows) });
        }
    }
}

fn ready<T: Send + 'static>(value: T) -> Boxed<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Bus for Plant {
    fn bind(&self, who: &Identity, verb: Verb, path: &SignalPath, _: &Meta) -> Result<Grant, Problem> {
        if !self.allowed(who, verb, |pattern| pattern.matches(path)) {
            return Err(Problem::new(&codes::FORBIDDEN, format!("{} may not {verb} {path}", who.name)));
        }
        let state = self.state();
        let epoch = self.epoch.load(Ordering::SeqCst);
        if let Some(signal) = state.signals.iter().find(|signal| signal.path == *path && !signal.retired) {
            return Ok(Grant { id: signal.id, verb, epoch, number: signal.meta.number });
        }
        Err(Problem::new(&codes::NOT_FOUND, format!("there is no signal {path}")))
    }

    fn resolve(&self, who: &Identity, path: &SignalPath, new: usize) -> Result<Option<Grant>, Problem> {
        if !self.allowed(who, Verb::Write, |pattern| pattern.matches(path)) {
            return Err(Problem::new(&codes::FORBIDDEN, format!("{} may not write {path}", who.name)));
        }
        let mut state = self.state();
        state.binds += 1;
        if let Some((_, code)) = state.unresolved.iter().find(|(name, _)| *name == path.as_str()) {
            return Err(Problem::new(code, format!("{path} is new")).retry_after(3_600));
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        let known = state.signals.iter().find(|signal| signal.path == *path && !signal.retired);
        if known.is_none() && state.signals_max.is_some_and(|max| state.signals.len() + new >= max) {
            return Err(Problem::new(&codes::SIGNALS_LIMIT, format!("{path} would be one too many")));
        }
        Ok(known.map(|signal| Grant { id: signal.id, verb: Verb::Write, epoch, number: signal.meta.number }))
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn batch(&self, _: &Identity, flags: Flags) -> Result<BatchBuilder, Problem> {
        match &mut self.state().batches_max {
            Some(0) => return Err(Problem::new(&codes::STOPPING, "the plant stops")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(BatchBuilder::new(SourceId(1), flags))
    }

    fn publish(
        &self,
        who: &Identity,
        epoch: u64,
        publish: Publish,
        _: Durability,
    ) -> Result<Commit, Problem> {
        let mut state = self.state();
        if state.busy > 0 {
            state.busy -= 1;
            return Err(Problem::new(&codes::BUSY, "the disk is slow").retry_after(1));
        }
        if let Some(code) = state.refusing.pop() {
            return Err(Problem::new(code, "not now"));
        }
        if state.conflicts > 0 && state.published.len() >= state.conflicts_after {
            state.conflicts -= 1;
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
        if epoch != self.epoch.load(Ordering::SeqCst) {
            return Err(Problem::new(&codes::CONFLICT, "bind again"));
        }
        let repeated = publish.once.is_some() && state.once.contains(&publish.once);
        if !repeated {
            let mut builder = publish.samples.unwrap();
            let ids: Vec<_> = publish.names.iter().map(|name| state.create(who, name)).collect();
            assert!(builder.settle(&ids), "every new name is brought");
            let received = 1_000_000 * (state.published.len() as i64 + 1);
            state.published.push(Arc::new(builder.finish(received, Flags::default())));
            state.once.push(publish.once);
        }
        let group = CommitGroup::default();
        let refused = NotDurable::Disk("it is gone".into());
        group.resolve(if state.not_durable { Err(refused) } else { Ok(()) });
        Ok(group.waiter(Seq(state.published.len() as u64)))
    }

    fn subscribe(
        &self,
        scope: &ReadScope,
        patterns: &[Pattern],
        _: LagPolicy,
        from: Start,
    ) -> Result<Box<dyn Feed>, Problem> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let allowed = patterns.iter().filter(|pattern| {
            scope.is_everything() || pattern.as_path().is_some_and(|path| scope.allows(&path))
        });
        let mut state = self.state();
        state.feeds.push((allowed.cloned().collect(), sender));
        let durable = Seq(state.published.len() as u64);
        let place = match from {
            Start::Now => durable,
            Start::After(seq) => seq.min(durable),
        };
        Ok(Box::new(PaperFeed(receiver, place)))
    }

    fn last(&self, scope: &ReadScope, ids: &[SignalId], out: &mut Vec<LastValue>) {
        let state = self.state();
        for id in ids.iter().filter(|id| scope.allows(&state.signals[id.index()].path)) {
            let rows = state.published.iter().flat_map(|batch| batch.rows());
            if let Some(row) = rows.filter(|row| row.signal == *id).max_by_key(|row| row.time) {
                let (value, quality) = (row.value.to_value(), row.quality);
                out.push(LastValue {
                    id: *id,
                    time: row.time,
                    value,
                    quality,
                    received: 0,
                    source: SourceId(1),
                    ahead: false,
                });
            }
        }
    }

    fn describe(&self, scope: &ReadScope, pattern: &Pattern) -> Vec<Arc<Signal>> {
        let state = self.state();
        let meant = |signal: &&Arc<Signal>| {
            !signal.retired && pattern.matches(&signal.path) && scope.allows(&signal.path)
        };
        let mut found: Vec<_> = state.signals.iter().filter(meant).cloned().collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    fn signal(&self, id: SignalId) -> Option<Arc<Signal>> {
        self.state().signals.get(id.index()).cloned()
    }

    fn find(&self, path: &SignalPath) -> Option<Arc<Signal>> {
        let named = |signal: &&Arc<Signal>| signal.path == *path || signal.aliases.contains(path);
        self.state().signals.iter().find(named).cloned()
    }

    fn source(&self, _: SourceId) -> Arc<str> {
        "token:press".into()
    }

    fn edit(&self, _: &Identity, grant: &Grant, edit: MetaEdit) -> Result<Commit, Problem> {
        let mut state = self.state();
        let mut signal = Signal::clone(&state.signals[grant.id.index()]);
        signal.meta.unit = edit.unit.unwrap_or(signal.meta.unit);
        signal.meta.unit_ucum = edit.unit_ucum.unwrap_or_default();
        signal.meta.owner = edit.owner.unwrap_or(signal.meta.owner);
        signal.meta.description = edit.description.unwrap_or(signal.meta.description);
        signal.meta.stale_after_ns = edit.stale_after_ns.unwrap_or(signal.meta.stale_after_ns);
        signal.meta.number = edit.number.unwrap_or(signal.meta.number);
        signal.meta.stepped = edit.stepped.unwrap_or(signal.meta.stepped);
        signal.meta.tags.extend(edit.tags);
        signal.meta.tags.retain(|_, value| !value.is_empty());
        if let Some(new) = edit.rename {
            signal.aliases.push(std::mem::replace(&mut signal.path, new));
        }
        signal.retired |= edit.retire.is_some();
        state.signals[grant.id.index()] = Arc::new(signal);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        Ok(Commit::ready(Seq(1)))
    }

    fn command<'a>(&'a self, _: &Grant, _: Command) -> Boxed<'a, Result<ReadBack, Problem>> {
        ready(Err(Problem::new(&codes::NOT_FOUND, "no machine is behind it")))
    }
}

struct PaperFeed(tokio::sync::mpsc::UnboundedReceiver<Delivery>, Seq);

impl Feed for PaperFeed {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        Box::pin(async { self.0.recv().await.unwrap_or(Delivery::Closed) })
    }

    fn place(&self) -> Seq {
        self.1
    }
}

struct PaperBatches(Vec<Arc<SampleBatch>>);

impl Batches for PaperBatches {
    fn next(&mut self) -> Boxed<'_, Option<Result<SampleBatch, Problem>>> {
        ready((!self.0.is_empty()).then(|| Ok(SampleBatch::clone(&self.0.remove(0)))))
    }
}

struct PaperChunks(Vec<Result<Bytes, Problem>>);

impl Chunks for PaperChunks {
    fn next(&mut self) -> Boxed<'_, Option<Result<Bytes, Problem>>> {
        ready((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

impl History for Plant {
    fn applied(&self) -> Seq {
        Seq(0)
    }

    fn read<'a>(
        &'a self,
        scope: &ReadScope,
        query: ReadQuery,
        _: Budget,
    ) -> Boxed<'a, Result<Box<dyn Batches>, Problem>> {
        let mut state = self.state();
        state.queries.push(format!("{query:?}"));
        let mut batches = Vec::new();
        for batch in &state.published {
            let mut builder = BatchBuilder::new(batch.source, batch.flags);
            for row in batch.rows() {
                let path = &state.signals[row.signal.index()].path;
                let meant = query.patterns.iter().any(|pattern| pattern.matches(path));
                if meant && scope.allows(path) && (query.from..query.to).contains(&row.time) {
                    builder.push(row.signal, Stamp::At(row.time), row.value, row.quality).unwrap();
                }
            }
            batches.push(Arc::new(builder.finish(0, Flags::default())));
        }
        ready(Ok(Box::new(PaperBatches(batches)) as Box<dyn Batches>))
    }

    fn export<'a>(
        &'a self,
        _: &ReadScope,
        _: ReadQuery,
        format: Format,
        _: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        let bytes = Bytes::from(format!("{format:?}"));
        ready(Ok(Box::new(PaperChunks(vec![Ok(bytes)])) as Box<dyn Chunks>))
    }

    fn sql<'a>(
        &'a self,
        scope: &ReadScope,
        query: SqlQuery,
        format: Format,
        _: Budget,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        if query.text == "panic" {
            panic!("as asked");
        }
        let tables = scope.allows_tables();
        let text = format!("{} {:?} {format:?} {tables}", query.text, query.parameters);
        let chunks = match query.text.as_str() {
            "slow" => vec![Err(Problem::new(&codes::QUERY_TIME, "it took too long"))],
            "breaks" => {
                vec![Ok(Bytes::from("begin")), Err(Problem::new(&codes::DAMAGED, "a file is damaged"))]
            }
            "long" => vec![Ok(Bytes::from("x".repeat(100_000))), Ok(Bytes::from("y".repeat(100_000)))],
            _ => vec![Ok(Bytes::from(text))],
        };
        ready(Ok(Box::new(PaperChunks(chunks)) as Box<dyn Chunks>))
    }

    /// Columns on paper: after the word, a sample a line as `signal time text`; before it says what it takes.
    fn measure(&self, format: Format, body: &Bytes) -> Result<ColumnMeasure, Problem> {
        let text = std::str::from_utf8(body).ok().and_then(|text| text.strip_prefix("columns "));
        let (unpacked, lines) = text
            .and_then(|text| text.split_once('\n'))
            .ok_or_else(|| Problem::new(&codes::BAD_ARROW, format!("this is no {}", format.name())))?;
        let (rows, unpacked_bytes) = (lines.lines().count() as u64, unpacked.parse().unwrap());
        Ok(ColumnMeasure { rows, unpacked_bytes })
    }

    fn decode(&self, format: Format, body: Bytes, sink: &mut dyn SampleSink) -> Result<(), Problem> {
        self.measure(format, &body)?;
        let text = std::str::from_utf8(&body).unwrap();
        for (row, line) in text.lines().skip(1).enumerate() {
            let [signal, time, text] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (time, value) = (time.parse().ok(), ValueRef::Text(text));
            let sample = ColumnSample { signal, time, value, quality: Quality::GOOD };
            sink.sample(&sample).map_err(|(column, problem)| {
                let names = ["signal", "time", "value"];
                let place = names.iter().position(|name| *name == column).unwrap();
                problem.at(row as u64 + 1, place as u64 + 1)
            })?;
        }
        Ok(())
    }

    fn amend<'a>(
        &'a self,
        who: &Identity,
        grants: &[Grant],
        amend: Amend,
        reason: &str,
    ) -> Boxed<'a, Result<Amended, Problem>> {
        for grant in grants.iter().filter(|_| amend == Amend::Retire) {
            let _ = self.edit(who, grant, MetaEdit { retire: Some(reason.into()), ..MetaEdit::default() });
        }
        self.state().amended.push((amend, reason.to_owned()));
        ready(Ok(Amended { seq: Seq(1), samples: Some(7) }))
    }

    fn table(&self, _: &'static TableSpec, _: Option<Arc<dyn Facts>>) {}
}

impl Authority for Plant {
    fn identify<'a>(&'a self, credential: Credential, peer: Peer) -> Boxed<'a, Result<Identity, Problem>> {
        let unknown = || Problem::new(&codes::UNAUTHENTICATED, "the token is not known");
        let state = self.state();
        let found = match credential {
            Credential::Token(token) => match state.tokens.get(&token) {
                Some((name, _)) => Ok((format!("token:{name}"), IdentityKind::Token)),
                None => Err(unknown()),
            },
            Credential::SystemUser { name, .. } => Ok((format!("owner:{name}"), IdentityKind::Owner)),
            Credential::None => match &state.zone {
                Some((address, _)) if peer.address == Some(*address) => {
                    Ok(("zone:farm".to_owned(), IdentityKind::Zone))
                }
                _ => Err(unknown()),
            },
        };
        ready(found.map(|(name, kind)| Identity { name: name.into(), kind, peer }))
    }

    fn epoch(&self) -> u64 {
        self.policy.load(Ordering::SeqCst)
    }

    fn decide(&self, who: &Identity, verb: Verb, path: &SignalPath) -> Decision {
        let allowed = self.allowed(who, verb, |pattern| pattern.matches(path));
        Decision { allowed, rule: "paper".to_owned() }
    }

    fn decide_all(&self, who: &Identity, verb: Verb, wanted: &Pattern) -> Decision {
        let allowed = self.allowed(who, verb, |pattern| pattern.covers(wanted));
        Decision { allowed, rule: "paper".to_owned() }
    }

    fn scope(&self, who: &Identity) -> ReadScope {
        if who.kind == IdentityKind::Owner {
            return ReadScope::everything();
        }
        let state = self.state();
        let of_token = state.tokens.values().find(|(name, _)| *who.name == format!("token:{name}"));
        let rights = of_token.map(|(_, rights)| rights.clone()).unwrap_or_default();
        let readable: Vec<Pattern> =
            rights.into_iter().filter(|(verb, _)| *verb == Verb::Read).map(|(_, pattern)| pattern).collect();
        // Equal keys mean equal scopes: whatever the policy changes, this may be another.
        ReadScope::of(&readable, self.policy.load(Ordering::SeqCst), false)
    }

    fn audit(&self, entry: AuditEntry) -> Result<Commit, Problem> {
        let line = format!("{} {} {} {}", entry.who.name, entry.action, entry.target, entry.result.name());
        self.state().audited.push(line);
        Ok(Commit::ready(Seq(1)))
    }
}

impl Admin for Plant {
    fn token_create<'a>(
        &'a self,
        _: &'a Identity,
        order: TokenOrder,
    ) -> Boxed<'a, Result<TokenSecret, Problem>> {
        ready(Ok(TokenSecret { name: order.name, token: "new".to_owned(), expires: None }))
    }

    fn tokens<'a>(&'a self, _: &'a Identity) -> Boxed<'a, Result<Vec<TokenFacts>, Problem>> {
        ready(Ok(Vec::new()))
    }

    fn token_revoke<'a>(&'a self, _: &'a Identity, name: &'a str) -> Boxed<'a, Result<(), Problem>> {
        self.state().tokens.retain(|_, (known, _)| known != name);
        self.policy.fetch_add(1, Ordering::SeqCst);
        ready(Ok(()))
    }

    fn token_rotate<'a>(
        &'a self,
        _: &'a Identity,
        name: &'a str,
        overlap: Duration,
    ) -> Boxed<'a, Result<TokenSecret, Problem>> {
        let token = format!("next after {} s", overlap.as_secs());
        ready(Ok(TokenSecret { name: name.to_owned(), token, expires: None }))
    }

    fn authority(&self) -> Option<String> {
        None
    }

    fn check<'a>(&'a self, _: &'a Identity) -> Boxed<'a, Result<Vec<CheckFinding>, Problem>> {
        ready(Ok(Vec::new()))
    }

    fn access_why<'a>(
        &'a self,
        _: &'a Identity,
        question: AccessQuestion,
    ) -> Boxed<'a, Result<AccessAnswer, Problem>> {
        ready(Ok(AccessAnswer { allowed: true, rule: format!("{question:?}"), name_now: None }))
    }

    fn access_list<'a>(&'a self, _: &'a Identity) -> Boxed<'a, Result<Vec<Rule>, Problem>> {
        ready(Ok(Vec::new()))
    }

    fn audit_verify<'a>(&'a self, _: &'a Identity) -> Boxed<'a, Result<AuditReport, Problem>> {
        ready(Ok(AuditReport {
            intact: true,
            entries: 3,
            last: 3,
            hash: "00".repeat(32),
            problems: Vec::new(),
        }))
    }

    fn reload<'a>(&'a self, _: &'a Identity) -> Boxed<'a, Result<Reloaded, Problem>> {
        ready(Ok(Reloaded { changed: false, notes: Vec::new(), restart: Vec::new() }))
    }

    fn backup<'a>(
        &'a self,
        _: &'a Identity,
        order: BackupOrder,
    ) -> Boxed<'a, Result<Box<dyn Chunks>, Problem>> {
        let told = format!("a backup since {:?} at {:?}", order.since, order.rate_bytes_per_s);
        ready(Ok(Box::new(PaperChunks(vec![Ok(told.into())])) as Box<dyn Chunks>))
    }

    fn why<'a>(
        &'a self,
        _: &'a Identity,
        path: SignalPath,
        _: Option<i64>,
    ) -> Boxed<'a, Result<WhyAnswer, Problem>> {
        ready(Ok(WhyAnswer { signal: path.to_string(), facts: Vec::new() }))
    }
}

/// A connection from this address to a listener on this one.
pub(super) fn from(peer: &str, local: &str) -> Connection {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Connection::Network { peer: address(peer), local: address(local) }
}
