//! One connection: HTTP/2 and nothing else, begun in time, with a bounded number of calls at once, closed when nobody
//! says who they are or nothing is asked for long. What is not here: what the calls do.

use std::convert::Infallible;
use std::io::Cursor;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tidemill_ground::Permit;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::calls;
use crate::House;
use crate::serve::{Visit, until_stopped};

/// What a client of HTTP/2 sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What another one is told.
const NOT_HTTP_2: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This port speaks gRPC (Arrow Flight SQL) over HTTP/2. The HTTP API has a port of its own: http.listen in tidemill.toml.\n";
/// How many calls one connection has at once.
const CALLS_MAX: u32 = 64;
/// The most bytes of a call's headers.
const HEAD_BYTES_MAX: u32 = 16 << 10;
/// What is held for a client that is slow to take it, for each call.
const SEND_BYTES_MAX: usize = 512 << 10;
/// What one call, and all of a connection, may have sent before we took it.
const CALL_WINDOW_BYTES: u32 = 256 << 10;
const WINDOW_BYTES: u32 = 1 << 20;
/// How often a silent client is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIME_MAX: Duration = Duration::from_secs(20);

/// Who is at the other end of a connection.
pub(super) struct Caller {
    pub(super) house: Arc<House>,
    pub(super) visit: Visit,
    known: AtomicBool,
    /// Held until someone is known.
    beginning: Mutex<Option<Permit>>,
    /// Calls that were begun, and those that are being answered.
    begun: AtomicU64,
    running: AtomicU64,
}

impl Caller {
    /// Someone was identified by this connection.
    pub(super) fn is_known(&self) {
        if !self.known.swap(true, Ordering::Relaxed) {
            self.beginning.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Until the connection is of no more use: nobody said in time who they are, or nothing was asked for long.
    async fn until_idle(&self) {
        let settings = self.house.settings();
        tokio::time::sleep(settings.begin_max).await;
        while self.known.load(Ordering::Relaxed) {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(settings.idle_max).await;
            if self.begun.load(Ordering::Relaxed) == begun && self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
        self.house.flight.unknown.add(1);
    }
}

/// A call that is being answered.
pub(super) struct Running(Arc<Caller>);

impl Running {
    pub(super) fn of(caller: Arc<Caller>) -> Running {
        caller.begun.fetch_add(1, Ordering::Relaxed);
        caller.running.fetch_add(1, Ordering::Relaxed);
        Running(caller)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection to its end, by TLS where the listener has it.
pub(super) async fn serve(house: Arc<House>, stream: TcpStream, mut visit: Visit) {
    let Some(beginning) = house.flight.beginning.try_take(1) else { return };
    let Some(acceptor) = visit.tls.take() else { return speak(house, stream, visit, beginning).await };
    match tokio::time::timeout(house.settings().begin_max, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(house, stream, visit, beginning).await,
        Ok(Err(error)) => {
            house.flight.not_tls.add(1);
            tracing::debug!(event = "flight.not_tls", peer = %visit.peer, %error);
        }
        Err(_) => house.flight.unknown.add(1),
    }
}

async fn speak<S>(house: Arc<House>, mut stream: S, visit: Visit, beginning: Permit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut first = [0; PREFACE.len()];
    match tokio::time::timeout(house.settings().begin_max, preface(&mut stream, &mut first)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            house.flight.not_http_2.add(1);
            // Whoever it is has perhaps gone already.
            let told = async {
                stream.write_all(NOT_HTTP_2).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(PING_TIME_MAX, told).await;
            return;
        }
        Ok(Err(_)) | Err(_) => {
            house.flight.unknown.add(1);
            return;
        }
    }
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(first).chain(reader), writer);
    let (mut stopped, drain) = (visit.stopped(), house.settings().drain);
    let caller = Arc::new(Caller {
        house,
        visit,
        known: AtomicBool::new(false),
        beginning: Mutex::new(Some(beginning)),
        begun: AtomicU64::new(0),
        running: AtomicU64::new(0),
    });
    let answering = caller.clone();
    let service = service_fn(move |request| {
        let caller = answering.clone();
        async move { Ok::<_, Infallible>(calls::answer(&caller, request).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIME_MAX);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = until_stopped(&mut stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = caller.until_idle() => {
            serving.as_mut().graceful_shutdown();
            // Whoever does not go is closed upon.
            tokio::time::timeout(drain, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(event = "flight.connection_broken", %error);
    }
}

/// Whether a client of HTTP/2 begins; as soon as it is clear that none does, without waiting for the rest.
async fn preface<S: AsyncRead + Unpin>(
    stream: &mut S,
    first: &mut [u8; PREFACE.len()],
) -> std::io::Result<bool> {
    let mut length = 0;
    while let Some(rest) = first.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
        if first.get(..length) != PREFACE.get(..length) {
            return Ok(false);
        }
    }
    Ok(true)
}
