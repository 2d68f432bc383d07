//! The package for Debian and its kin: where its files stand (FHS 3.0), what it says of itself (deb-control(5)), and the scripts
//! of packaging/debian/. Written by ourselves, so that any machine makes the same bytes. How archives are made stands in
//! `archive`.

use super::archive::{Tree, ar, gzip};
use super::date::Date;
use super::{Contents, text};

/// Nobody reads mail there: the project has no address of its own (RFC 2606 keeps `.invalid` for such).
const MAINTAINER: &str = "The Tidemill authors <authors@tidemill.invalid>";

/// The package as one file. `version` may be higher than the program's own, for a test of upgrades.
pub(crate) fn package(contents: &Contents, version: &str, date: &Date, level: u8) -> Result<Vec<u8>, String> {
    let data = data(contents, version, date)?;
    let mut control = Tree::default();
    control.file("control", about(contents, version, &data));
    for script in ["postinst", "prerm", "postrm"] {
        control.program(script, text(&format!("packaging/debian/{script}"))?);
    }
    Ok(ar(
        &[
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", &gzip(&control.tar("./", date.seconds)?, level)?),
            ("data.tar.gz", &gzip(&data.tar("./", date.seconds)?, level)?),
        ],
        date.seconds,
    ))
}

/// Every file where the system looks for it.
fn data(contents: &Contents, version: &str, date: &Date) -> Result<Tree, String> {
    let mut tree = Tree::default();
    tree.program("usr/bin/tidemill", contents.program.bytes.clone());
    tree.file("usr/lib/systemd/system/tidemill.service", contents.unit.clone());
    tree.file("usr/share/man/man1/tidemill.1.gz", gzip(contents.manual.as_bytes(), 9)?);
    for (shell, script) in &contents.completions {
        let path = match *shell {
            "bash" => "usr/share/bash-completion/completions/tidemill",
            "zsh" => "usr/share/zsh/vendor-completions/_tidemill",
            _ => "usr/share/fish/vendor_completions.d/tidemill.fish",
        };
        tree.file(path, script.clone());
    }
    let changes = format!(
        "tidemill ({version}) stable; urgency=medium\n\n  * What changed stands in CHANGELOG.md.gz beside this file.\n\n -- {MAINTAINER}  {}\n",
        date.rfc2822
    );
    let mut document =
        |name: &str, bytes: Vec<u8>| tree.file(&format!("usr/share/doc/tidemill/{name}"), bytes);
    document("changelog.gz", gzip(changes.as_bytes(), 9)?);
    document("CHANGELOG.md.gz", gzip(text("CHANGELOG.md")?.as_bytes(), 9)?);
    document("copyright", text("packaging/debian/copyright")?.into());
    document("install.md", text("docs/install.md")?.into());
    document("README.md", text("README.md")?.into());
    document("sbom.cdx.json", contents.sbom.clone().into());
    document("third-party.txt.gz", gzip(contents.third_party.as_bytes(), 9)?);
    Ok(tree)
}

fn about(contents: &Contents, version: &str, data: &Tree) -> String {
    let kibibytes: usize = data.iter().map(|(_, bytes)| bytes.len().div_ceil(1024)).sum();
    let library = contents.program.glibc.as_ref().map(|version| format!(", libc6 (>= {version})"));
    format!(
        "Package: tidemill\nVersion: {version}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {kibibytes}\n\
         Depends: adduser, libgcc-s1{}\nSection: database\nPriority: optional\nDescription: open Industry 4.0 platform in one binary\n \
         Machine values come in, every one gets one name, is on disk before it is\n acknowledged, is kept in open files (Parquet with a \
         Delta table log), and\n comes out again by name and by SQL. It listens on this machine only until its\n owner says otherwise.\n .\n \
         The plant of the service is the folder /var/lib/tidemill.\n",
        contents.program.machine.debian,
        library.unwrap_or_default(),
    )
}
