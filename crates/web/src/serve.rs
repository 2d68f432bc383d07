//! Serving connections: by TCP, plain or behind TLS, and by the control socket with the kernel's word for who calls. Bounded
//! in number and in the time a client may take for its headers; drained when the plant stops. How a connection becomes an
//! encrypted one stands in `tls`.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Permit, Reserve, Share, Stop};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::answer::Refusal;
use crate::caller::{Connection, Standing, not_served};
use crate::tls::{Acceptors, TlsListener};
use crate::{House, Web};

/// The control socket has connections of its own, so that its owner gets in however many the network holds.
pub(crate) const CONTROL_CONNECTIONS_MAX: u64 = 64;
/// How long the acceptor rests when the machine has no more descriptors: a connection that ends frees one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long somebody who comes by the descriptor in reserve may take to hear that there is no other: the next waits for it.
const TURNED_AWAY_WITHIN: Duration = Duration::from_millis(250);

/// Says whether a listener serves an address. Whoever says no counts it and tells whom it concerns.
pub type Serves = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl Web {
    /// Serves a TCP listener until `stop`, then drains. One that serves some addresses only closes connections from
    /// others before anything is read of them; a connection that stands is asked about again at each request, for
    /// settings change while it lasts. Behind TLS, whoever does not speak it is told so.
    pub async fn serve_tcp(
        &self,
        listener: TcpListener,
        tls: Option<Acceptors>,
        serves: Option<Serves>,
        stop: Stop,
    ) {
        match tls {
            Some(tls) => self.serve(TlsListener::new(listener, tls), serves, stop).await,
            None => self.serve(listener, serves, stop).await,
        }
    }

    /// Serves the control socket until `stop`, then drains. Who may connect at all is decided by the socket's folder.
    pub async fn serve_unix(&self, listener: UnixListener, stop: Stop) {
        self.serve(listener, None, stop).await;
    }

    async fn serve<L: Accept>(&self, listener: L, serves: Option<Serves>, stop: Stop) {
        let (sender, mut stopped) = watch::channel(false);
        stop.on_stop(move || {
            let _ = sender.send(true);
        });
        let router = self.router();
        let mut connections = JoinSet::new();
        // Nothing is sent: it ends when nobody holds the other end.
        let (waited_for, mut all_gone) = mpsc::channel(1);
        let mut reserve = Reserve::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.next() => accepted,
                // Also where nobody is left who could stop us.
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            while connections.try_join_next().is_some() {}
            let (came, is_last) = match accepted {
                Ok(came) => {
                    reserve.taken();
                    (Some(came), false)
                }
                Err(error) => (self.by_reserve(&listener, &error, &mut reserve), true),
            };
            let Some((stream, connection)) = came else {
                reserve.fill();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if !is_served(serves.as_ref(), &connection) {
                reserve.fill();
                continue;
            }
            // Beyond the limits the connection is closed at once; they count it.
            if let Some(held) = self.0.admit(&connection) {
                // The owner gets in, to see what is wrong.
                let turned_away = is_last && !matches!(connection, Connection::Control { .. });
                let (web, router) =
                    (self.clone(), if turned_away { short_of_descriptors() } else { router.clone() });
                let connection = Arc::new(connection);
                let standing = Standing {
                    is_served: Arc::new({
                        let (serves, connection) = (serves.clone(), connection.clone());
                        move || is_served(serves.as_ref(), &connection)
                    }),
                    stopped: stopped.clone(),
                    _waited_for: waited_for.clone(),
                };
                let served = async move {
                    stream.serve(web, router, connection, standing).await;
                    drop(held);
                };
                if turned_away {
                    // Who takes longer is closed.
                    drop(tokio::time::timeout(TURNED_AWAY_WITHIN, served).await);
                } else {
                    connections.spawn(served);
                }
            }
            reserve.fill();
        }
        // Whoever comes now is told at once that nobody is here.
        drop((listener, waited_for));
        let drained = async {
            while connections.join_next().await.is_some() {}
            // Sockets of `live` outlast the connections that they came by.
            while all_gone.recv().await.is_some() {}
        };
        if tokio::time::timeout(self.settings().drain, drained).await.is_err() {
            tracing::warn!(event = "http.drain_cut", connections = connections.len());
        }
    }

    /// What is told of a connection that could not be taken; and where there are no descriptors, whoever waits longest, by the
    /// one in reserve.
    fn by_reserve<L: Accept>(
        &self,
        listener: &L,
        error: &std::io::Error,
        reserve: &mut Reserve,
    ) -> Option<(L::Stream, Connection)> {
        if let Some(times) = reserve.failed(error, self.0.doors.clock.monotonic()) {
            tracing::warn!(event = "http.accept_failed", times, %error);
        }
        if reserve.spend() { listener.next().now_or_never()?.ok() } else { None }
    }
}

