//! What a user meets who edits tidemill.toml.

use std::collections::HashMap;
use std::path::Path;

use expect_test::{Expect, expect};

use super::read::check_text;
use super::*;

fn check(text: &str, expected: Expect) {
    let shown = match check_text(Path::new("tidemill.toml"), text, &HashMap::new()) {
        Ok(_) => "fine".to_owned(),
        Err(findings) => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn every_default_is_legal_and_a_new_plant_is_fine() {
    check("", expect!["fine"]);
    check(&new_plant_file("Leeds \"north\""), expect!["fine"]);
    let uncommented: String = new_plant_file("x")
        .lines()
        .map(|line| {
            format!("{}\n", line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        })
        .collect();
    check(&uncommented, expect!["fine"]);
    let config = check_text(Path::new("t"), "", &HashMap::new()).unwrap();
    assert_eq!(config.http_listen.len(), 2);
    assert!(config.http_listen.iter().all(|listener| listener.address.ip().is_loopback()));
    assert_eq!(config.free_min, Share::Fraction(0.05));
    assert_eq!((config.signals, config.keep, config.memory_bytes), (100_000, None, None));
}

#[test]
fn problems_name_line_and_nearest() {
    check(
        "[storage]\ncomit_window = \"2ms\"",
        expect!["tidemill.toml:2: [storage] has no key 'comit_window'. Did you mean 'commit_window'?"],
    );
    check(
        "[stroage]\nkeep = 1",
        expect!["tidemill.toml:1: there is no section [stroage]. Did you mean [storage]?"],
    );
    check(
        "[plant]\nkeep = \"1d\"",
        expect!["tidemill.toml:2: [plant] has no key 'keep'. 'keep' belongs under [storage]"],
    );
    check(
        "\n[limits]\nsignals = 0\nmemory = \"lots\"",
        expect![[r#"
        tidemill.toml:3: signals = 0 cannot be used. It takes a whole number from 1 to 100000000; the default is 100000
        tidemill.toml:4: memory = "lots" cannot be used. It takes auto or a size such as 512MiB, from 128MiB to 1TiB; the default is "auto""#]],
    );
    check(
        "[plant\n",
        expect![
            "tidemill.toml:1: it is no TOML: unclosed table, expected `]`. See https://toml.io for how TOML is written"
        ],
    );
    check(
        "[plant]\ntimezone = \"Mars/Base\"",
        expect![[
            r#"tidemill.toml:2: there is no time zone 'Mars/Base'. Use an IANA name such as "Europe/Berlin", or "system""#
        ]],
    );
}

#[test]
fn nothing_plain_beyond_loopback_without_a_zone() {
    check("[http]\nlisten = [\"0.0.0.0:8443\"]", expect!["fine"]);
    check(
        "[http]\nlisten = [{ address = \"0.0.0.0:8440\", tls = false }]",
        expect![[
            r#"tidemill.toml:2: 0.0.0.0:8440 is beyond loopback, and nothing plain listens there. Take tls = false away, or name a zone that says plain = true: { address = "…", zone = "…" }"#
        ]],
    );
    check(
        "[http]\nlisten = [{ address = \"0.0.0.0:8440\", tls = \"no\" }]",
        expect![[
            r#"tidemill.toml:2: listen = [{ address = "0.0.0.0:8440", tls = "no" }] cannot be used. It takes an address such as 127.0.0.1:8440, or a list of them; the default is ["127.0.0.1:8440", "[::1]:8440"]"#
        ]],
    );
    check(
        "[http]\nlisten = [{ address = \"192.168.1.5:8440\", zone = \"farm\" }]\n[zone.farm]\ncidr = [\"192.168.1.0/24\"]\nplain = true",
        expect!["fine"],
    );
    check(
        "[http]\nlisten = [{ address = \"192.168.1.5:8440\", zone = \"frm\" }]",
        expect!["tidemill.toml:2: there is no zone 'frm'. Add [zone.frm] with its cidr"],
    );
}

#[test]
fn who_speaks_tls() {
    let text = r#"
[http]
listen = ["127.0.0.1:1", { address = "127.0.0.1:2", tls = true }, "10.0.0.1:3", { address = "10.0.0.1:4", zone = "farm" },
    { address = "10.0.0.1:5", zone = "farm", tls = true }, { address = "10.0.0.1:6", zone = "office" }]
[zone.farm]
cidr = ["10.0.0.0/24"]
plain = true
[zone.office]
cidr = ["10.0.1.0/24"]
"#;
    let config = check_text(Path::new("t"), text, &HashMap::new()).unwrap();
    let encrypts = |listener| config.encrypts(listener);
    let ports: Vec<u16> =
        config.http_listen.iter().filter(|one| encrypts(one)).map(|one| one.address.port()).collect();
    assert_eq!(ports, [2, 3, 5, 6]);
}

#[test]
fn certificates_and_names() {
    check(
        "[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nnames = \"mill.example.org, 10.0.0.7\"",
        expect!["fine"],
    );
    check("[tls]\ncertificate = \"\"\nkey = \"\"", expect!["fine"]);
    check(
        "[tls]\ncertificate = \"a.pem\"",
        expect![
            "tidemill.toml:2: tls.certificate is named, and tls.key is not. A certificate is of use only with its key: name both, or neither"
        ],
    );
    check(
        "[tls]\nkey = \"a.pem\"",
        expect![
            "tidemill.toml:2: tls.key is named, and tls.certificate is not. A certificate is of use only with its key: name both, or neither"
        ],
    );
    check(
        "[tls]\nnames = [\"mill:8443\"]",
        expect![
            "tidemill.toml:2: names = [\"mill:8443\"] cannot be used: 'mill:8443' is no name of a machine: write it like tidemill.example.org or 192.168.1.5, without port. It takes a name such as tidemill.example.org, an address, or a list of them; the default is []"
        ],
    );
}

fn environment(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_environment_overrides() {
    let given = environment(&[
        ("TIDEMILL_PLANT_NAME", "Leeds"),
        ("TIDEMILL_HTTP_LISTEN", "[\"127.0.0.1:9000\"]"),
        ("TIDEMILL_LIMITS_SIGNALS", "5"),
        ("TIDEMILL_PLANT", "/srv/leeds"),
        ("TIDEMILL_LOG", "debug"),
    ]);
    let config = check_text(Path::new("t"), "[plant]\nname = \"York\"", &given).unwrap();
    assert_eq!((config.plant_name.as_str(), config.signals, config.http_listen.len()), ("Leeds", 5, 1));
    // A list of one may stand bare, in the file too; a variable has commas.
    for listen in ["127.0.0.1:9000", "[::1]:9000", "127.0.0.1:9000, [::1]:9000", "[\"127.0.0.1:9000\"]"] {
        let config = check_text(Path::new("t"), "", &environment(&[("TIDEMILL_HTTP_LISTEN", listen)]));
        let ports: Vec<u16> = config.unwrap().http_listen.iter().map(|each| each.address.port()).collect();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == 9000), "{listen}: {ports:?}");
    }
    check("[http]\nlisten = \"127.0.0.1:9000\"", expect!["fine"]);
}

#[test]
fn a_wrong_variable_is_named() {
    let check = |name: &str, value: &str, expected: Expect| {
        let findings = check_text(Path::new("t"), "", &environment(&[(name, value)])).unwrap_err();
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        expected.assert_eq(&shown.join("\n"));
    };
    check(
        "TIDEMILL_LIMITS_SIGNALS",
        "many",
        expect![
            "environment variable TIDEMILL_LIMITS_SIGNALS: 'many' cannot be used. It takes a whole number from 1 to 100000000"
        ],
    );
    check(
        "TIDEMILL_HTTP_LISTEN",
        "8440",
        expect![
            "environment variable TIDEMILL_HTTP_LISTEN: '8440' cannot be used. It takes an address such as 127.0.0.1:8440, or a list of them"
        ],
    );
    check(
        "TIDEMILL_HTTP_LISTEN",
        "[{ address = \"0.0.0.0:8440\", tls = false }]",
        expect![[
            r#"environment variable TIDEMILL_HTTP_LISTEN: 0.0.0.0:8440 is beyond loopback, and nothing plain listens there. Take tls = false away, or name a zone that says plain = true: { address = "…", zone = "…" }"#
        ]],
    );
    check(
        "TIDEMILL_STORAGE_KEP",
        "1y",
        expect![
            "environment variable TIDEMILL_STORAGE_KEP: there is no such setting. Did you mean TIDEMILL_STORAGE_KEEP?"
        ],
    );
    check(
        "TIDEMILL_PLANT_TIMEZONE",
        "Mars/Base",
        expect![[
            r#"environment variable TIDEMILL_PLANT_TIMEZONE: there is no time zone 'Mars/Base'. Use an IANA name such as "Europe/Berlin", or "system""#
        ]],
    );
}

/// Those that name no section keep nobody from running, and are told.
#[test]
fn a_variable_that_does_nothing_is_named_with_what_was_meant() {
    let given = environment(&[
        ("TIDEMILL_TYPO", "1"),
        ("TIDEMILL_KEEP", "1y"),
        ("TIDEMILL_STORGE_KEEP", "1y"),
        ("TIDEMILL_TOKN", "abc"),
        // Known ones, one that is empty, and what Kubernetes says of a service called tidemill.
        ("TIDEMILL_STORAGE_KEEP", "1y"),
        ("TIDEMILL_LOG", "debug"),
        ("TIDEMILL_TYPED", ""),
        ("TIDEMILL_PORT", "tcp://10.0.0.11:8440"),
        ("TIDEMILL_PORT_8440_TCP_ADDR", "10.0.0.11"),
        ("TIDEMILL_SERVICE_HOST", "10.0.0.11"),
        ("TIDEMILL_HTTP_SERVICE_PORT_WEB", "8440"),
        ("TIDEMILL_HTTP_PORT", "tcp://10.0.0.12:8440"),
        ("TIDEMILL_HTTP_PORT_8440_TCP", "tcp://10.0.0.12:8440"),
        ("HOME", "/root"),
    ]);
    assert!(check_text(Path::new("t"), "", &given).is_ok());
    let findings = variables::idle(&given);
    assert!(findings.iter().all(|finding| finding.warning));
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    expect![[r#"
        environment variable TIDEMILL_KEEP: no setting has this name, and it does nothing. Did you mean TIDEMILL_STORAGE_KEEP?
        environment variable TIDEMILL_STORGE_KEEP: no setting has this name, and it does nothing. Did you mean TIDEMILL_STORAGE_KEEP?
        environment variable TIDEMILL_TOKN: no setting has this name, and it does nothing. Did you mean TIDEMILL_TOKEN?
        environment variable TIDEMILL_TYPO: no setting has this name, and it does nothing. docs/reference/configuration.md lists every key"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn zones_are_checked_where_they_stand() {
    for (keys, expected) in [
        (
            "cidr = [\"192.168.1.0/33\"]",
            expect![[
                r#"tidemill.toml:3: cidr = ["192.168.1.0/33"] cannot be used: '192.168.1.0/33' has more bits than the 32 of such an address: write a smaller number behind the '/'. It takes a network such as 192.168.1.0/24, or a list of them; the default is []"#
            ]],
        ),
        (
            "cidr = [\"192.168.1.5/24\"]",
            expect![[
                r#"tidemill.toml:3: cidr = ["192.168.1.5/24"] cannot be used: '192.168.1.5/24' names one address inside a network: write 192.168.1.0/24 for the network, or leave '/…' away for the one address. It takes a network such as 192.168.1.0/24, or a list of them; the default is []"#
            ]],
        ),
        (
            "plain = true",
            expect![[
                r#"tidemill.toml:2: zone.farm.cidr: a zone without a network has no addresses. Name one, e.g. ["192.168.1.0/24"]"#
            ]],
        ),
        (
            "cidr = \"10.0.0.0/8\"\nanonymous = [\"raed:#\"]",
            expect![[
                r#"tidemill.toml:4: anonymous = ["raed:#"] cannot be used: 'raed' in 'raed:#' is no verb (did you mean 'read'?): use read, write, command, configure or administer. It takes a right such as write:farm/sensors/#, or a list of them; the default is []"#
            ]],
        ),
        (
            "cidr = \"10.0.0.0/8\"\nanonymous = [\"administer:a/#\"]",
            expect![
                "tidemill.toml:4: zone.farm.anonymous[0]: 'administer:a/#' is never anonymous. Only read and write are; make a token for it"
            ],
        ),
        (
            "cidr = \"10.0.0.0/8\"\nanonymous = \"read:#\"",
            expect![
                "tidemill.toml:4: zone.farm.anonymous[0]: 'read:#' means everything, and the zone reaches beyond this machine. Name the paths, e.g. 'read:line-3/#'"
            ],
        ),
        (
            "cidr = \"10.0.0.0/8\"\nplan = true",
            expect!["tidemill.toml:4: [zone.farm] has no key 'plan'. Did you mean 'plain'?"],
        ),
        ("cidr = \"10.0.0.0/8\"\nanonymous = \"write:farm/sensors/#\"", expect!["fine"]),
    ] {
        check(&format!("[plant]\n[zone.farm]\n{keys}\n"), expected);
    }
}

/// Values that can be read and cannot work: every query would fail, every write take for ever, samples go as they come.
#[test]
fn durations_and_sizes_have_ranges() {
    check(
        "[storage]\ncommit_window = \"20s\"\nkeep = \"1s\"\nfree_min = \"100%\"\nflush_after = \"0s\"\nmerge_every = \"99y\"\n\
         [limits]\nmemory = \"999TiB\"\nquery_time = \"0s\"\nfuture = \"0s\"\npast = \"300y\"",
        expect![[r#"
            tidemill.toml:2: commit_window = "20s" cannot be used. It takes a duration such as 2ms, 30s, 1h, from 0s to 1s; the default is "2ms"
            tidemill.toml:3: keep = "1s" cannot be used. It takes forever or a duration such as 30d, from 1h to 200y; the default is "forever"
            tidemill.toml:4: free_min = "100%" cannot be used. It takes a share such as 5%, up to 90%, or a size such as 10GiB; the default is "5%"
            tidemill.toml:5: flush_after = "0s" cannot be used. It takes a duration such as 2ms, 30s, 1h, from 100ms to 30d; the default is "1h"
            tidemill.toml:6: merge_every = "99y" cannot be used. It takes a duration such as 2ms, 30s, 1h, from 100ms to 1d; the default is "20s"
            tidemill.toml:8: memory = "999TiB" cannot be used. It takes auto or a size such as 512MiB, from 128MiB to 1TiB; the default is "auto"
            tidemill.toml:9: query_time = "0s" cannot be used. It takes a duration such as 2ms, 30s, 1h, from 100ms to 1d; the default is "30s"
            tidemill.toml:10: future = "0s" cannot be used. It takes off or a duration such as 30d, from 1s to 200y; the default is "off"
            tidemill.toml:11: past = "300y" cannot be used. It takes off or a duration such as 30d, from 1s to 200y; the default is "off""#]],
    );
    check(
        "[storage]\ncommit_window = \"0s\"\nkeep = \"1h\"\nfree_min = 0\nflush_after = \"300ms\"\nmerge_every = \"1d\"\n\
         [limits]\nmemory = \"128MiB\"\nquery_time = \"1d\"\nfuture = \"1s\"\npast = \"200y\"",
        expect!["fine"],
    );
    let given = environment(&[("TIDEMILL_LIMITS_QUERY_TIME", "0s")]);
    let findings = check_text(Path::new("tidemill.toml"), "", &given).unwrap_err();
    assert!(findings[0].to_string().contains("from 100ms to 1d"), "{}", findings[0]);
}
