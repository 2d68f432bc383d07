//! What is to be imported: files, folders, archives, the sheets of workbooks, standard input. What they hold is recognised
//! in `connect`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use tidemill_connect::import::{
    Open, Options, Packed, Workbook, ZIP_MAGIC, is_workbook, packed, rejected_name, stem_of,
};
use tidemill_core::{Problem, codes};

use super::resume;
use crate::output;

/// How deep folders are followed, and how many files are taken.
const DEPTH_MAX: usize = 32;
const FILES_MAX: usize = 100_000;

/// Endings of files that are taken from a folder; also with `.gz` or `.zst` behind.
const ENDINGS: &[&str] = &[
    "csv", "tsv", "txt", "dat", "tab", "lp", "line", "influx", "json", "jsonl", "ndjson", "prom", "out",
    "log", "parquet", "arrow", "feather", "ipc", "arrows", "xlsx", "xlsm", "zip", "lvm",
];

/// One thing that is read by itself.
pub(super) struct Item {
    /// For people.
    pub(super) name: String,
    /// What names it where the user names nothing; within a folder with its folders.
    pub(super) stem: Option<String>,
    /// The folders between the one that was named and the file.
    folder: String,
    /// Where rejected rows go, and whence the place of its progress note comes.
    pub(super) beside: String,
    pub(super) content: Content,
    /// About how many bytes are read of it.
    pub(super) bytes: u64,
}

/// Where its bytes are.
pub(super) enum Content {
    File(PathBuf),
    /// Standard input, kept in a file without a name.
    Kept(File),
    Member(PathBuf, Packed),
    Sheet(PathBuf, Workbook, String),
}

impl Item {
    /// A file of its own, from the beginning; none for a part of another.
    pub(super) fn file(&self) -> io::Result<Option<File>> {
        match &self.content {
            Content::File(path) => File::open(path).map(Some),
            Content::Kept(file) => rewound(file).map(Some),
            Content::Member(..) | Content::Sheet(..) => Ok(None),
        }
    }

    /// What opens its content from the beginning.
    pub(super) fn open(self) -> Open {
        match self.content {
            Content::File(path) => Box::new(move || Ok(Box::new(File::open(&path)?))),
            Content::Kept(file) => Box::new(move || Ok(Box::new(rewound(&file)?))),
            Content::Member(path, member) => Box::new(move || member.open(File::open(&path)?)),
            Content::Sheet(path, book, sheet) => Box::new(move || book.rows(&sheet, File::open(&path)?)),
        }
    }

    /// What of the file stands in the names of its signals: none where the user says one name for all files.
    fn base(&self, options: &Options) -> Option<String> {
        match options.signal.as_ref().or(options.prefix.as_ref()) {
            Some(pattern) => pattern.contains("{file}").then(|| self.filled(pattern)),
            None => Some(self.stem.clone().unwrap_or_else(|| stem_of(&self.name))),
        }
    }

    /// A prefix or a signal with `{file}` and `{folder}` filled in.
    pub(super) fn filled(&self, pattern: &str) -> String {
        let file = self.stem.as_deref().and_then(|stem| stem.rsplit('/').next()).map(str::to_owned);
        let filled = pattern.replace("{file}", &file.unwrap_or_else(|| stem_of(&self.name)));
        match self.folder.is_empty() {
            true => filled.replace("/{folder}", "").replace("{folder}/", "").replace("{folder}", ""),
            false => filled.replace("{folder}", &self.folder),
        }
    }

    fn of(path: &Path, folder: String) -> Item {
        let name = path.display().to_string();
        let stem = (!folder.is_empty()).then(|| format!("{folder}/{}", stem_of(&name)));
        let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
        Item { beside: name.clone(), name, stem, folder, content: Content::File(path.to_owned()), bytes }
    }
}

