//! New names: all of a publish or none, with the parcel that first carries them.

use tidemill_core::{Busy, NewNames, ProducerId};

use super::*;

impl Plant {
    /// Reads names as a door does, a sample each, and publishes them.
    fn bring(&self, names: &[&str]) -> Result<Commit, Problem> {
        let brought = self.read(names)?;
        self.bus.publish(&self.who, self.bus.epoch(), brought, Durability::Commit)
    }

    fn read(&self, names: &[&str]) -> Result<Publish, Problem> {
        let mut new = NewNames::default();
        let mut samples = self.bus.batch(&self.who, Flags::default())?;
        for (time, name) in (1..).zip(names) {
            let hint = || Arc::new(Meta { tags: [("of".into(), "x".into())].into(), ..Meta::default() });
            let grant = new.bind(&*self.bus, &self.who, &path(name), hint)?;
            samples.push(grant.id, Stamp::At(time), Value::Int(time).as_ref(), Quality::GOOD).unwrap();
        }
        Ok(Publish { samples: Some(samples), names: new.into_list(), ..Publish::default() })
    }
}

#[test]
fn names_come_with_their_first_parcel() {
    let plant = Plant::new();
    plant.wait(plant.bring(&["a", "b", "a"]).unwrap());
    assert_eq!(plant.paths("#"), ["a", "b"]);
    assert_eq!((plant.last_int("a"), plant.last_int("b")), (Some(3), Some(2)));
    assert_eq!(plant.counted("tidemill_bus_names_new_total"), 2.0);
    plant.wait(plant.bring(&["b", "c"]).unwrap());
    let plant = plant.crash();
    assert_eq!(plant.paths("#"), ["a", "b", "c"]);
    assert_eq!((plant.last_int("b"), plant.last_int("c")), (Some(2), Some(2)));
}

#[test]
fn the_houses_own_names_do_not_count_against_the_limits() {
    let plant = Plant::with(Settings { signals_max: 1, signals_new_per_hour: 1, ..Settings::default() });
    plant.wait(plant.bring(&["tidemill/disk/free", "tidemill/signals"]).unwrap());
    plant.wait(plant.bring(&["press"]).unwrap());
    assert_eq!(plant.bring(&["second"]).err().map(|problem| problem.code.id), Some("signals-limit"));
    plant.wait(plant.bring(&["tidemill/memory"]).unwrap());
    assert_eq!(plant.paths("#").len(), 4);
    // What came back without its name is the owner's.
    let unknown = plant.bring(&["tidemill/unknown/7"]).err();
    assert_eq!(unknown.map(|problem| problem.code.id), Some("signals-limit"));
}

#[test]
fn reading_creates_nothing() {
    let plant = Plant::new();
    drop(plant.read(&["a", "b"]).unwrap());
    assert_eq!(plant.paths("#"), [""; 0]);
    assert_eq!(plant.counted("tidemill_bus_names_new_total"), 0.0);
}

#[test]
fn what_the_log_refuses_leaves_no_name_no_number_and_no_share() {
    let settings = Settings { signals_new_per_hour: 3, ..Settings::default() };
    let plant = Plant::with(settings);
    let first = plant.bind("first").id.get();
    for busy in [Busy::Stopping, Busy::TooLarge { bytes: 2, max_bytes: 1 }] {
        plant.journal.refuse(Some(busy));
        for _ in 0..10 {
            assert!(plant.bring(&["a/x", "A/x"]).is_err());
            assert_eq!(plant.paths("#"), ["first"]);
        }
    }
    plant.journal.refuse(None);
    assert_eq!(plant.bus.twins(), [], "none is listed that is not there");
    plant.wait(plant.bring(&["a/x", "A/x"]).unwrap());
    assert_eq!(plant.bind("a/x").id.get(), first + 1, "numbers are not used up");
    assert_eq!(plant.bus.twins().len(), 1);
    assert_eq!(plant.counted("tidemill_bus_names_new_total"), 3.0);
    assert_eq!(code(plant.bring(&["one more"])), "signals-rate");
    assert_eq!(plant.counted("tidemill_limit_refused_total"), 1.0);
}

