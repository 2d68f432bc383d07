//! What the log does not take: whatever is cut, emptied, missing or turned over is named, and nothing is changed.

use std::path::Path;

use tidemill_ground::{Disk, Ground, Open, Simulation, read};

use super::super::action::Format;
use super::*;

const DIR: &str = "/table";

fn meta() -> MetaData {
    MetaData {
        id: "x".into(),
        name: None,
        format: Format { provider: "parquet".into(), options: BTreeMap::new() },
        schema_string: "{}".into(),
        partition_columns: Vec::new(),
        configuration: BTreeMap::new(),
        created_time: Some(1),
    }
}

fn open(simulation: &Simulation) -> Result<Log, Error> {
    Log::open(Arc::new(simulation.disk.clone()), Path::new(DIR), "table", meta)
}

fn file(name: &str) -> Add {
    Add {
        path: name.into(),
        partition_values: BTreeMap::new(),
        size: 1,
        modification_time: 1,
        data_change: true,
        stats: None,
        tags: None,
    }
}

/// A log with `commits` files, one an entry.
fn with_commits(commits: u64) -> Simulation {
    let (_ground, simulation) = Ground::simulated(1);
    let mut log = open(&simulation).unwrap();
    for n in 1..=commits {
        log.commit(vec![Action::Add(Box::new(file(&format!("{n}.parquet"))))]).unwrap();
        log.tidy().unwrap();
    }
    simulation
}

fn entry(version: u64) -> PathBuf {
    Path::new(DIR).join("_delta_log").join(format!("{version:020}.json"))
}

fn overwrite(simulation: &Simulation, path: &Path, bytes: &[u8]) {
    simulation.disk.remove(path).unwrap();
    simulation.disk.open(path, Open::CreateNew).unwrap().write_at(bytes, 0).unwrap();
}

#[test]
fn an_entry_that_is_cut_or_emptied_is_named_and_nothing_is_changed() {
    for version in [0, 1, 2] {
        let simulation = with_commits(2);
        let whole = read(&simulation.disk, &entry(version)).unwrap();
        for length in 0..whole.len() {
            overwrite(&simulation, &entry(version), &whole[..length]);
            match open(&simulation) {
                Err(Error::Log { file, .. }) => {
                    assert!(entry(version).ends_with(file.rsplit('/').next().unwrap()), "{file} at {length}");
                }
                other => panic!("{length} bytes of entry {version}: {:?}", other.map(|log| log.state)),
            }
            assert_eq!(read(&simulation.disk, &entry(version)).unwrap(), &whole[..length]);
        }
        overwrite(&simulation, &entry(version), &whole);
        assert_eq!(open(&simulation).unwrap().state.files.len(), 2);
    }
}

#[test]
fn an_entry_that_is_missing_between_others_is_named() {
    let simulation = with_commits(3);
    simulation.disk.remove(&entry(2)).unwrap();
    let error = open(&simulation).err().unwrap().to_string();
    assert!(error.contains("00000000000000000003.json") && error.contains("entry 2"), "{error}");
}

#[test]
fn a_log_that_is_gone_beside_its_files_is_not_begun_again() {
    let simulation = with_commits(1);
    simulation.disk.open(&Path::new(DIR).join("1.parquet"), Open::CreateNew).unwrap();
    for version in 0..2 {
        simulation.disk.remove(&entry(version)).unwrap();
    }
    let error = open(&simulation).err().unwrap().to_string();
    assert!(error.contains("1.parquet"), "{error}");
    assert!(!simulation.disk.exists(&entry(0)).unwrap());
}

#[test]
fn what_the_last_commit_says_of_its_corrections_is_found_behind_a_checkpoint() {
    for commits in 0..2 * CHECKPOINT_EVERY {
        let simulation = with_commits(commits);
        let mut log = open(&simulation).unwrap();
        let info = super::super::CommitInfo {
            timestamp: 1,
            operation: "WRITE".into(),
            operation_parameters: BTreeMap::from([(CORRECTIONS_KEY.to_owned(), "[]".into())]),
            engine_info: None,
        };
        log.commit(vec![Action::CommitInfo(info)]).unwrap();
        log.tidy().unwrap();
        assert_eq!(open(&simulation).unwrap().state.corrections.as_deref(), Some("[]"), "{commits}");
    }
}