/// For each of them another file whose names would begin alike. A list of rejects is of the file that it came from.
pub(super) fn twins(items: &[Result<Item, Problem>], options: &Options) -> Vec<Option<String>> {
    let whole = |item: &Item| item.name.strip_suffix(".rejected").unwrap_or(&item.name).to_owned();
    let based = |item: &Result<Item, Problem>| {
        let item = item.as_ref().ok()?;
        Some((item.base(options)?, whole(item)))
    };
    let mut first: HashMap<String, String> = HashMap::new();
    let mut second: HashMap<String, String> = HashMap::new();
    for (base, name) in items.iter().filter_map(based) {
        let before = first.entry(base.clone()).or_insert_with(|| name.clone());
        if *before != name {
            second.entry(base).or_insert(name);
        }
    }
    let twin = |(base, name): (String, String)| {
        let other = second.get(&base)?;
        if *other == name { first.get(&base).cloned() } else { Some(other.clone()) }
    };
    items.iter().map(|item| based(item).and_then(twin)).collect()
}

/// A second handle at the beginning; they share their place, and are read one after the other.
fn rewound(file: &File) -> io::Result<File> {
    let mut again = file.try_clone()?;
    again.rewind()?;
    Ok(again)
}

pub(super) fn unreadable(name: &str, error: &io::Error) -> Problem {
    let code = if error.kind() == io::ErrorKind::NotFound { &codes::NOT_FOUND } else { &codes::BAD_IMPORT };
    Problem::new(code, format!("{name} cannot be read: {error}"))
        .hint("Check the name and that the file may be read")
}

/// What stands behind the arguments, in their order; of folders, the files by their names.
pub(super) fn items(
    arguments: &[PathBuf],
    sheet: Option<&str>,
) -> Result<Vec<Result<Item, Problem>>, Problem> {
    let mut files = Vec::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            files.push(standard_input()?);
        } else if argument.is_dir() {
            let before = files.len();
            let mut left_out = Vec::new();
            let above: Vec<PathBuf> = argument.canonicalize().into_iter().collect();
            walk(argument, "", &above, &mut files, &mut left_out)
                .map_err(|error| unreadable(&argument.display().to_string(), &error))?;
            told_left_out(argument, &left_out);
            if files.len() == before {
                let text = format!("the folder {} holds no file to import", argument.display());
                return Err(Problem::new(&codes::BAD_IMPORT, text)
                    .hint("Name the files themselves, whatever they are called"));
            }
        } else {
            files.push(Item::of(argument, String::new()));
        }
    }
    let mut items = Vec::new();
    for item in files {
        match within(item, sheet) {
            Ok(found) => items.extend(found.into_iter().map(Ok)),
            Err(problem) => items.push(Err(problem)),
        }
    }
    Ok(items)
}

fn told_left_out(folder: &Path, left_out: &[String]) {
    const SHOWN: usize = 5;
    if left_out.is_empty() {
        return;
    }
    let shown = left_out.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = if left_out.len() > SHOWN { ", …" } else { "" };
    let count = left_out.len();
    output::note(&format!(
        "{}: {count} files are left out by their names ({shown}{more}); name one to have it read",
        folder.display()
    ));
}

fn walk(
    path: &Path,
    folder: &str,
    above: &[PathBuf],
    files: &mut Vec<Item>,
    left_out: &mut Vec<String>,
) -> io::Result<()> {
    let mut entries = std::fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with(".rejected") || resume::is_note(&name) {
            continue;
        }
        let (path, is_folder) = (entry.path(), entry.path().is_dir());
        // A link may lead back into a folder that it stands in.
        let real = is_folder.then(|| path.canonicalize().ok()).flatten();
        if let Some(real) = real.as_ref().filter(|real| above.len() <= DEPTH_MAX && !above.contains(real)) {
            let inner = tidemill_core::Escape::segment(&name);
            let inner = if folder.is_empty() { inner.into_owned() } else { format!("{folder}/{inner}") };
            let above: Vec<PathBuf> = above.iter().chain([real]).cloned().collect();
            walk(&path, &inner, &above, files, left_out)?;
        } else if path.is_file() && is_data(&name) && files.len() < FILES_MAX {
            files.push(Item::of(&path, folder.to_owned()));
        } else {
            left_out.push(name);
        }
    }
    Ok(())
}

