//! Where the plant's folder stands: a plain folder, a small file system in memory that fills up, or a disk image whose
//! power can be cut. The last two need root; who may not is told so by name.

use crate::shell;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The size of the small disk: the log's reserve, a few segments, and a little more.
pub(super) const SMALL_BYTES: u64 = 512 << 20;
const IMAGE_BYTES: u64 = 1 << 30;
/// How often filling is tried again while others write.
const FILL_AGAIN_MAX: u32 = 20;
/// So often, and so far apart, a busy file system is asked again to let go.
const UNMOUNT_AGAIN_MAX: u32 = 50;
const UNMOUNT_AGAIN_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    Folder,
    /// tmpfs of `SMALL_BYTES`.
    Small,
    /// ext4 in a file.
    Image,
}

/// A folder for a plant; what is mounted for it goes when it is dropped.
pub(super) struct Place {
    folder: PathBuf,
    ground: Ground,
    /// How many images there were: the newest one is mounted.
    images: Cell<u32>,
}

impl Place {
    pub(super) fn make(folder: &Path, ground: Ground) -> Result<Place, String> {
        let place = Place { folder: folder.to_owned(), ground, images: Cell::new(0) };
        make_folder(&place.mount())?;
        match ground {
            Ground::Folder => {}
            Ground::Small => {
                let size = format!("size={SMALL_BYTES},mode=700");
                run("mount", &["-t", "tmpfs", "-o", &size, "none", &text(&place.mount())])?;
            }
            Ground::Image => {
                let image = place.image();
                let file = fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES));
                file.map_err(|error| format!("{}: {error}", image.display()))?;
                run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=1", &text(&image)])?;
                place.mount_image()?;
            }
        }
        Ok(place)
    }

    fn mount(&self) -> PathBuf {
        self.folder.join("ground")
    }

    fn image(&self) -> PathBuf {
        self.folder.join(format!("disk{}.img", self.images.get()))
    }

    /// A rare commit of the file system by itself: only what was synced is on the image.
    fn mount_image(&self) -> Result<(), String> {
        run("mount", &["-o", "loop,commit=300", &text(&self.image()), &text(&self.mount())])
    }

    pub(super) fn plant(&self) -> PathBuf {
        self.mount().join("plant")
    }

    /// Where ballast may be put to fill the disk.
    fn ballast(&self) -> PathBuf {
        self.mount().join("ballast")
    }

    /// Copies the image as it is at this moment. Whoever writes to it must stand still.
    pub(super) fn copy_image(&self) -> Result<(), String> {
        let (old, number) = (self.image(), self.images.get());
        self.images.set(number + 1);
        let done = run("cp", &["--sparse=always", &text(&old), &text(&self.image())]);
        if done.is_err() {
            self.images.set(number);
        }
        done
    }

    /// Takes the disk away from a plant that is gone, and mounts the copy in its place, as after a power cut.
    pub(super) fn adopt_copy(&self) -> Result<(), String> {
        self.unmount()?;
        if let Some(before) = self.images.get().checked_sub(1) {
            let _ = fs::remove_file(self.folder.join(format!("disk{before}.img")));
        }
        self.mount_image()
    }

    /// A process that was just begun elsewhere holds our files until it becomes its program: then it is busy for a moment.
    fn unmount(&self) -> Result<(), String> {
        let mount = text(&self.mount());
        for _ in 0..UNMOUNT_AGAIN_MAX {
            if run("umount", &[&mount]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(UNMOUNT_AGAIN_AFTER);
        }
        run("umount", &[&mount])
    }

    /// From now on the file system refuses every write, also to files that are open.
    pub(super) fn make_read_only(&self) -> Result<(), String> {
        run("mount", &["-o", "remount,abort", &text(&self.mount())])
    }

    /// Mounts the image anew, so that it can be written to again.
    pub(super) fn mend(&self) -> Result<(), String> {
        self.unmount()?;
        self.mount_image()
    }

    /// Takes all room but this; with 0 until the file system itself says that it is full.
    pub(super) fn fill(&self, leave_bytes: u64) -> Result<(), String> {
        // Others write meanwhile: what was free when it was asked for may be gone when it is taken.
        let mut filled = self.take_all_but(leave_bytes);
        for _ in 0..FILL_AGAIN_MAX {
            if filled.is_ok() {
                break;
            }
            filled = self.take_all_but(leave_bytes);
        }
        if leave_bytes > 0 {
            return filled;
        }
        // What is left is taken until nothing is.
        let mut rest = Command::new("sh");
        rest.args(["-c", &format!("cat /dev/zero >> '{}' 2> /dev/null", text(&self.ballast()))]);
        rest.status().map(|_| ()).map_err(|error| error.to_string())
    }

    fn take_all_but(&self, leave_bytes: u64) -> Result<(), String> {
        let mut df = Command::new("df");
        df.args(["--output=avail", "-B1"]).arg(self.mount());
        let out = shell::capture(df)?;
        let free: u64 =
            out.lines().nth(1).and_then(|line| line.trim().parse().ok()).ok_or("df said nothing")?;
        let size = fs::metadata(self.ballast()).map_or(0, |about| about.len());
        let wanted = size + free.saturating_sub(leave_bytes);
        run("fallocate", &["-l", &wanted.max(1).to_string(), &text(&self.ballast())])
    }

    pub(super) fn is_full(&self) -> bool {
        self.ballast().exists()
    }

    /// Copies the plant to where it stays when the disk goes.
    pub(super) fn keep_files(&self) -> Result<(), String> {
        if self.ground == Ground::Folder || !self.plant().exists() {
            return Ok(());
        }
        run("cp", &["-a", &text(&self.plant()), &text(&self.folder.join("kept"))])
    }

    pub(super) fn free(&self) -> Result<(), String> {
        fs::remove_file(self.ballast()).map_err(|error| format!("the ballast stays: {error}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ground != Ground::Folder {
            // Lazy, so that a stray reader does not keep it; an error means that it is not mounted.
            let _ = run("umount", &["-l", &text(&self.mount())]);
        }
    }
}

/// Whether this machine lets us mount; the reason if not.
pub(super) fn may_mount(ground: Ground) -> Result<(), String> {
    if ground == Ground::Folder {
        return Ok(());
    }
    if !shell::is_root() {
        return Err("only root may mount file systems".into());
    }
    // One of its own for each ground: whoever looks for both at once removes nothing of the other.
    let folder = std::env::temp_dir().join(format!("tidemill-mount-{}-{ground:?}", std::process::id()));
    make_folder(&folder)?;
    let tried = Place::make(&folder, ground).map(drop);
    let _ = fs::remove_dir_all(&folder);
    tried.map_err(|error| format!("this machine cannot: {}", error.lines().next().unwrap_or_default()))
}

pub(super) fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    shell::capture(command).map(|_| ())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this ground can be made here; that it cannot is a failure where nothing may be missing.
    fn is_possible(ground: Ground) -> bool {
        let Err(why) = may_mount(ground) else { return true };
        assert!(std::env::var("TIDEMILL_STRICT").as_deref() != Ok("1"), "{why}");
        // Not the captured output of a test: what was left out is to be seen.
        let told = format!("skipped: {why}\n");
        std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).expect("it is open");
        false
    }

    #[test]
    fn ballast_fills_and_frees_where_mounting_is_allowed() {
        if !is_possible(Ground::Small) {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::make(folder.path(), Ground::Small).expect("made");
        place.fill(1 << 20).expect("filled");
        let file = place.mount().join("file");
        assert!(fs::write(&file, vec![1; 2 << 20]).is_err(), "the disk is full");
        place.free().expect("freed");
        fs::write(&file, vec![1; 2 << 20]).expect("there is room again");
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_nothing_else() {
        if !is_possible(Ground::Image) {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::make(folder.path(), Ground::Image).expect("made");
        let write = |name: &str| {
            let path = place.mount().join(name);
            fs::write(&path, name).and_then(|()| fs::File::open(&path)).expect(name)
        };
        let synced = write("synced");
        synced.sync_all().and_then(|()| fs::File::open(place.mount())?.sync_all()).expect("synced");
        drop((synced, write("loose")));
        place.copy_image().expect("copied");
        place.adopt_copy().expect("adopted");
        assert_eq!(fs::read_to_string(place.mount().join("synced")).expect("there"), "synced");
        assert!(fs::read_to_string(place.mount().join("loose")).is_err(), "it was never synced");
        place.make_read_only().expect("read-only");
        assert!(fs::write(place.mount().join("more"), "x").is_err());
        place.mend().expect("mended");
        fs::write(place.mount().join("more"), "x").expect("writable again");
    }
}
