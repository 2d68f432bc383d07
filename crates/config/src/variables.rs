//! Which variables of the environment begin as ours do and name nothing, and what was meant. What does not live here: what the
//! variables of keys say (`read.rs`).

use std::collections::HashMap;

use tidemill_core::nearest;

use super::Finding;
use super::keys::{KEYS, SECTIONS, variable};
use super::read::{or_reference, said_by};

const PREFIX: &str = "TIDEMILL_";
/// Variables of the command line, which are no settings of a plant.
pub const OF_THE_COMMAND_LINE: [&str; 5] =
    ["TIDEMILL_PLANT", "TIDEMILL_URL", "TIDEMILL_TOKEN", "TIDEMILL_CA", "TIDEMILL_LOG"];
/// Whether Kubernetes says it of a service that is called `tidemill` or `tidemill-http`, to every container beside it.
fn is_of_engine(name: &str, value: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP"].iter().any(|kind| name.contains("_PORT_") && name.contains(kind))
        || name.ends_with("_PORT") && value.contains("://")
}

/// Variables of one of our sections that name no key: no plant runs with them.
pub(super) fn unknown(environment: &HashMap<String, String>) -> Vec<Finding> {
    let told = |name| finding(name, "there is no such setting", false);
    strange(environment).filter(|name| is_of_section(name)).map(told).collect()
}

/// Variables that begin as ours and name neither a section nor anything else: they do nothing, and the plant runs.
pub fn idle(environment: &HashMap<String, String>) -> Vec<Finding> {
    let is_idle = |name: &&str| {
        let value = environment.get(*name).map_or("", String::as_str);
        let is_known = is_of_section(name) || OF_THE_COMMAND_LINE.contains(name);
        !value.is_empty() && !is_known
    };
    let told = |name| finding(name, "no setting has this name, and it does nothing", true);
    strange(environment).filter(is_idle).map(told).collect()
}

/// Every variable with our beginning that is no key's, sorted.
fn strange(environment: &HashMap<String, String>) -> impl Iterator<Item = &str> {
    let is_ours = |name: &&str| name.starts_with(PREFIX) && !KEYS.iter().any(|key| variable(key) == **name);
    let ours = environment.iter().filter(|(name, value)| !is_of_engine(name, value));
    let mut names: Vec<&str> = ours.map(|(name, _)| name.as_str()).filter(is_ours).collect();
    names.sort_unstable();
    names.into_iter()
}

fn is_of_section(name: &str) -> bool {
    let begins = |section: &str| name.starts_with(&format!("{PREFIX}{}_", section.to_uppercase()));
    SECTIONS.iter().any(|(section, _)| begins(section))
}

fn finding(name: &str, what: &str, warning: bool) -> Finding {
    let mend = meant(name).map_or_else(String::new, |near| format!("Did you mean {near}?"));
    Finding { file: said_by(name), line: 0, what: what.to_owned(), mend: or_reference(mend), warning }
}

/// The variable that was likely meant: by its whole name, else by that of its key alone. Of the beginning, which all have in
/// common, nothing is learned.
fn meant(name: &str) -> Option<String> {
    let said = name.strip_prefix(PREFIX)?;
    let known: Vec<String> = KEYS.iter().map(variable).collect();
    let known = known.iter().map(String::as_str).chain(OF_THE_COMMAND_LINE);
    let near = nearest(said, known.filter_map(|name| name.strip_prefix(PREFIX)));
    let of_key = || KEYS.iter().find(|key| key.name.eq_ignore_ascii_case(said)).map(variable);
    near.map(|near| format!("{PREFIX}{near}")).or_else(of_key)
}
