//! tidemill.toml and the environment over it: any text is a configuration or a list of findings, each with its mend. The
//! reader belongs to the binary, which is no library: its files are built into this one as they stand.

#[allow(dead_code, unused_imports, unreachable_pub, clippy::all, reason = "the binary uses the rest")]
#[path = "../../crates/tidemill/src/config/mod.rs"]
mod config;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The reader takes a file: this one, in memory where the system has such a folder.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("tidemill-fuzz-{}.toml", std::process::id()))
    })
}

pub(crate) fn run(data: &[u8]) {
    // What stands after a zero is given by the environment, one `NAME=value` a line.
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let environment = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let environment: HashMap<String, String> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("TIDEMILL_{name}"), value.to_owned()))
        .collect();
    std::fs::write(file(), text).expect("a file in memory");
    if let Err(findings) = config::load(file(), &environment) {
        assert!(!findings.is_empty(), "a refusal has its reasons");
        for finding in findings {
            assert!(!finding.to_string().is_empty() && !finding.mend.is_empty(), "{finding}");
        }
    }
}
