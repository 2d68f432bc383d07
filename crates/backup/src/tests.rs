//! Backups of small plants on a simulated disk: what goes in comes out, whatever is done to a byte is found, and what was
//! not made by us is refused by name.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;
use tidemill_ground::{Disk, Ground, Open, Operation, create_dirs, read};

use crate::*;

mod places;

type Files = BTreeMap<String, Vec<u8>>;

const FILE: &str = "/backups/one.tdm";

fn disk() -> Arc<dyn Disk> {
    let (ground, _) = Ground::simulated(1);
    create_dirs(ground.disk.as_ref(), Path::new("/backups")).unwrap();
    ground.disk
}

fn about() -> About {
    About {
        plant: "works".into(),
        program: "0.1.0".into(),
        taken: "2026-03-01T06:00:00Z".into(),
        running: true,
        journal: Some(7),
        tables: Vec::new(),
    }
}

fn plant(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
}

fn small() -> Files {
    plant(&[
        ("tidemill.toml", b"[plant]\nname = \"works\"\n"),
        ("connections/line-protocol.toml", &[b'#'; 3_000]),
        ("data/bus/registry.ids", b""),
        ("data/lake/samples/2026-01-01-1d-00.parquet", &[7; 2_000]),
    ])
}

fn read_at(bytes: &[u8]) -> impl Fn(&mut [u8], u64) -> io::Result<usize> + '_ {
    |buffer, at| {
        let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

fn pack(files: &Files, since: Option<Since>) -> (Vec<u8>, Done) {
    let mut packer = Packer::begin(Vec::new(), about(), since).unwrap();
    for (path, bytes) in files {
        packer.add(path, bytes.len() as u64, path.ends_with(".parquet"), &read_at(bytes)).unwrap();
    }
    packer.finish().unwrap()
}

fn put(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    if disk.exists(Path::new(path)).unwrap() {
        disk.remove(Path::new(path)).unwrap();
    }
    disk.open(Path::new(path), Open::CreateNew).unwrap().write_at(bytes, 0).unwrap();
}

fn since(disk: &dyn Disk, path: &str) -> Since {
    let archive = Archive::open(disk, Path::new(path)).unwrap();
    Since { manifest: archive.manifest().clone(), hash: archive.hash() }
}

fn told() -> Restored {
    Restored {
        format: 1,
        backup: Hash::of(b""),
        taken: String::new(),
        restored: String::new(),
        by: "anna".into(),
    }
}

fn restored(disk: &dyn Disk, file: &str, folder: &str) -> Result<Files, Error> {
    let chain = Chain::open(disk, Path::new(file), &[])?;
    restore(disk, &chain, Path::new(folder), &told(), &mut |_| {})?;
    let mut files = Files::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(at) = folders.pop() {
        for entry in disk.list(&at).unwrap() {
            let path = at.join(&entry.name);
            if entry.is_dir {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.insert(name, read(disk, &path).unwrap());
            }
        }
    }
    assert!(files.remove(RESTORED).is_some(), "it says that it was restored");
    Ok(files)
}

fn verify(disk: &dyn Disk, file: &str) -> Vec<String> {
    let problem = |error: Error| {
        let code = tidemill_core::Problem::from_code(&error);
        vec![format!("{code}: {error}")]
    };
    match Chain::open(disk, Path::new(file), &[]).and_then(|chain| chain.verify(&mut |_| {})) {
        Ok(verdict) => {
            let found = verdict.findings.iter().map(ToString::to_string);
            found.chain(verdict.notes.into_iter().map(|note| format!("note: {note}"))).collect()
        }
        Err(error) => problem(error),
    }
}

trait CodeOf {
    fn from_code(error: &Error) -> &'static str;
}

impl CodeOf for tidemill_core::Problem {
    fn from_code(error: &Error) -> &'static str {
        match error {
            Error::NotWhole { .. } => "not whole",
            Error::Damaged(_) => "damaged",
            Error::Newer { .. } => "newer",
            Error::NoBase { .. } => "no base",
            Error::WrongBase { .. } => "wrong base",
            _ => "other",
        }
    }
}

#[test]
fn what_goes_in_comes_out() {
    let disk = disk();
    let (bytes, done) = pack(&small(), None);
    put(&*disk, FILE, &bytes);
    assert_eq!((done.bytes, done.files, done.files_before), (bytes.len() as u64, 4, 0));
    assert_eq!(verify(&*disk, FILE), [""; 0]);
    assert_eq!(restored(&*disk, FILE, "/plant").unwrap(), small());
}

