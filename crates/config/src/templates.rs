//! connections/line-protocol.toml: plant names for the series of line protocol.

use std::path::{Path, PathBuf};

use tidemill_web::line::template::Templates;

use super::Finding;

/// Where the file is, below the plant's folder.
pub const FILE: &str = "connections/line-protocol.toml";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the file; none is no template.
pub fn load(folder: &Path) -> Result<Templates, Vec<Finding>> {
    let file: PathBuf = folder.join(FILE);
    let problem = |line: usize, what: String, mend: &str| {
        vec![Finding { file: file.clone(), line, what, mend: mend.to_owned(), warning: false }]
    };
    let Ok(meta) = std::fs::metadata(&file) else { return Ok(Templates::default()) };
    if meta.len() > FILE_BYTES_MAX {
        return Err(problem(0, format!("the file has {} bytes", meta.len()), "It may have at most 1 MiB"));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| {
        problem(0, format!("it cannot be read: {error}"), "Check the file's owner and that it is UTF-8")
    })?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| {
            text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
        });
        problem(
            line,
            error.message().to_owned(),
            "docs/reference/line-protocol.md shows how templates are written",
        )
    })
}

/// What is wrong with the file.
pub fn check(folder: &Path) -> Vec<Finding> {
    load(folder).err().unwrap_or_default()
}
