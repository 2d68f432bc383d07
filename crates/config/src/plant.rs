//! Which plant is meant, and which plants run here. A plant is a folder; a running one holds its lock, serves its
//! control socket to its owner, and stands in the list of this user's running plants.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Disk, File, Open, RealDisk};

use crate::{PLANT_FILE, is_plant, new_plant_file};

/// The file below data/ that a running plant holds.
const LOCK: &str = "lock";

/// A plant's folder and the places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Its absolute path.
    pub folder: PathBuf,
}

impl Plant {
    /// The plant in a folder, which need not exist yet.
    pub fn at(folder: &Path) -> Plant {
        Plant { folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()) }
    }

    /// tidemill.toml.
    pub fn file(&self) -> PathBuf {
        self.folder.join(PLANT_FILE)
    }

    /// What is never edited.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The control socket, while it runs.
    pub fn socket(&self) -> PathBuf {
        self.data().join("control.sock")
    }

    /// What a running plant holds, and a backup of one that does not run.
    pub fn lock_file(&self) -> PathBuf {
        self.data().join(LOCK)
    }

    /// Makes the folder with commented defaults, for its owner only. An existing plant is left as it is.
    pub fn make(&self) -> Result<(), Problem> {
        let disk = RealDisk;
        tidemill_ground::create_dirs(&disk, &self.data())
            .map_err(|error| unwritable("the folder", &self.data(), "made", &error))?;
        let file = self.file();
        if disk.exists(&file).map_err(|error| unwritable("the file", &file, "looked for", &error))? {
            return Ok(());
        }
        let name = self
            .folder
            .file_name()
            .map_or_else(|| "plant".to_owned(), |name| name.to_string_lossy().into_owned());
        tidemill_ground::replace(&disk, &file, new_plant_file(&name).as_bytes())
            .map_err(|error| unwritable("the file", &file, "written", &error))
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// Its folder may not be looked into, such as that of another user.
    pub fn stands(&self) -> Result<bool, Problem> {
        match std::fs::metadata(self.file()) {
            Ok(meta) => Ok(meta.is_file()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let detail = format!("{} cannot be looked at: {error}", self.file().display());
                Err(Problem::new(&codes::FILE_UNREADABLE, detail).hint(
                    "Run the command as the user whose plant it is; a plant that runs answers others over HTTP, with --url and --token",
                ))
            }
            Err(_) => Ok(false),
        }
    }

    /// Takes the plant for this process until the lock is dropped.
    pub fn lock(&self) -> Result<Lock, Problem> {
        let file = self.try_lock(Open::CreateOrOpen)?;
        Ok(Lock { _file: file, entry: announce(&self.folder) })
    }

    fn try_lock(&self, how: Open) -> Result<Arc<dyn File>, Problem> {
        let path = self.lock_file();
        let failed = |error: io::Error| unwritable("the file", &path, "locked", &error);
        let file = RealDisk.open(&path, how).map_err(failed)?;
        match file.try_lock() {
            Ok(true) => Ok(file),
            Ok(false) => Err(Problem::new(
                &codes::PLANT_LOCKED,
                format!("{} is already running", self.folder.display()),
            )),
            Err(error) => Err(failed(error)),
        }
    }

    /// What would keep `run` from taking the plant, and on what; it changes nothing. Only while it does not run.
    pub fn refusal(&self) -> Option<(PathBuf, Problem)> {
        let data = self.data();
        let refused = |folder: &Path| {
            let error = access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err()?;
            Some((folder.to_owned(), unwritable("the folder", folder, "written", &error.into())))
        };
        let entries = match RealDisk.list(&data) {
            Ok(entries) => entries,
            // It is made then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return refused(&self.folder),
            Err(error) => {
                let problem = unwritable("the folder", &data, "looked into", &error);
                return Some((data, problem));
            }
        };
        let mut rooms = entries.iter().filter(|entry| entry.is_dir && entry.name != LOCK);
        let found = refused(&data).or_else(|| rooms.find_map(|room| refused(&data.join(&room.name))));
        if found.is_some() {
            return found;
        }
        let lock = self.lock_file();
        let stands = access(&lock, Access::EXISTS).is_ok();
        stands.then(|| self.try_lock(Open::ReadWrite).err())?.map(|problem| (lock, problem))
    }

    /// Whether a process answers on the control socket.
    pub fn is_running(&self) -> bool {
        self.reach().is_ok()
    }

    /// Knocks at the control socket.
    pub fn reach(&self) -> io::Result<()> {
        within_socket_length(&self.socket(), |path| std::os::unix::net::UnixStream::connect(path)).map(drop)
    }

    /// The user who owns the folder.
    pub fn owner(&self) -> u32 {
        std::fs::metadata(&self.folder).map_or_else(|_| rustix::process::getuid().as_raw(), |meta| meta.uid())
    }
}

