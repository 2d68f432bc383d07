//! `cargo xtask generate`: writes the files that are generated from the code, from one table; the gate `generated`
//! uses the same table to say that they stand as the code gives them. How a text is made is the program's own matter.

use trials::{Command, shell};

pub(crate) const COMMAND: Command = Command {
    name: "generate",
    arguments: "",
    summary: "Write the files that are generated from the code",
    help: "Run it after a change to what they are made from, and commit the result.\n\n\
           Example: cargo xtask generate && git diff docs/reference",
    run: |_| {
        for file in stale()? {
            std::fs::write(shell::root().join(file.path), &file.text)
                .map_err(|error| format!("{} could not be written: {error}", file.path))?;
            println!("written: {}", file.path);
        }
        Ok(())
    },
};

/// A file that is what a program of ours prints.
pub(crate) struct Generated {
    /// Path from the root.
    path: &'static str,
    /// Arguments of cargo; standard output is the text.
    cargo: &'static [&'static str],
}

/// Every generated file.
pub(crate) const GENERATED: &[Generated] = &[
    page("docs/reference/api.md", &["run", "-q", "-p", "tidemill", "--", "reference", "api"]),
    page(
        "docs/reference/command-line.md",
        &["run", "-q", "-p", "tidemill", "--", "reference", "command-line"],
    ),
    page(
        "docs/reference/configuration.md",
        &["run", "-q", "-p", "tidemill", "--", "reference", "configuration"],
    ),
    page("docs/reference/events.md", &["run", "-q", "-p", "tidemill", "--", "reference", "events"]),
    page("docs/reference/functions.md", &["run", "-q", "-p", "tidemill", "--", "reference", "functions"]),
    page("docs/reference/health.md", &["run", "-q", "-p", "tidemill", "--", "reference", "health"]),
    page("docs/reference/metrics.md", &["run", "-q", "-p", "tidemill", "--", "reference", "metrics"]),
    page("docs/reference/names.md", &["run", "-q", "-p", "tidemill", "--", "reference", "names"]),
    page("docs/reference/problems.md", &["run", "-q", "-p", "tidemill", "--", "reference", "problems"]),
];

const fn page(path: &'static str, cargo: &'static [&'static str]) -> Generated {
    Generated { path, cargo }
}

/// A file that differs from what the code gives now.
pub(crate) struct Stale {
    /// Path from the root.
    pub path: &'static str,
    /// What it should hold.
    pub text: String,
}

/// Runs every generator and returns the files that differ.
pub(crate) fn stale() -> Result<Vec<Stale>, String> {
    compare(GENERATED, |words| {
        let mut cargo = shell::cargo();
        cargo.args(words);
        shell::capture(cargo)
    })
}

fn compare(
    files: &[Generated],
    print: impl Fn(&[&'static str]) -> Result<String, String>,
) -> Result<Vec<Stale>, String> {
    let mut stale = Vec::new();
    for file in files {
        let text = print(file.cargo)?;
        let stands = std::fs::read(shell::root().join(file.path)).unwrap_or_default();
        if stands != text.as_bytes() {
            stale.push(Stale { path: file.path, text });
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_is_stale_and_one_that_agrees_is_not() {
        let files = [
            Generated { path: "xtask/Cargo.toml", cargo: &["same"] },
            Generated { path: "xtask/Cargo.toml", cargo: &["other"] },
            Generated { path: "there/is/no/such/file", cargo: &["other"] },
        ];
        let same = std::fs::read_to_string(shell::root().join("xtask/Cargo.toml")).expect("our manifest");
        let print = |words: &[&'static str]| {
            Ok(if words == ["same"] { same.clone() } else { "something else".into() })
        };
        let stale: Vec<&str> =
            compare(&files, print).expect("printed").iter().map(|file| file.path).collect();
        assert_eq!(stale, ["xtask/Cargo.toml", "there/is/no/such/file"]);
    }
}
