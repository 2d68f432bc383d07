//! Decisions against an oracle that knows no trie, no shapes and no cache.

use super::*;
use proptest::prelude::*;
use tidemill_core::Peer;

fn identity(name: &str, kind: IdentityKind) -> Identity {
    Identity { name: name.into(), kind, peer: Peer::default() }
}

fn token(name: &str, allow: &[Right], expires_ns: Option<i64>) -> Arc<Token> {
    Arc::new(Token {
        name: name.into(),
        allow: allow.to_vec(),
        created_ns: 0,
        created_by: "owner:test".into(),
        expires_ns,
        last_used_ns: None,
        last_address: None,
        secrets: Vec::new(),
    })
}

fn policy(rights: &[Right]) -> Policy {
    let token = token("t", rights, None);
    let tokens = Tokens::from([(token.name.clone(), token)]);
    Policy::build(None, 1, Arc::default(), &tokens, 0)
}

/// The rules as a person would say them.
fn oracle(rights: &[Right], who: &Identity, verb: Verb, path: &SignalPath) -> bool {
    let of_house = path.as_str() == "tidemill" || path.as_str().starts_with("tidemill/");
    match who.kind {
        IdentityKind::House => verb == Verb::Read || (verb == Verb::Write && of_house),
        // Who could give names there could write there.
        _ if of_house && matches!(verb, Verb::Write | Verb::Command | Verb::Configure) => false,
        IdentityKind::Owner => true,
        _ => {
            &*who.name == "token:t"
                && rights.iter().any(|right| right.verb == verb && right.pattern.matches(path))
        }
    }
}

const NAMES: [&str; 4] = ["a", "b", "tidemill", "ä"];

fn verbs() -> impl Strategy<Value = Verb> {
    proptest::sample::select(Verb::ALL.to_vec())
}

fn paths() -> impl Strategy<Value = SignalPath> {
    // `zz` stands in no right: the names that no right names are where a wildcard differs from a list.
    let name = prop_oneof![6 => proptest::sample::select(NAMES.to_vec()), 1 => Just("zz")];
    proptest::collection::vec(name, 1..5).prop_map(|names| SignalPath::new(&names.join("/")).unwrap())
}

fn patterns() -> impl Strategy<Value = Pattern> {
    let level = prop_oneof![3 => proptest::sample::select(NAMES.to_vec()), 2 => Just("+")];
    (proptest::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, rest)| {
        if rest || levels.is_empty() {
            levels.push("#");
        }
        Pattern::new(&levels.join("/")).unwrap()
    })
}

fn rights() -> impl Strategy<Value = Vec<Right>> {
    proptest::collection::vec(
        (verbs(), patterns()).prop_map(|(verb, pattern)| Right { verb, pattern }),
        0..12,
    )
}

fn everyone() -> impl Strategy<Value = Identity> {
    proptest::sample::select(vec![
        identity("token:t", IdentityKind::Token),
        identity("token:t", IdentityKind::Token),
        identity("token:t", IdentityKind::Zone),
        identity("token:other", IdentityKind::Token),
        identity("zone:t", IdentityKind::Zone),
        identity("owner:anna", IdentityKind::Owner),
        identity("house:historian", IdentityKind::House),
    ])
}

static ALL_PATHS: std::sync::LazyLock<Vec<SignalPath>> = std::sync::LazyLock::new(|| all_paths(4));

