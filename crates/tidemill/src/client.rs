//! Talks to a running plant: over its control socket as the folder's owner, or over HTTP with a token. Every command
//! of the command line goes through here, so each has its twin in the API.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tidemill_core::{Problem, codes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::plant::{self, Plant};
use crate::trusted::Trust;

fn not_running(plant: &Plant) -> Problem {
    let run = format!("Start it with `{} run --plant {}`", crate::program(), plant.folder.display());
    Problem::new(&codes::NOT_RUNNING, format!("{} does not run", plant.folder.display())).hint(run)
}

/// Whether it runs cannot be seen from here.
fn out_of_reach(plant: &Plant) -> Problem {
    let detail = format!(
        "the control socket of {} may be reached by the user who owns the folder alone (number {})",
        plant.folder.display(),
        plant.owner()
    );
    let way = "Run the command as that user, or with a token and the address that http.listen of the plant names: \
               --url http://127.0.0.1:8440 --token TOKEN";
    Problem::new(&codes::FORBIDDEN, detail).hint(way)
}

/// The handshake failed: the other side is not whom it says, or does not speak TLS.
fn not_encrypted(host: &str, error: io::Error) -> Problem {
    use tokio_rustls::rustls::{Error, InvalidMessage};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => {
            Problem::new(&codes::UNTRUSTED, format!("the certificate of {host} is not trusted: {why}"))
        }
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            Problem::new(&codes::NOT_RUNNING, format!("{host} answers, and does not speak TLS"))
                .hint("Perhaps it is a plain listener: --url http://…")
        }
        _ => Problem::new(&codes::NOT_RUNNING, format!("{host} does not answer over TLS: {error}")),
    }
}

/// Something bytes go through.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Whom we talk to, and as whom.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// The plant's owner, through the socket in its folder.
    Owner(Plant),
    /// Whoever the token says; with TLS where there is trust.
    Remote { host: String, token: Option<String>, trust: Option<Trust> },
}

/// An answer that is not an error.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    body: Response<hyper::body::Incoming>,
}

impl Client {
    /// By `--url` with `--token` and `--ca`, else by the plant that is meant.
    pub(crate) fn new(
        named: Option<&Path>,
        url: Option<&str>,
        token: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Client, Problem> {
        let Some(url) = url else {
            let plant = plant::meant(named)?;
            return match plant.reach() {
                Ok(()) => Ok(Client::Owner(plant)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(out_of_reach(&plant)),
                Err(_) => Err(not_running(&plant)),
            };
        };
        let plain = url.strip_prefix("http://").map(|host| (host, 80));
        let Some((host, port)) = plain.or_else(|| url.strip_prefix("https://").map(|host| (host, 443)))
        else {
            return Err(Problem::new(&codes::BAD_PARAMETER, format!("--url {url} cannot be used"))
                .hint("Write it like http://127.0.0.1:8440 or https://tidemill.example.org:8443"));
        };
        let host = host.split('/').next().unwrap_or_default();
        let host = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        let trust = if plain.is_none() { Some(Trust::new(&host, ca, named)?) } else { None };
        Ok(Client::Remote { host, token: token.map(str::to_owned), trust })
    }

    /// The host named in requests.
    pub(crate) fn host(&self) -> &str {
        match self {
            Client::Owner(_) => "localhost",
            Client::Remote { host, .. } => host,
        }
    }

    /// Where it is, as it is typed.
    pub(crate) fn url(&self) -> String {
        let encrypted = matches!(self, Client::Remote { trust: Some(_), .. });
        format!("{}://{}", if encrypted { "https" } else { "http" }, self.host())
    }

    /// The token, if one is used.
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Client::Owner(_) => None,
            Client::Remote { token, .. } => token.as_deref(),
        }
    }

