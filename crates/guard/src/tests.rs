//! The guard as doors use it: over a simulated disk and clock, with a journal that remembers what it was given.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidemill_core::*;
use tidemill_ground::sim::Operation;
use tidemill_ground::{Ground, Simulation, Stop};

use crate::*;

mod files;
mod zones;

const DATA: &str = "/plant/data";

/// A journal that keeps records in memory, each a parcel, and can be told to be busy.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) records: Mutex<Vec<Record>>,
    pub(crate) cursor: Mutex<Option<(Seq, Bytes)>>,
    pub(crate) busy: AtomicBool,
}

impl stub::JournalStub for Memory {
    fn append(&self, parcel: Arc<Parcel>, durability: Durability) -> Result<Commit, Busy> {
        assert_eq!(durability, Durability::Commit);
        if self.busy.load(Ordering::SeqCst) {
            return Err(Busy::Stopping);
        }
        let mut records = self.records.lock().unwrap();
        records.extend(parcel.records.iter().cloned());
        Ok(Commit::ready(Seq(records.len() as u64)))
    }
    fn durable(&self) -> Seq {
        Seq(self.records.lock().unwrap().len() as u64)
    }
    fn follow(&self, _: CursorId, from: Option<Seq>) -> Box<dyn Feed> {
        let from = from.unwrap_or_default().0;
        Box::new(Following(self.records.lock().unwrap().clone().split_off(from as usize), from))
    }
    fn advance(&self, _: CursorId, upto: Seq, note: Bytes) -> Commit {
        *self.cursor.lock().unwrap() = Some((upto, note));
        Commit::ready(upto)
    }
    fn cursor(&self, _: CursorId) -> Option<(Seq, Bytes)> {
        self.cursor.lock().unwrap().clone()
    }
}

struct Following(Vec<Record>, u64);

impl Feed for Following {
    fn next(&mut self) -> Boxed<'_, Delivery> {
        if self.0.is_empty() {
            return Box::pin(std::future::pending());
        }
        self.1 += 1;
        let parcel = Parcel { records: vec![self.0.remove(0)], ..Parcel::default() };
        let delivery = Delivery::Data { seq: Seq(self.1), parcel: Arc::new(parcel), rows: Rows::All };
        Box::pin(std::future::ready(delivery))
    }
}

struct Plant {
    ground: Ground,
    simulation: Simulation,
    journal: Arc<Memory>,
    guard: Arc<Guard>,
}

fn plant(settings: Settings) -> Plant {
    let (ground, simulation) = Ground::simulated(7);
    let journal = Arc::new(Memory::default());
    let guard = Guard::open(&ground, Path::new(DATA), journal.clone(), settings).unwrap();
    Plant { ground, simulation, journal, guard }
}

impl Plant {
    /// The same plant after a stop and a start.
    fn restart(self) -> Plant {
        let settings = Settings::clone(&self.guard.policy.load().settings);
        assert!(self.ground.tasks.shutdown(Duration::from_secs(60)).is_clean());
        drop(self.guard);
        let ground = self.simulation.ground(8);
        let guard = Guard::open(&ground, Path::new(DATA), self.journal.clone(), settings).unwrap();
        Plant { ground, guard, ..self }
    }

    fn identify(&self, credential: Credential, peer: Peer) -> Result<Identity, Problem> {
        let mut future = self.guard.identify(credential, peer);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => panic!("identify waits for nothing"),
        }
    }

    fn show(&self, secret: &str, address: &str) -> Result<Identity, Problem> {
        self.identify(Credential::Token(secret.to_owned()), from(address))
    }

    fn actions(&self) -> Vec<String> {
        // Everything before a change that waited for its entry is a row by then.
        let rows = self.journal.records.lock().unwrap();
        rows.iter()
            .map(|record| {
                let row: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                format!("{} {} {} {}", text("who"), text("action"), text("target"), text("result"))
            })
            .collect()
    }
}

fn from(address: &str) -> Peer {
    Peer { door: "http", address: Some(address.parse().unwrap()) }
}

fn owner() -> Identity {
    Identity {
        name: "owner:anna".into(),
        kind: IdentityKind::Owner,
        peer: Peer { door: "control", address: None },
    }
}