/// Every path of up to `depth` segments over the names of the tests and one that no right names.
fn all_paths(depth: usize) -> Vec<SignalPath> {
    let mut texts: Vec<String> = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..depth {
        texts = texts
            .iter()
            .flat_map(|text| NAMES.iter().chain(&["zz"]).map(move |name| format!("{text}/{name}")))
            .collect();
        all.extend(texts.iter().map(|text| SignalPath::new(&text[1..]).unwrap()));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn decisions_and_scopes_agree_with_the_oracle(rights in rights(), who in everyone(), paths in proptest::collection::vec(paths(), 1..12)) {
        let policy = policy(&rights);
        // A right is a token's, whatever calls itself by that name from a zone.
        let known = who.kind != IdentityKind::Zone;
        let scope = policy.scope(&who, 1);
        for path in &paths {
            for verb in Verb::ALL {
                let expected = known && oracle(&rights, &who, verb, path);
                let decision = policy.decide(&who, verb, path, 1);
                prop_assert_eq!(decision.allowed, expected, "{} {} {}: {}", who.name, verb, path, decision.rule);
            }
            let readable = known && oracle(&rights, &who, Verb::Read, path);
            prop_assert_eq!(scope.allows(path), readable);
        }
        let administers_all = rights.iter().any(|right| right.verb == Verb::Administer && right.pattern.as_str() == "#");
        let is_token = &*who.name == "token:t" && known;
        let of_plant = matches!(who.kind, IdentityKind::Owner | IdentityKind::House);
        prop_assert_eq!(scope.allows_tables(), of_plant || (is_token && administers_all));
    }

    #[test]
    fn a_whole_pattern_is_allowed_if_each_of_its_paths_is(rights in rights(), who in everyone(), verb in verbs(), pattern in patterns()) {
        let policy = policy(&rights);
        let known = who.kind != IdentityKind::Zone;
        // Patterns and rights here have at most three levels before `#`: from the fourth on nothing differs any more.
        let meant: Vec<&SignalPath> = ALL_PATHS.iter().filter(|path| pattern.matches(path)).collect();
        let expected = known && meant.iter().all(|path| oracle(&rights, &who, verb, path));
        let decision = policy.decide_all(&who, verb, &pattern, 1);
        prop_assert!(!meant.is_empty());
        prop_assert_eq!(decision.allowed, expected, "{} {} {}: {}", who.name, verb, pattern, decision.rule);
    }
}

fn of(texts: &[&str]) -> Vec<Right> {
    texts.iter().map(|text| Right::parse(text).unwrap()).collect()
}

#[test]
fn the_rule_is_named() {
    let policy = policy(&of(&["read:acme/#", "write:acme/leeds/+", "write:acme/#", "write:#"]));
    let (who, owner, house) = (
        identity("token:t", IdentityKind::Token),
        identity("owner:anna", IdentityKind::Owner),
        identity("house:historian", IdentityKind::House),
    );
    let mut text = String::new();
    for (who, verb, path) in [
        (&who, Verb::Write, "acme/leeds/x"),
        (&who, Verb::Write, "other"),
        (&who, Verb::Read, "other"),
        (&who, Verb::Write, "tidemill/guard/x"),
        (&owner, Verb::Command, "acme"),
        (&owner, Verb::Write, "tidemill"),
        (&owner, Verb::Configure, "tidemill/time"),
        (&owner, Verb::Configure, "tidemill/unknown"),
        (&owner, Verb::Configure, "tidemill/unknown/7"),
        (&owner, Verb::Write, "tidemill/unknown/7"),
        (&who, Verb::Configure, "tidemill/unknown/7"),
        (&owner, Verb::Administer, "tidemill/time"),
        (&house, Verb::Write, "tidemill/guard/x"),
        (&house, Verb::Write, "acme"),
        (&identity("token:gone", IdentityKind::Token), Verb::Read, "acme"),
    ] {
        let decision = policy.decide(who, verb, &SignalPath::new(path).unwrap(), 0);
        text += &format!("{}: {}\n", if decision.allowed { "yes" } else { "no" }, decision.rule);
    }
    expect_test::expect![[r#"
        yes: token:t: write:acme/leeds/+ allows it
        yes: token:t: write:# allows it
        no: token:t has no right that allows read on other
        no: tidemill/# is written by the house alone, and token:t asks to write tidemill/guard/x
        yes: owner:anna owns the plant's folder and may everything
        no: tidemill/# is written by the house alone, and owner:anna asks to write tidemill
        no: tidemill/# is written by the house alone, and owner:anna asks to configure tidemill/time
        no: tidemill/# is written by the house alone, and owner:anna asks to configure tidemill/unknown
        yes: owner:anna owns the plant's folder and may everything
        no: tidemill/# is written by the house alone, and owner:anna asks to write tidemill/unknown/7
        no: tidemill/# is written by the house alone, and token:t asks to configure tidemill/unknown/7
        yes: owner:anna owns the plant's folder and may everything
        yes: the house writes tidemill/#
        no: house:historian reads everything and writes tidemill/#, no more
        no: token:gone is not known, or has no rights any more
    "#]]
    .assert_eq(&text);
}

#[test]
fn keys_of_scopes_are_kept_while_rights_are_and_never_shared() {
    let (one, other) = (of(&["read:a/#"]), of(&["read:b/#"]));
    let tokens: Tokens = [token("one", &one, None), token("two", &other, None)]
        .into_iter()
        .map(|t| (t.name.clone(), t))
        .collect();
    let first = Policy::build(None, 1, Arc::default(), &tokens, 0);
    let (who, two) = (identity("token:one", IdentityKind::Token), identity("token:two", IdentityKind::Token));
    let key = first.scope(&who, 0).key();
    assert_ne!(key, first.scope(&two, 0).key());
    let same = Policy::build(Some(&first), 2, Arc::default(), &tokens, 0);
    assert_eq!(same.scope(&who, 0).key(), key);
    let mut changed = tokens.clone();
    changed.insert("one".into(), token("one", &other, None));
    let after = Policy::build(Some(&same), 3, Arc::default(), &changed, 0);
    assert_ne!(after.scope(&who, 0).key(), key);
    assert_eq!(after.scope(&identity("token:gone", IdentityKind::Token), 0).key(), 0);
    assert_eq!(after.scope(&identity("house:x", IdentityKind::House), 0).key(), u64::MAX);
}

#[test]
fn what_expired_is_worth_nothing_at_once() {
    let expiring = token("t", &of(&["read:#", "administer:#"]), Some(100));
    let policy = Policy::build(None, 1, Arc::default(), &Tokens::from([("t".into(), expiring)]), 0);
    let who = identity("token:t", IdentityKind::Token);
    let path = SignalPath::new("a").unwrap();
    assert!(policy.decide(&who, Verb::Read, &path, 99).allowed && policy.scope(&who, 99).allows(&path));
    assert!(!policy.decide(&who, Verb::Read, &path, 100).allowed);
    assert!(!policy.scope(&who, 100).allows(&path) && !policy.scope(&who, 100).allows_tables());
    assert!(!policy.decide_all(&who, Verb::Read, &Pattern::new("a").unwrap(), 100).allowed);
    assert_eq!(policy.next_expiry_ns, 100);
}
