//! The rows of a query on their way to a client: the history's stream of Arrow cut into messages, nothing gathered. A
//! client that is slow holds up its own query; one that goes away drops it. What is not here: the query.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tidemill_core::{Budget, Chunks, Format, ReadGrant, SqlQuery};
use tokio::sync::watch;

use super::catalog::not_arrow;
use super::connection::Caller;
use super::grpc::Pieces;
use super::ipc::{Cutter, Message};
use super::messages;
use super::statements::Query;
use crate::Error;

/// The answer to a query: for several rows of parameters one after the other.
pub(super) struct Rows {
    caller: Arc<Caller>,
    grant: ReadGrant,
    query: Query,
    budget: Budget,
    /// How many of the rows of parameters were begun.
    begun: usize,
    chunks: Option<Box<dyn Chunks>>,
    cutter: Cutter,
    /// The columns, once they were sent.
    columns: Option<Bytes>,
    cancelled: watch::Receiver<bool>,
}

impl Rows {
    pub(super) fn of(
        caller: Arc<Caller>,
        grant: ReadGrant,
        (query, budget): (Query, Budget),
        cancelled: watch::Receiver<bool>,
    ) -> Rows {
        let cutter = Cutter::default();
        Rows { caller, grant, query, budget, begun: 0, chunks: None, cutter, columns: None, cancelled }
    }

    pub(super) fn pieces(self) -> Pieces {
        stream::unfold(Some(self), async |rows| {
            let mut rows = rows?;
            match rows.admitted().await.transpose()? {
                Ok(message) => Some((Ok(messages::flight_data(message)), Some(rows))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// The next message, if who asked may still have it.
    async fn admitted(&mut self) -> Result<Option<Message>, Error> {
        let message = self.next().await?;
        self.caller.visit.served()?;
        self.grant.check().await?;
        Ok(message)
    }

    async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            while let Some(message) = self.cutter.next().map_err(|_| not_arrow())? {
                if !message.is_schema() {
                    return Ok(Some(message));
                }
                match &self.columns {
                    None => {
                        self.columns = Some(message.header.clone());
                        return Ok(Some(message));
                    }
                    Some(columns) if *columns == message.header => {}
                    Some(_) => {
                        let detail = "the rows of parameters give answers with different columns";
                        return Err(Error::Parameter(detail.to_owned()));
                    }
                }
            }
            let chunk = match &mut self.chunks {
                None if self.begun == self.query.rows.len() => return Ok(None),
                None => {
                    self.begin().await?;
                    continue;
                }
                Some(chunks) => tokio::select! {
                    chunk = chunks.next() => chunk,
                    () = stopped(&mut self.cancelled) => return Err(Error::Cancelled),
                },
            };
            match chunk {
                Some(chunk) => self.cutter.feed(chunk?),
                None => self.chunks = None,
            }
        }
    }

    /// The query with the next row of parameters.
    async fn begin(&mut self) -> Result<(), Error> {
        let parameters = self.query.rows.get(self.begun).cloned().unwrap_or_default();
        let query = SqlQuery { text: self.query.text.to_string(), parameters };
        let house = &self.caller.house;
        let answer = house.doors.history.sql(self.grant.scope(), query, Format::Arrow, self.budget);
        let chunks = tokio::select! {
            chunks = answer => chunks?,
            () = stopped(&mut self.cancelled) => return Err(Error::Cancelled),
        };
        self.begun += 1;
        self.cutter = Cutter::default();
        self.chunks = Some(chunks);
        Ok(())
    }
}

/// Until it is cancelled. A ticket that is merely forgotten cancels nothing.
async fn stopped(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}
