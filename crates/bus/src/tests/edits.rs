//! Edits, names that go to others, commands.

use std::sync::Mutex;

use tidemill_core::{Boxed, Command, Deletion, NumberKind, ReadBack};

use super::*;
use crate::CommandHandler;

fn rename(to: &str) -> MetaEdit {
    MetaEdit { rename: Some(path(to)), ..MetaEdit::default() }
}

fn alias(to: &str) -> MetaEdit {
    MetaEdit { alias: Some(path(to)), ..MetaEdit::default() }
}

#[test]
fn every_fact_can_be_changed() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let edit = MetaEdit {
        unit: Some("m³/h".into()),
        description: Some("flow".into()),
        number: Some(NumberKind::Integer),
        stepped: Some(Some(true)),
        owner: Some("token:a".into()),
        stale_after_ns: Some(5),
        tags: vec![("k".into(), "v".into()), ("l".into(), "w".into())],
        ..MetaEdit::default()
    };
    plant.wait(plant.edit("a", edit).unwrap());
    plant.wait(
        plant.edit("a", MetaEdit { tags: vec![("l".into(), "".into())], ..MetaEdit::default() }).unwrap(),
    );
    let signal = plant.crash().bus.find(&path("a")).unwrap();
    expect_test::expect![[r#"
        Meta {
            unit: "m³/h",
            unit_ucum: "m3/h",
            description: "flow",
            number: Integer,
            stepped: Some(
                true,
            ),
            owner: "token:a",
            stale_after_ns: 5,
            tags: {
                "k": "v",
            },
        }
    "#]]
    .assert_debug_eq(&signal.meta);
}

#[test]
fn a_taken_name_is_not_told_to_who_may_not_read_it() {
    let plant = Plant::new();
    plant.write("mine", 1, 1);
    plant.write("secret/there", 1, 1);
    plant.write("open/old", 1, 1);
    plant.wait(plant.edit("open/old", rename("secret/new")).unwrap());
    plant.authority.deny("token:a", Verb::Read, "secret/#");
    let told = |edit: MetaEdit| plant.edit("mine", edit).err().unwrap().detail;
    for (one, other) in [(rename as fn(&str) -> MetaEdit, "secret/there"), (alias, "secret/new")] {
        let nothing = told(one("secret/none")).replace("secret/none", other);
        assert_eq!(told(one(other)), nothing, "taken or not, the answer is the same");
    }
    assert_eq!(told(rename("open/old")), "the name open/old is taken", "and not by whom");
}

#[test]
fn a_further_name_of_a_hidden_signal_is_told_by_no_binding() {
    let plant = Plant::new();
    for old in ["open/old", "closed/old"] {
        plant.write(old, 1, 1);
        plant.wait(plant.edit(old, rename(&format!("secret/{old}"))).unwrap());
    }
    plant.authority.deny("token:a", Verb::Configure, "closed/#");
    let verbs = [Verb::Read, Verb::Write, Verb::Command, Verb::Configure];
    let told =
        |path: &str| verbs.map(|verb| plant.try_bind(verb, path).map(drop).map_err(|problem| problem.detail));
    assert!(told("open/old").iter().all(Result::is_ok), "who may do it there may use the further name");
    verbs.iter().for_each(|verb| plant.authority.deny("token:a", *verb, "secret/#"));
    for (taken, free) in [("open/old", "open/new"), ("closed/old", "closed/new")] {
        let nothing = verbs.map(|verb| match verb {
            Verb::Write => Err(format!("token:a may not write {taken}: the name is taken")),
            verb => {
                plant.try_bind(verb, free).map(drop).map_err(|problem| problem.detail.replace(free, taken))
            }
        });
        assert_eq!(told(taken), nothing, "as if there were no such signal");
    }
}

#[test]
fn a_near_twin_with_another_name_is_none() {
    let plant = Plant::new();
    let listed = || {
        let twins = plant.bus.twins().into_iter().map(|twin| twin.path.to_string()).collect::<Vec<_>>();
        let facts = plant.bus.facts();
        let (_, facts) = facts.iter().find(|(table, _)| table.name == "near_twins").unwrap();
        assert_eq!(facts.rows().len(), twins.len());
        twins
    };
    for name in ["Oven/t", "oven/t", "Press/t", "press/t", "Mill/t", "mill/t"] {
        plant.bind(name);
    }
    assert_eq!(listed(), ["oven/t", "press/t", "mill/t"]);
    // Its earlier name is an alias, and no signal of its own.
    plant.wait(plant.edit("Oven/t", rename("furnace/t")).unwrap());
    plant.wait(plant.edit("press/t", rename("stamp/t")).unwrap());
    assert_eq!(listed(), ["mill/t"]);
}

#[test]
fn a_rename_keeps_history_and_the_old_name() {
    let plant = Plant::new();
    plant.write("old", 1, 1);
    let id = plant.bind("old").id;
    plant.wait(plant.edit("old", rename("new")).unwrap());
    assert_eq!((plant.bind("old").id, plant.bind("new").id), (id, id));
    assert_eq!((plant.paths("#"), plant.paths("old")), (vec!["new".to_owned()], vec!["new".to_owned()]));
    plant.write("old", 2, 2);
    assert_eq!(plant.last_int("new"), Some(2));
    plant.write("third", 1, 1);
    assert_eq!(code(plant.edit("third", rename("new"))), "exists");
    assert_eq!(code(plant.edit("third", rename("old"))), "exists", "an alias is a name too");
    assert_eq!(code(plant.edit("third", alias("new"))), "exists");
    plant.wait(plant.edit("new", rename("old")).unwrap());
    assert_eq!(plant.bus.find(&path("new")).unwrap().aliases, [path("new")]);
    plant.wait(plant.edit("old", alias("fourth")).unwrap());
    assert_eq!(plant.crash().bind("fourth").id, id);
}

#[test]
fn a_new_name_needs_the_right_there_too() {
    let plant = Plant::new();
    plant.write("mine", 1, 1);
    plant.authority.deny("token:a", Verb::Configure, "theirs/#");
    assert_eq!(code(plant.edit("mine", rename("theirs/x"))), "forbidden");
    assert_eq!(code(plant.edit("mine", alias("theirs/x"))), "forbidden");
    plant.wait(plant.edit("mine", rename("shared/x")).unwrap());
    plant.authority.deny("token:a", Verb::Write, "shared/#");
    let refused = plant.try_bind(Verb::Write, "mine").unwrap_err();
    // Nothing of where it is now: who may not see that must not learn it from a refusal.
    let told = "token:a may not write mine: it is a further name of a signal that they may not write";
    assert_eq!(refused.detail, told);
}

#[test]
fn a_further_name_is_no_way_around_what_holds_for_itself() {
    let plant = Plant::new();
    plant.write("mine", 1, 1);
    plant.wait(plant.edit("mine", alias("house/x")).unwrap());
    let verbs = [Verb::Write, Verb::Command, Verb::Configure];
    verbs.iter().for_each(|verb| plant.authority.deny("token:a", *verb, "house/#"));
    for verb in verbs {
        let refused = plant.try_bind(verb, "house/x").unwrap_err();
        assert_eq!(refused.detail, format!("token:a may not {verb} house/x: token:a denies {verb}:house/#"));
        assert_eq!(code(plant.try_bind(verb, "mine")), "ok", "under its own name it is theirs");
    }
    assert_eq!(code(plant.bus.resolve(&plant.who, &path("house/x"), 0)), "forbidden");
    assert_eq!(code(plant.try_bind(Verb::Read, "house/x")), "ok", "reading is asked of the present name");
}

#[test]
fn a_deleted_name_may_be_given_again() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let first = plant.bind("a").id;
    plant.wait(plant.edit("a", MetaEdit { retire: Some("old".into()), ..MetaEdit::default() }).unwrap());
    assert!(plant.bus.find(&path("a")).is_none() && plant.paths("#").is_empty());
    let mut out = Vec::new();
    plant.bus.last(&ReadScope::everything(), &[first], &mut out);
    assert!(out.is_empty());
    assert!(signal(&plant.bus, first).retired);
    let second = plant.bind("a").id;
    assert_ne!(first, second);
    assert_eq!(plant.last_int("a"), None);
    plant.write("a", 2, 2);
    let plant = plant.restart();
    assert_eq!(plant.bind("a").id, second);
    assert!(signal(&plant.bus, first).retired);
    assert_eq!(plant.last_int("a"), Some(2));
}

