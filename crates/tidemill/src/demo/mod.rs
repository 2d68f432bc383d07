//! The demo plant: a small works whose machines are ordinary clients of the public door, with 30 days behind it. What
//! does not live here: any way into the plant that a user's machines do not have.

mod feed;
mod kit;
mod screen;
mod works;

use std::path::PathBuf;

use clap::Args;
use tidemill_core::Problem;

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
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// How many days of history are filled in
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    /// Without the live table
    #[arg(long)]
    headless: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "write a number such as 10".to_owned())?;
    if (0.1..=1_000.0).contains(&number) { Ok(number) } else { Err("from 0.1 to 1000".to_owned()) }
}

impl Demo {
    pub(crate) fn execute(self, global: &Global) -> CommandResult {
        let user = rustix::process::getuid().as_raw();
        let folder = self.dir.unwrap_or_else(|| std::env::temp_dir().join(format!("tidemill-demo-{user}")));
        let plant = Plant::at(&folder);
        plant.make()?;
        let json = global.json;
        let live_table = !self.headless && !json && output::is_terminal();
        // The table needs the terminal: log lines go to a file then.
        let log_file = live_table.then(|| plant.data().join("demo.log"));
        log::begin(log_file.as_deref(), false)?;
        let (speed, days) = (self.speed, self.days);
        let options = house::Options {
            announce: Box::new(|_, _| ()),
            any_port: true,
            companion: Some(Box::new(move |running, stop| {
                companion(&running, &stop, (speed, days), live_table, json)
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
) {
    let result: Result<(), Problem> = feed::Feed::open(running, speed).and_then(|mut feed| {
        let filled = feed.fill(days, stop)?;
        if json {
            output::json(&hello(running, days, &filled));
        } else {
            say_hello(running, days, &filled);
        }
        let mut screen = live_table.then(|| screen::Screen::new(running));
        feed.live(stop, |values| {
            if let Some(screen) = &mut screen {
                screen.show(values);
            }
        })
    });
    if let Err(problem) = result
        && !stop.requested()
    {
        output::problem(&problem, json);
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

fn say_hello(running: &house::Running, days: u16, filled: &feed::Filled) {
    let address = running.addresses.first().map(String::as_str).unwrap_or_default();
    output::line(&format!("DEMO plant ready: {address}"));
    output::line(&format!(
        "  {} signals, {} samples of {days} days written and durable in {:.1} s, through the same door as any machine",
        works::SIGNALS.len(),
        filled.samples,
        filled.seconds
    ));
    output::line("\nTry in another terminal:");
    for command in screen::commands(running) {
        output::line(&format!("  {command}"));
    }
}
