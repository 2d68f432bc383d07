//! `tidemill reference PAGE`: the pages of docs/reference that are made from the code. `cargo xtask generate` writes them.

mod api;

use std::fmt::Write as _;

use clap::{Args, CommandFactory, ValueEnum};
use tidemill_core::{codes, escape_rules};

use super::{CommandLine, CommandResult, Outcome};
use crate::{config, output};

#[derive(Args, Debug)]
pub(crate) struct Reference {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Configuration,
    Problems,
    Names,
    CommandLine,
    Functions,
    Api,
    Events,
    Health,
    Metrics,
    /// The page of the manual, for `man`
    Manual,
}

impl Reference {
    pub(crate) fn execute(self) -> CommandResult {
        let text = match self.page {
            Page::Configuration => config::reference_page(),
            Page::Problems => problems(),
            Page::Names => names(),
            Page::CommandLine => command_line(),
            Page::Functions => functions(),
            Page::Api => api::page(),
            Page::Events => crate::events::page(),
            Page::Health => crate::vitals::page(),
            Page::Metrics => crate::measured::page()?,
            Page::Manual => manual(),
        };
        output::raw(text.as_bytes())?;
        Ok(Outcome::Done)
    }
}

fn problems() -> String {
    let mut out = String::from(
        "# Problem codes\n\nEvery error that Tidemill tells has a stable code. Over HTTP it comes as a problem document (RFC 9457) with `code`, `detail`\n\
         (what failed, on what) and `hint` (what to do next); the command line prints the same.\n\n| code | HTTP status | means | what to do |\n|---|---|---|---|\n",
    );
    for code in codes::ALL {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            code.id,
            code.status,
            code.title,
            code.mend.replace('|', "\\|")
        );
    }
    out
}

fn names() -> String {
    let mut out = String::from(
        "# Names\n\nA signal has one name everywhere: its path, 1 to 16 segments joined by `/`, at most 512 bytes of UTF-8 (NFC). No control characters, no\n\
         empty segment, no `.` or `..`, no space at a segment's ends, `+ # *` nowhere, `$` not first. Dots, semicolons, inner spaces, `=` and `,` are\n\
         fine. Case matters.\n\nPatterns are MQTT's: `+` one level, `#` the rest; `*` and `**` mean the same where shells and URLs spoil the others.\n\n\
         Where a protocol cannot carry a character, it is escaped reversibly by `%XX` over UTF-8:\n\n| where | between segments | escaped | `acme/leeds v2.1/t` is |\n|---|---|---|---|\n",
    );
    for rule in escape_rules() {
        let escaped = if rule.escape == tidemill_core::Escape::OpcUa {
            "nothing".to_owned()
        } else {
            format!(
                "`%`, `{}` inside a segment, control characters {}",
                rule.separator,
                rule.reserved
                    .chars()
                    .map(|c| format!("`{c}`").replace('|', "\\|"))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        };
        let _ = writeln!(out, "| {} | `{}` | {escaped} | `{}` |", rule.name, rule.separator, rule.example);
    }
    out
}

fn functions() -> String {
    let mut out = String::from(
        "# Functions of SQL\n\nEvery function that a query may call, as the program knows them. Those of Tidemill come first; all others are \
         DataFusion's, and its\n[manual](https://datafusion.apache.org/user-guide/sql/) says more about each. Tables, `read(…)` and what is \
         left out stand in [sql.md](sql.md).\n",
    );
    let all = tidemill_historian::functions();
    let is_ours = |section: &str| section == "Of Tidemill";
    let (ours, others): (Vec<_>, Vec<_>) = all.iter().partition(|note| is_ours(&note.section));
    let mut section = "";
    for note in ours.into_iter().chain(others) {
        if note.section != section {
            section = &note.section;
            let _ = writeln!(out, "\n## {section}\n| call | gives |\n|---|---|");
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let also = match note.aliases.as_slice() {
            [] => String::new(),
            aliases => format!(" Also `{}`.", aliases.join("`, `")),
        };
        let _ = writeln!(out, "| `{}` | {}{also} |", cell(&note.call), cell(&note.description));
    }
    out
}

fn command_line() -> String {
    let mut out = String::from(
        "# Command line\n\nExit codes: 0 done, 1 failed, 2 usage (an option, name, time, number or format that cannot be understood, whoever\n\
         finds it out), 3 looked and found problems. With `--json` errors of every kind are JSON objects on standard error.\n",
    );
    let mut root = CommandLine::command();
    root.build();
    pages(&mut root, "", &mut out);
    out
}

/// The same as a page for `man`: the help texts stand in it as they are printed.
fn manual() -> String {
    let mut out = format!(
        ".TH TIDEMILL 1 \"\" \"Tidemill {}\"\n.SH NAME\ntidemill \\- an open Industry 4.0 platform in one binary\n.SH SYNOPSIS\n\
         .B tidemill\n[\\fIOPTIONS\\fR] [\\fICOMMAND\\fR]\n.SH DESCRIPTION\nMachine values come in, every one gets one name, is on disk \
         before it is acknowledged, is kept in open files, and comes out again by name and by SQL.\n",
        env!("CARGO_PKG_VERSION")
    );
    for line in command_line().lines().skip_while(|line| !line.starts_with("## ")) {
        match (line.strip_prefix("## "), line) {
            (Some(name), _) => {
                let _ = writeln!(out, ".SH {}", name.to_uppercase());
            }
            (None, "```text") => out.push_str(".nf\n"),
            (None, "```") => out.push_str(".fi\n"),
            (None, "") => out.push('\n'),
            // `\&` keeps a line that begins with a dot or a quote from being a request.
            (None, text) => {
                let _ = writeln!(out, "\\&{}", text.replace('\\', "\\e").replace('-', "\\-"));
            }
        }
    }
    out.push_str(
        ".SH EXIT STATUS\n0 done; 1 failed; 2 what was typed cannot be understood; 3 looked and found problems.\n\
         .SH FILES\n.I tidemill.toml\nin the folder of a plant; every key is there with its default.\n",
    );
    out
}

fn pages(command: &mut clap::Command, above: &str, out: &mut String) {
    let name = if above.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{above} {}", command.get_name())
    };
    let help = command.clone().bin_name(name.clone()).term_width(100).render_long_help().to_string();
    let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let _ = write!(out, "\n## {name}\n```text\n{}\n```\n", help.trim_end());
    for below in
        command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        pages(below, &name, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unexplained(command: &clap::Command) -> Vec<String> {
        let silent = command.get_arguments().filter(|argument| argument.get_help().is_none());
        let own = silent.map(|argument| format!("{} {}", command.get_name(), argument.get_id()));
        own.chain(command.get_subcommands().flat_map(unexplained)).collect()
    }

    #[test]
    fn the_manual_has_a_section_for_every_command_and_no_line_that_man_takes_for_a_request() {
        let page = manual();
        for command in CommandLine::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let section = format!(".SH TIDEMILL {}\n", command.get_name().to_uppercase());
            assert!(page.contains(&section), "no {section}");
        }
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            let request = line.split(' ').next().unwrap_or_default();
            assert!([".TH", ".SH", ".B", ".nf", ".fi", ".I"].contains(&request), "{line}");
        }
    }

    #[test]
    fn every_argument_is_explained() {
        assert_eq!(unexplained(&CommandLine::command()), Vec::<String>::new());
    }
}