fn rights(texts: &[&str]) -> Vec<Right> {
    texts.iter().map(|text| Right::parse(text).unwrap()).collect()
}

fn path(text: &str) -> SignalPath {
    SignalPath::new(text).unwrap()
}

fn farm() -> Settings {
    let zone = |name: &str, cidr: &[&str], anonymous: &[&str]| Zone {
        name: name.to_owned(),
        cidr: cidr.iter().map(|text| text.parse().unwrap()).collect(),
        plain: true,
        anonymous: rights(anonymous),
    };
    Settings {
        zones: vec![
            zone("farm", &["192.168.0.0/16", "fd00::/8"], &["write:farm/sensors/#"]),
            zone("barn", &["192.168.7.0/24"], &["write:barn/#", "read:barn/#"]),
            zone("office", &["192.168.9.0/24"], &[]),
        ],
        trusted_proxies: vec!["127.0.0.1".parse().unwrap(), "10.9.0.0/16".parse().unwrap()],
        tls: crate::tls::Settings::default(),
        owner_uid: Some(1000),
        limits: Limits::default(),
    }
}

#[test]
fn a_token_is_shown_once_works_and_is_on_record() {
    let plant = plant(Settings::default());
    let secret = plant.guard.create(&owner(), "press-line", rights(&["write:acme/#"]), None).unwrap();
    assert_eq!(check_token(secret.reveal()), Ok(()));
    let who = plant.show(secret.reveal(), "10.0.0.5").unwrap();
    assert_eq!((&*who.name, who.kind), ("token:press-line", IdentityKind::Token));
    assert!(plant.guard.decide(&who, Verb::Write, &path("acme/x")).allowed);
    assert!(!plant.guard.decide(&who, Verb::Read, &path("acme/x")).allowed);
    assert_eq!(
        plant.actions(),
        [
            "owner:anna token.create token:press-line intended",
            "owner:anna token.create token:press-line done",
        ]
    );
    let [token] = plant.guard.list(&owner()).try_into().unwrap();
    assert_eq!((&*token.name, token.last_address), ("press-line", from("10.0.0.5").address));
    let report = plant.guard.verify_audit().unwrap();
    assert!(report.is_sound() && report.entries == 2);
    // The row says which line of the chain it is.
    let rows = plant.journal.records.lock().unwrap();
    assert_eq!((rows[1].stream, &*rows[1].key), (StreamId::AUDIT, &2_u64.to_be_bytes()[..]));
    let row: serde_json::Value = serde_json::from_slice(&rows[1].value).unwrap();
    assert_eq!(row["hash"], report.hash);
    for column in AUDIT_TABLE.columns {
        assert!(row.get(column.name).is_some(), "{}", column.name);
    }
}

#[test]
fn the_data_folder_holds_no_secret_and_no_message_shows_one() {
    let plant = plant(farm());
    let first = plant.guard.create(&owner(), "one", rights(&["read:#"]), None).unwrap();
    let second = plant.guard.rotate(&owner(), "one", Duration::from_secs(60)).unwrap();
    plant.show(first.reveal(), "10.0.0.5").unwrap();
    let mut wrong = first.reveal().to_owned();
    wrong.replace_range(10..11, if wrong.as_bytes()[10] == b'x' { "y" } else { "x" });
    // A secret in every wrong place: as its neighbour, its name, a right, a zone.
    let mut said = vec![
        plant.show(&wrong, "10.0.0.5").unwrap_err().to_string(),
        plant.show(&format!("{}0", second.reveal()), "10.0.0.5").unwrap_err().to_string(),
        plant.guard.create(&owner(), second.reveal(), rights(&["read:#"]), None).unwrap_err().to_string(),
        plant.guard.revoke(&owner(), first.reveal()).unwrap_err().to_string(),
        plant.guard.why(first.reveal(), Verb::Read, &path("a")).unwrap_err().to_string(),
        Right::parse(second.reveal()).unwrap_err().to_string(),
        Right::parse(&format!("read:{}/#/x", second.reveal())).unwrap_err().to_string(),
        second.reveal().parse::<Cidr>().unwrap_err().to_string(),
        format!("{:?} {:?}", first, plant.guard.list(&owner())),
        format!("{:?}", plant.guard.access_list()),
    ];
    said.extend(plant.guard.facts().iter().map(|(_, facts)| format!("{:?}", facts.rows())));
    said.extend(plant.actions());
    let simulation = plant.simulation.clone();
    assert!(plant.ground.tasks.shutdown(Duration::from_secs(60)).is_clean());
    let disk = &simulation.disk as &dyn tidemill_ground::Disk;
    let mut files = 0;
    for dir in [DATA.to_owned(), format!("{DATA}/audit")] {
        for entry in disk.list(Path::new(&dir)).unwrap().into_iter().filter(|entry| !entry.is_dir) {
            let bytes = tidemill_ground::read(disk, &Path::new(&dir).join(&entry.name)).unwrap();
            said.push(String::from_utf8_lossy(&bytes).into_owned());
            files += 1;
        }
    }
    assert!(files >= 3, "tokens, audit and its mark");
    for secret in [first.reveal(), second.reveal(), &wrong] {
        for text in &said {
            // Not even half of one.
            assert!(!text.contains(&secret[3..17]) && !text.contains(&secret[17..]), "{text}");
        }
    }
}