#[test]
fn a_deleted_signal_and_the_deletion_of_its_samples_are_one_parcel() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let id = plant.bind("a").id;
    let seq = plant
        .wait(plant.edit("a", MetaEdit { retire: Some("wrong".into()), ..MetaEdit::default() }).unwrap());
    let (_, parcel) = plant.journal.parcels().into_iter().find(|(at, _)| *at == seq).unwrap();
    assert!(parcel.records.iter().any(|record| record.stream == tidemill_core::StreamId::REGISTRY));
    let deletion = parcel.records.iter().find_map(tidemill_core::Deletion::of).unwrap();
    assert_eq!((deletion.signals, deletion.from, deletion.last), (vec![id], i64::MIN, i64::MAX));
    assert_eq!((&*deletion.who, &*deletion.reason), ("token:a", "wrong"));
}

#[test]
fn what_was_deleted_is_no_last_value() {
    let plant = Plant::new();
    plant.write("a", 10, 1);
    plant.write("b", 30, 2);
    let signals = vec![plant.bind("a").id, plant.bind("b").id];
    let deletion =
        Deletion { signals, from: 5, last: 20, who: String::new(), reason: String::new(), when: 0 };
    let publish = Publish { records: vec![deletion.record()], ..Publish::default() };
    let epoch = plant.bus.epoch();
    plant.wait(plant.bus.publish(&plant.who, epoch, publish, Durability::Commit).unwrap());
    assert_eq!((plant.last_int("a"), plant.last_int("b")), (None, Some(2)));
    let plant = plant.restart();
    assert_eq!((plant.last_int("a"), plant.last_int("b")), (None, Some(2)));
    // What comes later counts, also with a time that was deleted.
    plant.write("a", 10, 3);
    assert_eq!(plant.last_int("a"), Some(3));
}

