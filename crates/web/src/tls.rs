//! The handshake before a connection is served behind TLS: bounded in time and in number, so that whoever begins many and
//! ends none holds up nobody else. Certificates are the guard's; what is asked for them comes through [`Acceptors`].

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tidemill_core::{Problem, codes};
use tidemill_ground::{Permit, Share};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answer::Refusal;
use crate::caller::{Connection, Standing};
use crate::serve::{Accept, Serve, serve_one};
use crate::{House, Web};

/// The type of a record that begins a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Asked at each connection, with the address of this machine that was reached: clients check that the certificate is for it.
pub type Acceptors = Arc<dyn Fn(IpAddr) -> TlsAcceptor + Send + Sync>;

/// A listener whose connections begin with a handshake.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptors: Acceptors,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, acceptors: Acceptors) -> TlsListener {
        TlsListener { tcp, acceptors }
    }
}

/// A connection that has said nothing yet.
pub(crate) struct Unopened {
    stream: TcpStream,
    acceptor: TlsAcceptor,
}

/// A connection behind TLS whose end is told, whoever drops it (`close_notify`: RFC 8446, 6.1). Some ends, such as that of
/// a silent connection, are no shutdown to who serves it, and the client could not tell them from a line that was cut.
struct Encrypted(TlsStream<TcpStream>);

impl Drop for Encrypted {
    fn drop(&mut self) {
        let (tcp, tls) = self.0.get_mut();
        // Once only, also where it was shut down before.
        tls.send_close_notify();
        while tls.wants_write() {
            // What finds no room now is left: whoever takes nothing misses nothing.
            if !matches!(tls.write_tls(&mut AtOnce(tcp)), Ok(1..)) {
                return;
            }
        }
    }
}

/// Writes what finds room without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// What a client began with.
enum Begun {
    Encrypted(Box<Encrypted>),
    /// Something that may be HTTP.
    Plain(TcpStream),
}

impl Accept for TlsListener {
    type Stream = Unopened;

    async fn next(&self) -> std::io::Result<(Unopened, Connection)> {
        let (stream, connection) = self.tcp.next().await?;
        let acceptor = (self.acceptors)(stream.local_addr()?.ip());
        Ok((Unopened { stream, acceptor }, connection))
    }
}

impl Unopened {
    async fn open(self) -> std::io::Result<Begun> {
        let mut first = [0];
        if self.stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
            return Ok(Begun::Plain(self.stream));
        }
        Ok(Begun::Encrypted(Box::new(Encrypted(self.acceptor.accept(self.stream).await?))))
    }
}

impl Serve for Unopened {
    async fn serve(self, web: Web, router: Router, connection: Arc<Connection>, mut standing: Standing) {
        // Beyond the bounds it is closed at once; they count it.
        let Some(held) = web.0.admit_handshake(&connection) else { return };
        let begun = tokio::select! {
            begun = tokio::time::timeout(web.settings().handshake_max, self.open()) => begun,
            () = standing.until_stopped() => return,
        };
        drop(held);
        match begun {
            Ok(Ok(Begun::Encrypted(stream))) => serve_one(web, router, stream, connection, standing).await,
            Ok(Ok(Begun::Plain(stream))) => {
                web.0.counters.tls_plain.add(1);
                let told = Router::new().fallback(|| std::future::ready(spoken_plain()));
                serve_one(web, told, stream, connection, standing).await;
            }
            Ok(Err(error)) => {
                web.0.counters.tls_failed.add(1);
                tracing::debug!(event = "http.handshake_failed", ?connection, %error);
            }
            Err(_) => web.0.counters.tls_late.add(1),
        }
    }
}

/// To whoever speaks plain HTTP where TLS is spoken. A token that came so is known to whoever listened on the way.
fn spoken_plain() -> Response {
    let problem =
        Problem::new(&codes::TLS_REQUIRED, "this listener speaks TLS, and the request came without it");
    let mut response = Refusal(problem).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

impl House {
    /// Room for a handshake. One address never has more than half of it.
    fn admit_handshake(&self, connection: &Connection) -> Option<(Permit, Option<Share>)> {
        let permit = self.limits.handshakes.try_take(1)?;
        let Connection::Network { peer, .. } = connection else { return Some((permit, None)) };
        let max = (self.limits.handshakes.max() / 2).max(1);
        let share = self.limits.handshake_peers.try_take(peer.ip(), max)?;
        Some((permit, Some(share)))
    }
}
