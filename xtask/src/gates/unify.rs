//! The gate `unify`: whatever part of the workspace is built or tested, the packages below DataFusion get the same
//! features, so that cargo builds it once. A room that does not link DataFusion may build packages of its own; that costs
//! seconds (in the lake, whose Arrow and Parquet are beside DataFusion's, two minutes once) and is only said.

use super::{Verdict, metadata, verdict};
use std::collections::BTreeSet;
use trials::shell;

/// The package that nobody wants to build twice; what lies below it counts with it.
const HEAVY: &str = "datafusion";
/// What is built by `cargo build -p` and by `cargo test -p`.
const KINDS: &[(&str, &str)] = &[("build", "normal,build"), ("test", "normal,build,dev")];

/// Every package with its features, as `name version|features`.
type Build = BTreeSet<String>;

pub(super) fn check() -> Result<Verdict, String> {
    let whole = tree(&["--workspace", "--edges", "normal,build,dev"])?;
    let below = tree(&["--package", HEAVY, "--edges", "normal,build"])?;
    let mut findings = Vec::new();
    let members: Vec<_> = metadata::packages()?.into_iter().filter(|package| package.ours).collect();
    for room in &members {
        for (verb, edges) in KINDS {
            let part = tree(&["--package", &room.name, "--edges", edges])?;
            let differing = differing(&part, &whole);
            if links_heavy(&part) {
                findings.extend(
                    differing
                        .iter()
                        .filter(|package| names(&below).contains(name(package)))
                        .map(|package| told(&format!("cargo {verb} -p {}", room.name), package, &whole)),
                );
            } else if !differing.is_empty() {
                println!(
                    "note: cargo {verb} -p {} builds {} packages of its own",
                    room.name,
                    differing.len()
                );
            }
        }
    }
    Ok(verdict(findings, format!("{} packages below DataFusion", below.len())))
}

fn tree(arguments: &[&str]) -> Result<Build, String> {
    let mut cargo = shell::cargo();
    cargo.args(["tree", "--prefix", "none", "--format", "{p}|{f}"]).args(arguments);
    Ok(parse(&shell::capture(cargo)?))
}

/// Lines such as `serde v1.0.1 (proc-macro)|default,std (*)`, without what stands in parentheses.
fn parse(text: &str) -> Build {
    let line = |line: &str| {
        let (package, features) = line.split_once('|')?;
        let mut words = package.split_whitespace();
        let features = features.trim_end_matches("(*)").trim();
        Some(format!("{} {}|{features}", words.next()?, words.next()?))
    };
    text.lines().filter_map(line).collect()
}

fn name(package: &str) -> &str {
    package.split('|').next().unwrap_or(package)
}

fn names(build: &Build) -> BTreeSet<&str> {
    build.iter().map(|package| name(package)).collect()
}

fn links_heavy(build: &Build) -> bool {
    build.iter().any(|package| package.split(' ').next() == Some(HEAVY))
}

/// What a part of the workspace builds otherwise than the whole does.
fn differing(part: &Build, whole: &Build) -> Build {
    part.difference(whole).cloned().collect()
}

/// What `package` lacks against the same package in the whole; cargo may build it there twice, for the machine that
/// builds and for the one that runs, and the nearer of the two is meant.
fn told(command: &str, package: &str, whole: &Build) -> String {
    let own: BTreeSet<&str> = features(package).collect();
    let others = whole.iter().filter(|one| name(one) == name(package));
    let lacking =
        others.map(|one| features(one).filter(|feature| !own.contains(feature)).collect::<Vec<_>>());
    let nearest = lacking.min_by_key(Vec::len).unwrap_or_default();
    format!("{command}: {} lacks the features [{}] of the whole workspace", name(package), nearest.join(","))
}

fn features(package: &str) -> impl Iterator<Item = &str> {
    package.split('|').nth(1).unwrap_or_default().split(',').filter(|feature| !feature.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "tidemill v0.1.0 (crates/tidemill)|\nserde v1.0.1 (proc-macro)|default,std (*)\n\
                         datafusion v55.2.0|sql\n\ntokio v1.54.1|net,rt\ntokio v1.54.1|rt";

    #[test]
    fn a_tree_is_read_without_its_ornaments() {
        let build = parse(WHOLE);
        assert!(
            build.contains("serde v1.0.1|default,std") && build.contains("tidemill v0.1.0|"),
            "{build:?}"
        );
        assert_eq!(build.len(), 5);
        assert!(links_heavy(&build) && !links_heavy(&parse("tokio v1.54.1|rt\ndatafusion-common v55.2.0|")));
    }

    #[test]
    fn a_part_built_with_other_features_is_found_and_told() {
        let whole = parse(WHOLE);
        assert!(differing(&parse("tokio v1.54.1|rt\ndatafusion v55.2.0|sql"), &whole).is_empty());
        let found = differing(&parse("tokio v1.54.1|fs\ndatafusion v55.2.0|sql"), &whole);
        assert_eq!(found, Build::from(["tokio v1.54.1|fs".to_owned()]));
        assert_eq!(
            told("cargo test", "tokio v1.54.1|net", &whole),
            "cargo test: tokio v1.54.1 lacks the features [rt] of the whole workspace"
        );
    }
}
