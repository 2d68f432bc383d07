//! The calls of Flight, one function each: who asks is identified for every one of them, and cut to what they may read
//! now. What a query means and may cost is the history's business.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use tidemill_core::{Budget, Credential, Format, Peer, Problem, ReadGrant, SqlQuery, codes};

use super::catalog::{self, Catalog, not_arrow};
use super::connection::{Caller, Running};
use super::grpc::{self, Messages, Reply};
use super::ipc::{Message, schema_of};
use super::messages::{self, ACTIONS, Action, Command};
use super::rows::Rows;
use super::statements::{Kind, Query, TICKET_TIME};
use super::table;
use crate::{Error, House};

/// Before the name of a call.
const SERVICE: &str = "/arrow.flight.protocol.FlightService/";
/// The end of a stream of Arrow (Format specification, IPC streaming format): a continuation, and no message.
const END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
/// How many rows of parameters one query is run with.
const PARAMETER_ROWS_MAX: usize = 1_000;

/// Answers a request.
pub(super) async fn answer(caller: &Arc<Caller>, request: Request<Incoming>) -> Reply {
    let running = Running::of(caller.clone());
    if !grpc::is_call(&request) {
        let mut reply = grpc::refused(Error::Protocol("this port speaks gRPC: Arrow Flight SQL"));
        *reply.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return reply;
    }
    let house = &caller.house;
    let Some(permit) = house.flight.calls.try_take(1) else {
        let problem = Problem::new(&codes::BUSY, "more calls are being answered than may be").retry_after(1);
        return grpc::refused(problem.into());
    };
    let name = request.uri().path().strip_prefix(SERVICE).unwrap_or("?").to_owned();
    let started = house.doors.clock.monotonic();
    let call = AssertUnwindSafe(dispatch(caller, &name, request)).catch_unwind().await;
    let outcome = call.unwrap_or_else(|_| {
        tracing::error!(event = "flight.panic", call = name);
        Err(Problem::new(&codes::INTERNAL, "the call failed by a defect of the program").into())
    });
    let took_us = house.doors.clock.monotonic().saturating_sub(started).as_micros() as u64;
    let refused = outcome.as_ref().err().map(|error| error.code().id);
    tracing::debug!(event = "flight.call", call = name, refused, took_us);
    match outcome {
        // They are held for as long as the answer is taken.
        Ok(reply) => grpc::holding(reply, (permit, running)),
        Err(error) => grpc::refused(error),
    }
}

async fn dispatch(caller: &Arc<Caller>, name: &str, request: Request<Incoming>) -> Result<Reply, Error> {
    caller.visit.served()?;
    let house = &caller.house;
    let (shown, time) = (grpc::credential(request.headers()), grpc::timeout(request.headers())?);
    let settings = house.settings();
    let mut sent = Messages::of(request.into_body(), settings.message_bytes_max, &house.flight.sent)?;
    if name == "Handshake" {
        return handshake(caller, shown, &mut sent).await;
    }
    let budget = match time {
        Some(time) => Budget { time: time.min(settings.query.time), ..settings.query },
        None => settings.query,
    };
    let call = Call { caller, house, budget, grant: caller.identify(shown).await? };
    match name {
        "GetFlightInfo" => call.flight_info(&sent.one().await?).await.map(one),
        "PollFlightInfo" => {
            let info = call.flight_info(&sent.one().await?).await?;
            Ok(one(super::wire::Writer::new().message(1, &info).done()))
        }
        "GetSchema" => call.schema(&sent.one().await?).await.map(one),
        "DoGet" => call.get(&sent.one().await?).await,
        "DoPut" => call.put(&mut sent).await.map(one),
        "DoAction" => call.act(&sent.one().await?).await,
        "ListActions" => Ok(grpc::answer(
            ACTIONS.into_iter().map(|(name, description)| messages::action_type(name, description)),
        )),
        // Nothing is known before it is asked for.
        "ListFlights" => Ok(grpc::answer([])),
        name => Err(Error::Unsupported(format!("the call {name}"))),
    }
}

fn one(message: Vec<u8>) -> Reply {
    grpc::answer([message])
}

