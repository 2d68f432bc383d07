//! What the program is made of: the crates whose code is linked into it, with the features that are really built, as `cargo
//! tree` names them; licence, place and checksum from `cargo metadata` and Cargo.lock. Macros and build scripts run on the
//! machine that builds and are not shipped; they are not here.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use trials::shell;

/// One crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub name: String,
    pub version: String,
    /// SPDX expression; empty where its manifest has none.
    pub licence: String,
    pub repository: Option<String>,
    /// SHA-256 of its package on the registry; none for crates of this repository.
    pub checksum: Option<String>,
    /// Where its sources lie here.
    pub folder: PathBuf,
    /// The parts that it links, as [`Part::key`] has them.
    pub needs: BTreeSet<String>,
}

impl Part {
    /// `name@version`.
    pub(crate) fn key(&self) -> String {
        key(&self.name, &self.version)
    }

    /// Whether it stands in this repository.
    pub(crate) fn is_ours(&self) -> bool {
        self.checksum.is_none()
    }
}

fn key(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

/// The parts of the program `tidemill` on a target, itself included, in the order of their names.
pub(crate) fn of(target: &str) -> Result<Vec<Part>, String> {
    let mut tree = shell::cargo();
    tree.args(["tree", "--locked", "--package", "tidemill", "--edges", "normal,no-proc-macro"]);
    tree.args(["--prefix", "none", "--format", "{p}", "--target", target]);
    let mut metadata = shell::cargo();
    metadata.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target]);
    let value = serde_json::from_str(&shell::capture(metadata)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let lock = shell::text("Cargo.lock")?.ok_or("Cargo.lock is not UTF-8")?;
    joined(&linked(&shell::capture(tree)?), &value, &checksums(&lock)?)
}

/// The keys in the lines of `cargo tree`: `name v1.2.3 (where)`.
fn linked(tree: &str) -> BTreeSet<String> {
    let words = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(key(words.next()?, words.next()?.strip_prefix('v')?))
    });
    words.collect()
}

/// Checksums of packages by key.
fn checksums(lock: &str) -> Result<BTreeMap<String, String>, String> {
    let table: toml::Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = table.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let word = |package: &toml::Value, name: &str| package.get(name)?.as_str().map(str::to_owned);
    Ok(packages
        .filter_map(|package| {
            let key = key(&word(package, "name")?, &word(package, "version")?);
            Some((key, word(package, "checksum")?))
        })
        .collect())
}

fn joined(
    linked: &BTreeSet<String>,
    metadata: &Value,
    checksums: &BTreeMap<String, String>,
) -> Result<Vec<Part>, String> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut keys = BTreeMap::new();
    let mut parts = BTreeMap::new();
    for package in list(metadata, "packages") {
        let word = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
        let part = Part {
            name: word("name"),
            version: word("version"),
            // The slash is how manifests wrote OR before SPDX.
            licence: word("license").replace('/', " OR "),
            repository: package["repository"].as_str().map(str::to_owned),
            checksum: checksums.get(&key(&word("name"), &word("version"))).cloned(),
            folder: PathBuf::from(word("manifest_path")).parent().map(PathBuf::from).unwrap_or_default(),
            needs: BTreeSet::new(),
        };
        keys.insert(word("id"), part.key());
        if linked.contains(&part.key()) {
            parts.insert(part.key(), part);
        }
    }
    for node in list(&metadata["resolve"], "nodes") {
        let Some(part) = node["id"].as_str().and_then(|id| keys.get(id)).and_then(|key| parts.get_mut(key))
        else {
            continue;
        };
        let links = |need: &Value| list(need, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
        let needs = list(&node, "deps");
        let named = needs.iter().filter(|need| links(need)).filter_map(|need| need["pkg"].as_str());
        part.needs =
            named.filter_map(|id| keys.get(id)).filter(|key| linked.contains(*key)).cloned().collect();
    }
    match linked.iter().find(|key| !parts.contains_key(*key)) {
        Some(missing) => Err(format!("cargo metadata does not know {missing}")),
        None => Ok(parts.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_joined_with_what_is_known_of_it() {
        let linked = linked("tidemill v0.1.0 (crates/tidemill)\nbytes v1.12.0\nbytes v1.12.0 (*)\n\n");
        let lock = "[[package]]\nname = \"bytes\"\nversion = \"1.12.0\"\nchecksum = \"ab\"\n";
        let metadata: Value = serde_json::json!({
            "packages": [
                { "id": "a", "name": "tidemill", "version": "0.1.0", "license": "Apache-2.0", "manifest_path": "/x/Cargo.toml" },
                { "id": "b", "name": "bytes", "version": "1.12.0", "license": "MIT/Apache-2.0", "manifest_path": "/b/Cargo.toml" },
                { "id": "c", "name": "cc", "version": "1.0.0", "license": "MIT", "manifest_path": "/c/Cargo.toml" },
            ],
            "resolve": { "nodes": [{ "id": "a", "deps": [
                { "pkg": "b", "dep_kinds": [{ "kind": null }] },
                { "pkg": "c", "dep_kinds": [{ "kind": "build" }] },
            ] }] },
        });
        let parts = joined(&linked, &metadata, &checksums(lock).expect("a lock file")).expect("joined");
        let keys: Vec<String> = parts.iter().map(Part::key).collect();
        assert_eq!(keys, ["bytes@1.12.0", "tidemill@0.1.0"]);
        assert_eq!(parts[0].licence, "MIT OR Apache-2.0");
        assert_eq!(parts[0].checksum.as_deref(), Some("ab"));
        assert!(parts[1].is_ours() && parts[1].needs.contains("bytes@1.12.0"));
        assert!(joined(&BTreeSet::from(["new@1.0.0".to_owned()]), &metadata, &BTreeMap::new()).is_err());
    }
}
