//! The gate `licences`: every foreign package is free to ship, comes from crates.io and is not banned. The lists stand
//! once, in deny.toml, in the form of cargo-deny, so that those who have that program can use it too. Security
//! advisories are a gate of their own.

use super::metadata::{self, Package};
use super::spdx::Expression;
use super::{Verdict, verdict};
use toml::{Table, Value};
use trials::shell;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What deny.toml says.
struct Rules {
    allow: Vec<String>,
    /// A crate, and the licences accepted for it alone.
    exceptions: Vec<(String, Vec<String>)>,
    /// A crate, and why it is kept out.
    banned: Vec<(String, String)>,
}

pub(super) fn check() -> Result<Verdict, String> {
    let text = shell::text("deny.toml")?.ok_or("deny.toml is not UTF-8")?;
    let rules = Rules::parse(&text)?;
    let mut foreign: Vec<Package> =
        metadata::packages()?.into_iter().filter(|package| !package.ours).collect();
    // What fuzzes the house is a workspace of its own, to which the house's crates are folders.
    let fuzz =
        metadata::packages_of("fuzz/Cargo.toml")?.into_iter().filter(|package| package.source.is_some());
    foreign.extend(fuzz);
    foreign.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    foreign.dedup_by(|one, other| (&one.name, &one.version) == (&other.name, &other.version));
    let findings = foreign.iter().flat_map(|package| rules.faults(package)).collect();
    for (name, _) in rules.exceptions.iter().filter(|(name, _)| foreign.iter().all(|one| one.name != *name)) {
        println!("note: deny.toml has an exception for {name}, which is not used any more");
    }
    Ok(verdict(findings, format!("{} packages", foreign.len())))
}

impl Rules {
    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
        let licences = section(&table, "licenses")?;
        let mut rules =
            Self { allow: strings(licences.get("allow")), exceptions: Vec::new(), banned: Vec::new() };
        if rules.allow.is_empty() {
            return Err("deny.toml: licenses.allow is empty".into());
        }
        for entry in tables(licences.get("exceptions")) {
            rules.exceptions.push((word(entry, "crate")?, strings(entry.get("allow"))));
        }
        for entry in tables(section(&table, "bans")?.get("deny")) {
            rules.banned.push((word(entry, "crate")?, word(entry, "reason")?));
        }
        Ok(rules)
    }

    fn faults(&self, package: &Package) -> Vec<String> {
        let name = format!("{} {}", package.name, package.version);
        let mut faults = Vec::new();
        if let Some((_, reason)) = self.banned.iter().find(|(banned, _)| *banned == package.name) {
            faults.push(format!("{name} is banned: {reason}"));
        }
        if package.source.as_deref() != Some(REGISTRY) {
            let source = package.source.as_deref().unwrap_or("a folder");
            faults.push(format!(
                "{name} comes from {source}; only releases on crates.io can be checked and repeated"
            ));
        }
        let accepted = |licence: &str| {
            let own = self.exceptions.iter().filter(|(name, _)| *name == package.name);
            self.allow.iter().chain(own.flat_map(|(_, allow)| allow)).any(|allowed| allowed == licence)
        };
        match package.license.as_deref().map(Expression::parse) {
            None => faults.push(format!("{name} names no licence")),
            Some(Err(error)) => faults.push(format!("{name}: its licence cannot be read: {error}")),
            Some(Ok(expression)) if expression.satisfied(&accepted) => {}
            Some(Ok(_)) => {
                let licence = package.license.as_deref().unwrap_or_default();
                faults.push(format!("{name} asks for {licence}, which deny.toml does not accept"));
            }
        }
        faults
    }
}

fn section<'a>(table: &'a Table, name: &str) -> Result<&'a Table, String> {
    table.get(name).and_then(Value::as_table).ok_or_else(|| format!("deny.toml: [{name}] is missing"))
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Table> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn word(entry: &Table, key: &str) -> Result<String, String> {
    let word = entry.get(key).and_then(Value::as_str);
    word.map(str::to_owned)
        .ok_or_else(|| format!("deny.toml: `{key}` is missing in {{ {} }}", entry.to_string().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        exceptions = [{ crate = "option-ext", allow = ["MPL-2.0"] }]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "a C library of the machine" }]
    "#;

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            ..Package::default()
        }
    }

    #[test]
    fn each_kind_of_fault_is_found_and_nothing_else() {
        let rules = Rules::parse(RULES).expect("rules");
        let table = [
            (package("bytes", Some("MIT"), Some(REGISTRY)), None),
            (package("option-ext", Some("MPL-2.0"), Some(REGISTRY)), None),
            (package("other", Some("MPL-2.0"), Some(REGISTRY)), Some("asks for MPL-2.0")),
            (
                package("both", Some("MIT AND GPL-3.0-only"), Some(REGISTRY)),
                Some("asks for MIT AND GPL-3.0-only"),
            ),
            (package("none", None, Some(REGISTRY)), Some("names no licence")),
            (package("odd", Some("MIT OR"), Some(REGISTRY)), Some("cannot be read")),
            (package("openssl-sys", Some("MIT"), Some(REGISTRY)), Some("banned: a C library of the machine")),
            (package("fork", Some("MIT"), Some("git+https://example.org/fork")), Some("comes from git+")),
            (package("vendored", Some("MIT"), None), Some("comes from a folder")),
        ];
        for (package, expected) in table {
            let found = rules.faults(&package);
            match expected {
                None => assert_eq!(found, Vec::<String>::new()),
                Some(word) => assert!(found.len() == 1 && found[0].contains(word), "{found:?}"),
            }
        }
    }

    #[test]
    fn rules_that_say_nothing_are_an_error() {
        for text in [
            "",
            "[licenses]\nallow = []\n[bans]\n",
            "[licenses]\nallow = [\"MIT\"]\n",
            "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"x\" }]\n",
        ] {
            assert!(Rules::parse(text).is_err(), "{text}");
        }
    }
}