#[test]
fn one_message_for_every_refusal() {
    let plant = plant(farm());
    let secret = plant.guard.create(&owner(), "old", rights(&["read:a"]), Some(i64::MAX)).unwrap();
    let expiring = plant
        .guard
        .create(&owner(), "soon", rights(&["read:a"]), Some(plant.guard.clock.wall() + 5))
        .unwrap();
    plant.guard.revoke(&owner(), "old").unwrap();
    plant.simulation.clock.advance(Duration::from_secs(1));
    let stranger = crate::token::generate(&tidemill_ground::SeededEntropy::new(99));
    let user = |uid| Credential::SystemUser { uid, name: "otto".to_owned() };
    let refused = [
        plant.show("", "10.0.0.1"),
        plant.show("admin", "10.0.0.2"),
        plant.show(&stranger.reveal().replace("tm_", "tm_0"), "10.0.0.3"),
        plant.show(stranger.reveal(), "10.0.0.4"),
        plant.show(secret.reveal(), "10.0.0.5"),
        plant.show(expiring.reveal(), "10.0.0.6"),
        plant.identify(user(1001), Peer { door: "control", address: None }),
        plant.identify(Credential::None, from("10.0.0.7")),
        plant.identify(Credential::None, Peer { door: "control", address: None }),
        plant.identify(Credential::None, from("192.168.9.1")),
    ];
    let problems: Vec<Problem> = refused.into_iter().map(Result::unwrap_err).collect();
    assert_eq!(problems[0].code, &codes::UNAUTHENTICATED);
    problems.iter().for_each(|problem| assert_eq!(problem, &problems[0]));
}

#[test]
fn a_token_gives_only_what_it_has() {
    let plant = plant(farm());
    let secret = plant
        .guard
        .create(&owner(), "chief", rights(&["administer:line-3/#", "read:line-3/#", "write:#"]), None)
        .unwrap();
    let chief = plant.show(secret.reveal(), "10.0.0.1").unwrap();
    let create = |who: &Identity, name: &str, allow: &[&str]| {
        plant.guard.create(who, name, rights(allow), None).map(|_| ())
    };
    create(&chief, "reader", &["read:line-3/press/#", "administer:line-3/press"]).unwrap();
    assert!(matches!(create(&chief, "a", &["read:line-3/x", "read:line-4/x"]), Err(Error::Beyond { .. })));
    assert!(matches!(create(&chief, "a", &["command:line-3/x"]), Err(Error::Beyond { .. })));
    assert!(
        matches!(create(&chief, "a", &["write:line-4/x"]), Err(Error::Beyond { .. })),
        "its own right, but not to give"
    );
    assert!(matches!(create(&chief, "a", &["read:#"]), Err(Error::Beyond { .. })));
    let farmer = plant.identify(Credential::None, from("192.168.1.1")).unwrap();
    assert!(matches!(create(&farmer, "a", &["write:farm/sensors/x"]), Err(Error::NotAllowed(_))));
    // It sees and ends what it could have given, and is not told of the rest.
    create(&owner(), "other", &["read:line-4/#"]).unwrap();
    let seen: Vec<String> =
        plant.guard.list(&chief).into_iter().map(|token| token.name.to_string()).collect();
    assert_eq!(seen, ["reader"]);
    assert!(matches!(plant.guard.revoke(&chief, "other"), Err(Error::NoToken(_))));
    assert!(matches!(plant.guard.rotate(&chief, "chief", Duration::ZERO), Err(Error::NoToken(_))));
    plant.guard.revoke(&chief, "reader").unwrap();
    let refused = plant.actions().iter().filter(|action| action.ends_with("refused")).count();
    assert!(refused >= 4, "{:?}", plant.actions());
}

