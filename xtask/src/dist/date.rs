//! One moment, the time of the commit, in the ways in which packages write it: the only time that stands in them.

use trials::shell;

#[derive(Debug, Clone)]
pub(crate) struct Date {
    /// Since 1970.
    pub seconds: u64,
    /// `2026-11-23T08:13:23Z`.
    pub rfc3339: String,
    /// `Mon, 23 Nov 2026 08:13:23 +0000`.
    pub rfc2822: String,
}

impl Date {
    /// As git has it, in UTC.
    pub(crate) fn of_commit() -> Result<Date, String> {
        let ask = |form: &str| {
            let mut git = shell::program("git");
            git.args(["log", "-1", "--format=%cd", &format!("--date={form}")]).env("TZ", "UTC");
            shell::capture(git).map(|said| said.trim().to_owned())
        };
        let seconds = ask("unix")?.parse().map_err(|_| "git names no time of the commit".to_owned())?;
        Ok(Date { seconds, rfc3339: ask("format-local:%Y-%m-%dT%H:%M:%SZ")?, rfc2822: ask("rfc-local")? })
    }
}
