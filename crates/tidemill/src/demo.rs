//! `tidemill demo`: a plant on loopback with the works of `tidemill-demo` beside it. What does not live here: the machines, and
//! any way into the plant that a user's machines do not have.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use serde_json::Value as Json;
use tidemill_core::{Problem, codes};
use tidemill_demo::{Door, Feed, Filled, PREFIX, SIGNALS, Screen};

use crate::client::{Body, Client};
use crate::command::{CommandResult, Global, Outcome};
use crate::house::{self, Running};
use crate::plant::Plant;
use crate::{log, output, progress};

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
    running: &Running,
    stop: &tidemill_ground::Stop,
    (speed, days): (f64, u16),
    live_table: bool,
    json: bool,
) -> Result<(), Problem> {
    let as_machines = |token| Client::Remote { host: running.host.clone(), token: Some(token), trust: None };
    let zone = crate::time::zone(&house::load(&running.plant)?.timezone)?;
    let mut feed = Feed::open(Client::Owner(running.plant.clone()), as_machines, zone, speed)?;
    let bar = progress::bar(0);
    bar.set_message(format!("filling in {days} days"));
    let filled = feed.fill(days, stop, |done, steps| {
        bar.set_length(steps);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    log::unless_printed(if json {
        output::try_json(&hello(running, days, &filled))
    } else {
        output::try_line(&hello_for_people(running, days, &filled))
    });
    let screen = live_table.then(|| Screen::new(running.first_address(), commands(running)));
    feed.live(stop, |values| {
        if let Some(screen) = &screen {
            // A terminal that was shut shows nothing; the plant goes on.
            let _ = output::try_raw(screen.picture(values, output::colour()).as_bytes());
        }
    })
}

impl Door for Client {
    async fn call(&self, method: &'static str, target: &str, body: &Json) -> Result<Json, Problem> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
        Client::call(self, method, target, body).await
    }

    async fn write(&self, media_type: &'static str, body: Bytes) -> Result<(), Problem> {
        let headers = [("content-type", media_type)];
        self.send(Method::POST, "/api/v1/write", &headers, Body::from(body)).await.map(drop)
    }
}

/// Commands that show what the plant can do.
fn commands(running: &Running) -> Vec<String> {
    let folder = crate::quoted(&running.plant.folder.to_string_lossy());
    let program = format!("{} --plant {folder}", crate::program());
    vec![
        format!("{program} watch '{PREFIX}/press/#'"),
        format!("{program} read {PREFIX}/oven/zone2/temperature --from -30d --points 60"),
        format!(
            "{program} sql \"SELECT signal, avg(value) FROM samples WHERE matches(signal, '{PREFIX}/energy/#') GROUP BY signal\""
        ),
        format!("{program} why {PREFIX}/press/st3/vibration"),
        format!("{program} read '#' --from -30d --output works.parquet"),
    ]
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
fn hello(running: &Running, days: u16, filled: &Filled) -> Json {
    serde_json::json!({
        "ready": true, "demo": true, "plant": running.plant.folder, "http": running.addresses,
        "signals": SIGNALS.len(), "days": days, "samples": filled.samples, "seconds": filled.seconds,
        "try": commands(running),
    })
}

fn hello_for_people(running: &Running, days: u16, filled: &Filled) -> String {
    let commands: Vec<String> = commands(running).iter().map(|command| format!("\n  {command}")).collect();
    format!(
        "DEMO plant ready: {}\n  {} signals, {} samples of {days} days written and durable in {:.1} s, \
         through the same door as any machine\n\nTry in another terminal:{}",
        running.first_address(),
        SIGNALS.len(),
        filled.samples,
        filled.seconds,
        commands.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed goes through a shell as it stands: each command is asked to show its words.
    #[test]
    fn commands_can_be_copied_into_a_shell() {
        for folder in ["/tmp/works", "/tmp/my works", "/tmp/anna's $HOME `x` \"y\" *;\\", "/tmp/ä ~#"] {
            let running = Running {
                plant: crate::plant::Plant { folder: folder.into() },
                addresses: Vec::new(),
                host: String::new(),
            };
            for command in commands(&running) {
                let shown = std::process::Command::new("sh")
                    .args(["-c", &format!("printf '%s\\n' {command}")])
                    .output()
                    .expect("a POSIX shell");
                let words = String::from_utf8(shown.stdout).expect("what went in");
                let words: Vec<&str> = words.lines().collect();
                assert_eq!(words[1..3], ["--plant", folder], "{command}");
                assert!(words.len() > 4 && !words[4].is_empty(), "{command}: {words:?}");
            }
        }
        assert_eq!(crate::quoted("/tmp/works"), "/tmp/works", "no quotes where none are needed");
        assert_eq!(crate::quoted(""), "''");
    }
}
