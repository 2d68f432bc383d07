//! `cargo xtask crash`: the real binary under load, struck again and again, and audited against a ledger that lies
//! outside of it. Here: the command, its variants and its summary; how a run goes is `crash/run.rs`.

mod audit;
mod book;
mod check;
#[cfg(test)]
mod check_tests;
mod foreign;
mod ledger;
mod live;
mod load;
mod place;
mod run;
mod strike;
mod telegraf;
mod watch;
mod writer;

use crate::binary::Binary;
use crate::{Command, Outcome, shell};
use place::Ground;
use run::Run;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use strike::Way;

/// `cargo xtask crash`.
pub const COMMAND: Command = Command {
    name: "crash",
    arguments: "[--cycles N] [--samples N] [--seed S] [--variant NAME|all | --telegraf SECONDS] [--release | --binary FILE] [--keep]",
    summary: "Kill the real binary under load and check that nothing acknowledged is lost",
    help: "Each cycle starts the plant, checks by SQL what the last one left, writes from many threads, and strikes after\n\
           50 to 2000 ms, every other time while a flush or a merge is under way, and now and then during the start.\n\
           At the end everything is checked again sample by sample, by SQL and by DuckDB; deltalake must see what DuckDB sees,\n\
           by the rows of each signal, the sum of their times, and the sum of a hash over all columns of each.\n\
           --samples is about how many are written in all (default 2,000,000), a rush before each strike not counted.\n\n\
           Variants: kill (default), pause, disk-full, read-only, power-cut, relaxed: a power cut with\n\
           storage.durability = \"relaxed\", after which what was acknowledged shortly before may be missing, from some moment\n\
           on. The last four mount file systems: they need root and are skipped by name without it.\n\
           --telegraf runs agents with buffers, as Telegraf's, for so long instead, and kills the plant twice: every metric is there\n\
           once at the end, and no agent is told anything upon which it would drop data.\n\
           The binary is built first, in the dev profile or with --release; --binary takes one that stands already.\n\
           On any finding the folder of the run is kept and named, with the seed that repeats it; --keep keeps it always.\n\n\
           Example: cargo xtask crash --cycles 1000 --release",
    run,
};

const CYCLES_DEFAULT: u32 = 20;
const SAMPLES_DEFAULT: u64 = 2_000_000;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    cycles: u32,
    /// About how many are written in all.
    samples: u64,
    seed: u64,
    variants: Vec<Variant>,
    /// Agents instead of writers, for so many seconds.
    telegraf_s: Option<u64>,
    profile: &'static str,
    binary: Option<PathBuf>,
    keep: bool,
}

/// A way of striking and the ground it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    name: &'static str,
    way: Way,
    ground: Ground,
    /// The plant acknowledges before it syncs.
    relaxed: bool,
}

impl Variant {
    const fn new(name: &'static str, way: Way, ground: Ground) -> Variant {
        Variant { name, way, ground, relaxed: false }
    }
}

const VARIANTS: &[Variant] = &[
    Variant::new("kill", Way::Kill, Ground::Folder),
    Variant::new("pause", Way::Pause, Ground::Folder),
    Variant::new("disk-full", Way::FillDisk, Ground::Small),
    Variant::new("read-only", Way::ReadOnly, Ground::Image),
    Variant::new("power-cut", Way::CutPower, Ground::Image),
    Variant { relaxed: true, ..Variant::new("relaxed", Way::CutPower, Ground::Image) },
];