#[test]
fn memory_of_names_that_were_taken_back_is_given_back() {
    let plant = Plant::new();
    let bytes = |plant: &Plant| plant.counted("tidemill_bus_registry_bytes");
    let before = bytes(&plant);
    plant.journal.refuse(Some(Busy::Stopping));
    assert!(plant.bring(&["a", "b"]).is_err());
    assert_eq!(bytes(&plant), before);
}

#[test]
fn limits_hold_for_all_names_of_a_request() {
    let settings = Settings { signals_max: 3, signals_new_per_hour: 10, ..Settings::default() };
    let plant = Plant::with(settings.clone());
    assert_eq!(code(plant.bring(&["a", "b", "c", "d"])), "signals-limit");
    // What was read before the limit was reached: nothing of it is created.
    let late = plant.read(&["a", "b"]).unwrap();
    plant.wait(plant.bring(&["c", "d"]).unwrap());
    let late = plant.bus.publish(&plant.who, plant.bus.epoch(), late, Durability::Commit);
    assert_eq!(code(late), "signals-limit");
    assert_eq!(plant.paths("#"), ["c", "d"]);
    plant.bus.update(Settings { signals_max: 100, signals_new_per_hour: 4, ..settings });
    assert_eq!(code(plant.bring(&["e", "f", "g"])), "signals-rate");
    assert_eq!(code(plant.bring(&["e", "f"])), "ok", "a refusal took nothing of the share");
}

#[test]
fn a_name_that_another_brought_meanwhile() {
    let plant = Plant::new();
    let same = plant.read(&["a", "b"]).unwrap();
    let other = plant.read(&["b", "c"]).unwrap();
    plant.wait(plant.bring(&["a"]).unwrap());
    plant.wait(plant.bus.publish(&plant.who, plant.bus.epoch(), same, Durability::Commit).unwrap());
    plant.bind("c");
    let outcome = plant.bus.publish(&plant.who, plant.bus.epoch(), other, Durability::Commit);
    assert_eq!(code(outcome), "conflict", "it was created otherwise: the door reads again");
    assert_eq!(plant.paths("#"), ["a", "b", "c"]);
}

#[test]
fn later_parts_find_what_the_first_created() {
    let plant = Plant::new();
    let first = plant.read(&["a", "b"]).unwrap();
    let mut second = first.clone();
    let once = |number| Some((ProducerId(7), number));
    let publish = |part: &Publish, number| {
        let part = Publish { once: once(number), ..part.clone() };
        plant.wait(plant.bus.publish(&plant.who, plant.bus.epoch(), part, Durability::Commit).unwrap())
    };
    let seq = publish(&first, 1);
    second.samples = plant.read(&["a"]).unwrap().samples;
    assert!(publish(&second, 2) > seq);
    assert_eq!(publish(&first, 1), seq, "a repeated part is known, new names or not");
    assert_eq!(plant.paths("#"), ["a", "b"]);
}

#[test]
fn a_row_without_its_name_is_refused() {
    let plant = Plant::new();
    let stray = Publish { names: Arc::default(), ..plant.read(&["a"]).unwrap() };
    let outcome = plant.bus.publish(&plant.who, plant.bus.epoch(), stray, Durability::Commit);
    assert_eq!(code(outcome), "internal");
}

#[test]
fn rights_and_owners_hold_for_new_names() {
    let mut plant = Plant::new();
    plant.authority.deny("token:a", Verb::Write, "secret/#");
    assert_eq!(code(plant.bring(&["a", "secret/x"])), "forbidden");
    plant.write("owned", 1, 1);
    plant.wait(
        plant.edit("owned", MetaEdit { owner: Some("token:b".into()), ..MetaEdit::default() }).unwrap(),
    );
    assert_eq!(code(plant.bring(&["a", "owned"])), "not-owner");
    let read = plant.read(&["a"]).unwrap();
    let epoch = plant.bus.epoch();
    plant.authority.deny("token:a", Verb::Write, "a");
    assert_eq!(code(plant.bus.publish(&plant.who, epoch, read, Durability::Commit)), "conflict");
    assert_eq!(plant.paths("#"), ["owned"]);
    plant.who = identity("token:b");
    assert_eq!(code(plant.bring(&["a", "owned"])), "ok");
}
