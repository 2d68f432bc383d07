//! What the log says: every line has the name of an event, and every name stands once, here, with what it means and what
//! to do. docs/reference/events.md is made from this table; a test of the binary holds every call against it. What does not
//! live here: where lines go and how they look.

/// A kind of line of the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The name that a search or an alarm may rely on, as `noun.what_happened`.
    pub id: &'static str,
    /// `error`, `warn`, `info` or `debug`; two with a comma where it depends on what happened.
    pub level: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What to do; a sentence also where that is nothing.
    pub mend: &'static str,
}

macro_rules! log_events {
    ($($id:literal $level:literal $meaning:literal $mend:literal;)*) => {
        /// Every event there is, sorted by name.
        pub static EVENTS: &[Event] = &[$(Event { id: $id, level: $level, meaning: $meaning, mend: $mend }),*];
    };
}

log_events! {
    "audit.change_unrecorded" "error" "A change was made; how it ended could not be written to the audit, its intention was" "See that the disk is well and has room";
    "audit.damaged" "error" "The audit chain is not as it was written" "`tidemill audit verify` lists all of it; compare with a backup";
    "audit.file_foreign" "warn" "A file that is no part of the audit was moved away from its folder" "Find out who put it there";
    "audit.file_kept" "warn" "A file that should leave the audit's folder could not be moved or removed" "See the owner of the folder and the disk; it is tried again";
    "audit.mended" "warn" "The end of the audit log was mended at the start, as after a crash" "Nothing; the entry it left says what was done";
    "audit.refusal_lost" "warn" "A refusal could not be written to the audit" "See that the disk is well and has room";
    "audit.rows_handed_on" "info" "Entries that the table sys.audit did not have were given to it" "Nothing";
    "audit.rows_unread" "warn" "Entries that the table sys.audit lacks could not be read from the audit's files" "`tidemill audit verify` says which files";
    "audit.rows_waiting" "debug" "Entries wait for the journal before they are in the table sys.audit" "Nothing; they are in the audit's own files";
    "audit.sound" "info" "The audit chain was checked at the start and is as it was written" "Nothing";
    "audit.trim_failed" "warn" "Old files of the audit could not be looked through" "See that the disk is well; it is tried again";
    "audit.unchecked" "error" "The audit chain could not be checked" "See that data/guard/audit can be read";
    "audit.unwritable" "error" "The audit log cannot be written: changes are refused, data goes on" "See that the disk is well and has room; it is tried again";
    "backup.failed" "warn" "A backup was not sent whole" "Make it again; the line says why this one ended";
    "backup.made" "info" "A backup was sent whole" "Nothing; `tidemill backup verify FILE` looks whether it arrived so";
    "backup.unrecorded" "error" "How a backup ended could not be written to the audit, its intention was" "See that the disk is well and has room";
    "clock.stepped_back" "warn" "The clock went back by more than a second; times that the server gives follow it" "See what sets the clock; samples that came while it was ahead stand in the future";
    "configuration.read" "info" "Saved settings were read again" "Restart where `restart` names keys";
    "configuration.refused" "error" "Saved settings are not in force; those before them are" "Mend what the line lists; `tidemill check` looks again";
    "corrections.given_up" "error" "A record of what was corrected is given up: too many wait for their table, which is closed" "`tidemill check` says why the table is closed";
    "corrections.missing" "error" "A file of the record of corrections is missing" "Put it back from a backup";
    "decode.panic" "warn" "A library could not stand a body of columns; it was refused" "Report it with the file, if it is not meant as an attack";
    "demo.write_failed" "warn" "The demo's machines could not write for a moment" "Nothing";
    "door.not_open" "warn" "Nothing listens at an address; the plant runs without it" "Stop the program that holds it, or change the address";
    "figures.unwritten" "warn" "The plant's own figures could not be written; they are tried again" "See what else the log says of the journal";
    "file.damaged" "error" "A file of history is damaged; it stays as it is, and what is new goes into files of its own" "Put it back from a backup; `tidemill check` lists what is affected";
    "flight.call" "debug" "A call of Flight SQL" "Nothing";
    "flight.connection_broken" "debug" "A connection of Flight SQL ended without a word" "Nothing";
    "flight.not_tls" "debug" "A client of Flight SQL did not speak TLS where it is spoken" "See its address: grpc+tls, not grpc";
    "flight.panic" "error" "A call of Flight SQL failed by a defect of the program" "Report it with the lines around it";
    "flush.began" "debug" "Samples go from memory into files" "Nothing";
    "flush.ended" "debug" "They are in files, or stay in the journal" "Nothing";
    "flush.failed" "error" "A flush failed; the journal keeps what it would have written, and it is tried again" "See that the disk is well and has room";
    "flush.reserve" "warn" "The disk is full, and a flush is made in pieces, in the room that is kept for that" "Free some space";
    "health.began" "error, warn" "Something is wrong, or will be: the fields say what, what it affects and what to do" "Do what `mend` says; `tidemill check` says it again";
    "health.ended" "info" "What was wrong is no longer" "Nothing";
    "http.accept_failed" "warn" "The system gave no connection, as where descriptors are short; told once a minute, with how often it was" "Raise LimitNOFILE= of the service (or `ulimit -n`), or see in sys.limits who holds connections";
    "http.answer_broken" "warn" "An answer ended in its midst with a problem, which stands behind it" "Do what the problem's code says";
    "http.connection_broken" "debug" "A connection ended without a word" "Nothing";
    "http.drain_cut" "warn" "Connections were still open at the end of a stop and were cut" "Nothing; what was acknowledged is durable";
    "http.handshake_failed" "debug" "A client of HTTP did not agree on TLS" "See whether it trusts the plant: `tidemill trust`";
    "http.no_ipv6" "warn" "This machine has no such address; the plant runs without it" "Nothing, or take the address out of http.listen";
    "http.panic" "error" "A request failed by a defect of the program" "Report it with the lines around it";
    "http.request" "warn, debug" "A request; as a warning where it failed on the plant's side" "Do what the problem's code says";
    "journal.cut" "error" "An engine was too far behind: parcels that were not in files are no longer in the journal" "Compare with the sources; `tidemill check` says what may be lost";
    "journal.damaged" "error" "A part of the journal cannot be read" "`tidemill check` says what it held and what to do";
    "journal.lost" "error" "The journal lost its end at a power cut, as durability = \"relaxed\" allows" "Write the last second again if it is known elsewhere";
    "journal.torn" "warn" "A write that a crash tore was cut off; it was not acknowledged" "Nothing";
    "merge.began" "debug" "Small files of history become fewer" "Nothing";
    "merge.conflict" "debug" "Files changed while they were rewritten; it is done again" "Nothing";
    "merge.ended" "debug" "They are, or it is tried again" "Nothing";
    "merge.failed" "error" "A merge of files failed; it is tried again, and nothing is lost" "See that the disk is well and has room";
    "names.unread" "warn" "Names in a file of history could not be read, after damage to the journal" "`tidemill check` names the file";
    "output.unwritable" "warn" "Standard output cannot be written; the plant goes on" "Nothing, if nobody reads it";
    "plant.descriptors" "info" "The limit of open files stays as it is" "Nothing; fewer connections may be open at once";
    "plant.disk_small" "warn" "The disk has hardly room for the journal and its reserve" "Give the plant a larger disk, or free some space";
    "plant.memory_small" "warn" "Even the least that a plant works with is more than half of the memory here" "Give the container or the machine 256 MiB or more";
    "plant.ready" "info" "The plant listens and takes work" "Nothing";
    "plant.restored" "info, warn" "The plant was restored from a backup; as a warning, that is not in the audit yet" "Nothing; the next start writes it";
    "plant.stopped" "info" "The plant has ended in order" "Nothing";
    "postgres.session" "debug" "A client of the PostgreSQL protocol has shown who it is" "Nothing";
    "query.failed" "error" "A query failed inside, which it should not" "Report it with the query and the lines around it";
    "query.slow" "warn" "A query took longer than limits.slow_query; of SQL its shape is told, with ? for each literal" "Ask for less time or fewer signals; sys.queries has the last ones whole";
    "records.given_up" "error" "Records are given up: too many wait for a table that is closed" "`tidemill check` says why it is closed";
    "samples.retired" "info" "Samples older than storage.keep left the history" "Nothing";
    "service.untold" "warn" "The service manager cannot be told how the plant is; it goes on" "See NOTIFY_SOCKET in the unit's environment";
    "signal.recovered" "error" "The definition of a signal was lost with a damaged journal; its samples are read under this name" "Say its unit and description again, with `tidemill signals set`";
    "sql.accept_failed" "warn" "The system gave a SQL door no connection; told once a minute, with how often it was" "Raise LimitNOFILE= of the service (or `ulimit -n`), or see in sys.limits who holds connections";
    "sql.drain_cut" "warn" "SQL connections were still open at the end of a stop and were cut" "Nothing";
    "table.closed" "error" "A table could not be opened; the plant runs without it" "`tidemill check` says why; put it back from a backup";
    "table.leftovers" "warn" "What a crash left beside a table could not be removed" "See the owner of the folder and the disk; it is tried again";
    "task.late" "warn" "A part of the plant did not end in time at a stop" "Report it; what was acknowledged is durable";
    "task.panicked" "error" "A part of the plant ended by a defect of the program" "Report it with the lines around it, and restart the plant";
    "tls.authority" "info" "The plant's own certificate authority was made" "`tidemill trust` says how clients come to trust it";
    "tls.certificate" "info" "Another certificate is shown from now on" "Nothing";
    "tls.certificate_refused" "error" "A certificate that was put in place cannot be used; the one before is still shown" "Mend the files of tls.certificate and tls.key";
    "tls.not_renewed" "error" "The certificate could not be renewed" "See that data/guard can be written, and that the clock is right";
    "tokens.missing" "error" "The file of the tokens is gone, though the audit says that there were some" "Put data/guard back from a backup";
    "tokens.uses_unsaved" "warn" "When tokens were last used could not be saved" "See that the disk is well and has room";
    "vacuum.failed" "warn" "Files that history no longer needs could not be removed; it is tried again" "See the owner of data/lake and the disk";
    "variable.unknown" "warn" "A variable of the environment begins with TIDEMILL_ and names no setting; it does nothing" "Mend its name: the line says which was likely meant";
    "zone.refused" "warn" "A connection from outside the listener's zone was closed" "Widen the zone's cidr, if it should have been let in";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sorted_and_complete() {
        assert!(EVENTS.is_sorted_by(|one, other| one.id < other.id), "sorted, and none stands twice");
        for event in EVENTS {
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
            assert!(event.id.chars().all(legal) && event.id.matches('.').count() == 1, "{}", event.id);
            let known = |level: &str| ["error", "warn", "info", "debug"].contains(&level);
            assert!(event.level.split(", ").all(known), "{}", event.id);
            assert!(!event.meaning.is_empty() && !event.mend.is_empty(), "{}", event.id);
        }
    }
}
