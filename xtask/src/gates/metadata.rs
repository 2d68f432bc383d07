//! What `cargo metadata` says of the workspace and of every package below it, in the few words that the gates need.
//! What a gate makes of it stands in that gate.

use serde_json::Value;
use trials::shell;

/// One package, ours or foreign.
#[derive(Debug, Clone, Default)]
pub(super) struct Package {
    /// Name, as on the registry.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX expression, when its manifest gives one.
    pub license: Option<String>,
    /// Where it came from; `None` is this repository.
    pub source: Option<String>,
    /// The crates its manifest names.
    pub needs: Vec<Need>,
    /// Whether it belongs to the workspace.
    pub ours: bool,
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// The crate.
    pub name: String,
    /// Named under `[dev-dependencies]`.
    pub dev: bool,
}

/// Every package of the house's lock file, ours first.
pub(super) fn packages() -> Result<Vec<Package>, String> {
    packages_of("Cargo.toml")
}

/// Every package of the lock file beside a manifest, those of its workspace first.
pub(super) fn packages_of(manifest: &str) -> Result<Vec<Package>, String> {
    let mut cargo = shell::cargo();
    cargo.args(["metadata", "--format-version", "1", "--manifest-path", manifest]);
    let value: Value =
        serde_json::from_str(&shell::capture(cargo)?).map_err(|error| format!("cargo metadata: {error}"))?;
    let members: Vec<&str> = list(&value, "workspace_members").iter().filter_map(Value::as_str).collect();
    let mut packages: Vec<Package> =
        list(&value, "packages").iter().map(|one| package(one, &members)).collect();
    packages.sort_by_key(|package| !package.ours);
    if packages.iter().any(|package| package.ours) {
        Ok(packages)
    } else {
        Err("cargo metadata names no package of the workspace".into())
    }
}

fn package(value: &Value, members: &[&str]) -> Package {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let needs = list(value, "dependencies").iter().filter_map(|one| {
        let name = one.get("name")?.as_str()?.to_owned();
        Some(Need { name, dev: one.get("kind").and_then(Value::as_str) == Some("dev") })
    });
    Package {
        name: text("name").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        license: text("license"),
        source: text("source"),
        needs: needs.collect(),
        ours: text("id").is_some_and(|id| members.contains(&id.as_str())),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
