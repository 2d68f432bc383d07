//! A session: what a client has prepared, opened and set, and the loop in which its messages are answered one by one, in
//! order. What is not here: how rows come ([`super::rows`]), and what single statements about the session do
//! ([`super::command`]).

use std::collections::HashMap;
use std::sync::Arc;

use tidemill_core::{
    Budget, Credential, Peer, Problem, ReadGrant, TypeNumber, WireQuery, WireSession, WireValue, codes,
};
use tokio::sync::watch;

use super::cancel::Cancellable;
use super::message::{Message, Target};
use super::open::unwelcome;
use super::parameter;
use super::reply::{Told, Transaction};
use super::rows::{Running, with_formats};
use super::setting;
use super::statement::{self, Statement};
use super::wire::{Gone, Reader, Writer};
use crate::serve::{Visit, until_stopped};
use crate::{Error, House};

/// The most prepared statements of a session, and the most portals and cursors.
pub(crate) const STATEMENTS_MAX: usize = 1_000;
pub(crate) const PORTALS_MAX: usize = 64;
/// The most bytes of text that the prepared statements of a session have together.
const TEXTS_BYTES_MAX: usize = 4 << 20;

/// A statement that was prepared.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    pub(crate) parameters: Vec<TypeNumber>,
    /// Its columns, where it has some: a `RowDescription` in text.
    pub(crate) columns: Option<bytes::Bytes>,
    text_bytes: usize,
}

/// A prepared statement with its values, run as far as it was asked to.
pub(crate) struct Portal {
    pub(crate) statement: Statement,
    pub(crate) values: Vec<WireValue>,
    pub(crate) binary: Vec<bool>,
    /// Its columns in the formats that were asked for.
    pub(crate) columns: Option<bytes::Bytes>,
    pub(crate) running: Option<Running>,
    pub(crate) done: bool,
    /// Whether it was declared, and so outlasts what asks for it.
    pub(crate) cursor: bool,
}

pub(crate) struct Session {
    pub(crate) house: Arc<House>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    visit: Visit,
    shown: (Credential, Peer),
    pub(crate) cancel: Cancellable,
    pub(crate) wire: Arc<WireSession>,
    pub(crate) transaction: Transaction,
    pub(crate) statements: HashMap<String, Prepared>,
    pub(crate) portals: HashMap<String, Portal>,
    /// After an error nothing is done before the client's next `Sync`.
    skipping: bool,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// Why a statement ended early.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With an error, which the client is told.
    Error(Error),
    /// With the connection.
    Gone,
    /// By an error after which there is no session.
    Fatal(Box<Told>),
}

impl Ended {
    fn fatal(state: &'static str, problem: Problem) -> Ended {
        Ended::Fatal(Box::new(Told::fatal(state, problem)))
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        Ended::Error(error)
    }
}

impl From<Problem> for Ended {
    fn from(problem: Problem) -> Ended {
        Ended::Error(problem.into())
    }
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Ended {
        Ended::Gone
    }
}

impl Session {
    pub(crate) fn new(
        house: Arc<House>,
        (reader, writer): (Reader, Writer),
        visit: Visit,
        shown: (Credential, Peer),
        cancel: Cancellable,
        wire: WireSession,
    ) -> Session {
        let stopped = visit.stopped();
        Session {
            house,
            reader,
            writer,
            visit,
            shown,
            cancel,
            wire: Arc::new(wire),
            transaction: Transaction::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            stopped,
        }
    }

    /// A listener that has TLS opens no session without.
    pub(crate) fn encrypted(&self) -> bool {
        self.visit.tls.is_some()
    }

    /// Answers messages until the client leaves, or must.
    pub(crate) async fn converse(mut self) {
        self.writer.out.ready(self.transaction);
        loop {
            let ended = match self.hear().await {
                Ok(Some(message)) => self.answer(message).await,
                Ok(None) => break,
                Err(ended) => Err(ended),
            };
            match ended {
                Ok(true) => {}
                Ok(false) | Err(Ended::Gone) => break,
                // Only what is no message ends so: where the next one begins is not known.
                Err(Ended::Error(error)) => {
                    let mut told = Told::of(error, "");
                    told.fatal = true;
                    self.writer.out.error(&told);
                    break;
                }
                Err(Ended::Fatal(told)) => {
                    self.writer.out.error(&told);
                    break;
                }
            }
        }
        let _ = self.writer.send().await;
        self.writer.close().await;
    }