/// Says who one is once, and gets what every call shows from then on: the token itself.
async fn handshake(caller: &Caller, shown: Credential, sent: &mut Messages) -> Result<Reply, Error> {
    if let Credential::Token(token) = shown {
        caller.identify(Credential::Token(token.clone())).await?;
        let mut reply = grpc::answer([]);
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) {
            value.set_sensitive(true);
            reply.headers_mut().insert(header::AUTHORIZATION, value);
        }
        return Ok(reply);
    }
    let request = sent.next().await?;
    let token = request.map(|request| messages::basic_auth(&request)).transpose()?.unwrap_or_default();
    caller.identify(Credential::Token(token.clone())).await?;
    Ok(grpc::answer([messages::handshake(token.as_bytes())]))
}

/// A call of someone who was identified.
struct Call<'a> {
    caller: &'a Arc<Caller>,
    house: &'a Arc<House>,
    /// What a query may cost: its client may wait for less time than the house allows.
    budget: Budget,
    grant: ReadGrant,
}

impl Call<'_> {
    /// The name of who asks.
    fn who(&self) -> &Arc<str> {
        &self.grant.identity().name
    }

    fn catalog(&self) -> Catalog<'_> {
        Catalog {
            history: self.house.doors.history.as_ref(),
            scope: self.grant.scope(),
            budget: self.budget,
            version: &self.house.doors.version,
        }
    }

    /// What is asked: a query, or columns of the catalogue.
    fn asked(&self, command: Command) -> Result<Result<Query, Command>, Error> {
        let statements = &self.house.flight.statements;
        match command {
            Command::Query { in_transaction: true, .. } => {
                Err(Error::Unsupported("a transaction".to_owned()))
            }
            Command::Query { text, .. } => Ok(Ok(Query::of(text))),
            Command::Prepared(handle) => Ok(Ok(statements.find(self.who(), Kind::Prepared, &handle)?.0)),
            Command::Change(what) => Err(Error::ReadOnly(what.to_owned())),
            Command::Other(name) => Err(Error::Unsupported(name)),
            Command::Ticket(_) => Err(Error::Protocol("a ticket is taken by DoGet alone")),
            command => Ok(Err(command)),
        }
    }

    /// The columns of a query, as a message of Arrow.
    async fn columns(&self, query: &Query) -> Result<(Message, Bytes), Error> {
        let parameters = query.rows.first().cloned().unwrap_or_default();
        let query = SqlQuery { text: query.text.to_string(), parameters };
        let history = &self.house.doors.history;
        let shape = history.sql_shape(self.grant.scope(), query, self.budget).await?;
        Ok((schema_of(&shape.columns).ok_or_else(not_arrow)?, shape.parameters))
    }

    async fn flight_info(&self, descriptor: &Bytes) -> Result<Vec<u8>, Error> {
        match self.asked(messages::descriptor(descriptor)?)? {
            Ok(query) => {
                let (schema, _) = self.columns(&query).await?;
                let doors = &self.house.doors;
                let handle = self.house.flight.statements.keep(self.who(), Kind::Ticket, query)?;
                let now_s = u64::try_from(doors.clock.wall() / 1_000_000_000).unwrap_or_default();
                let until_s = now_s.saturating_add(TICKET_TIME.as_secs());
                let ticket = Command::ticket(&handle);
                Ok(messages::flight_info(&schema.encapsulated(), descriptor, &ticket, Some(until_s)))
            }
            // Its ticket is the question itself: nothing is kept for it.
            Err(command) => {
                let schema = table::schema(&catalog::columns(&command).unwrap_or_default());
                let ticket = messages::command_of(descriptor)?;
                Ok(messages::flight_info(&schema.encapsulated(), descriptor, &ticket, None))
            }
        }
    }

    async fn schema(&self, descriptor: &Bytes) -> Result<Vec<u8>, Error> {
        let schema = match self.asked(messages::descriptor(descriptor)?)? {
            Ok(query) => self.columns(&query).await?.0,
            Err(command) => table::schema(&catalog::columns(&command).unwrap_or_default()),
        };
        Ok(messages::schema_result(&schema.encapsulated()))
    }

    async fn get(self, ticket: &Bytes) -> Result<Reply, Error> {
        let command = messages::ticket(ticket)?;
        if let Command::Ticket(handle) = command {
            let statements = &self.house.flight.statements;
            let (query, cancelled) = statements.find(self.who(), Kind::Ticket, &handle)?;
            let rows = Rows::of(self.caller.clone(), self.grant, (query, self.budget), cancelled);
            return Ok(grpc::streamed(rows.pieces()));
        }
        if catalog::columns(&command).is_none() {
            return Err(Error::Protocol("a ticket comes from GetFlightInfo"));
        }
        let messages = self.catalog().answer(&command).await?;
        let pieces = messages.into_iter().map(|message| Ok(messages::flight_data(message)));
        Ok(grpc::streamed(stream::iter(pieces.collect::<Vec<_>>()).boxed()))
    }

    /// Parameters of a prepared statement, as rows of Arrow.
    async fn put(&self, sent: &mut Messages) -> Result<Vec<u8>, Error> {
        let bytes_max = self.house.settings().message_bytes_max;
        let (mut command, mut stream) = (None, BytesMut::new());
        while let Some(message) = sent.next().await? {
            let put = messages::put(&message)?;
            if let Some(descriptor) = put.descriptor.filter(|_| command.is_none()) {
                match messages::descriptor(&descriptor)? {
                    Command::Prepared(handle) => command = Some(handle),
                    Command::Change(what) => return Err(Error::ReadOnly(what.to_owned())),
                    _ => {
                        return Err(Error::Unsupported(
                            "sending rows for anything but parameters".to_owned(),
                        ));
                    }
                }
            }
            if let Some(message) = put.message {
                stream.extend_from_slice(&message.encapsulated());
                stream.extend_from_slice(&message.body);
            }
            if stream.len() > bytes_max {
                return Err(Error::TooLarge { bytes: stream.len() as u64, bytes_max: bytes_max as u64 });
            }
        }
        let handle = command.ok_or(Error::Protocol("rows came without saying what for"))?;
        // Flight ends a stream by itself. Without its mark readers miss a last batch without a body: NULL alone has none.
        stream.extend_from_slice(&END);
        let rows = self.house.doors.history.sql_values(Format::Arrow, stream.freeze())?;
        if rows.is_empty() || rows.len() > PARAMETER_ROWS_MAX {
            let detail = format!("{} rows of parameters; 1 to {PARAMETER_ROWS_MAX} are taken", rows.len());
            return Err(Error::Parameter(detail));
        }
        self.house.flight.statements.bind(self.who(), &handle, rows)?;
        Ok(messages::put_result(&handle))
    }

    async fn act(&self, action: &Bytes) -> Result<Reply, Error> {
        let statements = &self.house.flight.statements;
        match messages::action(action)? {
            Action::Prepare { in_transaction: true, .. } => {
                Err(Error::Unsupported("a transaction".to_owned()))
            }
            Action::Prepare { text, .. } => {
                let query = Query::of(text);
                let (columns, parameters) = self.columns(&query).await?;
                let handle = statements.keep(self.who(), Kind::Prepared, query)?;
                let parameters = schema_of(&parameters).ok_or_else(not_arrow)?;
                let prepared =
                    messages::prepared(&handle, &columns.encapsulated(), &parameters.encapsulated());
                Ok(one(prepared))
            }
            Action::Close(handle) => {
                statements.forget(self.who(), &handle);
                Ok(grpc::answer([]))
            }
            Action::Cancel { handles, older } => {
                handles.iter().for_each(|handle| statements.forget(self.who(), handle));
                Ok(one(messages::cancelled(older)))
            }
            Action::Other(name) => Err(Error::Unsupported(format!("the action {name}"))),
        }
    }
}

impl Caller {
    /// Who this is, and what they may read.
    async fn identify(&self, shown: Credential) -> Result<ReadGrant, Error> {
        let peer = Peer { door: "flight", address: Some(self.visit.peer.ip().to_canonical()) };
        let grant = ReadGrant::ask(&self.house.doors.authority, shown, peer).await?;
        self.is_known();
        Ok(grant)
    }
}
