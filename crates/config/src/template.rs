//! What is made from the table of keys: the commented file of a new plant, and the reference page.

use std::fmt::Write;

use super::keys::{KEYS, Key, KeyKind, SECTIONS, ZONE_KEYS, variable};

/// tidemill.toml of a new plant: every key with its default, commented out, so that the file shows what was changed.
pub fn new_plant_file(name: &str) -> String {
    let mut out = String::from(
        "# Tidemill: this plant's settings. Every key stands here with its default; take the '#' away to change it.\n\
         # A saved file is checked and applied while running, within some seconds; a bad one changes nothing, and the log and\n\
         # `tidemill check` say so.\n",
    );
    for (section, title) in SECTIONS {
        let _ = write!(out, "\n# {title}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == *section) {
            if key.section == "plant" && key.name == "name" {
                let _ = writeln!(out, "name = {}    # {}", toml_text(name), key.meaning);
            } else {
                let _ = writeln!(out, "# {}\n#{} = {}", key.meaning, key.name, key.default);
            }
        }
    }
    out.push_str("\n# Zones are named networks; none exists by default.\n#[zone.farm]\n");
    for key in ZONE_KEYS {
        // A zone has no use without its network: the one key whose default is no example.
        let value = if key.name == "cidr" { "[\"192.168.1.0/24\"]" } else { key.default };
        let _ = writeln!(out, "# {}\n#{} = {value}", key.meaning, key.name);
    }
    out
}

fn toml_text(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

/// docs/reference/configuration.md.
pub fn reference_page() -> String {
    let mut out = String::from(
        "# Configuration: tidemill.toml\n\n\
         Every key has a default, so the file may be empty. An unknown key is an error that names the nearest known one. Each key can be\n\
         overridden by an environment variable. A variable that begins with TIDEMILL_ and names none of them is told at the start (`variable.unknown`).\n\
         `tidemill check` says what is wrong, with file and line.\n\
         A running plant sees within about two seconds that the file (or `connections/line-protocol.toml`) was saved, checks it and applies\n\
         it; `SIGHUP` and `POST /api/v1/reload` do so at once. *Live* keys hold from then on, the others from the next start. A file with a\n\
         mistake changes nothing: the log says so once (`configuration.refused`), and `tidemill check` until it is mended.\n",
    );
    for (section, title) in SECTIONS {
        let _ = write!(out, "\n## [{section}]\n{title}\n\n");
        table(&mut out, KEYS.iter().filter(|key| key.section == *section), true);
    }
    out.push_str("\n## [zone.NAME]\nNamed networks; none exists by default.\n\n");
    table(&mut out, ZONE_KEYS.iter(), false);
    out.push_str(
        "\nA listener may also be a table: `{ address = \"192.168.1.5:8443\", zone = \"farm\", tls = true }`. One with a zone serves that zone's\n\
         addresses only. Beyond loopback each speaks TLS whose zone does not say `plain = true`; `tls = true` asks for it on loopback too.\n",
    );
    out
}

fn table<'a>(out: &mut String, keys: impl Iterator<Item = &'a Key>, with_variable: bool) {
    out.push_str(if with_variable {
        "| key | takes | default | live | variable | meaning |\n|---|---|---|---|---|---|\n"
    } else {
        "| key | takes | default | live | meaning |\n|---|---|---|---|---|\n"
    });
    for key in keys {
        let live = if key.live { "yes" } else { "next start" };
        let _ = write!(out, "| `{}` | {} | `{}` | {live} | ", key.name, takes(key.kind), key.default);
        if with_variable {
            let _ = write!(out, "`{}` | ", variable(key));
        }
        let _ = writeln!(out, "{} |", key.meaning);
    }
}

/// What a key takes, for people.
pub(crate) fn takes(kind: KeyKind) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match kind {
        KeyKind::Text => "text".to_owned(),
        KeyKind::Integer(from, to) => format!("a whole number from {from} to {to}"),
        KeyKind::Duration(from, to) => format!("a duration such as `2ms`, `30s`, `1h`, from {from} to {to}"),
        KeyKind::Share(to) => format!("a share such as `5%`, up to {to}, or a size such as `10GiB`"),
        KeyKind::Listeners => "an address such as `127.0.0.1:8440`, or a list of them".to_owned(),
        KeyKind::Networks => "a network such as `192.168.1.0/24`, or a list of them".to_owned(),
        KeyKind::Names => "a name such as `tidemill.example.org`, an address, or a list of them".to_owned(),
        KeyKind::File => "a file's path, or nothing".to_owned(),
        KeyKind::Rights => "a right such as `write:farm/sensors/#`, or a list of them".to_owned(),
        KeyKind::Word(list) => format!("one of {}", words(list)),
        KeyKind::WordOrDuration(word, from, to) => {
            format!("`{word}` or a duration such as `30d`, from {from} to {to}")
        }
        KeyKind::WordOrBytes(word, from, to) => {
            format!("`{word}` or a size such as `512MiB`, from {from} to {to}")
        }
    }
}
