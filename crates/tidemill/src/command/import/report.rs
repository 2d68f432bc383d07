//! What became of a file, as `import` tells it at its end. What was rejected and why is written beside the file, not here.

use tidemill_connect::import::Summary;

use super::Sender;
use crate::output;

/// Tells what became of a file. The next one is brought in whoever reads this.
pub(super) fn report(name: &str, signals: usize, summary: Summary, sender: &mut Sender<'_>, json: bool) {
    let (tally, dry) = (&sender.tally, sender.client.is_none());
    let printed = if json {
        output::try_json(&serde_json::json!({
            "file": name, "rows": summary.rows, "samples": tally.samples, "signals": signals,
            "rejected": tally.rejected, "own_figures": tally.own, "empty_cells": summary.empty_cells,
            "whole_numbers": summary.whole_numbers, "dry_run": dry,
        }))
    } else {
        output::try_line(&report_lines(name, summary, sender).join("\n  "))
    };
    if let Err(error) = printed
        && !output::is_gone(&error)
    {
        output::problem(&output::unwritable(&error), json);
        sender.tally.unprinted = true;
    }
}

/// So many, in words.
fn of(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn report_lines(name: &str, summary: Summary, sender: &Sender<'_>) -> Vec<String> {
    let (tally, dry) = (&sender.tally, sender.client.is_none());
    let verb = if dry { "would be written" } else { "written and durable" };
    let mut lines = vec![format!(
        "{name}: {}, {} {verb}, {} rejected",
        of(summary.rows, "row"),
        of(tally.samples, "sample"),
        tally.rejected
    )];
    if tally.rejected > 0 && !dry {
        lines.push(format!("the rejected rows and the reasons are in {}", sender.rejects.path.display()));
    }
    if tally.own > 0 {
        lines.push(format!(
            "{} of a plant's own figures (tidemill/#) left out, for each plant writes its own; --prefix PATH takes them in \
             below another name",
            of(tally.own, "sample")
        ));
    }
    if summary.whole_numbers > 0 {
        lines.push(format!(
            "{} whole numbers are too large for a float, and are kept as integers",
            summary.whole_numbers
        ));
    }
    if summary.repeated_hour > 0 {
        lines.push(format!(
            "{} rows lie in an hour that the clocks repeat; {} were taken as the second pass",
            summary.repeated_hour, summary.second_pass
        ));
    }
    lines
}
