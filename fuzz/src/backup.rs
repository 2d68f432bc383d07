//! Backups that anybody may have made: whatever stands in one, reading it ends, and unpacking it makes files below its folder
//! or none at all.

use std::path::Path;

use tidemill_backup::{About, Chain, Hash, Manifest, Packer, Restored, is_legal, restore};
use tidemill_ground::{Ground, Open};

const FILE: &str = "/backups/one";

pub(crate) fn run(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert!(manifest.files.iter().all(|file| is_legal(&file.path)));
    }
    unpack(data);
    // A whole one of which some bytes are others: the first two of four say where.
    let (edits, content) = data.split_at(data.len().min(32));
    let mut bytes = pack(content);
    let before = bytes.clone();
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] ^= edit[2];
    }
    let sound = unpack(&bytes);
    assert_eq!(sound, bytes == before, "no byte can be changed unseen");
}

/// A plant whose files are pieces of these bytes.
fn pack(content: &[u8]) -> Vec<u8> {
    let about = About { taken: "2026-03-01T06:00:00Z".into(), ..About::default() };
    let mut packer = Packer::begin(Vec::new(), about, None).expect("memory takes all");
    for (number, piece) in content.chunks(700).enumerate() {
        let ending = if number % 2 == 0 { "parquet" } else { "json" };
        let read = |buffer: &mut [u8], at: u64| {
            let rest = piece.get(at as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        };
        let path = format!("data/{number}.{ending}");
        packer.add(&path, piece.len() as u64, false, &read).expect("memory takes all");
    }
    packer.finish().expect("memory takes all").0
}

/// Whether it is whole.
fn unpack(bytes: &[u8]) -> bool {
    let (ground, _) = Ground::simulated(1);
    let disk = ground.disk.as_ref();
    disk.create_dir_all(Path::new("/backups")).expect("an empty disk");
    disk.open(Path::new(FILE), Open::CreateNew)
        .and_then(|file| file.write_at(bytes, 0))
        .expect("an empty disk");
    let Ok(chain) = Chain::open(disk, Path::new(FILE), &[]) else { return false };
    let whole = chain.verify(&mut |_| {}).is_ok_and(|verdict| verdict.findings.is_empty());
    let told = Restored {
        format: 1,
        backup: Hash::of(b""),
        taken: String::new(),
        restored: String::new(),
        by: String::new(),
    };
    let restored = restore(disk, &chain, Path::new("/plant"), &told, &mut |_| {});
    assert_eq!(restored.is_ok(), whole);
    let names: Vec<String> =
        disk.list(Path::new("/")).expect("the root").into_iter().map(|entry| entry.name).collect();
    let expected: &[&str] = if whole { &["backups", "plant"] } else { &["backups"] };
    assert_eq!(names, expected, "nothing is made elsewhere, or in part");
    whole
}
