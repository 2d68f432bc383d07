//! The guard's files, damaged or gone: what is not believed, and what is missed. What does not live here: the chain of the audit
//! (`audit/tests`).

use tidemill_ground::Disk;

use super::*;

#[test]
fn a_token_file_that_is_damaged_or_newer_is_not_believed() {
    let plant = plant(Settings::default());
    plant.guard.create(&owner(), "t", rights(&["read:a/#"]), None).unwrap();
    let Plant { simulation, ground, journal, .. } = plant;
    assert!(ground.tasks.shutdown(Duration::from_secs(60)).is_clean());
    let file = Path::new(DATA).join("tokens.json");
    let good = String::from_utf8(tidemill_ground::read(&simulation.disk, &file).unwrap()).unwrap();
    let open = |text: &str| {
        tidemill_ground::replace(&simulation.disk, &file, text.as_bytes()).unwrap();
        Guard::open(&simulation.ground(9), Path::new(DATA), journal.clone(), Settings::default()).map(|_| ())
    };
    assert!(open(&good).is_ok());
    assert!(matches!(open(&good.replace("read:a/#", "read:#")), Err(Error::TokensDamaged { .. })));
    assert!(matches!(open(&good[..good.len() / 2]), Err(Error::TokensDamaged { .. })));
    assert!(matches!(
        open(&good.replace("\"version\": 1", "\"version\": 2")),
        Err(Error::Newer { found: 2, .. })
    ));
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        // Blanks between the values mean nothing, in whatever way they are damaged; all that means something is held.
        if let Ok(text) = String::from_utf8(bytes)
            && tidemill_ground::replace(&simulation.disk, &file, text.as_bytes()).is_ok()
            && crate::store::load(&simulation.disk, &file).is_ok()
        {
            assert!(good.as_bytes()[at].is_ascii_whitespace(), "byte {at}: {text}");
        }
    }
}

#[test]
fn a_token_file_that_is_missing_is_told_where_a_token_was_ever_made() {
    let plant = plant(Settings::default());
    let file = Path::new(DATA).join("tokens.json");
    // What else is on record, a refusal among it, tells of no token.
    plant.guard.update(farm()).unwrap();
    let stranger = Identity { kind: IdentityKind::Zone, ..owner() };
    assert!(plant.guard.create(&stranger, "t", rights(&["read:a/#"]), None).is_err());
    let plant = plant.restart();
    plant.guard.check_tokens().unwrap();
    plant.guard.create(&owner(), "t", rights(&["read:a/#"]), None).unwrap();
    plant.guard.revoke(&owner(), "t").unwrap();
    plant.guard.check_tokens().unwrap();
    plant.simulation.disk.remove(&file).unwrap();
    let plant = plant.restart();
    assert!(matches!(plant.guard.check_tokens(), Err(Error::TokensMissing { .. })));
    plant.guard.create(&owner(), "u", rights(&["read:a/#"]), None).unwrap();
    plant.restart().guard.check_tokens().unwrap();
}

#[test]
fn entries_that_the_journal_alone_knows_of_are_missing() {
    let plant = plant(Settings::default());
    plant.guard.create(&owner(), "t", rights(&["read:a/#"]), None).unwrap();
    let Plant { simulation, ground, journal, guard } = plant;
    assert!(ground.tasks.shutdown(Duration::from_secs(60)).is_clean());
    drop(guard);
    let missing = |folder: &str| {
        let report = crate::verify(&simulation.disk, Path::new(folder)).unwrap();
        assert!(report.is_sound(), "{report:?}");
        crate::audit::missing_entries(&report, journal.as_ref())
    };
    assert_eq!(missing(DATA), None);
    assert_eq!(missing("elsewhere"), Some((1, 2)));
}