#[test]
fn what_cannot_be_made_is_said() {
    let plant =
        plant(Settings { limits: Limits { tokens_max: 2, ..Limits::default() }, ..Settings::default() });
    let create =
        |name: &str, allow: &[&str], expires| plant.guard.create(&owner(), name, rights(allow), expires);
    create("one", &["read:#"], None).unwrap();
    let mut text = String::new();
    let mut said = |outcome: Result<Secret, Error>| {
        let problem = Problem::from(outcome.unwrap_err());
        text += &format!("{problem}\n");
    };
    said(create("one", &["read:#"], None));
    said(create("a b", &["read:#"], None));
    said(create("", &["read:#"], None));
    said(create("x", &[], None));
    said(create("x", &["write:tidemill/#"], None));
    said(create("x", &["read:#"], Some(0)));
    said(create("x", &["read:a"; 257], None));
    create("two", &["read:#"], None).unwrap();
    said(create("three", &["read:#"], None));
    said(plant.guard.rotate(&owner(), "nobody", Duration::ZERO));
    expect_test::expect![[r#"
        exists: there is already a token 'one'. choose another name, or `tidemill token rotate one` for a new secret
        bad-parameter: 'a b' cannot be a token's name. use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit
        bad-parameter: '' cannot be a token's name. use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit
        bad-parameter: token 'x' would have no rights. give it some, e.g. --allow 'write:line-3/#'
        bad-parameter: the right 'write:tidemill/#' is never given. tidemill/# is written by the house alone
        bad-parameter: token 'x' would expire at once. give a time in the future, e.g. --expires 90d
        bad-parameter: at most 256 rights of one token are allowed. remove what is not needed
        bad-parameter: at most 2 tokens are allowed. remove what is not needed
        not-found: there is no token 'nobody'. `tidemill token list` shows those there are
    "#]].assert_eq(&text);
}

#[test]
fn rotation_overlaps_for_the_time_stated_and_no_more_than_two_are_valid() {
    let plant = plant(Settings::default());
    let first = plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    let second = plant.guard.rotate(&owner(), "t", Duration::from_secs(3600)).unwrap();
    let valid = |secret: &Secret| plant.show(secret.reveal(), "10.0.0.1").is_ok();
    assert!(valid(&first) && valid(&second));
    assert!(plant.guard.list(&owner())[0].overlap_until_ns.is_some());
    let third = plant.guard.rotate(&owner(), "t", Duration::from_secs(3600)).unwrap();
    assert!(!valid(&first) && valid(&second) && valid(&third));
    plant.simulation.clock.advance(Duration::from_secs(3600));
    assert!(!valid(&second) && valid(&third));
    let fourth = plant.guard.rotate(&owner(), "t", Duration::ZERO).unwrap();
    assert!(!valid(&third) && valid(&fourth));
    let plant = plant.restart();
    assert!(
        plant.show(fourth.reveal(), "10.0.0.1").is_ok() && plant.show(third.reveal(), "10.0.0.1").is_err()
    );
}

#[test]
fn an_epoch_ends_with_each_change_and_with_each_expiry() {
    let plant = plant(Settings::default());
    let mut before = plant.guard.epoch();
    let mut grew = |what: &str| {
        let after = plant.guard.epoch();
        assert_eq!(after, before + 1, "{what}");
        before = after;
    };
    let expires = plant.guard.clock.wall() + 1_000_000_000;
    let secret = plant.guard.create(&owner(), "t", rights(&["read:#"]), Some(expires)).unwrap();
    grew("create");
    let who = plant.show(secret.reveal(), "10.0.0.1").unwrap();
    plant.guard.update(farm()).unwrap();
    grew("update");
    assert!(plant.guard.scope(&who).is_everything());
    plant.simulation.clock.advance(Duration::from_secs(1));
    grew("expiry");
    assert!(!plant.guard.decide(&who, Verb::Read, &path("a")).allowed);
    assert!(!plant.guard.scope(&who).allows(&path("a")));
    plant.guard.revoke(&owner(), "t").unwrap();
    grew("revoke");
    plant.guard.create(&owner(), "u", rights(&["read:#"]), None).unwrap();
    grew("create");
    plant.guard.rotate(&owner(), "u", Duration::from_secs(60)).unwrap();
    grew("rotate");
    plant.simulation.clock.advance(Duration::from_secs(60));
    grew("the secret before it ends");
    let mut bad = farm();
    bad.zones[0].cidr.clear();
    assert!(matches!(plant.guard.update(bad), Err(Error::Settings(_))));
    assert_eq!(plant.guard.epoch(), before);
}

/// What is on its way goes on while the same may be read, whatever else changes.
#[test]
fn a_scope_is_another_when_something_else_may_be_read() {
    let plant = plant(farm());
    let who = plant.identify(Credential::None, from("192.168.1.1")).unwrap();
    let mut key = plant.guard.scope(&who).key();
    for (anonymous, same) in [
        (&["read:farm/#", "write:farm/#"][..], false),
        (&["write:farm/gate", "read:farm/#"], true),
        (&["read:farm/sensors/#"], false),
        (&[], false),
    ] {
        let mut settings = farm();
        settings.zones[0].anonymous = rights(anonymous);
        plant.guard.update(settings).unwrap();
        let now = plant.guard.scope(&who).key();
        assert_eq!(now == key, same, "{anonymous:?}");
        key = now;
    }
}

#[test]
fn tokens_and_their_last_use_survive_a_restart() {
    let plant = plant(farm());
    let secret = plant.guard.create(&owner(), "t", rights(&["read:a/#"]), None).unwrap();
    plant.simulation.clock.advance(Duration::from_secs(10));
    plant.show(secret.reveal(), "10.0.0.5").unwrap();
    let used = plant.guard.clock.wall();
    let plant = plant.restart();
    let [token] = plant.guard.list(&owner()).try_into().unwrap();
    assert_eq!((token.last_used_ns, token.last_address), (Some(used), from("10.0.0.5").address));
    assert!(plant.show(secret.reveal(), "10.0.0.5").is_ok());
    let report = plant.guard.verify_audit().unwrap();
    assert!(report.is_sound() && report.entries >= 3, "{report:?}");
}

/// Waits for what another thread is about to do.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let nobody = Stop::default();
    assert!((0..2000).any(|_| done() || nobody.wait(Duration::from_millis(5))), "{what}");
}

#[test]
fn without_an_audit_nothing_is_changed_and_data_goes_on() {
    let plant = plant(farm());
    let secret = plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    let epoch = plant.guard.epoch();
    plant.simulation.disk.set_read_only(true);
    let refused = plant.guard.create(&owner(), "u", rights(&["read:#"]), None).unwrap_err();
    assert_eq!(Problem::from(refused).code, &codes::AUDIT_UNWRITABLE);
    let refused = plant.guard.revoke(&owner(), "t").unwrap_err();
    assert_eq!(Problem::from(refused).code, &codes::AUDIT_UNWRITABLE);
    assert!(plant.guard.audit_failure().is_some());
    assert!(plant.guard.update(Settings::default()).is_err());
    let entry = AuditEntry {
        who: owner(),
        action: "signal.delete",
        target: "a".into(),
        result: AuditResult::Intended,
        detail: String::new(),
    };
    assert!(plant.guard.audit(entry).is_err());
    // Nothing changed, and who may read still may.
    assert_eq!(plant.guard.epoch(), epoch);
    let who = plant.show(secret.reveal(), "10.0.0.1").unwrap();
    assert!(plant.guard.decide(&who, Verb::Read, &path("a")).allowed);
    plant.simulation.disk.set_read_only(false);
    plant.simulation.clock.advance(Duration::from_secs(2));
    plant.guard.create(&owner(), "u", rights(&["read:#"]), None).unwrap();
    assert!(plant.guard.audit_failure().is_none());
    assert!(plant.guard.verify_audit().unwrap().is_sound());
}

#[test]
fn a_disk_that_is_ill_at_the_start_is_tried_again() {
    let (ground, simulation) = Ground::simulated(1);
    tidemill_ground::create_dirs(&simulation.disk, Path::new(DATA)).unwrap();
    simulation.disk.set_read_only(true);
    let guard =
        Guard::open(&ground, Path::new(DATA), Arc::new(Memory::default()), Settings::default()).unwrap();
    let refused = guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap_err();
    assert_eq!(Problem::from(refused).code, &codes::AUDIT_UNWRITABLE);
    simulation.disk.set_read_only(false);
    eventually("the audit log heals", || {
        simulation.clock.advance(Duration::from_secs(1));
        guard.tidy();
        guard.audit_failure().is_none()
    });
    guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    assert!(guard.verify_audit().unwrap().is_sound());
}

#[test]
fn tokens_that_cannot_be_saved_are_not_in_force() {
    let plant = plant(Settings::default());
    plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    plant.simulation.disk.fail_next(Operation::Rename, std::io::ErrorKind::Other);
    assert!(matches!(plant.guard.revoke(&owner(), "t"), Err(Error::Disk { .. })));
    assert_eq!(plant.guard.list(&owner()).len(), 1);
    assert_eq!(plant.actions().last().unwrap(), "owner:anna token.revoke token:t failed");
}

#[test]
fn a_flood_of_wrong_tokens_is_slowed_summed_up_and_hurts_nobody_else() {
    let plant = plant(farm());
    let secret = plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    let before = plant.guard.verify_audit().unwrap().entries;
    let waits: Vec<u32> = (0..1000)
        .map(|_| plant.show("tm_wrong", "10.6.6.6").unwrap_err().retry_after_s.unwrap_or(0))
        .collect();
    assert_eq!((waits[0], waits[999]), (0, 60));
    // The right one is taken at once, from the same address as from another.
    assert!(
        plant.show(secret.reveal(), "10.6.6.6").is_ok() && plant.show(secret.reveal(), "10.0.0.1").is_ok()
    );
    assert_eq!(plant.show("tm_wrong", "10.0.0.2").unwrap_err().retry_after_s, None);
    plant.simulation.clock.advance(Duration::from_secs(61));
    plant.guard.tidy();
    plant.guard.revoke(&owner(), "t").unwrap();
    let actions = plant.actions();
    let refused = actions.iter().filter(|action| action.contains("access.refused")).count();
    assert_eq!(refused, 5 + 1 + 1, "five singly, one of the other address, one sum");
    assert_eq!(plant.guard.verify_audit().unwrap().entries, before + 7 + 2);
    let rows = plant.journal.records.lock().unwrap();
    assert!(rows.iter().any(|row| String::from_utf8_lossy(&row.value).contains("\\\"more\\\":995")));
}

#[test]
fn refusals_that_doors_tell_are_summed_up_as_well() {
    let plant = plant(farm());
    let who = plant.identify(Credential::None, from("192.168.1.1")).unwrap();
    for _ in 0..500 {
        let entry = AuditEntry {
            who: who.clone(),
            action: "access.refused",
            target: "farm/gate".into(),
            result: AuditResult::Refused,
            detail: String::new(),
        };
        plant.guard.audit(entry).map(drop).unwrap();
    }
    plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    assert_eq!(plant.actions().iter().filter(|action| action.contains("refused")).count(), 5);
}

#[test]
fn rows_wait_for_a_busy_journal() {
    let plant = plant(Settings::default());
    plant.journal.busy.store(true, Ordering::SeqCst);
    plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    assert!(plant.actions().is_empty());
    plant.journal.busy.store(false, Ordering::SeqCst);
    plant.guard.revoke(&owner(), "t").unwrap();
    assert_eq!(plant.actions().len(), 4);
    // Without another entry, and in another life.
    plant.journal.busy.store(true, Ordering::SeqCst);
    plant.guard.create(&owner(), "u", rights(&["read:#"]), None).unwrap();
    let plant = plant.restart();
    assert_eq!(plant.actions().len(), 4);
    plant.journal.busy.store(false, Ordering::SeqCst);
    eventually("the rows come", || {
        plant.guard.tidy();
        plant.actions().len() == 6
    });
    assert_eq!(plant.restart().actions().len(), 6, "once");
}

#[test]
fn many_at_once_are_all_on_disk_in_order() {
    let plant = plant(Settings::default());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let guard = &plant.guard;
            scope.spawn(move || {
                for number in 0..50 {
                    let entry = AuditEntry {
                        who: owner(),
                        action: "signal.delete",
                        target: format!("{thread}/{number}"),
                        result: AuditResult::Done,
                        detail: String::new(),
                    };
                    let commit = guard.audit(entry).unwrap();
                    assert!(commit.wait(Duration::from_secs(60)).unwrap().is_ok());
                }
            });
        }
    });
    let report = plant.guard.verify_audit().unwrap();
    assert!(report.is_sound() && report.entries == 400);
    let rows = plant.journal.records.lock().unwrap();
    let keys: Vec<Bytes> = rows.iter().map(|row| row.key.clone()).collect();
    assert!(keys.len() == 400 && keys.is_sorted());
}