    /// The next message; none where the client was silent for too long, or left.
    async fn hear(&mut self) -> Result<Option<Message>, Ended> {
        if !self.reader.has_begun() {
            self.writer.send().await?;
        }
        let settings = self.house.settings();
        let began = tokio::select! {
            began = tokio::time::timeout(settings.idle_max, self.reader.begin()) => began,
            () = until_stopped(&mut self.stopped) => {
                return Err(Ended::fatal("57P01", Problem::new(&codes::STOPPING, "the plant stops")));
            }
        };
        match began {
            Ok(began) => began?,
            Err(_) => {
                self.house.postgres.silent.add(1);
                let what = format!("the session was silent for {:?}", settings.idle_max);
                let problem = Problem::new(&codes::BAD_PARAMETER, what).hint("Connect again");
                return Err(Ended::fatal("57P05", problem));
            }
        }
        match tokio::time::timeout(settings.send_max, self.reader.next()).await {
            Err(_) => {
                self.house.postgres.late.add(1);
                Ok(None)
            }
            Ok(read) => match read? {
                Ok(message) => Ok(Some(message)),
                Err(error) => {
                    self.house.postgres.malformed.add(1);
                    Err(Ended::Error(error))
                }
            },
        }
    }

    /// Answers a message; whether the session goes on.
    async fn answer(&mut self, message: Message) -> Result<bool, Ended> {
        if self.skipping && !matches!(message, Message::Sync | Message::Terminate) {
            return Ok(true);
        }
        // A cancel that came while nothing ran had nothing to stop, as with PostgreSQL.
        self.cancel.asked.mark_unchanged();
        let outcome = match message {
            Message::Terminate => return Ok(false),
            Message::Sync => {
                self.ends_group(false);
                self.writer.send().await?;
                return Ok(true);
            }
            Message::Flush => {
                self.writer.send().await?;
                return Ok(true);
            }
            Message::Query(text) => {
                let fatal = self.query(&text).await?;
                return Ok(self.ends_group(fatal));
            }
            Message::Parse { name, text, types } => {
                let outcome = self.parse(name, &text, types).await;
                let fatal = self.settle(outcome, &text, &text)?;
                return Ok(!fatal);
            }
            Message::Bind { portal, statement, formats, values, results } => {
                self.bind(portal, &statement, (&formats, values), results).map_err(Ended::from)
            }
            Message::Describe(target, name) => self.describe(target, &name).map_err(Ended::from),
            Message::Execute { portal, rows } => self.execute(&portal, rows).await,
            Message::Close(target, name) => {
                match target {
                    Target::Statement => drop(self.statements.remove(&name)),
                    Target::Portal => drop(self.portals.remove(&name)),
                }
                self.writer.out.plain(b'3');
                Ok(())
            }
            // Whoever calls or asks so sends no `Sync`, and waits for `ReadyForQuery`.
            Message::Call => {
                let call = Error::Unsupported("the message FunctionCall".to_owned());
                let fatal = self.settle(Err(call.into()), "", "")?;
                return Ok(self.ends_group(fatal));
            }
            Message::NotUtf8 { simple } => {
                let fatal = self.settle(Err(Error::NotUtf8.into()), "", "")?;
                return Ok(if simple { self.ends_group(fatal) } else { !fatal });
            }
            // Left over from a COPY that was refused.
            Message::Copy => Ok(()),
            Message::Password(_) => Err(Error::Protocol("no password was asked for").into()),
        };
        Ok(!self.settle(outcome, "", "")?)
    }

    /// Tells the client of an error of a statement in this text; whether the session ends with it. In a group of messages
    /// the rest is skipped.
    fn settle(&mut self, outcome: Result<(), Ended>, text: &str, one: &str) -> Result<bool, Ended> {
        match outcome {
            Ok(()) => Ok(false),
            Err(Ended::Error(error)) => {
                let told = Told::of(error, one).within(text, one);
                self.writer.out.error(&told);
                self.skipping = true;
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                Ok(told.fatal)
            }
            Err(ended) => Err(ended),
        }
    }

    /// Statements in one text, one after the other, up to the first that fails.
    async fn query(&mut self, text: &str) -> Result<bool, Ended> {
        let mut fatal = false;
        for one in statement::split(text) {
            let outcome = self.simple(one).await;
            let failed = outcome.is_err();
            fatal = self.settle(outcome, text, one)?;
            if failed {
                break;
            }
            self.writer.send_much().await?;
        }
        Ok(fatal)
    }

