//! What a program costs when little is asked of it: the size of its file, one sample alone, a hundred thousand new signals
//! with a few samples each. On a folder of its own; the large load is the matter of [`super`].

use super::super::figure::{Figure, figure};
use super::super::generate::LINES;
use super::super::process::{quantile, syncs};
use super::super::stand::{ms, pour, scratch, write};
use super::program::{self, Program};
use super::{Served, load};
use crate::binary::Binary;
use std::fmt::Write;
use std::time::Duration;

const ALONE: usize = 300;
const SIGNALS: u64 = 100_000;
/// Samples of each of them, a minute apart.
const ROUNDS: u64 = 3;

pub(super) fn measured(program: &'static Program, binary: &Binary) -> Result<Vec<Figure>, String> {
    let folder = scratch()?;
    let about = (program.command)(binary, &folder, std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let file =
        std::fs::metadata(about.get_program()).map_err(|error| format!("{}: {error}", program.name))?;
    let served = Served::start(program, binary, &folder)?;
    let mut client = served.client();
    program::prepare(program, &mut client)?;
    let mut times = Vec::with_capacity(ALONE);
    let mut probes = syncs(&served.folder, ALONE / 2)?;
    for number in 0..ALONE {
        times.push(write(&mut client, program.write, format!("alone value={number}\n").as_bytes())?);
    }
    probes.extend(syncs(&served.folder, ALONE / 2)?);
    times.sort_unstable();
    probes.sort_unstable();
    let sync = quantile(&probes, 0.5);
    let goal = format!("goal {:.2}: fdatasync, {:.2}, and 1", ms(sync + Duration::from_millis(1)), ms(sync));
    pour(&new_signals(), program.write, &|| served.client())?;
    served.settle()?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(vec![
        figure("the program's file", mb(file.len()), "MB", "goal 100"),
        figure("one sample alone, p50", ms(quantile(&times, 0.5)), "ms", goal),
        figure("memory, 100,000 signals, peak", mb(served.process().memory_peak_bytes()?), "MB", "goal 200"),
        figure("memory, 100,000 signals, settled", mb(served.process().memory_bytes()?), "MB", ""),
    ])
}

/// Every signal once, then every signal again.
fn new_signals() -> Vec<Vec<u8>> {
    let mut bodies = vec![String::new()];
    for place in 0..SIGNALS * ROUNDS {
        let (round, signal) = (place / SIGNALS, place % SIGNALS);
        if place > 0 && place % LINES == 0 {
            bodies.push(String::new());
        }
        let time = load::BEGIN_S + round as i64 * 60;
        if let Some(body) = bodies.last_mut() {
            let line =
                format_args!("sensor,id=n{signal:05},line=l{} value={round}.5 {time}000000000", signal / 500);
            let written = writeln!(body, "{line}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    bodies.into_iter().map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_comes_in_every_round() {
        let text = String::from_utf8(new_signals().concat()).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len() as u64, SIGNALS * ROUNDS);
        assert_eq!(lines[0], "sensor,id=n00000,line=l0 value=0.5 1759276800000000000");
        lines.sort_unstable();
        lines.dedup_by_key(|line| line.split_once(' ').map(|(series, _)| series));
        assert_eq!(lines.len() as u64, SIGNALS);
    }
}
