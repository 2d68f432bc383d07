//! What the plant warns of: one table of codes with what each affects and what to do. docs/reference/health.md is made from it.
//! What does not live here: when a warning is due (`conditions.rs`), and how it is kept (`board.rs`).

use std::fmt::Write as _;
use std::time::Duration;

use tidemill_core::format_duration;

/// A kind of warning.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning {
    /// By which it is known in SQL, in metrics and as a signal.
    pub code: &'static str,
    /// Something is lost or refused now; else it will be.
    pub now: bool,
    /// What is the matter, in one line.
    pub title: &'static str,
    /// What it affects.
    pub affects: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// So long it must hold before it is told, and so long be over before it is told no longer.
    pub raise_after: Duration,
    /// See `raise_after`.
    pub clear_after: Duration,
    /// `tidemill check` looks for it by itself, and says more.
    pub checked: bool,
}

macro_rules! warnings {
    ($($constant:ident $code:literal $now:literal $raise_s:literal $clear_s:literal $checked:literal $title:literal $affects:literal $mend:literal;)*) => {
        $(pub(crate) static $constant: Warning = Warning {
            code: $code, now: $now, title: $title, affects: $affects, mend: $mend,
            raise_after: Duration::from_secs($raise_s), clear_after: Duration::from_secs($clear_s), checked: $checked,
        };)*
        /// All of them, by what they are about.
        pub(crate) static WARNINGS: &[&Warning] = &[$(&$constant),*];
    };
}

warnings! {
    REFUSING "refusing-values" true 0 5 true "new values are refused" "Writers are told to come again, or that the disk is full; what is not kept elsewhere is lost. Reading goes on" "Free some space, or see the disk; writing then goes on by itself";
    DISK_LOW "disk-low" false 0 10 true "the disk has hardly any room left" "Soon new values are refused" "Free some space, or give the plant a larger disk";
    DISK_FILLING "disk-filling" false 60 600 false "at its present rate the disk is full within a day" "New values are refused once less than storage.free_min is free" "Free some space, set storage.keep, or give the plant a larger disk";
    INODES_LOW "inodes-low" false 0 10 false "the file system has hardly any files left to give" "No new files of history can be made, and then new values are refused" "Remove files, or move the plant to a file system with more inodes";
    FLASH_WORN "flash-worn" false 0 60 false "the flash memory is near the end of its life" "Writes may fail at any time" "Make a backup, and replace the memory";
    MEMORY_NEAR "memory-near-limit" false 30 60 false "the process is near what its container may have" "The system may end the plant at any moment; nothing acknowledged is lost by it" "Give the container more memory, or lower limits.memory";
    MEMORY_OWN "memory-near-own-limit" false 30 60 false "the plant has nearly as much memory as limits.memory" "Queries and large requests are refused sooner; beyond the limit the memory is taken from what else runs here" "Ask for less at once (sys.queries, sys.limits), or raise limits.memory";
    MEMORY_SHORT "memory-short" false 30 60 false "the machine has hardly any memory left" "Everything becomes slow, or the system ends a program" "See what else runs here, or lower limits.memory";
    SWAPPING "swapping" false 30 60 false "a part of the plant is swapped out" "Acknowledgements and queries wait for the disk" "Lower limits.memory, or give the machine more memory";
    CLOCK_STEPPED "clock-stepped" false 0 0 false "the clock was set while the plant ran" "Samples without a time of their own jump in time with it; tokens may expire early or late" "See what sets the clock; a time service that slews it makes no jumps";
    CLOCK_UNSET "clock-unset" false 900 0 false "systemd-timesyncd runs and has not set the clock" "Times that the server gives may be wrong" "See `timedatectl`: name a time server that this machine reaches. chrony and ntpd are not asked: `chronyc tracking` or `ntpq -p` tells of them";
    FILES_NEAR "open-files-near-limit" false 4 30 false "hardly any file or connection can be opened" "New connections are refused, and flushes may fail" "Raise the limit (LimitNOFILE= of the service, or ulimit -n), or close connections";
    LIMIT_NEAR "limit-near" false 10 30 false "a limit is nearly reached" "What comes beyond it is refused; sys.limits says how" "Raise it, if there is more to come";
    LIMIT_REFUSED "limit-refused" false 0 300 false "a limit has refused something" "What was refused is counted in sys.limits, and its sender was told" "Raise it, or see who asks for so much";
    DATABASES_MIXED "databases-mixed" false 0 0 true "signals are written from two databases of InfluxDB's clients" "Samples of both stand in one signal, and of two at one time the later one alone" "Put {db} into the names, before more comes: `presets = [\"influxdb-databases\"]` or a template in connections/line-protocol.toml. `tidemill check` lists the signals";
    LAGGING "follower-lagging" false 30 10 false "an engine is far behind the journal" "Queries and subscribers wait for what was written last" "See what keeps the machine busy, and whether the disk is slow";
    FLUSH_FAILING "flush-failing" true 0 5 false "samples cannot be put into files" "The journal keeps them, and grows; when it may not grow further, new values are refused" "See that the disk is well and has room";
    MERGE_FAILING "merge-failing" false 0 300 false "small files of history cannot be merged" "Files become many, and queries slower" "See that the disk is well and has room";
    JOURNAL_HELD "journal-held" false 30 30 false "the journal holds much that is not in files yet" "The next start takes longer; beyond its limit new values are refused" "See whether flushes fail or the disk is slow";
    DAMAGE "journal-damaged" true 0 5 true "a part of the journal cannot be read" "Acknowledged values may be lost" "`tidemill check` says which and what to do";
    HISTORY_UNREADABLE "history-unreadable" true 0 5 true "some history cannot be read" "Queries over it fail" "`tidemill check` lists the files; put them back from a backup";
    TABLES_CLOSED "table-closed" true 0 5 true "a table could not be opened" "Its rows are not there in SQL, and new ones wait" "`tidemill check` says why; put it back from a backup";
    AUDIT_UNWRITABLE "audit-unwritable" true 0 5 true "the audit log cannot be written" "Tokens, rights and settings cannot be changed; data goes on" "See that the disk is well and has room";
    AUDIT_DAMAGED "audit-damaged" true 0 5 true "the audit chain is not as it was written" "Who did what cannot be proved" "`tidemill audit verify` lists all of it; compare with a backup";
    TOKEN_EXPIRING "token-expiring" false 0 0 false "a token expires soon" "Whoever uses it is refused then" "Make it anew: `tidemill token rotate NAME`, or revoke it if nobody needs it";
    TOKEN_EXPIRED "token-expired" false 0 0 false "a token that was in use has expired" "Whoever uses it is refused" "Make it anew, or revoke it if nobody needs it";
    CERTIFICATE "certificate" false 0 5 true "a certificate needs its owner" "Clients beyond this machine refuse the connection when it has ended" "Do what `tidemill check` says";
    CERTIFICATE_UNUSABLE "certificate-unusable" true 0 5 true "a certificate cannot be used" "Clients beyond this machine refuse the connection, or are shown another certificate than the one that was put in place" "Do what `tidemill check` says";
    DISK_SLOW "disk-slow" false 60 120 false "the disk takes far longer than it used to" "Acknowledgements wait for it" "See what else writes to it; flash and disks become slow before they fail, so make a backup";
    CONFIGURATION_REFUSED "configuration-refused" true 0 0 true "saved settings are not in force" "The plant runs with the settings before them; the next start fails" "Mend what is listed; the file is read again by itself";
    BACKUP_OLD "backup-old" false 0 0 false "the last backup is older than health.backup_age" "What was written since then is lost with the disk" "Make one: `tidemill backup FILE`; where no more are wanted, set health.backup_age = \"off\"";
    LOG_UNWRITTEN "log-unwritten" false 0 300 false "lines of the log cannot be written to their file" "They go to standard error instead, as far as that is kept" "See that the log's disk has room and that its folder can be written";
    RESTART_WAITING "restart-waiting" false 0 0 false "saved settings wait for a restart" "The plant runs with the values before them" "Restart the plant when it suits";
}