#[test]
fn why_and_the_list() {
    let plant = plant(farm());
    plant.guard.create(&owner(), "press", rights(&["write:acme/leeds/#", "read:acme/#"]), None).unwrap();
    let mut text = String::new();
    for (who, verb, on) in [
        ("press", Verb::Write, "acme/leeds/t"),
        ("token:press", Verb::Write, "acme/york/t"),
        ("zone:farm", Verb::Write, "farm/sensors/t"),
        ("zone:office", Verb::Read, "farm"),
        ("owner:anna", Verb::Write, "tidemill/x"),
        ("house:bus", Verb::Read, "a"),
    ] {
        let why = plant.guard.why(who, verb, &path(on)).unwrap();
        text += &format!(
            "{} {} {}: {} because {}; also {:?}\n",
            why.who, why.verb, why.path, why.allowed, why.rule, why.also
        );
    }
    for who in ["nobody", "token:nobody", "zone:nowhere", "owner:", "ghost:x", ""] {
        assert!(matches!(plant.guard.why(who, Verb::Read, &path("a")), Err(Error::Nobody(_))), "{who}");
    }
    for access in plant.guard.access_list() {
        text += &format!("{} {:?} {}\n", access.who, access.rights, access.note);
    }
    for (table, facts) in plant.guard.facts() {
        let rows = facts.rows();
        assert!(rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
        text += &format!("{}: {} rows\n", table.name, rows.len());
    }
    expect_test::expect![[r#"
        token:press write acme/leeds/t: true because token:press: write:acme/leeds/# allows it; also [Read]
        token:press write acme/york/t: false because token:press has no right that allows write on acme/york/t; also [Read]
        zone:farm write farm/sensors/t: true because zone:farm: write:farm/sensors/# allows it; also []
        zone:office read farm: false because zone:office is not known, or has no rights any more; also []
        owner:anna write tidemill/x: false because tidemill/# is written by the house alone, and owner:anna asks to write tidemill/x; also [Read, Administer]
        house:bus read a: true because the house reads everything; also []
        owner:* ["everything but write, command and configure on tidemill/#"] system user 1000, who owns the folder, and the superuser, by the control socket
        house:* ["read:# and write:tidemill/#"] the plant's own engines
        zone:farm ["write:farm/sensors/#"] from 192.168.0.0/16, from fd00::/8
        zone:barn ["write:barn/#", "read:barn/#"] from 192.168.7.0/24
        token:press ["write:acme/leeds/#", "read:acme/#"] 
        tokens: 1 rows
        access: 7 rows
    "#]].assert_eq(&text);
}

#[test]
fn a_full_disk_is_told_as_one() {
    use std::io::ErrorKind;
    let plant = plant(farm());
    // What replaces tokens.json comes by a rename; the audit has its room already.
    for (kind, code) in [
        (ErrorKind::StorageFull, "disk-full"),
        (ErrorKind::QuotaExceeded, "disk-full"),
        (ErrorKind::Other, "internal"),
    ] {
        plant.simulation.disk.fail_next(Operation::Rename, kind);
        let error = plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap_err();
        assert_eq!(Problem::from(error).code.id, code);
    }
    plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
}
