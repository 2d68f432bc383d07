//! What is remembered of bindings, for whom, and what is forgotten when a line is refused.

use super::*;
use tidemill_ground::Metrics;

#[test]
fn fields_are_found_after_a_line_that_was_refused() {
    let limit = Limit::new(&Metrics::default(), "bindings", 1_000);
    let mut set = BindingSet::new(1, &limit);
    let name = |number: u32| format!("f{number}").into_bytes();
    let learn = |set: &mut BindingSet, numbers: std::ops::Range<u32>, new: bool| {
        let series = set.begin(b"m");
        for number in numbers {
            let known = SignalId::new(number + 1);
            let id = if new { SignalId::provisional(number as usize) } else { known };
            set.learn(series, &name(number), Binding { id: id.unwrap(), number: NumberKind::Float });
        }
    };
    learn(&mut set, 0..10, false);
    learn(&mut set, 20..30, true);
    set.undo_line();
    learn(&mut set, 10..20, false);
    let series = set.begin(b"m");
    for number in 0..20 {
        // Not where it stood before.
        let found = set.find(series, 99, &name(number));
        assert!(matches!(found, Found::Binding(binding) if binding.id.get() == number + 1), "{found:?}");
    }
    assert!(matches!(set.find(series, 99, &name(25)), Found::Unknown));
    assert!(size_of::<Series>() <= 32, "there is one for each of a hundred thousand signals");
}

#[test]
fn each_database_of_an_identity_has_bindings_of_its_own() {
    let of = |database: &str| {
        let mut origin = Origin::default();
        origin.add("db", database);
        origin
    };
    let bindings = Bindings::new(Limit::new(&Metrics::default(), "bindings", 1_000));
    let who: Arc<str> = "token:a".into();
    let binding = Binding { id: SignalId::new(7).unwrap(), number: NumberKind::Float };
    let is_known = |bindings: &Bindings, database: &str| {
        let mut set = bindings.borrow(&who, &of(database), 1);
        let series = set.begin(b"cpu");
        let is_known = matches!(set.find(series, 0, b"idle"), Found::Binding(_));
        if !is_known {
            set.learn(series, b"idle", binding);
        }
        bindings.give_back(&who, set);
        is_known
    };
    assert_eq!(
        ["prod", "staging", "prod", "staging"].map(|database| is_known(&bindings, database)),
        [false, false, true, true]
    );
    for number in 0..100 {
        is_known(&bindings, &format!("d{number}"));
    }
    assert_eq!(bindings.lock()[&who].len(), SETS_PER_IDENTITY_MAX, "databases are named by whoever writes");
    assert!(!is_known(&bindings, "prod") && is_known(&bindings, "d99"));
}