fn is_data(name: &str) -> bool {
    let lower = name.to_lowercase();
    let bare = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    bare.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Each file is read up to three times: what comes only once is kept in a file that has no name any more.
fn standard_input() -> Result<Item, Problem> {
    let name = "standard input";
    let kept = || -> io::Result<File> {
        let path = std::env::temp_dir().join(format!("tidemill-import-{}", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok(file)
    };
    let file = kept().map_err(|error| unreadable(name, &error))?;
    let bytes = file.metadata().map_or(0, |meta| meta.len());
    Ok(Item {
        name: name.to_owned(),
        stem: Some("stdin".to_owned()),
        folder: String::new(),
        beside: "stdin".to_owned(),
        content: Content::Kept(file),
        bytes,
    })
}

/// The files of an archive, the sheet of a workbook; any other file is itself.
fn within(item: Item, sheet: Option<&str>) -> Result<Vec<Item>, Problem> {
    let Content::File(path) = &item.content else { return Ok(vec![item]) };
    // What comes but once cannot be looked through first, and may never come.
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        let text = format!("{} is no file: what it gives comes but once", item.name);
        return Err(Problem::new(&codes::BAD_IMPORT, text)
            .hint("Give it as standard input: tidemill import - < NAME"));
    }
    let mut magic = [0; 4];
    let is_archive =
        File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *ZIP_MAGIC;
    if !is_archive {
        return Ok(vec![item]);
    }
    let failed = |error: io::Error| unreadable(&item.name, &error);
    let members = File::open(path).and_then(|mut file| packed(&mut file)).map_err(failed)?;
    if is_workbook(&members) {
        let book = Workbook::open(members, &mut || File::open(path)).map_err(failed)?;
        let names: Vec<String> = book.sheets().map(str::to_owned).collect();
        let sheet = chosen(&item.name, &names, sheet)?;
        let name =
            if names.len() > 1 { format!("{}, sheet '{sheet}'", item.name) } else { item.name.clone() };
        let stem = item.stem.clone().unwrap_or_else(|| stem_of(&item.name));
        let content = Content::Sheet(path.clone(), book, sheet);
        return Ok(vec![Item { name, stem: Some(stem), content, ..item }]);
    }
    let is_read = |member: &&Packed| {
        let last = member.name.rsplit('/').next().unwrap_or_default();
        is_data(last) && !last.starts_with('.') && !member.name.starts_with("__MACOSX/")
    };
    let found = |member: &Packed| {
        let (around, file) = member.name.rsplit_once('/').unwrap_or(("", &member.name));
        let inner: Vec<_> =
            around.split('/').filter(|part| !part.is_empty()).map(tidemill_core::Escape::segment).collect();
        let folder = [item.folder.clone(), inner.join("/")].into_iter().filter(|part| !part.is_empty());
        let folder = folder.collect::<Vec<_>>().join("/");
        let stem = stem_of(file);
        Item {
            name: format!("{}: {}", item.name, member.name),
            stem: Some(if folder.is_empty() { stem } else { format!("{folder}/{stem}") }),
            folder,
            beside: format!("{}.{}", item.beside, member.name.replace(['/', '\\'], "_")),
            content: Content::Member(path.clone(), member.clone()),
            bytes: member.bytes,
        }
    };
    let files: Vec<Item> = members.iter().filter(is_read).map(found).collect();
    if files.is_empty() {
        let text = format!("the archive {} holds no file that is known by its ending", item.name);
        return Err(Problem::new(&codes::BAD_IMPORT, text).hint("Unpack it first, and name the files"));
    }
    Ok(files)
}

/// The sheet that is meant.
fn chosen(file: &str, names: &[String], wanted: Option<&str>) -> Result<String, Problem> {
    let shown = names.join(", ");
    match (wanted, names) {
        (Some(wanted), _) => names.iter().find(|name| *name == wanted).cloned().ok_or_else(|| {
            Problem::new(&codes::BAD_IMPORT, format!("{file} has no sheet '{wanted}'. Its sheets: {shown}"))
                .hint("Spell it as its tab does")
        }),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Problem::new(&codes::BAD_IMPORT, format!("{file} has no sheet with rows"))
            .hint("Check that the export was finished")),
        (None, _) => Err(Problem::new(&codes::BAD_IMPORT, format!("{file} has several sheets: {shown}"))
            .hint("Say which with --sheet NAME")),
    }
}

/// The name of the file that takes the rejects.
pub(super) fn rejects(beside: &str) -> PathBuf {
    rejected_name(beside).into()
}
