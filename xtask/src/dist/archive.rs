//! Trees of files as archives, byte for byte the same from the same input: entries in the order of their names, one time, owned
//! by root. Tar as POSIX.1-1988 has it (ustar), `ar` as packages of Debian are (deb(5)), gzip by the program of that name. What
//! goes into an archive is not known here.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Stdio;
use trials::shell;

/// Files by their path within the archive; folders follow from them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    mode: u32,
}

const BLOCK_BYTES: usize = 512;
/// The field of a name in a header.
const NAME_BYTES_MAX: usize = 100;

impl Tree {
    /// Adds a file that everybody may read; `path` is relative.
    pub(crate) fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), File { bytes: bytes.into(), mode: 0o644 });
    }

    /// Adds a program.
    pub(crate) fn program(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), File { bytes: bytes.into(), mode: 0o755 });
    }

    /// Every file with its path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.bytes.as_slice()))
    }

    /// The tree as a tar archive; each name begins with `prefix`.
    pub(crate) fn tar(&self, prefix: &str, time: u64) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut folders = std::collections::BTreeSet::new();
        for (path, file) in &self.files {
            let name = format!("{prefix}{path}");
            for (at, _) in name.match_indices('/') {
                let folder = &name[..=at];
                if folders.insert(folder.to_owned()) {
                    out.extend(header(folder, 0, 0o755, b'5', time)?);
                }
            }
            out.extend(header(&name, file.bytes.len(), file.mode, b'0', time)?);
            out.extend(&file.bytes);
            out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        out.resize(out.len() + 2 * BLOCK_BYTES, 0);
        Ok(out)
    }
}

/// The header of one entry. Numbers are octal text.
fn header(name: &str, size: usize, mode: u32, kind: u8, time: u64) -> Result<[u8; BLOCK_BYTES], String> {
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("{name}: longer than the {NAME_BYTES_MAX} bytes of a name in a tar archive"));
    }
    let mut block = [0; BLOCK_BYTES];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{time:011o}").as_bytes());
    // The checksum counts as spaces while it is made.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// Members one behind the other, as `ar` keeps them.
pub(crate) fn ar(members: &[(&str, &[u8])], time: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{time:<12}0     0     100644  {:<10}`\n", bytes.len()).as_bytes());
        out.extend(*bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// Squeezed, without the name and the time that gzip would add. `level` is 1 (fast) to 9 (small).
pub(crate) fn gzip(bytes: &[u8], level: u8) -> Result<Vec<u8>, String> {
    let mut gzip = shell::program("gzip");
    gzip.args(["-n", &format!("-{level}"), "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |error: std::io::Error| format!("gzip: {error}");
    let mut child = gzip.spawn().map_err(failed)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut out = Vec::new();
    std::thread::scope(|scope| {
        let written = scope.spawn(|| input.map_or(Ok(()), |mut input| input.write_all(bytes)));
        output.map_or(Ok(0), |mut output| output.read_to_end(&mut out)).map_err(failed)?;
        written.join().map_err(|_| "gzip: its input was not written".to_owned())?.map_err(failed)
    })?;
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(out) } else { Err(format!("gzip ended with {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.program("usr/bin/one", "#!/bin/sh\necho one\n");
        tree.file("usr/share/two", vec![7; 1000]);
        tree
    }

    #[test]
    fn a_tar_archive_is_what_tar_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tree.tar.gz");
        let bytes = gzip(&tree().tar("./", 86_400).expect("made"), 9).expect("squeezed");
        std::fs::write(&path, bytes).expect("written");
        let mut tar = shell::program("tar");
        tar.args(["--utc", "--full-time", "-tvzf"]).arg(&path);
        let listed = shell::capture(tar).expect("tar reads it");
        let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = [
            ["drwxr-xr-x", "root/root", "0", "1970-01-02", "00:00:00", "./"],
            ["drwxr-xr-x", "root/root", "0", "1970-01-02", "00:00:00", "./usr/"],
            ["drwxr-xr-x", "root/root", "0", "1970-01-02", "00:00:00", "./usr/bin/"],
            ["-rwxr-xr-x", "root/root", "19", "1970-01-02", "00:00:00", "./usr/bin/one"],
            ["drwxr-xr-x", "root/root", "0", "1970-01-02", "00:00:00", "./usr/share/"],
            ["-rw-r--r--", "root/root", "1000", "1970-01-02", "00:00:00", "./usr/share/two"],
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_odd_member_is_padded_and_a_long_name_refused() {
        let bytes = ar(&[("one", b"x"), ("two", b"yz")], 9);
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(
            text,
            "!<arch>\none             9           0     0     100644  1         `\nx\n\
             two             9           0     0     100644  2         `\nyz"
        );
        let mut tree = Tree::default();
        tree.file(&"a".repeat(101), "");
        assert!(tree.tar("", 0).is_err_and(|error| error.contains("longer")));
    }
}
