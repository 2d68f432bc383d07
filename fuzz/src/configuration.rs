//! tidemill.toml and the environment over it: any text is a configuration or a list of findings, each with its mend. The
//! reader belongs to the binary, which is no library: its files are built into this one as they stand.

#[allow(dead_code, unused_imports, unreachable_pub, clippy::all, reason = "the binary uses the rest")]
#[path = "../../crates/tidemill/src/config/mod.rs"]
mod config;

use std::collections::HashMap;
use std::path::Path;

pub(crate) fn run(data: &[u8]) {
    // What stands after a zero is given by the environment, one `NAME=value` a line.
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let environment = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let environment: HashMap<String, String> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("TIDEMILL_{name}"), value.to_owned()))
        .collect();
    if let Err(findings) = config::read::check_text(Path::new("tidemill.toml"), text, &environment) {
        assert!(!findings.is_empty(), "a refusal has its reasons");
        for finding in findings {
            assert!(!finding.to_string().is_empty() && !finding.mend.is_empty(), "{finding}");
        }
    }
}
