//! A backup: one file that holds a plant. It is a tar archive that any tar lists and unpacks, with a manifest that says of each
//! file its length, its SHA-256 and where it stands: here, or in an earlier backup that this one builds upon. The page is
//! docs/spec/backup.md.
//!
//! What lives here: packing as bytes are read, checking every byte, finding the backups that one builds upon, unpacking.
//! What does not: which files a plant has and at what moment they belong together (the binary, which knows the rooms),
//! and what is in them.
//!
//! Invariants
//! - Every byte of a backup is either content with a SHA-256 in the manifest, or what follows from the manifest: a reader makes
//!   each head anew and compares, so no name, link, device or length in an archive is ever believed.
//! - Nothing is unpacked outside its folder, over a plant, or in part: the folder gets its name when every file in it is
//!   checked and synced.
//! - Files are packed and unpacked in pieces: memory does not grow with the plant, but for the manifest.

mod archive; //  a backup opened: its end, its manifest, its content
mod block; //    heads of tar members
mod chain; //    a backup and those that it builds upon
mod error; //    what can go wrong
mod hash; //     SHA-256 as text and bytes
mod manifest; // what is in a backup
mod pack; //     a backup as it is made
mod restore; //  a folder from a backup

#[cfg(test)]
mod tests;

pub use archive::Archive;
pub use chain::{Chain, Taker, Verdict};
pub use error::{Error, Finding};
pub use hash::Hash;
pub use manifest::{
    About, FOLDERS, FORMAT, FileEntry, MANIFEST_BYTES_MAX, Manifest, Place, TableFacts, is_legal,
};
pub use pack::{Done, Packer, Since};
pub use restore::{RESTORED, Restored, is_unfinished, is_vacant, restore};
