//! What statements do: rows by the history, and everything about the session right here. What is not here: reading them.

use std::sync::Arc;

use tidemill_core::{ReadGrant, WireValue};

use super::copy_options::CopyForm;
use super::reply::Transaction;
use super::rows::{Into, copy_ends, with_formats};
use super::session::{Ended, PORTALS_MAX, Portal, Session};
use super::setting::{self, Changed};
use super::statement::Statement;
use crate::Error;

impl Session {
    /// Runs a portal, at most so many rows of it (0: all). Columns are told before rows where statements are simple.
    pub(crate) async fn run(
        &mut self,
        portal: &mut Portal,
        rows_max: u32,
        described: bool,
    ) -> Result<(), Ended> {
        self.house.postgres.statements.add(1);
        // Also of what runs already, and of what only speaks of the session.
        let grant = self.admitted().await?;
        let statement = portal.statement.clone();
        match &statement {
            Statement::Empty => self.writer.out.plain(b'I'),
            Statement::Rows { text, tag } => {
                let rows = self.rows(text, portal, rows_max, Into::Rows { described }, grant).await?;
                if portal.done {
                    let tag = if *tag == "SELECT" { format!("SELECT {rows}") } else { (*tag).to_owned() };
                    self.writer.out.complete(&tag);
                } else {
                    // Suspended: there may be more.
                    self.writer.out.plain(b's');
                }
            }
            Statement::Copy { text, form } => {
                portal.binary = vec![*form == CopyForm::Binary];
                let rows = self.rows(text, portal, 0, Into::Copy(form), grant).await?;
                copy_ends(form, rows, &mut self.writer.out);
                self.writer.out.complete(&format!("COPY {rows}"));
            }
            Statement::Declare { name, text } => {
                self.declare(name, text, portal.values.clone(), &grant).await?
            }
            Statement::Fetch { name, rows } => {
                let binary = portal.binary.clone();
                self.fetch(name, *rows, (binary, described), grant).await?;
            }
            other => self.command(other)?,
        }
        Ok(())
    }

    async fn declare(
        &mut self,
        name: &str,
        text: &str,
        values: Vec<WireValue>,
        grant: &ReadGrant,
    ) -> Result<(), Ended> {
        if self.portals.len() >= PORTALS_MAX {
            self.house.postgres.crowded.add(1);
            return Err(Error::TooMany { what: "portals and cursors", max: PORTALS_MAX }.into());
        }
        let rows = Statement::Rows { text: text.to_owned(), tag: "SELECT" };
        let types = values.iter().map(|value| value.kind).collect();
        let (_, columns) = self.shape(&rows, types, grant).await?;
        let cursor = Portal { values, cursor: true, ..Portal::of(rows, columns) };
        self.portals.insert(name.to_owned(), cursor);
        self.writer.out.complete("DECLARE CURSOR");
        Ok(())
    }

    async fn fetch(
        &mut self,
        name: &str,
        rows: u32,
        (binary, described): (Vec<bool>, bool),
        grant: ReadGrant,
    ) -> Result<(), Ended> {
        let cursor = self.portals.remove(name);
        let mut cursor = cursor.ok_or_else(|| Error::Unknown { what: "cursor", name: name.to_owned() })?;
        let Statement::Rows { text, .. } = cursor.statement.clone() else {
            return Err(Error::Unknown { what: "cursor", name: name.to_owned() }.into());
        };
        if cursor.running.is_none() && !cursor.done {
            // Who takes the first rows says in which formats.
            cursor.columns = cursor.columns.map(|columns| with_formats(&columns, &binary));
            cursor.binary = binary;
        } else if cursor.columns.as_ref().is_some_and(|columns| *columns != with_formats(columns, &binary)) {
            self.portals.insert(name.to_owned(), cursor);
            return Err(
                Error::Unsupported("another format than the cursor's first rows had".to_owned()).into()
            );
        }
        if described && let Some(columns) = &cursor.columns {
            self.writer.out.0.extend_from_slice(columns);
        }
        let fetched = self.rows(&text, &mut cursor, rows, Into::Rows { described: false }, grant).await?;
        self.portals.insert(name.to_owned(), cursor);
        self.writer.out.complete(&format!("FETCH {fetched}"));
        Ok(())
    }

    /// What is about the session alone.
    fn command(&mut self, statement: &Statement) -> Result<(), Error> {
        let tag = match statement {
            Statement::Begin(tag) => {
                if self.transaction == Transaction::Idle {
                    self.transaction = Transaction::Open;
                } else {
                    self.writer.out.warning("there is already a transaction in progress", "");
                }
                tag
            }
            Statement::Commit => self.end_transaction(true),
            Statement::Rollback => self.end_transaction(false),
            Statement::Within(tag) => {
                if *tag == "ROLLBACK" && self.transaction == Transaction::Failed {
                    self.transaction = Transaction::Open;
                }
                tag
            }
            Statement::Set { name, value } => {
                self.set(name, value.as_deref())?;
                if value.is_some() { "SET" } else { "RESET" }
            }
            Statement::ResetAll => {
                self.reset();
                "RESET"
            }
            Statement::Discard => {
                self.statements.clear();
                self.portals.clear();
                self.reset();
                "DISCARD ALL"
            }
            Statement::Deallocate(None) => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Statement::Deallocate(Some(name)) => {
                let unknown = || Error::Unknown { what: "prepared statement", name: name.clone() };
                self.statements.remove(name).ok_or_else(unknown)?;
                "DEALLOCATE"
            }
            Statement::CloseCursor(None) => {
                self.portals.retain(|_, portal| !portal.cursor);
                "CLOSE CURSOR ALL"
            }
            Statement::CloseCursor(Some(name)) => {
                let unknown = || Error::Unknown { what: "cursor", name: name.clone() };
                self.portals.remove(name).ok_or_else(unknown)?;
                "CLOSE CURSOR"
            }
            Statement::Done(tag) => tag,
            Statement::Empty
            | Statement::Rows { .. }
            | Statement::Copy { .. }
            | Statement::Declare { .. }
            | Statement::Fetch { .. } => return Ok(()),
        };
        self.writer.out.complete(tag);
        Ok(())
    }

    fn end_transaction(&mut self, well: bool) -> &'static str {
        let well = well && self.transaction != Transaction::Failed;
        self.transaction = Transaction::Idle;
        self.portals.clear();
        if well { "COMMIT" } else { "ROLLBACK" }
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let changed = setting::set(Arc::make_mut(&mut self.wire), name, value)?;
        match changed {
            Changed::Quietly => {}
            Changed::Told(name) => {
                let value = setting::get(&self.wire, name).unwrap_or_default().to_owned();
                self.writer.out.setting(name, &value);
            }
            Changed::Stays(value) => {
                let what = format!("the setting '{name}' stays '{value}'");
                self.writer
                    .out
                    .warning(&what, "Times are told in UTC and ISO 8601, whatever a session wishes");
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        let user = self.wire.user.clone();
        let fresh = setting::all(&self.house.doors.version, &user, self.encrypted());
        Arc::make_mut(&mut self.wire).settings = fresh;
    }
}