fn after(duration: Duration) -> String {
    if duration.is_zero() { "at once".to_owned() } else { format_duration(duration) }
}

/// docs/reference/health.md.
pub(crate) fn page() -> String {
    let mut out = String::from(
        "# What the plant warns of\n\nA plant looks after itself every two seconds. What is wrong, or will be, is told in `tidemill`, in `tidemill check`, in SQL \
         (`SELECT * FROM\nsys.health`), at `/api/v1/health` for whoever may read `tidemill/#`, in the log when it begins and ends (`health.began`, \
         `health.ended`), in\n`/metrics` as `tidemill_health_warnings{code=…}`, and as signals: `tidemill/health` is 0 when all is well, 1 with a warning and 2 when \
         something is\nlost or refused now; `tidemill/health/CODE` is true while it lasts. A warning begins at one threshold and ends at another, and lasts for \
         the times\nshown, so that it does not flicker.\n\n| code | means | threshold | affects | what to do | begins after | ends after |\n|---|---|---|---|---|---|---|\n",
    );
    let thresholds = crate::conditions::thresholds();
    for warning in WARNINGS {
        let threshold = thresholds.iter().find(|(of, _)| *of == *warning).map_or("", |(_, words)| words);
        let Warning { code, title, affects, mend, raise_after, clear_after, .. } = warning;
        let (raise, clear) = (after(*raise_after), after(*clear_after));
        let _ =
            writeln!(out, "| `{code}` | {title} | {threshold} | {affects} | {mend} | {raise} | {clear} |");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_can_be_segments_of_a_path() {
        let mut seen = std::collections::BTreeSet::new();
        for warning in WARNINGS {
            assert!(seen.insert(warning.code), "{} stands twice", warning.code);
            assert!(warning.code.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", warning.code);
            for words in [warning.title, warning.affects, warning.mend] {
                assert!(
                    !words.is_empty() && !words.ends_with('.') && !words.contains('|'),
                    "{}",
                    warning.code
                );
            }
        }
    }
}