/// Only a network has others at its far end than those a listener is for.
fn is_served(serves: Option<&Serves>, connection: &Connection) -> bool {
    match (serves, connection) {
        (Some(serves), Connection::Network { peer, .. }) => serves(peer.ip()),
        (None, _) | (_, Connection::Control { .. }) => true,
        (Some(_), Connection::Unknown) => false,
    }
}

/// What a connection holds while it lasts.
type Held = (Permit, Option<Share>);

impl House {
    /// Room for a connection. One address never has more than half of what the network has.
    fn admit(&self, connection: &Connection) -> Option<Held> {
        let Connection::Network { peer, .. } = connection else {
            return Some((self.limits.control.try_take(1)?, None));
        };
        let permit = self.limits.connections.try_take(1)?;
        let share = self.limits.peers.try_take(peer.ip(), (self.limits.connections.max() / 2).max(1))?;
        Some((permit, Some(share)))
    }
}

/// Where connections come from.
pub(crate) trait Accept {
    type Stream: Serve;

    /// The next one, and who is at its other end. Cancel safe.
    fn next(&self) -> impl Future<Output = std::io::Result<(Self::Stream, Connection)>> + Send;
}

/// What came by, ready to be served as its kind is.
pub(crate) trait Serve: Send + 'static {
    /// Until the connection ends.
    fn serve(
        self,
        web: Web,
        router: Router,
        connection: Arc<Connection>,
        standing: Standing,
    ) -> impl Future<Output = ()> + Send;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Serve for S {
    async fn serve(self, web: Web, router: Router, connection: Arc<Connection>, standing: Standing) {
        serve_one(web, router, self, connection, standing).await;
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> std::io::Result<(TcpStream, Connection)> {
        let (stream, peer) = self.accept().await?;
        let local = stream.local_addr()?;
        // Small answers must not wait for company.
        stream.set_nodelay(true)?;
        Ok((stream, Connection::Network { peer, local }))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> std::io::Result<(UnixStream, Connection)> {
        let (stream, _) = self.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, Connection::Control { uid, name: user_name(uid) }))
    }
}

pub(crate) async fn serve_one<S>(
    web: Web,
    router: Router,
    stream: S,
    connection: Arc<Connection>,
    standing: Standing,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopping = standing.clone();
    let begun = Arc::new(Notify::new());
    let first = begun.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        first.notify_one();
        let is_served = standing.holds();
        request.extensions_mut().insert(Connection::clone(&connection));
        request.extensions_mut().insert(standing.clone());
        let router = router.clone();
        let call: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(
                async move { if is_served { router.oneshot(request).await } else { Ok(turned_away()) } },
            );
        call
    });
    let settings = web.settings();
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Between requests this is also how long a connection is kept, so it cannot be short.
    builder.timer(TokioTimer::new()).header_read_timeout(settings.idle_max).max_buf_size(64 << 10);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let mut late = pin!(tokio::time::timeout(settings.header_max, begun.notified()));
    let mut waiting = true;
    let outcome = loop {
        tokio::select! {
            outcome = &mut serving => break outcome,
            came = &mut late, if waiting => {
                waiting = false;
                if came.is_err() {
                    web.0.counters.headers_late.add(1);
                    return;
                }
            }
            () = stopping.until_stopped() => {
                serving.as_mut().graceful_shutdown();
                break serving.await;
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(event = "http.connection_broken", %error);
    }
}

/// The address of the connection is served no longer.
fn turned_away() -> axum::response::Response {
    let mut response = Refusal(not_served()).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Answers whoever came by the descriptor in reserve.
fn short_of_descriptors() -> Router {
    Router::new().fallback(|| {
        let detail = "the plant cannot hold one more connection: the system gives it no more descriptors";
        let problem = Problem::new(&codes::BUSY, detail).retry_after(1).hint(
            "Come again after the time in Retry-After; on the plant's side raise LimitNOFILE= of the service, or ulimit -n",
        );
        let mut response = Refusal(problem).into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        std::future::ready(response)
    })
}

/// The name of a user by number, from the machine's table; the number where it has none.
fn user_name(uid: u32) -> String {
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&table, uid).unwrap_or_else(|| uid.to_string())
}

/// passwd(5): `name:password:uid:…`
fn name_in(table: &str, uid: u32) -> Option<String> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn names_of_users() {
        let table = "root:x:0:0:root:/root:/bin/sh\nbroken\nanna:x:1000:1000::/srv/anna:/bin/sh\n";
        assert_eq!(name_in(table, 1000).as_deref(), Some("anna"));
        assert_eq!(name_in(table, 0).as_deref(), Some("root"));
        assert_eq!(name_in(table, 7), None);
    }
}
