//! What a copy of the guard's files needs: tokens and audit as they are at one moment, while both go on.

use tidemill_ground::{Disk, read};

use crate::audit::{FOLDER, mark_paths};
use crate::error::Error;
use crate::guard::Guard;

/// A file to be copied, below the guard's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedFile {
    /// Its path.
    pub path: String,
    /// Its bytes; none where it is closed, and all of it is to be read from the disk.
    pub bytes: Option<Vec<u8>>,
}

impl Guard {
    /// The tokens, the marks and the audit, such that whatever a mark vouches for is in the audit, and what that tells of
    /// tokens is in their file. Other files of the folder change as a whole, and can be read at any time.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn copy(&self) -> Result<Vec<CopiedFile>, Error> {
        // No change of rights is between its file and its entry meanwhile.
        let _unchanging = self.lock();
        let disk: &dyn Disk = self.disk.as_ref();
        let folder = self.tokens_path.parent().unwrap_or(&self.tokens_path);
        let mut copied = Vec::new();
        for path in [self.tokens_path.clone()].into_iter().chain(mark_paths(&folder.join(FOLDER))) {
            if disk.exists(&path).map_err(Error::disk("reading", &path))? {
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                let bytes = read(disk, &path).map_err(Error::disk("reading", &path))?;
                copied.push(CopiedFile { path: name, bytes: Some(bytes) });
            }
        }
        let audit = folder.join(FOLDER);
        let entries = match disk.list(&audit) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(Error::disk("listing", &audit))?,
        };
        let mut files: Vec<CopiedFile> = entries
            .into_iter()
            .filter(|entry| entry.is_file && entry.name.ends_with(".tma"))
            .map(|entry| CopiedFile { path: format!("{FOLDER}/{}", entry.name), bytes: None })
            .collect();
        if let Some(last) = files.last_mut() {
            let path = folder.join(&last.path);
            let mut bytes = read(disk, &path).map_err(Error::disk("reading", &path))?;
            // An entry that is being written is not in it.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
            last.bytes = Some(bytes);
        }
        copied.extend(files);
        Ok(copied)
    }
}
