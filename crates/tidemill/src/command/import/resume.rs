//! How far an import came, in a note beside its file: one that was cut off goes on from there. The note is only believed of
//! the same file, options, program and plant; without it everything is sent again, which changes nothing.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use tidemill_connect::import::Options;
use tidemill_core::rfc3339;
use tidemill_ground::{Clock as _, RealClock, RealDisk};

use super::files::{Content, Item};
use crate::client::{Body, Client, query};

const ENDING: &str = ".importing";

/// How often the note is written: what came behind is sent again.
const PAUSE: Duration = Duration::from_secs(1);

/// How much of a file's beginning and end tells it from others.
const LOOK_BYTES: u64 = 64 << 10;

/// Whether a file is such a note.
pub(super) fn is_note(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// What was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Parts of the file.
    pub(super) parts: u64,
    pub(super) samples: u64,
    pub(super) rejected: u64,
    /// Samples of another plant's own figures.
    pub(super) own: u64,
    /// How long the list of rejects is.
    pub(super) rejected_bytes: u64,
    /// A sample of the last part: its signal, and its time in ns UTC.
    pub(super) last: Option<(String, i64)>,
}

/// The note of one import.
pub(super) struct Note {
    path: PathBuf,
    /// What must be the same; none where no note is kept.
    identity: Option<String>,
    /// When it was written, by this clock.
    written: Duration,
    clock: RealClock,
    any: bool,
}

impl Note {
    /// The note of a file that goes to a plant.
    pub(super) fn of(item: &Item, options: &Options, client: Option<&Client>) -> Note {
        let path = PathBuf::from(format!("{}{ENDING}", item.beside));
        let identity = client.and_then(|client| identity(item, options, client));
        Note { path, identity, written: Duration::ZERO, clock: RealClock::new(), any: false }
    }

    /// Of an import whose times are those of this zone, which its options do not say.
    pub(super) fn set_zone(&mut self, zone: &TimeZone) {
        if let Some(identity) = &mut self.identity {
            identity.push_str(&format!(" {zone:?}"));
        }
    }

    /// What was acknowledged before, if the plant still has it.
    pub(super) async fn progress(&mut self, client: Option<&Client>) -> Progress {
        let Some(progress) = self.read() else { return Progress::default() };
        let (signal, time) = match (client, &progress.last) {
            (Some(_), Some(last)) => last,
            // Of lines and columns no name is known here: a plant in this folder is known by it.
            (Some(Client::Owner(_)), None) => {
                self.any = true;
                return progress;
            }
            _ => return Progress::default(),
        };
        let Some(client) = client else { return Progress::default() };
        let terms = [
            ("signal", signal.clone()),
            ("from", rfc3339(*time)),
            ("to", rfc3339(time.saturating_add(1))),
            ("format", "csv".to_owned()),
        ];
        let path = format!("/api/v1/read{}", query(&terms));
        let answer = client.send(Method::GET, &path, &[], Body::empty()).await;
        let Ok(reply) = answer else { return Progress::default() };
        // A header, and a row at least.
        match reply.bytes().await {
            Ok(bytes) if bytes.iter().filter(|byte| **byte == b'\n').count() > 1 => {
                self.any = true;
                progress
            }
            _ => Progress::default(),
        }
    }

    fn read(&self) -> Option<Progress> {
        let note: Json = serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()?;
        (note["identity"].as_str() == Some(self.identity.as_deref()?)).then_some(())?;
        let number = |name: &str| note[name].as_u64();
        let last = note["signal"].as_str().map(str::to_owned).zip(note["time"].as_i64());
        Some(Progress {
            parts: number("parts")?,
            samples: number("samples")?,
            rejected: number("rejected")?,
            own: number("own")?,
            rejected_bytes: number("rejected_bytes")?,
            last,
        })
    }

    /// Keeps what was acknowledged, now and then. A note that cannot be written is none.
    pub(super) fn keep(&mut self, progress: &Progress) {
        if self.clock.monotonic() >= self.written + PAUSE {
            self.write(progress);
        }
    }

    /// Keeps what was acknowledged.
    pub(super) fn write(&mut self, progress: &Progress) {
        let Some(identity) = &self.identity else { return };
        let (signal, time) = progress.last.clone().unzip();
        let note = json!({
            "identity": identity, "parts": progress.parts, "samples": progress.samples,
            "rejected": progress.rejected, "own": progress.own, "rejected_bytes": progress.rejected_bytes,
            "signal": signal, "time": time,
        });
        let written = tidemill_ground::replace(&RealDisk, &self.path, note.to_string().as_bytes());
        self.any |= written.is_ok();
        self.written = self.clock.monotonic();
    }

    /// The import is at its end.
    pub(super) fn remove(&self) {
        if self.any {
            // What is left lies beside the file, and is seen there.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn identity(item: &Item, options: &Options, client: &Client) -> Option<String> {
    let path = match &item.content {
        Content::File(path) | Content::Member(path, _) | Content::Sheet(path, ..) => path,
        Content::Kept(_) => return None,
    };
    let mut file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let mut hash = Hash::default();
    let mut bytes = Vec::new();
    (&mut file).take(LOOK_BYTES).read_to_end(&mut bytes).ok()?;
    file.seek(SeekFrom::Start(meta.len().saturating_sub(LOOK_BYTES))).ok()?;
    file.take(LOOK_BYTES).read_to_end(&mut bytes).ok()?;
    hash.add(&bytes);
    hash.add(format!("{options:?}").as_bytes());
    hash.add(item.name.as_bytes());
    let plant = match client {
        Client::Owner(plant) => {
            let data = std::fs::metadata(plant.data()).ok()?;
            format!("{} {} {}", plant.folder.display(), data.dev(), data.ino())
        }
        Client::Remote { .. } => client.url(),
    };
    let version = env!("CARGO_PKG_VERSION");
    Some(format!("{version} {} {}.{} {:016x} {plant}", meta.len(), meta.mtime(), meta.mtime_nsec(), hash.0))
}

/// FNV-1a, 64 bits: the same in every version of the program.
pub(super) struct Hash(pub(super) u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