    /// Ends a group of messages; whether the session goes on.
    fn ends_group(&mut self, fatal: bool) -> bool {
        self.skipping = false;
        if self.transaction == Transaction::Idle {
            self.portals.retain(|_, portal| portal.cursor);
        }
        if !fatal {
            self.writer.out.ready(self.transaction);
        }
        !fatal
    }

    async fn simple(&mut self, text: &str) -> Result<(), Ended> {
        let statement = statement::read(text)?;
        self.may_run(&statement)?;
        self.run(&mut Portal::of(statement, None), 0, true).await
    }

    /// In a failed transaction only its end runs.
    pub(crate) fn may_run(&self, statement: &Statement) -> Result<(), Error> {
        let ends = matches!(statement, Statement::Commit | Statement::Rollback | Statement::Empty)
            || matches!(statement, Statement::Within("ROLLBACK"));
        if self.transaction == Transaction::Failed && !ends { Err(Error::InFailed) } else { Ok(()) }
    }

    async fn parse(&mut self, name: String, text: &str, types: Vec<TypeNumber>) -> Result<(), Ended> {
        let mut texts = statement::split(text).into_iter();
        let (Some(text), None) = (texts.next(), texts.next()) else {
            return Err(Error::Unsupported("more than one statement in a prepared one".to_owned()).into());
        };
        let statement = statement::read(text)?;
        self.may_run(&statement)?;
        let held: usize = self.statements.values().map(|prepared| prepared.text_bytes).sum();
        let fresh = !self.statements.contains_key(&name);
        if (fresh && self.statements.len() >= STATEMENTS_MAX) || held + text.len() > TEXTS_BYTES_MAX {
            self.house.postgres.crowded.add(1);
            return Err(Error::TooMany { what: "prepared statements", max: STATEMENTS_MAX }.into());
        }
        let grant = self.admitted().await?;
        let (parameters, columns) = self.shape(&statement, types, &grant).await?;
        let text_bytes = text.len();
        self.statements.insert(name, Prepared { statement, parameters, columns, text_bytes });
        self.writer.out.plain(b'1');
        Ok(())
    }

    /// The parameters and columns of a statement.
    pub(crate) async fn shape(
        &mut self,
        statement: &Statement,
        types: Vec<TypeNumber>,
        grant: &ReadGrant,
    ) -> Result<(Vec<TypeNumber>, Option<bytes::Bytes>), Ended> {
        let text = match statement {
            Statement::Rows { text, .. } | Statement::Declare { text, .. } => text,
            Statement::Fetch { name, .. } => {
                return Ok((Vec::new(), self.portals.get(name).and_then(|portal| portal.columns.clone())));
            }
            _ => return Ok((Vec::new(), None)),
        };
        let values = types.into_iter().map(|kind| WireValue { kind, text: None }).collect();
        let budget = self.budget();
        let query = self.asked(text, values, Vec::new());
        let history = self.house.doors.history.clone();
        let shape = history.wire_shape(grant.scope(), query, budget);
        let shape = self.until_cancelled(shape).await??;
        // A cursor's own statement gives no rows.
        let columns = (!matches!(statement, Statement::Declare { .. })).then_some(shape.columns);
        Ok((shape.parameters, columns))
    }

    pub(crate) fn asked(&self, text: &str, parameters: Vec<WireValue>, binary: Vec<bool>) -> WireQuery {
        WireQuery { text: text.to_owned(), parameters, binary, session: self.wire.clone() }
    }

