//! Accepting connections of a door: bounded in number, each address with its share, those that a listener does not serve
//! closed at once; drained when the plant stops. What a connection says is the door's business.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tidemill_core::{Problem, codes};
use tidemill_ground::{Clock, Limit, Peers, Permit, Reserve, Share, Stop};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long the acceptor rests when the machine has no more descriptors: a connection that ends frees one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Says whether a listener serves an address. Whoever says no counts it and tells whom it concerns.
pub type Serves = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Asked at each connection, with the address of this machine that was reached: clients check that the certificate is for it.
pub type Acceptors = Arc<dyn Fn(IpAddr) -> TlsAcceptor + Send + Sync>;

/// Where a door listens, and for whom.
pub struct Listening {
    /// The socket.
    pub tcp: TcpListener,
    /// Where there is one, nothing is served without TLS.
    pub tls: Option<Acceptors>,
    /// Whom it serves; all where there is none.
    pub serves: Option<Serves>,
}

/// How a connection stands with the listener that it came by. It is held for as long as the connection lasts.
pub(crate) struct Visit {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Where there is one, nothing is served before its handshake.
    pub(crate) tls: Option<TlsAcceptor>,
    serves: Option<Serves>,
    stopped: watch::Receiver<bool>,
    _held: (Permit, Share),
}

impl Visit {
    /// Whether the listener still serves its address: settings change while it lasts.
    ///
    /// # Errors
    /// `forbidden`: it does not.
    pub(crate) fn served(&self) -> Result<(), Problem> {
        if self.serves.as_ref().is_none_or(|serves| serves(self.peer.ip())) {
            return Ok(());
        }
        let detail =
            "this listener serves the addresses of its zone only, and yours is no longer one of them";
        Err(Problem::new(&codes::FORBIDDEN, detail).hint("Use another listener, or ask who runs the plant"))
    }

    /// The word that the plant stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.clone()
    }
}

/// Until the plant stops. Nobody left who could stop it is the same.
pub(crate) async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stop| *stop).await);
}

/// Serves connections until `stop`, then gives them time to end.
pub(crate) async fn serve<One, Serving>(
    door: &'static str,
    (connections, peers): (&Limit, &Peers),
    clock: &dyn Clock,
    listening: Listening,
    drain: Duration,
    stop: Stop,
    one: One,
) where
    One: Fn(TcpStream, Visit) -> Serving,
    Serving: Future<Output = ()> + Send + 'static,
{
    let Listening { tcp, tls, serves } = listening;
    let (sender, mut stopped) = watch::channel(false);
    stop.on_stop(move || {
        let _ = sender.send(true);
    });
    let mut running = JoinSet::new();
    let mut reserve = Reserve::new();
    loop {
        let accepted = tokio::select! {
            accepted = tcp.accept() => accepted,
            () = until_stopped(&mut stopped) => break,
        };
        while running.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(times) = reserve.failed(&error, clock.monotonic()) {
                    tracing::warn!(event = "sql.accept_failed", door, times, %error);
                }
                // By the descriptor in reserve whoever waits longest hears that there is no other: it is closed at once.
                let closed = reserve.spend() && matches!(tcp.accept().now_or_never(), Some(Ok(_)));
                reserve.fill();
                if !closed {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        reserve.taken();
        if serves.as_ref().is_some_and(|serves| !serves(peer.ip())) {
            continue;
        }
        // Small answers must not wait for company. A connection that is gone already is found when it is read.
        let _ = stream.set_nodelay(true);
        // Beyond the limits the connection is closed at once; they count it.
        let Some(permit) = connections.try_take(1) else { continue };
        let Some(share) = peers.try_take(peer.ip(), (connections.max() / 2).max(1)) else { continue };
        let acceptor = match &tls {
            None => None,
            Some(tls) => {
                let Ok(local) = stream.local_addr() else { continue };
                Some(tls(local.ip()))
            }
        };
        let (serves, stopped) = (serves.clone(), stopped.clone());
        let visit = Visit { peer, tls: acceptor, serves, stopped, _held: (permit, share) };
        running.spawn(one(stream, visit));
    }
    // Whoever comes now is told at once that nobody is here.
    drop(tcp);
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(event = "sql.drain_cut", door, connections = running.len());
    }
}
