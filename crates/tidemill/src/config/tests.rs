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
        tidemill.toml:4: memory = "lots" cannot be used. It takes auto or a size such as 512MiB; the default is "auto""#]],
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
    check(
        "[http]\nlisten = [\"0.0.0.0:8440\"]",
        expect![[
            r#"tidemill.toml:2: 0.0.0.0:8440 is beyond loopback, and nothing plain listens there. Listen on 127.0.0.1 behind a TLS proxy, or name a zone that says plain = true: { address = "…", zone = "…" }"#
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
fn the_environment_overrides() {
    let environment = HashMap::from([
        ("TIDEMILL_PLANT_NAME".to_owned(), "Leeds".to_owned()),
        ("TIDEMILL_HTTP_LISTEN".to_owned(), "[\"127.0.0.1:9000\"]".to_owned()),
        ("TIDEMILL_LIMITS_SIGNALS".to_owned(), "5".to_owned()),
    ]);
    let config = check_text(Path::new("t"), "[plant]\nname = \"York\"", &environment).unwrap();
    assert_eq!((config.plant_name.as_str(), config.signals, config.http_listen.len()), ("Leeds", 5, 1));
    let wrong = HashMap::from([("TIDEMILL_LIMITS_SIGNALS".to_owned(), "many".to_owned())]);
    let findings = check_text(Path::new("t"), "", &wrong).unwrap_err();
    expect!["environment variable TIDEMILL_LIMITS_SIGNALS: 'many' cannot be used. It takes a whole number from 1 to 100000000"].assert_eq(&findings[0].to_string());
}
