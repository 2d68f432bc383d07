//! How far an import came, in a note beside its file: one that was cut off goes on from there. The note is only believed of
//! the same file, options, program and plant; without it everything is sent again, which changes nothing.

use std::collections::VecDeque;
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

/// What was acknowledged so long ago is on disk, also where `storage.durability` is "relaxed" and acknowledges a second before.
const SETTLED: Duration = Duration::from_secs(10);

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

impl Progress {
    fn of(note: &Json) -> Option<Progress> {
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

    fn json(&self) -> Json {
        let (signal, time) = self.last.clone().unzip();
        json!({
            "parts": self.parts, "samples": self.samples, "rejected": self.rejected, "own": self.own,
            "rejected_bytes": self.rejected_bytes, "signal": signal, "time": time,
        })
    }
}

/// The note of one import.
pub(super) struct Note {
    path: PathBuf,
    /// What must be the same; none where no note is kept.
    identity: Option<String>,
    /// When it was written, by this clock.
    written: Duration,
    settling: Settling,
    clock: RealClock,
    any: bool,
}

/// What a note says.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    progress: Progress,
    /// How far it came at least, whatever a power cut took since.
    settled: Progress,
    /// Whether the system runs on since it was written.
    is_same_boot: bool,
}

/// What was acknowledged lately, with the time of it: a power cut may take it.
#[derive(Default)]
struct Settling {
    settled: Progress,
    later: VecDeque<(Duration, Progress)>,
}

impl Settling {
    fn add(&mut self, now: Duration, progress: &Progress) {
        while self.later.front().is_some_and(|(then, _)| *then + SETTLED <= now)
            && let Some((_, settled)) = self.later.pop_front()
        {
            self.settled = settled;
        }
        self.later.push_back((now, progress.clone()));
    }
}

impl Note {
    /// The note of a file that goes to a plant.
    pub(super) fn of(item: &Item, options: &Options, client: Option<&Client>) -> Note {
        let path = PathBuf::from(format!("{}{ENDING}", item.beside));
        let identity = client.and_then(|client| identity(item, options, client));
        let settling = Settling::default();
        Note { path, identity, written: Duration::ZERO, settling, clock: RealClock::new(), any: false }
    }

    /// Of an import whose times are those of this zone, which its options do not say.
    pub(super) fn set_zone(&mut self, zone: &TimeZone) {
        if let Some(identity) = &mut self.identity {
            identity.push_str(&format!(" {zone:?}"));
        }
    }

    /// What was acknowledged before, if the plant still has it.
    pub(super) async fn progress(&mut self, client: Option<&Client>) -> Progress {
        let read = std::fs::read(&self.path).ok().and_then(|note| self.told(&note));
        let Some(Told { progress, settled, is_same_boot }) = read else { return Progress::default() };
        let (signal, time) = match (client, &progress.last) {
            (Some(_), Some(last)) => last,
            // Of lines and columns no name is known here: a plant in this folder is known by it, and what a power cut may have
            // taken of it is sent again.
            (Some(Client::Owner(_)), None) => {
                self.any = true;
                self.settling.settled = settled.clone();
                return if is_same_boot { progress } else { settled };
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

    /// What a note says, if it is of this import.
    fn told(&self, note: &[u8]) -> Option<Told> {
        let note: Json = serde_json::from_slice(note).ok()?;
        (note["identity"].as_str() == Some(self.identity.as_deref()?)).then_some(())?;
        Some(Told {
            progress: Progress::of(&note)?,
            settled: Progress::of(&note["settled"]).unwrap_or_default(),
            is_same_boot: note["boot"].as_str().is_some_and(|boot| Some(boot) == boot_id().as_deref()),
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
        self.settling.add(self.clock.monotonic(), progress);
        let mut note = progress.json();
        note["identity"] = json!(identity);
        note["boot"] = json!(boot_id());
        note["settled"] = self.settling.settled.json();
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

/// What the system calls the time since it was started. None where it says nothing: then nothing is the same.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(parts: u64) -> Progress {
        Progress { parts, samples: parts * 10, ..Progress::default() }
    }

    /// A relaxed plant acknowledges what a power cut takes: the note must not be believed of the last seconds before it.
    #[test]
    fn behind_a_power_cut_only_what_was_settled_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lp.importing");
        let mut note = Note {
            path: path.clone(),
            identity: Some("x".to_owned()),
            written: Duration::ZERO,
            settling: Settling::default(),
            clock: RealClock::new(),
            any: false,
        };
        let now = note.clock.monotonic();
        (0..30).for_each(|second| note.settling.add(now + Duration::from_secs(second), &at(second)));
        assert_eq!((note.settling.settled.parts, note.settling.later.len()), (19, 10));
        note.write(&at(30));
        let text = std::fs::read_to_string(&path).unwrap();
        let told = |text: &str| {
            note.told(text.as_bytes())
                .map(|told| (told.progress.parts, told.settled.parts, told.is_same_boot))
        };
        assert_eq!(told(&text), Some((30, 19, true)));
        let boot = boot_id().unwrap();
        assert_eq!(told(&text.replace(&boot, "another")), Some((30, 19, false)));
        // As earlier versions wrote it.
        let old = r#"{"identity":"x","parts":3,"samples":30,"rejected":0,"own":0,"rejected_bytes":0}"#;
        assert_eq!(told(old), Some((3, 0, false)));
        assert_eq!(told(&old.replace("\"x\"", "\"y\"")), None);
    }
}
