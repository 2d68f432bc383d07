//! The demo plant: a small works whose machines are ordinary clients of the public door, with 30 days behind it. What
//! does not live here: any way into the plant that a user's machines do not have.

mod feed;
mod kit;
mod screen;
mod works;

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

use clap::Args;
use tidemill_core::{Problem, codes};

use crate::command::{CommandResult, Global, Outcome};
use crate::plant::Plant;
use crate::{house, log, output};

/// Shows a small living plant on loopback, with 30 days behind it, until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  tidemill demo\n  tidemill demo --dir ./works --headless")]
pub(crate) struct Demo {
    /// The demo plant's folder [default: one in the system's temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The machines live so many times faster
    #[arg(long, default_value_t = 1.0, value_parser = speed, allow_hyphen_values = true)]
    speed: f64,
    /// How many days of history are filled in
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365), allow_hyphen_values = true)]
    days: u16,
    /// Without the live table
    #[arg(long)]
    headless: bool,
}

/// The rights of the group and of everybody to write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

fn speed(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "write a number such as 10".to_owned())?;
    if (0.1..=1_000.0).contains(&number) { Ok(number) } else { Err("from 0.1 to 1000".to_owned()) }
}

impl Demo {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        let folder = self.dir.map_or_else(temporary, Ok)?;
        let plant = Plant::at(&folder);
        plant.make()?;
        let json = global.json;
        let live_table = !self.headless && !json && output::is_terminal();
        // The table needs the terminal: log lines go to a file then.
        let log_file = live_table.then(|| plant.data().join("demo.log"));
        log::begin(&log::Keep::plain(log_file))?;
        let (speed, days) = (self.speed, self.days);
        let options = house::Options {
            announce: Box::new(|_, _| ()),
            any_port: true,
            companion: Some(Box::new(move |running, stop| {
                companion(&running, stop, (speed, days), live_table, json)
            })),
        };
        house::run(&plant, options)?;
        Ok(Outcome::Done)
    }
}

/// The machines, and the table that shows them.
fn companion(
    running: &house::Running,
    stop: &tidemill_ground::Stop,
    (speed, days): (f64, u16),
    live_table: bool,
    json: bool,
) -> Result<(), Problem> {
    let mut feed = feed::Feed::open(running, speed)?;
    let filled = feed.fill(days, stop)?;
    log::unless_printed(if json {
        output::try_json(&hello(running, days, &filled))
    } else {
        output::try_line(&hello_for_people(running, days, &filled))
    });
    let mut screen = live_table.then(|| screen::Screen::new(running));
    feed.live(stop, |values| {
        if let Some(screen) = &mut screen {
            screen.show(values);
        }
    })
}

/// The folder in the system's temporary one, to which everybody may write: somebody else may have made it, or may write to it.
fn temporary() -> Result<PathBuf, Problem> {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("tidemill-demo-{user}"));
    let refused = |why: &str| {
        Problem::new(&codes::FILE_UNWRITABLE, format!("{} {why}", folder.display()))
            .hint("Remove it, or name a folder of your own with --dir")
    };
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(refused(&format!("cannot be made: {error}")));
        }
        _ => {}
    }
    let about =
        folder.symlink_metadata().map_err(|error| refused(&format!("cannot be looked at: {error}")))?;
    match (about.is_dir(), about.uid() == user, about.mode() & WRITABLE_BY_OTHERS == 0) {
        (true, true, true) => Ok(folder),
        (false, ..) => Err(refused("is no folder")),
        (_, false, _) => Err(refused("belongs to another user")),
        _ => Err(refused("can be written by other users")),
    }
}

/// What there is, for machines.
fn hello(running: &house::Running, days: u16, filled: &feed::Filled) -> serde_json::Value {
    serde_json::json!({
        "ready": true, "demo": true, "plant": running.plant.folder, "http": running.addresses,
        "signals": works::SIGNALS.len(), "days": days, "samples": filled.samples, "seconds": filled.seconds,
        "try": screen::commands(running),
    })
}

fn hello_for_people(running: &house::Running, days: u16, filled: &feed::Filled) -> String {
    let address = running.addresses.first().map(String::as_str).unwrap_or_default();
    let commands: Vec<String> =
        screen::commands(running).iter().map(|command| format!("\n  {command}")).collect();
    format!(
        "DEMO plant ready: {address}\n  {} signals, {} samples of {days} days written and durable in {:.1} s, \
         through the same door as any machine\n\nTry in another terminal:{}",
        works::SIGNALS.len(),
        filled.samples,
        filled.seconds,
        commands.concat()
    )
}