    /// A fresh connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Wire>, Problem> {
        let failed = |what: String, error: io::Error| {
            Problem::new(&codes::NOT_RUNNING, format!("{what} does not answer: {error}"))
        };
        match self {
            Client::Owner(plant) => {
                let socket: PathBuf = plant.socket();
                let stream = plant::within_socket_length(&socket, |path| {
                    std::os::unix::net::UnixStream::connect(path)
                })
                .and_then(|stream| stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)))
                .map_err(|error| failed(plant.folder.display().to_string(), error))?;
                Ok(Box::new(stream))
            }
            Client::Remote { host, trust, .. } => {
                let stream = TcpStream::connect(host).await.map_err(|error| failed(host.clone(), error))?;
                stream.set_nodelay(true).map_err(|error| failed(host.clone(), error))?;
                let Some(trust) = trust else { return Ok(Box::new(stream)) };
                let connector = TlsConnector::from(trust.config.clone());
                let encrypted = connector.connect(trust.name.clone(), stream).await;
                Ok(Box::new(encrypted.map_err(|error| not_encrypted(host, error))?))
            }
        }
    }

    /// One request over a connection of its own. Any answer that is not 2xx becomes the problem that it tells.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Reply, Problem> {
        let broken = |error: hyper::Error| {
            Problem::new(&codes::NOT_RUNNING, format!("the connection to {} broke: {error}", self.host()))
                .hint("The outcome of a write is unknown then; repeating it is safe when its samples carry times")
        };
        let wire = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", self.host());
        // What goes wrong within an answer is told behind it.
        let mut request = request.header("te", "trailers").header("connection", "te");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(body.0).map_err(|error| Problem::new(&codes::BAD_PARAMETER, error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let reply = Reply { status: response.status(), body: response };
        if reply.status.is_success() { Ok(reply) } else { Err(reply.problem().await) }
    }

    /// GET, answer in JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Json, Problem> {
        self.send(Method::GET, path, &[("accept", "application/json")], Body::empty()).await?.json().await
    }

    /// Sends JSON, answer in JSON (null where there is none).
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Json) -> Result<Json, Problem> {
        let body = Body::from(Bytes::from(body.to_string()));
        self.send(method, path, &[("content-type", "application/json")], body).await?.json().await
    }
}

/// What is sent.
pub(crate) struct Body(BoxBody<Bytes, io::Error>);

impl Body {
    pub(crate) fn empty() -> Body {
        Body::from(Bytes::new())
    }

    /// Sent as it comes.
    #[allow(dead_code, reason = "for senders of unbounded bodies")]
    pub(crate) fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Body {
        Body(BodyExt::boxed(StreamBody::new(stream.map_ok(Frame::data))))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed())
    }
}

impl Reply {
    /// The body, piece by piece.
    pub(crate) fn pieces(self) -> BoxStream<'static, Result<Bytes, Problem>> {
        let cut = |error: hyper::Error| {
            Problem::new(
                &codes::NOT_RUNNING,
                format!("the plant ceased to answer, and what came is not whole: {error}"),
            )
            .hint("See whether it runs, and repeat the command")
        };
        let piece = move |frame: Result<Frame<Bytes>, hyper::Error>| match frame.map(Frame::into_data) {
            Err(error) => Some(Err(cut(error))),
            Ok(Ok(bytes)) => Some(Ok(bytes)),
            Ok(Err(last)) => {
                let trailers = last.into_trailers().ok()?;
                let document = serde_json::from_slice(trailers.get("tidemill-problem")?.as_bytes());
                Some(Err(problem_of(&document.unwrap_or_default(), "broke off")))
            }
        };
        BodyStream::new(self.body.into_body()).filter_map(move |frame| async move { piece(frame) }).boxed()
    }

    /// The whole body.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, Problem> {
        self.pieces()
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }

    /// The body as JSON; null where there is none.
    pub(crate) async fn json(self) -> Result<Json, Problem> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Problem::new(&codes::INTERNAL, format!("the answer is no JSON: {error}")))
    }

    /// The problem that an answer tells (RFC 9457).
    async fn problem(self) -> Problem {
        let status = self.status;
        let document = self.json().await.unwrap_or_default();
        problem_of(&document, &status.to_string())
    }
}

/// The problem of a document (RFC 9457); `otherwise` is what is known where it says nothing.
pub(crate) fn problem_of(document: &Json, otherwise: &str) -> Problem {
    let text = |name: &str| document.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let code = text("code");
    let code = codes::ALL.iter().find(|known| known.id == code).copied().unwrap_or(&codes::INTERNAL);
    let detail =
        if text("detail").is_empty() { format!("the plant answered {otherwise}") } else { text("detail") };
    let number = |name: &str| document.get(name).and_then(Json::as_u64);
    let mut problem = Problem::new(code, detail).hint(text("hint"));
    problem.place = number("line").zip(number("column"));
    problem.retry_after_s = number("retry_after").and_then(|seconds| u32::try_from(seconds).ok());
    problem
}

/// Percent-encodes what may not stand in a query string.
pub(crate) fn query(pairs: &[(&str, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}