#[test]
fn large_files_are_packed_in_pieces() {
    let disk = disk();
    let long: Vec<u8> = (0..9_000_000_u32).map(|number| (number / 100) as u8).collect();
    let files = plant(&[
        ("data/journal/0000000001.segment", &long),
        ("data/lake/samples/a.parquet", &long),
        (&format!("displays/{}.json", "x".repeat(240)), b"{}"),
    ]);
    let (bytes, _) = pack(&files, None);
    put(&*disk, FILE, &bytes);
    let archive = Archive::open(&*disk, Path::new(FILE)).unwrap();
    let members: Vec<usize> = archive
        .manifest()
        .files
        .iter()
        .map(|file| match &file.place {
            Place::Here { members, .. } => members.len(),
            Place::Base { .. } => 0,
        })
        .collect();
    assert_eq!(members, [3, 1, 1]);
    assert_eq!(restored(&*disk, FILE, "/plant").unwrap(), files);
}

/// As `tar` reads it: names and lengths.
#[test]
fn any_tar_reads_it() {
    let (bytes, _) = pack(&small(), None);
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 512).filter(|head| head[0] != 0) {
        let text = |from: usize, to: usize| {
            let field = head[from..to].split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(field).into_owned()
        };
        let sum: u32 = head
            .iter()
            .enumerate()
            .map(|(place, byte)| if (148..156).contains(&place) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(u32::from_str_radix(&text(148, 154), 8), Ok(sum));
        assert_eq!(text(257, 263), "ustar");
        let size = usize::from_str_radix(&text(124, 136), 8).unwrap();
        names.push(format!("{} {size}", text(0, 100)));
        at += 512 + size.next_multiple_of(512);
    }
    names
        .retain(|name| !name.starts_with("tidemill-backup.json") && !name.starts_with("tidemill-backup.end"));
    expect![[r#"
        [
            "tidemill-backup.txt 570",
            "connections/line-protocol.toml.zst 19",
            "data/bus/registry.ids 0",
            "data/lake/samples/2026-01-01-1d-00.parquet 2000",
            "tidemill.toml 23",
        ]"#]]
    .assert_eq(&format!("{names:#?}"));
    assert!(bytes[at..].iter().all(|byte| *byte == 0) && bytes.len() - at == 1024);
}

#[test]
fn no_byte_can_be_changed_unseen() {
    let disk = disk();
    let (bytes, _) = pack(&small(), None);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        put(&*disk, FILE, &bad);
        assert!(!verify(&*disk, FILE).is_empty(), "byte {at} was changed and nobody saw it");
    }
}

#[test]
fn damage_is_named() {
    let disk = disk();
    let (bytes, _) = pack(&small(), None);
    let place = |what: &[u8]| bytes.windows(what.len()).position(|part| part == what).unwrap();
    let with = |at: usize, new: &[u8]| {
        let mut bad = bytes.clone();
        bad[at..at + new.len()].copy_from_slice(new);
        bad
    };
    let content = place(&[7; 2_000]);
    let mut swapped = bytes.clone();
    let (toml, ids) = (place(b"tidemill.toml"), place(b"data/bus/registry.ids"));
    swapped[toml..toml + 512].copy_from_slice(&bytes[ids..ids + 512]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("another file", b"PK\x03\x04".repeat(1_000)),
        ("cut off", bytes[..bytes.len() - 700].to_vec()),
        ("half", bytes[..content + 100].to_vec()),
        ("one byte more", [&bytes[..], b"x"].concat()),
        ("a bit of content", with(content + 5, &[6])),
        ("a name that leads out", with(toml, b"../../etc/x\0\0")),
        ("an absolute name", with(toml, b"/etc/passwd\0\0")),
        ("a link", with(toml + 156, b"2")),
        ("a device", with(toml + 156, b"3")),
        ("a length", with(toml + 124, b"77777777777")),
        ("a head of another file", swapped),
        ("zeros behind a file", with(toml + 512 + 24, b"x")),
        ("the manifest", with(place(b"\"tidemill-backup\":1"), b"\"tidemill-backup\":2")),
        ("a later format", with(place(b"tidemill-backup 1\n"), b"tidemill-backup 9\n")),
        ("the manifest's hash", with(place(b"\nmanifest ") + 20, b"0000")),
    ];
    let mut told = String::new();
    for (name, bad) in cases {
        put(&*disk, FILE, &bad);
        told.push_str(&format!("{name}: {}\n", verify(&*disk, FILE).join(" | ")));
    }
    expect![[r#"
        nothing: not whole: /backups/one.tdm is no whole backup: it does not end as one does. It is cut off, was never finished, or is something else
        another file: not whole: /backups/one.tdm is no whole backup: it does not end as one does. It is cut off, was never finished, or is something else
        cut off: not whole: /backups/one.tdm is no whole backup: it does not end as one does. It is cut off, was never finished, or is something else
        half: not whole: /backups/one.tdm is no whole backup: it does not end as one does. It is cut off, was never finished, or is something else
        one byte more: not whole: /backups/one.tdm is no whole backup: it does not end as one does. It is cut off, was never finished, or is something else
        a bit of content: /backups/one.tdm is damaged at byte 3072, in data/lake/samples/2026-01-01-1d-00.parquet: its content is not what was written (SHA-256)
        a name that leads out: /backups/one.tdm is damaged at byte 5632, in tidemill.toml: what stands there is not what was written
        an absolute name: /backups/one.tdm is damaged at byte 5632, in tidemill.toml: what stands there is not what was written
        a link: /backups/one.tdm is damaged at byte 5788, in tidemill.toml: what stands there is not what was written
        a device: /backups/one.tdm is damaged at byte 5788, in tidemill.toml: what stands there is not what was written
        a length: /backups/one.tdm is damaged at byte 5756, in tidemill.toml: what stands there is not what was written
        a head of another file: /backups/one.tdm is damaged at byte 5632, in tidemill.toml: what stands there is not what was written
        zeros behind a file: /backups/one.tdm is damaged at byte 6168, in tidemill.toml: what stands there is not what was written
        the manifest: damaged: /backups/one.tdm is damaged at byte 6656: its manifest is not the one that was written
        a later format: newer: /backups/one.tdm is a backup of format 9, and this program knows format 1
        the manifest's hash: damaged: /backups/one.tdm is damaged at byte 6656: its manifest is not the one that was written
    "#]].assert_eq(&told);
}

/// A backup with this manifest, whole in every other way.
fn forged(manifest: &str) -> Vec<u8> {
    let mut bytes = crate::manifest::readme(1_772_344_800);
    let at = bytes.len() as u64;
    bytes.extend(crate::manifest::member(crate::manifest::MANIFEST, manifest.as_bytes(), 1_772_344_800));
    let end = crate::pack::end_text(at, manifest.len() as u64, Hash::of(manifest.as_bytes()));
    bytes.extend(crate::manifest::member(crate::manifest::END, end.as_bytes(), 1_772_344_800));
    bytes.extend([0; 1024]);
    bytes
}

#[test]
fn a_manifest_is_believed_nothing() {
    let disk = disk();
    let empty = Hash::of(b"");
    let base = |path: &str| format!(r#"{{"path":"{path}","bytes":0,"sha256":"{empty}","base":"{empty}"}}"#);
    let here = |bytes: u64, at: u64, zstd: bool, members: &str| {
        format!(
            r#"{{"path":"tidemill.toml","bytes":{bytes},"sha256":"{empty}","at":{at},"zstd":{},"members":[{members}]}}"#,
            if zstd { format!("\"{empty}\"") } else { "null".to_owned() }
        )
    };
    let list = |files: &[String]| {
        format!(
            "{{\"tidemill-backup\":1,\"plant\":\"p\",\"program\":\"0\",\"taken\":\"2026-03-01T06:00:00Z\",\"running\":false,\
             \"journal\":null,\"tables\":[],\"notes\":[],\"files\":[{}]}}\n",
            files.join(",")
        )
    };
    let cases = [
        ("no files", list(&[])),
        ("up and out", list(&[base("data/../../etc/passwd")])),
        ("absolute", list(&[base("/etc/passwd")])),
        ("a dot", list(&[base("data/./x")])),
        ("empty name", list(&[base("data//x")])),
        ("another folder", list(&[base(".ssh/authorized_keys")])),
        ("another file", list(&[base("tidemill.toml.bak")])),
        ("windows", list(&[base(r"data/..\\..\\x")])),
        ("control", list(&[base(r"data/\u0007")])),
        ("the note of a restore", list(&[base(RESTORED)])),
        ("twice", list(&[base("data/a"), base("data/a")])),
        ("file and folder", list(&[base("data/a/b"), base("data/a")])),
        ("a place that is not next", list(&[here(0, 4096, false, "0")])),
        ("a bomb", list(&[here(1 << 50, 1536, true, "100")])),
        ("too long a frame", list(&[here(100, 1536, true, "1099511627776")])),
        ("other lengths", list(&[here(100, 1536, false, "101")])),
        ("behind the end", list(&[here(u64::MAX, 1536, false, "18446744073709551615")])),
        ("more members", list(&[here(100, 1536, false, "100,0")])),
        ("unknown members", list(&[]).replace("\"notes\"", "\"more\":1,\"notes\"")),
        ("other spelling", list(&[]).replace("\"notes\"", " \"notes\"")),
        ("no time", list(&[]).replace("2026-03-01T06:00:00Z", "today")),
        ("no base", list(&[base("data/a")])),
    ];
    let mut told = String::new();
    for (name, manifest) in cases {
        put(&*disk, FILE, &forged(&manifest));
        let found = verify(&*disk, FILE)
            .join(" | ")
            .replace("damaged: /backups/one.tdm is damaged at byte 1536: ", "");
        told.push_str(&format!("{name}: {found}\n"));
        if name != "no files" {
            assert!(restored(&*disk, FILE, "/plant").is_err(), "{name}");
            assert!(!disk.exists(Path::new("/plant")).unwrap(), "{name}");
        }
    }
    expect![[r#"
        no files: 
        up and out: "data/../../etc/passwd" is no place in a plant
        absolute: "/etc/passwd" is no place in a plant
        a dot: "data/./x" is no place in a plant
        empty name: "data//x" is no place in a plant
        another folder: ".ssh/authorized_keys" is no place in a plant
        another file: "tidemill.toml.bak" is no place in a plant
        windows: "data/..\\..\\x" is no place in a plant
        control: "data/\u{7}" is no place in a plant
        the note of a restore: "data/restored.json" is no place in a plant
        twice: data/a stands twice
        file and folder: data/a is a file and a folder
        a place that is not next: tidemill.toml begins at byte 4096, where byte 1536 follows
        a bomb: tidemill.toml has members that cannot be
        too long a frame: tidemill.toml has members that cannot be
        other lengths: tidemill.toml has members that cannot be
        behind the end: tidemill.toml has members that cannot be
        more members: tidemill.toml has members that cannot be
        unknown members: the manifest cannot be read: unknown field `more`, expected one of `tidemill-backup`, `plant`, `program`, `taken`, `running`, `journal`, `tables`, `notes`, `files` at line 1 column 127
        other spelling: the manifest is not spelled as this format spells it
        no time: the manifest has no time
        no base: no base: /backups/one.tdm builds upon the backup e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, which is in none of /backups
    "#]].assert_eq(&told);
}

#[test]
fn a_chain_of_three() {
    let disk = disk();
    let mut files = small();
    put(&*disk, FILE, &pack(&files, None).0);
    files.insert("data/lake/samples/second.parquet".into(), vec![1; 9_000]);
    files.insert("tidemill.toml".into(), b"[plant]\nname = \"other\"\n".to_vec());
    let (bytes, done) = pack(&files, Some(since(&*disk, FILE)));
    assert_eq!((done.files, done.files_before), (5, 3), "what has the same bytes is left out");
    put(&*disk, "/backups/two.tdm", &bytes);
    files.insert("data/lake/samples/third.parquet".into(), vec![2; 9_000]);
    files.remove("data/lake/samples/2026-01-01-1d-00.parquet");
    let (bytes, done) = pack(&files, Some(since(&*disk, "/backups/two.tdm")));
    assert_eq!((done.files, done.files_before), (5, 4));
    put(&*disk, "/backups/three.tdm", &bytes);
    assert_eq!(restored(&*disk, "/backups/three.tdm", "/plant").unwrap(), files);
    assert_eq!(verify(&*disk, "/backups/three.tdm"), [""; 0]);

    // Whatever they are called, and wherever they are.
    create_dirs(&*disk, Path::new("/vault")).unwrap();
    disk.rename(Path::new(FILE), Path::new("/vault/renamed")).unwrap();
    let gone = verify(&*disk, "/backups/three.tdm").join("");
    assert!(gone.starts_with("no base: /backups/three.tdm builds upon the backup "), "{gone}");
    for place in ["/vault", "/vault/renamed"] {
        let chain = Chain::open(&*disk, Path::new("/backups/three.tdm"), &[place.into()]).unwrap();
        assert_eq!(chain.verify(&mut |_| {}).unwrap().findings, []);
        assert_eq!(chain.bases().count(), 2);
    }
    // Damage in a base is told with the base's name.
    let mut base = read(&*disk, Path::new("/vault/renamed")).unwrap();
    let at = base
        .windows(20)
        .position(|part| part == [b'#'; 20])
        .or_else(|| base.windows(4).position(|part| part == [0x28, 0xB5, 0x2F, 0xFD]));
    base[at.unwrap()] ^= 1;
    put(&*disk, FILE, &base);
    let told = verify(&*disk, "/backups/three.tdm").join("");
    assert!(
        told.starts_with("/backups/one.tdm is damaged at byte ") && told.contains("line-protocol"),
        "{told}"
    );
}

#[test]
fn of_a_base_that_is_damaged_a_whole_copy_is_taken() {
    let disk = disk();
    let mut files = small();
    let older = pack(&files, None).0;
    put(&*disk, "/backups/b.tdm", &older);
    files.insert("data/lake/samples/second.parquet".into(), vec![1; 900]);
    // What the second has not, and what it builds upon the first for.
    files.remove("connections/line-protocol.toml");
    let bytes = pack(&files, Some(since(&*disk, "/backups/b.tdm"))).0;
    put(&*disk, "/backups/two.tdm", &bytes);
    let place = |what: &[u8]| older.windows(what.len()).position(|part| part == what).unwrap();
    let with = |at: usize| {
        let mut bad = older.clone();
        bad[at] ^= 1;
        bad
    };
    let cases = [
        ("its list", with(place(b"\"plant\":"))),
        ("what is needed", with(place(&[7; 2_000]) + 3)),
        ("what is not", with(place(&[0x28, 0xB5, 0x2F, 0xFD]) + 6)),
    ];
    let mut told = String::new();
    for (name, bad) in cases {
        put(&*disk, "/backups/a.tdm", &bad);
        told.push_str(&format!("{name}: {}\n", verify(&*disk, "/backups/two.tdm").join(" | ")));
        let folder = format!("/{}", name.replace(' ', "-"));
        assert_eq!(restored(&*disk, "/backups/two.tdm", &folder).unwrap(), files, "{name}");
        // Where it is the only one it is told, also where nothing of it is needed; then a plant can be made all the same.
        disk.remove(Path::new("/backups/b.tdm")).unwrap();
        told.push_str(&format!("  alone: {}\n", verify(&*disk, "/backups/two.tdm").join(" | ")));
        let made = restored(&*disk, "/backups/two.tdm", &format!("{folder}-alone"));
        assert_eq!(made.is_ok(), name == "what is not", "{name}");
        put(&*disk, "/backups/b.tdm", &older);
    }
    expect![[r#"
        its list: note: /backups/a.tdm is damaged at byte 6656: its manifest is not the one that was written
          alone: damaged: /backups/a.tdm is damaged at byte 6656: its manifest is not the one that was written
        what is needed: note: /backups/a.tdm is damaged at byte 3072, in data/lake/samples/2026-01-01-1d-00.parquet: its content is not what was written (SHA-256)
          alone: /backups/a.tdm is damaged at byte 3072, in data/lake/samples/2026-01-01-1d-00.parquet: its content is not what was written (SHA-256)
        what is not: note: /backups/a.tdm is damaged at byte 2048, in connections/line-protocol.toml: it cannot be unpacked to what it was
          alone: /backups/a.tdm is damaged at byte 2048, in connections/line-protocol.toml: it cannot be unpacked to what it was
    "#]].assert_eq(&told);
}

/// The second restore would lack what the first backup has damaged: however much damage of copies is told before it.
#[test]
fn no_damage_keeps_more_from_being_found() {
    let disk = disk();
    let many: Files =
        (0..150).map(|number| (format!("displays/{number:03}.json"), vec![b'x'; 600])).collect();
    let older = pack(&many, None).0;
    let archive_with = |damaged: std::ops::Range<usize>| {
        let mut bytes = older.clone();
        put(&*disk, "/older.tdm", &older);
        for file in &since(&*disk, "/older.tdm").manifest.files[damaged] {
            let Place::Here { at, .. } = file.place else { panic!("{file:?}") };
            bytes[at as usize + 512 + 6] ^= 1;
        }
        bytes
    };
    put(&*disk, "/backups/b.tdm", &older);
    let newer = Files::from([("displays/new.json".to_owned(), b"{}".to_vec())]);
    let newer = pack(&many.into_iter().chain(newer).collect(), Some(since(&*disk, "/backups/b.tdm"))).0;
    put(&*disk, "/backups/two.tdm", &newer);
    put(&*disk, "/backups/a.tdm", &archive_with(0..150));
    let verdict = || {
        let chain = Chain::open(&*disk, Path::new("/backups/two.tdm"), &[]).unwrap();
        let mut seen = 0;
        let verdict = chain.verify(&mut |bytes| seen += bytes).unwrap();
        (verdict, seen)
    };
    let (harmless, seen) = verdict();
    assert_eq!((harmless.findings, harmless.findings_more), (Vec::new(), 0));
    assert_eq!((harmless.notes.len(), harmless.notes_more), (100, 50));
    assert_eq!(seen, 150 * 600 + 2, "all of the whole copy, and of the backup itself");
    put(&*disk, "/backups/b.tdm", &archive_with(140..141));
    let found: Vec<String> = verdict().0.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "one in each copy: {found:?}");
    assert!(found.iter().all(|what| what.contains("in displays/140.json")), "{found:?}");
    assert!(restored(&*disk, "/backups/two.tdm", "/plant").is_err());
    // And all of it is counted where no copy is whole.
    disk.remove(Path::new("/backups/b.tdm")).unwrap();
    let (lost, _) = verdict();
    assert_eq!((lost.findings.len(), lost.findings_more, lost.notes.len()), (100, 50, 0));
}

#[test]
fn what_a_disk_does_not_give_of_one_copy_is_taken_from_another() {
    let (ground, sim) = Ground::simulated(1);
    let disk = &*ground.disk;
    create_dirs(disk, Path::new("/backups")).unwrap();
    let mut files = small();
    let older = pack(&files, None).0;
    put(disk, "/backups/a.tdm", &older);
    put(disk, "/backups/b.tdm", &older);
    files.insert("data/lake/samples/second.parquet".into(), vec![1; 900]);
    put(disk, "/backups/two.tdm", &pack(&files, Some(since(disk, "/backups/a.tdm"))).0);
    let chain = Chain::open(disk, Path::new("/backups/two.tdm"), &[]).unwrap();
    for file in chain.own().manifest().files.iter().filter(|file| matches!(file.place, Place::Base { .. })) {
        sim.disk.fail_next(Operation::Read, io::ErrorKind::Other);
        let mut taken = vec![0; file.bytes as usize];
        let passed_over = chain.content(file, &mut |at, bytes| {
            taken[at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        });
        let told: Vec<String> = passed_over.unwrap().iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with("/backups/a.tdm is damaged"), "{told:?}");
        assert!(told[0].contains(&file.path) && told[0].contains("it cannot be read: "), "{told:?}");
        assert_eq!(taken, files[&file.path]);
    }
    // Whichever read of all fails, the rest is read, and it is told once: as damage of the backup itself, or as a note of a copy.
    let (mut of_own, mut of_copies) = (0, 0);
    for skip in 0.. {
        sim.disk.fail_after(Operation::Read, skip, io::ErrorKind::Other);
        let verdict = chain.verify(&mut |_| {}).unwrap();
        match (verdict.findings.len(), verdict.notes.len()) {
            (1, 0) => of_own += 1,
            (0, 1) => of_copies += 1,
            (0, 0) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(of_own >= 3 && of_copies >= 2 * 4 * 2 && of_copies % 2 == 0, "{of_own}, {of_copies}");
}

/// As an owner sees it who backs up a failing disk on Monday, and the mended one on Tuesday.
#[test]
fn what_an_earlier_backup_has_damaged_is_read_anew() {
    let disk = disk();
    let name = "data/lake/samples/a b.parquet";
    let right = vec![9_u8; 3_000];
    let bad = |buffer: &mut [u8], at: u64| match at {
        0..1_000 => {
            let count = buffer.len().min(1_000 - at as usize);
            buffer[..count].fill(9);
            Ok(count)
        }
        _ => Err(io::Error::other("a bad sector")),
    };
    let packed = |file: &str,
                  since: Option<Since>,
                  read: &dyn Fn(&mut [u8], u64) -> io::Result<usize>,
                  damage: bool| {
        let mut packer = Packer::begin(Vec::new(), about(), since).unwrap();
        packer.add(name, 3_000, true, read).unwrap();
        if damage {
            packer.note_damage(name, &"its checksum is wrong");
        }
        packer.add("data/lake/samples/a.parquet", 3_000, true, &read_at(&right)).unwrap();
        let (bytes, done) = packer.finish().unwrap();
        put(&*disk, file, &bytes);
        done
    };
    let older = |file: &str| Some(since(&*disk, file));
    let (monday, tuesday) = ("/backups/monday.tdm", "/backups/tuesday.tdm");
    assert_eq!(packed(monday, None, &bad, false).notes.len(), 1);
    // Still failing: told again. Well again: read, and not the zeros of before.
    assert_eq!(packed(tuesday, older(monday), &bad, false).notes.len(), 1);
    let done = packed(tuesday, older(monday), &read_at(&right), false);
    assert_eq!((done.notes.len(), done.files_before), (0, 1), "the other one is left out");
    assert_eq!(restored(&*disk, tuesday, "/read").unwrap()[name], right);
    // The same of what was read, and was wrong.
    let wrong = [&[1][..], &right[1..]].concat();
    assert_eq!(packed(monday, None, &read_at(&wrong), true).notes.len(), 1);
    let done = packed(tuesday, older(monday), &read_at(&wrong), true);
    assert_eq!((done.notes.len(), done.files_before), (1, 2), "the same bytes, left out and told");
    packed("/backups/wednesday.tdm", older(tuesday), &read_at(&right), false);
    assert_eq!(restored(&*disk, "/backups/wednesday.tdm", "/mended").unwrap()[name], right);
}

#[test]
fn what_cannot_be_read_is_noted_and_the_rest_is_there() {
    let disk = disk();
    let mut packer = Packer::begin(Vec::new(), about(), None).unwrap();
    let broken = |buffer: &mut [u8], at: u64| {
        if at >= 1_000 {
            return Err(io::Error::other("a bad sector"));
        }
        let count = buffer.len().min(1_000 - at as usize);
        buffer[..count].fill(9);
        Ok(count)
    };
    packer.add("data/lake/samples/a.parquet", 3_000, true, &broken).unwrap();
    packer.add("data/journal/damage", 4, false, &read_at(b"well")).unwrap();
    let (bytes, done) = packer.finish().unwrap();
    put(&*disk, FILE, &bytes);
    expect![[r#"["data/lake/samples/a.parquet could not be read from byte 1000 on, zeros stand there instead: a bad sector"]"#]]
        .assert_eq(&format!("{:?}", done.notes));
    let files = restored(&*disk, FILE, "/plant").unwrap();
    assert_eq!(files["data/lake/samples/a.parquet"], [vec![9; 1_000], vec![0; 2_000]].concat());
    assert_eq!(files["data/journal/damage"], b"well");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_plant_comes_back(
        files in proptest::collection::btree_map(
            "(data|model|access)/[a-zé ]{1,120}(/[a-z.]{1,90}[a-z]){0,3}(\\.parquet)?",
            proptest::collection::vec(any::<u8>(), 0..2_000),
            0..8,
        )
    ) {
        let folders: Vec<String> = files.keys().flat_map(|path| {
            path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>()
        }).collect();
        prop_assume!(files.keys().all(|path| is_legal(path) && !folders.contains(path)));
        let disk = disk();
        put(&*disk, FILE, &pack(&files, None).0);
        prop_assert_eq!(verify(&*disk, FILE), [""; 0]);
        prop_assert_eq!(restored(&*disk, FILE, "/plant").unwrap(), files);
    }

    #[test]
    fn no_damage_panics(at in 0_usize..7_000, with in proptest::collection::vec(any::<u8>(), 0..600), cut in any::<bool>()) {
        let disk = disk();
        let (mut bytes, _) = pack(&small(), None);
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        if cut {
            bytes.truncate(at);
        }
        put(&*disk, FILE, &bytes);
        let _ = verify(&*disk, FILE);
    }
}