fn run(arguments: &[String]) -> Outcome {
    let options = understood(arguments)?;
    let binary = match &options.binary {
        Some(path) => Binary { path: path.clone() },
        None => Binary::build(options.profile)?,
    };
    let folder = std::env::temp_dir().join(format!("tidemill-crash-{}", std::process::id()));
    if let Some(seconds) = options.telegraf_s {
        return agents(&binary, &options, seconds, &folder).map_err(Into::into);
    }
    let (mut failed, mut table) = (Vec::new(), vec![run::table_head()]);
    for variant in &options.variants {
        if let Err(why) = place::may_mount(variant.ground) {
            println!("{}: skipped, {why}", variant.name);
            table.push(format!("{:<12} skipped, {why}", variant.name));
            continue;
        }
        let (good, line) = went(&binary, &options, *variant, &folder)?;
        table.push(line);
        if !good {
            failed.push(variant.name);
        }
    }
    println!("\n{}", table.join("\n"));
    if failed.is_empty() {
        if options.keep {
            println!("kept in {}", folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&folder);
        }
        return Ok(());
    }
    Err(format!(
        "{} found what must not be; the run is kept in {}; `cargo xtask crash --cycles {} --seed {} --variant {}` repeats it",
        failed.join(", "),
        folder.display(),
        options.cycles,
        options.seed,
        failed.first().unwrap_or(&"all")
    )
    .into())
}

/// Runs agents; on a finding the folder is kept and named.
fn agents(binary: &Binary, options: &Options, seconds: u64, folder: &Path) -> Result<(), String> {
    let went = telegraf::run(binary, options, seconds, folder);
    if went.is_ok() && !options.keep {
        let _ = std::fs::remove_dir_all(folder);
    } else {
        println!("kept in {}", folder.display());
    }
    went.map_err(|error| {
        format!("{error}; `cargo xtask crash --telegraf {seconds} --seed {}` repeats it", options.seed)
    })
}

/// Runs a variant; whether it went well, and its line of the last table.
fn went(
    binary: &Binary,
    options: &Options,
    variant: Variant,
    folder: &Path,
) -> Result<(bool, String), String> {
    let mut run = Run::new(binary, options, variant, folder)?;
    let ended = run.all();
    println!("{}", run.summary());
    for words in &run.findings.examples {
        println!("{}: {words}", variant.name);
    }
    let good = ended.is_ok() && run.findings.total() == 0;
    if let Err(error) = ended {
        println!("{}: {error}", variant.name);
    }
    if !good {
        run.keep_files()?;
    }
    Ok((good, run.line()))
}

fn understood(arguments: &[String]) -> Result<Options, String> {
    let clock =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    let mut options = Options {
        cycles: CYCLES_DEFAULT,
        samples: SAMPLES_DEFAULT,
        seed: clock.as_secs(),
        variants: VARIANTS.iter().take(1).copied().collect(),
        telegraf_s: None,
        profile: "dev",
        binary: None,
        keep: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cycles" => options.cycles = shell::number(word, words.next())?,
            "--samples" => options.samples = shell::number(word, words.next())?,
            "--seed" => options.seed = shell::number(word, words.next())?,
            "--variant" => options.variants = variants(words.next().map_or("", String::as_str))?,
            "--telegraf" => options.telegraf_s = Some(shell::number(word, words.next())?),
            "--release" => options.profile = "release",
            "--binary" => {
                options.binary = Some(words.next().map(PathBuf::from).ok_or("`--binary` takes a file")?);
            }
            "--keep" => options.keep = true,
            other => return Err(format!("`{other}` is not an option of crash ({})", COMMAND.arguments)),
        }
    }
    Ok(options)
}

fn variants(name: &str) -> Result<Vec<Variant>, String> {
    let found: Vec<Variant> =
        VARIANTS.iter().filter(|variant| name == "all" || variant.name == name).copied().collect();
    if found.is_empty() {
        let names: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
        return Err(format!("there is no variant `{name}`; there are: {}, all", names.join(", ")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let options =
            understood(&words("--cycles 7 --samples 1_000 --seed 3 --variant all --release")).expect("good");
        assert_eq!(
            (options.cycles, options.samples, options.seed, options.profile),
            (7, 1_000, 3, "release")
        );
        assert_eq!(options.variants, VARIANTS);
        assert_eq!(understood(&[]).expect("good").variants, &VARIANTS[..1]);
        assert_eq!(understood(&words("--telegraf 60")).expect("good").telegraf_s, Some(60));
        for bad in ["--cycle 3", "--cycles", "--cycles many", "--variant flood"] {
            assert!(understood(&words(bad)).is_err(), "{bad}");
        }
    }
}