/// A folder that is the wrong one, or belongs to another user: what failed, on what, and why.
fn unwritable(what: &str, path: &Path, done: &str, error: &io::Error) -> Problem {
    const NAME: &str = "name another folder: --plant DIR (--dir DIR for the demo)";
    let detail = format!("{what} {} cannot be {done}: {error}", path.display());
    let problem = Problem::new(codes::FILE_UNWRITABLE.or_full(error), detail);
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists => problem
            .hint(format!(
                "Something else stands there, such as a file or a link to nothing: move it away, or {NAME}"
            )),
        io::ErrorKind::NotFound => problem.hint(format!("Nothing can be made in that place: {NAME}")),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            problem.hint(format!("Run as the user whose plant it is and who may write there, or {NAME}"))
        }
        // Such as a full disk: the code says what to do.
        _ => problem,
    }
}

/// Held while the plant runs.
pub struct Lock {
    _file: Arc<dyn File>,
    entry: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            // A stale entry is harmless: it is checked when it is read.
            let _ = RealDisk.remove(entry);
        }
    }
}

/// Calls `open` with a path of the socket that is short enough for the kernel (108 bytes), by way of its folder's
/// descriptor where the real one is too long.
pub fn within_socket_length<T>(socket: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    const SOCKET_PATH_BYTES_MAX: usize = 107;
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return open(socket);
    }
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else { return open(socket) };
    let folder = std::fs::File::open(folder)?;
    let short =
        PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&folder))).join(name);
    open(&short)
}

/// Where this user's running plants are listed: one file each, named by process, holding the folder.
fn running_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(
        || std::env::temp_dir().join(format!("tidemill-{user}")),
        |dir| PathBuf::from(dir).join("tidemill"),
    )
}

fn announce(folder: &Path) -> Option<PathBuf> {
    let dir = running_folder();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    // In a shared temporary folder another user may have made it first: then it is not ours to use.
    if std::fs::metadata(&dir).ok()?.uid() != rustix::process::getuid().as_raw() {
        return None;
    }
    let entry = dir.join(std::process::id().to_string());
    tidemill_ground::replace(&RealDisk, &entry, folder.as_os_str().as_encoded_bytes()).ok()?;
    Some(entry)
}

/// The plants that run for this user.
pub fn running() -> Vec<Plant> {
    let dir = running_folder();
    let entries = RealDisk.list(&dir).unwrap_or_default();
    let mut plants: Vec<Plant> = entries
        .iter()
        .filter_map(|entry| tidemill_ground::read(&RealDisk, &dir.join(&entry.name)).ok())
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .map(|folder| Plant::at(Path::new(&folder)))
        .filter(Plant::is_running)
        .collect();
    plants.sort_by(|one, other| one.folder.cmp(&other.folder));
    plants.dedup();
    plants
}

/// The plant that a command means: named, else the current folder, else the `./plant` that `run` takes here, else the only
/// one that runs.
pub fn meant(named: Option<&Path>) -> Result<Plant, Problem> {
    if let Some(folder) = named {
        let plant = Plant::at(folder);
        return if plant.stands()? {
            Ok(plant)
        } else {
            Err(Problem::new(
                &codes::NO_PLANT,
                format!("{} is no plant: it has no {}", folder.display(), PLANT_FILE),
            ))
        };
    }
    if is_plant(Path::new(".")) {
        return Ok(Plant::at(Path::new(".")));
    }
    let beside = Plant::at(Path::new("plant"));
    if is_plant(&beside.folder) {
        return Ok(beside);
    }
    let mut plants = running();
    match plants.len() {
        0 => Err(Problem::new(&codes::NO_PLANT, "no plant runs here, and this folder is none")),
        1 => Ok(plants.remove(0)),
        _ => {
            let list: Vec<String> = plants.iter().map(|plant| plant.folder.display().to_string()).collect();
            Err(Problem::new(&codes::MANY_PLANTS, format!("these plants run: {}", list.join(", "))))
        }
    }
}
