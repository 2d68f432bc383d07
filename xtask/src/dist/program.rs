//! What a built program says of itself: for which machine it is, the oldest C library it runs with, and what it prints. Read
//! from the ELF header (System V gABI, "ELF Header") and from the program's own mouth.

use std::path::{Path, PathBuf};
use trials::shell;

/// The program that is packed.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub machine: Machine,
    /// The newest version of glibc whose symbols it asks for, as `2.35`; none where it needs none.
    pub glibc: Option<String>,
    pub version: String,
}

/// A kind of machine in the names that the world has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// As Rust calls it.
    pub target: &'static str,
    /// As Debian calls it.
    pub debian: &'static str,
    elf: u16,
}

const MACHINES: &[Machine] = &[
    Machine { target: "x86_64-unknown-linux-gnu", debian: "amd64", elf: 62 },
    Machine { target: "aarch64-unknown-linux-gnu", debian: "arm64", elf: 183 },
    Machine { target: "riscv64gc-unknown-linux-gnu", debian: "riscv64", elf: 243 },
];

impl Program {
    pub(crate) fn look(path: &Path) -> Result<Program, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let machine = machine(&bytes)
            .ok_or_else(|| format!("{} is no program for Linux on {}", path.display(), known().join(", ")))?;
        let mut program =
            Program { path: path.to_owned(), glibc: glibc(&bytes), bytes, machine, version: String::new() };
        let said = program.prints(&["--version"])?;
        program.version = said.split_whitespace().last().unwrap_or_default().to_owned();
        Ok(program)
    }

    /// What it prints: completions and the manual come from it, so it must run here.
    pub(crate) fn prints(&self, words: &[&str]) -> Result<String, String> {
        let mut command = shell::program(&self.path.to_string_lossy());
        command.args(words);
        shell::capture(command).map_err(|error| format!("{error}\nwhat is packed must run on this machine"))
    }
}

fn known() -> Vec<&'static str> {
    MACHINES.iter().map(|machine| machine.debian).collect()
}

/// Little-endian ELF of a machine we know.
fn machine(bytes: &[u8]) -> Option<Machine> {
    let number = u16::from_le_bytes([*bytes.get(18)?, *bytes.get(19)?]);
    let is_elf = bytes.starts_with(b"\x7fELF\x02\x01");
    MACHINES.iter().find(|machine| is_elf && machine.elf == number).copied()
}

/// The newest of the names `GLIBC_2.N` in it, under which the library's symbols are versioned.
fn glibc(bytes: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"GLIBC_2.";
    let minors = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    let digits = minors.filter_map(|(at, _)| {
        let rest = bytes.get(at + NAME.len()..)?;
        let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).take(4).collect();
        String::from_utf8(digits).ok()?.parse::<u32>().ok()
    });
    digits.max().map(|minor| format!("2.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_header() {
        let header = |class: u8, machine: u16| {
            let mut bytes = b"\x7fELF\0\x01\x01\0".to_vec();
            bytes[4] = class;
            bytes.resize(18, 0);
            bytes.extend(machine.to_le_bytes());
            bytes
        };
        assert_eq!(machine(&header(2, 62)).map(|machine| machine.debian), Some("amd64"));
        assert_eq!(machine(&header(2, 183)).map(|machine| machine.debian), Some("arm64"));
        assert_eq!(machine(&header(1, 40)), None);
        assert_eq!(machine(b"MZ"), None);
        assert_eq!(machine(b"#!/bin/sh and more of it"), None);
    }

    #[test]
    fn the_newest_library_counts_as_a_number() {
        assert_eq!(glibc(b"..GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.4\0").as_deref(), Some("2.34"));
        assert_eq!(glibc(b"GLIBC_PRIVATE GLIBC_2."), None);
    }
}