    fn bind(
        &mut self,
        name: String,
        statement: &str,
        (formats, values): (&[bool], Vec<Option<Vec<u8>>>),
        binary: Vec<bool>,
    ) -> Result<(), Error> {
        let prepared = self.statements.get(statement);
        let prepared = prepared
            .ok_or_else(|| Error::Unknown { what: "prepared statement", name: statement.to_owned() })?
            .clone();
        if values.len() != prepared.parameters.len() {
            let (given, wanted) = (values.len(), prepared.parameters.len());
            return Err(Error::Parameter(format!("{given} values were given for {wanted} parameters")));
        }
        if formats.len() > 1 && formats.len() != values.len() {
            return Err(Error::Protocol("there are neither one nor as many formats as values"));
        }
        let format = |place: usize| match formats {
            [] => false,
            [all] => *all,
            each => each.get(place).copied().unwrap_or_default(),
        };
        let read = |(place, (value, kind)): (usize, (Option<Vec<u8>>, &TypeNumber))| {
            let text = match (value, format(place)) {
                (None, _) => None,
                (Some(bytes), true) => Some(parameter::text(*kind, &bytes)?),
                (Some(bytes), false) => Some(parameter::written(*kind, bytes)?),
            };
            Ok(WireValue { kind: *kind, text })
        };
        let values = values.into_iter().zip(&prepared.parameters).enumerate();
        let values = values.map(read).collect::<Result<Vec<_>, Error>>()?;
        if !self.portals.contains_key(&name) && self.portals.len() >= PORTALS_MAX {
            self.house.postgres.crowded.add(1);
            return Err(Error::TooMany { what: "portals and cursors", max: PORTALS_MAX });
        }
        let columns = prepared.columns.as_ref().map(|columns| with_formats(columns, &binary));
        let portal = Portal { values, binary, ..Portal::of(prepared.statement, columns) };
        self.portals.insert(name, portal);
        self.writer.out.plain(b'2');
        Ok(())
    }

    fn describe(&mut self, target: Target, name: &str) -> Result<(), Error> {
        let unknown = |what| Error::Unknown { what, name: name.to_owned() };
        let columns = match target {
            Target::Statement => {
                let prepared = self.statements.get(name).ok_or_else(|| unknown("prepared statement"))?;
                self.writer.out.parameters(&prepared.parameters);
                &prepared.columns
            }
            Target::Portal => &self.portals.get(name).ok_or_else(|| unknown("portal"))?.columns,
        };
        match columns {
            Some(columns) => self.writer.out.0.extend_from_slice(columns),
            None => self.writer.out.plain(b'n'),
        }
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows: u32) -> Result<(), Ended> {
        let portal = self.portals.remove(name);
        let mut portal = portal.ok_or_else(|| Error::Unknown { what: "portal", name: name.to_owned() })?;
        self.may_run(&portal.statement)?;
        self.run(&mut portal, rows, false).await?;
        self.writer.send_much().await?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// Who asks, and what they may read, as it is now: a token may have been revoked since the session began.
    pub(crate) async fn admitted(&mut self) -> Result<ReadGrant, Ended> {
        self.visit.served().map_err(|problem| Ended::fatal("57P01", problem))?;
        let (credential, peer) = self.shown.clone();
        let granted = ReadGrant::ask(&self.house.doors.authority, credential, peer).await;
        granted.map_err(|problem| self.turned_away(&problem))
    }

    /// Asked before each piece of an answer, and so at each FETCH and Execute of what runs already.
    pub(crate) async fn still_admitted(&mut self, grant: &mut ReadGrant) -> Result<(), Ended> {
        self.visit.served().map_err(|problem| Ended::fatal("57P01", problem))?;
        grant.check().await.map_err(|problem| match problem.code.id == codes::RIGHTS_CHANGED.id {
            true => problem.into(),
            false => self.turned_away(&problem),
        })
    }

    fn turned_away(&self, problem: &Problem) -> Ended {
        Ended::Fatal(Box::new(unwelcome(&self.wire.user, problem)))
    }

    /// What a statement may cost: the client may want less than the house allows.
    pub(crate) fn budget(&self) -> Budget {
        let budget = self.house.settings().query;
        let time = setting::statement_timeout(&self.wire).map_or(budget.time, |time| time.min(budget.time));
        Budget { time, ..budget }
    }

    /// Waits for what comes, unless the statement is cancelled or its client goes away meanwhile.
    pub(crate) async fn until_cancelled<T>(
        &mut self,
        coming: impl std::future::Future<Output = T>,
    ) -> Result<T, Ended> {
        tokio::select! {
            biased;
            came = coming => Ok(came),
            Ok(()) = self.cancel.asked.changed() => Err(Error::Cancelled.into()),
            () = self.reader.until_gone() => Err(Ended::Gone),
        }
    }
}

impl Portal {
    pub(crate) fn of(statement: Statement, columns: Option<bytes::Bytes>) -> Portal {
        Portal {
            statement,
            values: Vec::new(),
            binary: Vec::new(),
            columns,
            running: None,
            done: false,
            cursor: false,
        }
    }
}
