//! Each entry is a row of the table once, wherever its process was killed.

use bytes::Bytes;
use tidemill_core::{Record, Seq, StreamId};

use super::*;
use crate::audit::rows::{Row, Rows};
use crate::tests::Memory;

const ENTRIES: u64 = 40;

/// A chain over several files, and the rows of its entries as their writer gave them.
fn written(disk: &SimDisk) -> Vec<Row> {
    let (mut writer, _) = open(disk, limits());
    (1..=ENTRIES).flat_map(|seq| writer.append(&pending(&writer, [entry(seq)])).unwrap()).collect()
}

fn journal(rows: &[&Row], cursor: Option<(u64, u64, u64)>) -> Arc<Memory> {
    let record = |row: &&Row| Record {
        stream: StreamId::AUDIT,
        key: Bytes::copy_from_slice(&row.seq.to_be_bytes()),
        value: row.json.clone().into(),
    };
    let cursor = cursor.map(|(place, noted, noted_at)| {
        (Seq(place), Bytes::from([noted.to_be_bytes(), noted_at.to_be_bytes()].concat()))
    });
    let records = rows.iter().map(record).collect::<Vec<_>>();
    Arc::new(Memory { records: records.into(), cursor: cursor.into(), ..Memory::default() })
}

/// Starts over such a journal; gives the entries that have a row then, in order, and how many are said to be missing.
fn started(disk: &SimDisk, rows: &[Row], journal: &Arc<Memory>) -> (Vec<u64>, u64) {
    let missing = tidemill_ground::Metrics::new().counter("missing", "");
    Rows::new(journal.clone(), missing.clone()).begin(disk, &dir(), ENTRIES);
    let mut seqs = Vec::new();
    for record in journal.records.lock().unwrap().iter() {
        let seq = u64::from_be_bytes(record.key[..].try_into().unwrap());
        let row = &rows[usize::try_from(seq).unwrap() - 1];
        assert_eq!(String::from_utf8_lossy(&record.value), String::from_utf8_lossy(&row.json));
        seqs.push(seq);
    }
    seqs.sort_unstable();
    (seqs, missing.get())
}

fn all() -> (Vec<u64>, u64) {
    ((1..=ENTRIES).collect(), 0)
}

#[test]
fn what_a_killed_process_did_not_hand_on_is_handed_on_once() {
    let disk = SimDisk::new(1);
    let rows = written(&disk);
    for noted in 0..=ENTRIES {
        for came in noted..=ENTRIES {
            // All up to `came`; of those behind the note, in another life, every third, the newest first.
            let others = (noted + 1..=came).rev().filter(|seq| seq % 3 == 0);
            for seqs in [(1..=came).collect::<Vec<_>>(), (1..=noted).chain(others).collect()] {
                let have: Vec<&Row> = seqs.iter().map(|seq| &rows[*seq as usize - 1]).collect();
                let journal = journal(&have, Some((noted, noted, noted)));
                assert_eq!(started(&disk, &rows, &journal), all(), "noted {noted}, came {seqs:?}");
                // And nothing at the start after.
                assert_eq!(started(&disk, &rows, &journal), all(), "again: noted {noted}, came {seqs:?}");
                // Killed before the note of all that: the cursor stands where it stood.
                let cursor = [noted.to_be_bytes(), noted.to_be_bytes()].concat();
                *journal.cursor.lock().unwrap() = Some((Seq(noted), cursor.into()));
                assert_eq!(started(&disk, &rows, &journal), all(), "killed: noted {noted}, came {seqs:?}");
            }
        }
    }
}

#[test]
fn what_nobody_can_tell_is_counted_and_given_twice_never() {
    let disk = SimDisk::new(1);
    let rows = written(&disk);
    let first = |count: usize| rows.iter().take(count).collect::<Vec<_>>();
    // The journal moved the cursor on, from 10 to 12: two rows more are seen behind it.
    let moved = journal(&first(14), Some((12, 10, 10)));
    assert_eq!(started(&disk, &rows, &moved), ((1..=14).collect(), ENTRIES - 10 - 2));
    assert_eq!(started(&disk, &rows, &moved), ((1..=14).collect(), 0), "told once");
    // A journal from before there was a cursor: its newest row tells.
    assert_eq!(started(&disk, &rows, &journal(&first(31), None)), all());
    assert_eq!(
        started(&disk, &rows, &journal(&[], None)),
        (Vec::new(), 0),
        "another journal has none of them"
    );
    // Entries that are gone from the files as well.
    disk.remove(&dir().join(file_name(29))).unwrap();
    let (seqs, missing) = started(&disk, &rows, &journal(&first(20), Some((20, 20, 20))));
    assert_eq!((seqs, missing), ((1..=28).collect(), 12));
}
