//! Zones: whom a listener serves, and what an address alone may do.

use super::*;

#[test]
fn zones_and_the_owner() {
    let plant = plant(farm());
    let none =
        |address: &str| plant.identify(Credential::None, from(address)).map(|who| who.name.to_string());
    assert_eq!(none("192.168.1.1").unwrap(), "zone:farm");
    assert_eq!(none("::ffff:192.168.1.1").unwrap(), "zone:farm");
    assert_eq!(none("fd12::1").unwrap(), "zone:farm");
    assert_eq!(none("192.168.7.200").unwrap(), "zone:barn", "the smallest network around it");
    assert!(none("192.168.9.1").is_err(), "a zone without rights shadows the one around it");
    let farmer = plant.identify(Credential::None, from("192.168.1.1")).unwrap();
    assert!(plant.guard.decide(&farmer, Verb::Write, &path("farm/sensors/t")).allowed);
    assert!(!plant.guard.decide(&farmer, Verb::Write, &path("farm/gate")).allowed);
    assert!(!plant.guard.scope(&farmer).allows(&path("farm/sensors/t")));
    for (uid, name, expected) in [
        (1000, "anna", "owner:anna"),
        (0, "root", "owner:root"),
        (1000, "", "owner:1000"),
        (0, "a b\n:c", "owner:a_b__c"),
    ] {
        let credential = Credential::SystemUser { uid, name: name.to_owned() };
        let who = plant.identify(credential, Peer { door: "control", address: None }).unwrap();
        assert_eq!((&*who.name, who.kind), (expected, IdentityKind::Owner));
    }
}

#[test]
fn a_listener_of_a_zone_serves_that_zone_alone() {
    let mut settings = farm();
    settings.zones.iter_mut().for_each(|zone| zone.plain = zone.name == "farm");
    let plant = plant(settings.clone());
    let serves = |zone: &str, listener: &str, address: &str| {
        plant.guard.serves(zone, "http", listener.parse().unwrap(), address.parse().unwrap())
    };
    let table = [
        ("farm", "0.0.0.0:8440", "192.168.1.1", true),
        ("farm", "[::]:8440", "::ffff:192.168.1.1", true),
        ("farm", "[::]:8440", "fd12::1", true),
        ("farm", "0.0.0.0:8440", "192.168.7.1", false), // a zone of its own inside
        ("farm", "0.0.0.0:8440", "8.8.8.8", false),
        ("farm", "0.0.0.0:8440", "127.0.0.1", false),
        ("farm", "127.0.0.1:8440", "127.0.0.1", false),
        ("barn", "0.0.0.0:8440", "192.168.7.1", false), // it does not say that it is plain
        ("barn", "127.0.0.1:8440", "192.168.7.1", true),
        ("gone", "0.0.0.0:8440", "192.168.1.1", false),
    ];
    for (zone, listener, address, expected) in table {
        assert_eq!(serves(zone, listener, address), expected, "{zone} {listener} {address}");
    }
    let count = || plant.guard.strangers.get();
    assert_eq!(count(), 6);
    // A flood is counted one by one and written a few times.
    (0..1000).for_each(|_| assert!(!serves("farm", "0.0.0.0:8440", "8.8.8.8")));
    assert_eq!(count(), 1006);
    plant.guard.create(&owner(), "t", rights(&["read:#"]), None).unwrap();
    let refused = plant.actions().into_iter().filter(|action| action.contains("http 0.0.0.0:8440 refused"));
    assert_eq!(refused.count(), 9, "{:?}", plant.actions());
    // What the settings say holds at once.
    settings.zones.clear();
    plant.guard.update(settings).unwrap();
    assert!(!serves("farm", "0.0.0.0:8440", "192.168.1.1"));
}

#[test]
fn a_forwarded_request_gets_no_zone_by_hearsay() {
    let plant = plant(farm());
    let table = [
        ("192.168.7.1", None, Some("192.168.7.1")),
        ("192.168.7.1", Some("192.168.1.1"), None),
        ("8.8.8.8", Some("192.168.1.1"), None),
        ("127.0.0.1", Some("192.168.1.1"), Some("192.168.1.1")),
        ("127.0.0.1", Some("192.168.1.1, 8.8.8.8"), Some("8.8.8.8")),
        ("127.0.0.1", Some("192.168.1.1, 10.9.0.4"), Some("192.168.1.1")),
        ("127.0.0.1", Some("192.168.1.1, nonsense"), None),
        ("127.0.0.1", Some("192.168.1.1, nonsense, 10.9.0.4"), None),
        ("127.0.0.1", Some(""), None),
        ("127.0.0.1", Some("[fd00::7]"), Some("fd00::7")),
    ];
    for (connection, forwarded, expected) in table {
        let peer = plant.guard.peer("http", connection.parse().unwrap(), forwarded);
        assert_eq!(
            peer.address.map(|address| address.to_string()).as_deref(),
            expected,
            "{connection} {forwarded:?}"
        );
    }
}
