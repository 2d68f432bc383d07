//! tidemill.toml and the environment over it: any text is a configuration or a list of findings, each with its mend.

use std::collections::HashMap;
use std::path::Path;
use tidemill_config::read::check_text;

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
    if let Err(findings) = check_text(Path::new("tidemill.toml"), text, &environment) {
        assert!(!findings.is_empty(), "a refusal has its reasons");
        for finding in findings {
            assert!(!finding.to_string().is_empty() && !finding.mend.is_empty(), "{finding}");
        }
    }
}
