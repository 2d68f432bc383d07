//! Binding: rights, limits, owner, near-twins.

use super::*;

#[test]
fn a_name_has_one_id_and_its_first_metadata() {
    let plant = Plant::new();
    let hint = Meta { unit: "°C".into(), ..Meta::default() };
    let grant = plant.bus.bind(&plant.who, Verb::Write, &path("a/t"), &hint).unwrap();
    assert_eq!(plant.bind("a/t").id, grant.id);
    assert_ne!(plant.bind("a/u").id, grant.id);
    let signal = signal(&plant.bus, grant.id);
    assert_eq!((&*signal.meta.unit, &*signal.meta.unit_ucum, &*signal.creator), ("°C", "Cel", "token:a"));
    assert_eq!(plant.paths("a/+"), ["a/t", "a/u"]);
}

#[test]
fn what_may_not_be_is_refused_by_code_and_counted() {
    let settings = Settings { signals_max: 3, signals_new_per_hour: 2, ..Settings::default() };
    let mut plant = Plant::with(settings.clone());
    plant.authority.deny("token:a", Verb::Write, "secret/#");
    assert_eq!(code(plant.try_bind(Verb::Write, "secret/x")), "forbidden");
    assert_eq!(code(plant.try_bind(Verb::Read, "a")), "not-found");
    assert_eq!(code(plant.try_bind(Verb::Configure, "a")), "not-found");
    plant.bind("a");
    plant.bind("b");
    assert_eq!(code(plant.try_bind(Verb::Write, "c")), "signals-rate");
    assert_eq!(code(plant.try_bind(Verb::Write, "b")), "ok", "known names are no new names");
    plant.world.clock.advance(Duration::from_secs(3600));
    plant.bind("c");
    assert_eq!(code(plant.try_bind(Verb::Write, "d")), "signals-limit");
    plant.bus.update(Settings { signals_max: 4, ..settings });
    plant.bind("d");
    plant.wait(plant.edit("a", MetaEdit { owner: Some("token:b".into()), ..MetaEdit::default() }).unwrap());
    assert_eq!(code(plant.try_bind(Verb::Write, "a")), "not-owner");
    assert_eq!(code(plant.try_bind(Verb::Read, "a")), "ok");
    plant.who = identity("token:b");
    assert_eq!(code(plant.try_bind(Verb::Write, "a")), "ok");
    assert_eq!(plant.counted("tidemill_bus_names_refused_total"), 4.0);
}

#[test]
fn near_twins_are_listed() {
    let plant = Plant::new();
    plant.bind("Plant/T");
    plant.bind("plant/t");
    plant.bind("plant/u");
    let twins: Vec<String> = plant
        .bus
        .twins()
        .iter()
        .map(|twin| format!("{} like {} by {}", twin.path, twin.like, twin.by))
        .collect();
    assert_eq!(twins, ["plant/t like Plant/T by token:a"]);
    assert_eq!(plant.counted("tidemill_bus_near_twins_total"), 1.0);
    let (table, facts) = plant.bus.facts().into_iter().find(|(table, _)| table.name == "near_twins").unwrap();
    assert_eq!(facts.rows()[0].len(), table.columns.len());
}

#[test]
fn an_epoch_ends_grants() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    plant.authority.deny("token:a", Verb::Write, "b");
    let stale = plant.publish(&[(grant, Stamp::At(1), Value::Int(1))]);
    assert_eq!(code(stale), "conflict");
    let grant = plant.bind("a");
    assert_eq!(code(plant.publish(&[(grant, Stamp::At(1), Value::Int(1))])), "ok");
    plant
        .wait(plant.edit("a", MetaEdit { description: Some("warm".into()), ..MetaEdit::default() }).unwrap());
    assert_eq!(
        code(plant.publish(&[(grant, Stamp::At(2), Value::Int(1))])),
        "ok",
        "a description changes no grant"
    );
    let number = Some(tidemill_core::NumberKind::Integer);
    plant.wait(plant.edit("a", MetaEdit { number, ..MetaEdit::default() }).unwrap());
    assert_eq!(code(plant.publish(&[(grant, Stamp::At(3), Value::Int(1))])), "conflict");
    assert_eq!(plant.bind("a").number, tidemill_core::NumberKind::Integer);
    // Whoever shows values learns of another unit by the epoch.
    let epoch = plant.bus.epoch();
    plant.wait(plant.edit("a", MetaEdit { unit: Some("bar".into()), ..MetaEdit::default() }).unwrap());
    assert_ne!(plant.bus.epoch(), epoch);
    let read = plant.try_bind(Verb::Read, "a").unwrap();
    assert_eq!(code(plant.bus.edit(&plant.who, &read, MetaEdit::default())), "forbidden");
}

#[test]
fn hints_are_cut_and_never_refused() {
    let plant = Plant::new();
    let mut hint = Meta { description: "x".repeat(2_000).into(), unit: "furlong".into(), ..Meta::default() };
    hint.tags = (0..40).map(|tag| (format!("t{tag}").into(), "v".into())).collect();
    let grant = plant.bus.bind(&plant.who, Verb::Write, &path("a"), &hint).unwrap();
    let meta = signal(&plant.bus, grant.id).meta.clone();
    assert_eq!(
        (&*meta.description, &*meta.unit, &*meta.unit_ucum, meta.tags.len()),
        ("", "furlong", "[fur_us]", 32)
    );
    assert_eq!(plant.counted("tidemill_bus_hints_cut_total"), 9.0);
}

#[test]
fn after_the_stop_nothing_begins() {
    let plant = Plant::new();
    let grant = plant.bind("a");
    let samples = plant.bus.batch(&plant.who, Flags::default()).unwrap();
    plant.bus.stop().unwrap();
    let publish = Publish { samples: Some(samples), ..Publish::default() };
    assert_eq!(code(plant.bus.publish(&plant.who, grant.epoch, publish, Durability::Commit)), "stopping");
    assert_eq!(code(plant.try_bind(Verb::Write, "b")), "stopping");
    assert_eq!(code(plant.bus.batch(&plant.who, Flags::default())), "stopping");
}

#[test]
fn memory_for_names_is_bounded() {
    let plant = Plant::with(Settings { registry_bytes: 1_000, ..Settings::default() });
    let taken =
        (0..9).take_while(|number| plant.try_bind(Verb::Write, &format!("n{number}")).is_ok()).count();
    assert_eq!(taken, 3);
    assert_eq!(code(plant.try_bind(Verb::Write, "one more")), "signals-limit");
    assert_eq!(code(plant.try_bind(Verb::Write, "n0")), "ok");
}