/// Whatever publishes do meanwhile: what was bound before is in the log before the deletion, or refused.
#[test]
fn nothing_of_a_deleted_signal_stands_behind_its_deletion() {
    for _ in 0..100 {
        let plant = Plant::new();
        plant.write("a", 1, 1);
        let grant = plant.bind("a");
        let begin = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                (2..200).all(|time| plant.publish(&[(grant, Stamp::At(time), Value::Int(1))]).is_ok())
            });
            begin.wait();
            plant.wait(plant.edit("a", MetaEdit { retire: Some("".into()), ..MetaEdit::default() }).unwrap());
        });
        let parcels = plant.journal.parcels();
        let deleted = parcels.iter().position(|(_, parcel)| {
            parcel.records.iter().any(|record| tidemill_core::Deletion::of(record).is_some())
        });
        let behind = parcels.get(deleted.unwrap()..).unwrap();
        assert!(behind.iter().all(|(_, parcel)| parcel.samples.is_none()));
    }
}

#[test]
fn who_may_write_says_the_first_unit_and_nothing_else() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let unit = |unit: &str| MetaEdit { unit: Some(unit.into()), ..MetaEdit::default() };
    let edit = |edit: MetaEdit| code(plant.bus.edit(&plant.who, &plant.bind("a"), edit));
    assert_eq!(edit(MetaEdit { owner: Some("token:a".into()), ..unit("bar") }), "forbidden");
    assert_eq!(edit(MetaEdit { description: Some("x".into()), ..MetaEdit::default() }), "forbidden");
    assert_eq!(edit(unit("bar")), "ok");
    assert_eq!(edit(unit("psi")), "conflict");
    let meta = plant.crash().bus.find(&path("a")).unwrap().meta.clone();
    assert_eq!((&*meta.unit, &*meta.unit_ucum), ("bar", "bar"));
}

#[test]
fn too_much_is_refused() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    let edit = |edit: MetaEdit| code(plant.edit("a", edit));
    assert_eq!(edit(MetaEdit { unit: Some("x".repeat(129).into()), ..MetaEdit::default() }), "bad-parameter");
    assert_eq!(
        edit(MetaEdit { description: Some("x".repeat(1_025).into()), ..MetaEdit::default() }),
        "bad-parameter"
    );
    let tags = (0..33).map(|tag| (format!("t{tag}").into(), "v".into())).collect();
    assert_eq!(edit(MetaEdit { tags, ..MetaEdit::default() }), "bad-parameter");
    for number in 0..32 {
        assert_eq!(edit(alias(&format!("other/{number}"))), "ok");
    }
    assert_eq!(edit(alias("other/32")), "bad-parameter");
}

#[test]
fn an_edit_that_the_log_refuses_did_not_happen() {
    let plant = Plant::new();
    plant.write("a", 1, 1);
    plant.journal.refuse(Some(tidemill_core::Busy::Stopping));
    assert_eq!(code(plant.edit("a", rename("b"))), "stopping");
    plant.journal.refuse(None);
    assert_eq!(plant.paths("#"), ["a"]);
}

struct Valve(Mutex<Vec<String>>);

impl CommandHandler for Valve {
    fn command(&self, signal: Arc<Signal>, command: Command) -> Boxed<'_, Result<ReadBack, Problem>> {
        self.0.lock().unwrap().push(format!("{} {} {}", signal.path, command.value, command.reason));
        Box::pin(std::future::ready(Ok(ReadBack { value: command.value, quality: Quality::GOOD })))
    }
}

#[test]
fn commands_go_to_the_owner() {
    let plant = Plant::new();
    plant.write("valve", 1, 1);
    let order = |plant: &Plant, verb| {
        let grant = plant.try_bind(verb, "valve").unwrap();
        let command = Command { value: Value::Int(7), reason: "test".into() };
        let mut answer = plant.bus.command(&grant, command);
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("the valve answers at once"),
        }
    };
    assert_eq!(code(order(&plant, Verb::Command)), "not-found");
    let valve = Arc::new(Valve(Mutex::default()));
    plant.bus.own("connector:plc", valve.clone());
    assert_eq!(code(order(&plant, Verb::Command)), "not-found");
    plant.wait(
        plant.edit("valve", MetaEdit { owner: Some("connector:plc".into()), ..MetaEdit::default() }).unwrap(),
    );
    assert_eq!(code(order(&plant, Verb::Read)), "forbidden");
    assert_eq!(order(&plant, Verb::Command).unwrap().value, Value::Int(7));
    assert_eq!(*valve.0.lock().unwrap(), ["valve 7 test"]);
    assert_eq!(code(plant.try_bind(Verb::Write, "valve")), "not-owner", "a write to it would be a command");
    plant.bus.disown("connector:plc");
    assert_eq!(code(order(&plant, Verb::Command)), "not-found");
}
