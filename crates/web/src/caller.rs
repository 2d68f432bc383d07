//! Who calls: the connection a request came by, what it shows, and who that makes it. Rights are not decided here.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, Method, Uri, Version, header, request::Parts};
use tidemill_core::{Credential, Identity, Peer, Problem, ReadGrant, codes};
use tokio::sync::{mpsc, watch};

use crate::answer::Refusal;
use crate::{Settings, Web};

/// How a request came. Whoever serves puts one into the request's extensions; a request without one came from nowhere
/// and has no zone.
#[derive(Clone, Debug, Default)]
pub enum Connection {
    /// From nowhere known.
    #[default]
    Unknown,
    /// By TCP.
    Network {
        /// The other end.
        peer: SocketAddr,
        /// Our end.
        local: SocketAddr,
    },
    /// By the control socket: the kernel's word for the process at the other end.
    Control {
        /// Its user's number.
        uid: u32,
        /// Its user's name.
        name: String,
    },
}

/// How a connection stands with the listener that it came by: settings change, and the plant stops, while it lasts.
/// Whoever holds one is waited for when the listener stops.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(crate) is_served: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) _waited_for: mpsc::Sender<Infallible>,
}

impl Standing {
    /// Whether the listener still serves its address.
    pub(crate) fn holds(&self) -> bool {
        (self.is_served)()
    }

    /// Until the listener stops.
    pub(crate) async fn until_stopped(&mut self) {
        // Nobody left who could stop it is the same.
        drop(self.stopped.wait_for(|stop| *stop).await);
    }
}

/// Someone who was identified. A handler that takes one is never called for others.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    /// What they may read, to be asked again while an answer or a socket lasts.
    pub(crate) grant: ReadGrant,
    /// Of the connection that the request came by; none where nobody serves one.
    pub(crate) standing: Option<Standing>,
}

impl Caller {
    /// Whether an answer that is on its way may go on.
    pub(crate) async fn check(&mut self) -> Result<(), Problem> {
        if self.standing.as_ref().is_some_and(|standing| !standing.holds()) {
            return Err(not_served());
        }
        self.grant.check().await
    }
}

/// To a connection whose address its listener served when it was made, and no longer does.
pub(crate) fn not_served() -> Problem {
    let detail = "this listener serves the addresses of its zone only, and yours is no longer one of them";
    Problem::new(&codes::FORBIDDEN, detail).hint("Use another listener, or ask who runs the plant")
}

impl FromRequestParts<Web> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Caller, Refusal> {
        let connection = parts.extensions.get::<Connection>().cloned().unwrap_or_default();
        let (credential, peer) = credential_of(&connection, &parts.headers, &parts.uri, &web.settings())?;
        let grant = ReadGrant::ask(&web.doors().authority, credential, peer).await?;
        let identity = grant.identity().clone();
        if let Some(seen) = parts.extensions.get::<Seen>() {
            seen.set(&identity);
        }
        Ok(Caller { identity, grant, standing: parts.extensions.get().cloned() })
    }
}

/// Where the access log, and the audit of refusals, learn who it was.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<std::sync::OnceLock<Identity>>);

impl Seen {
    fn set(&self, identity: &Identity) {
        let _ = self.0.set(identity.clone());
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.0.get()
    }

    pub(crate) fn name(&self) -> &str {
        self.0.get().map_or("-", |identity| &identity.name)
    }
}

/// What a request shows, and where it comes from.
fn credential_of(
    connection: &Connection,
    headers: &HeaderMap,
    uri: &Uri,
    settings: &Settings,
) -> Result<(Credential, Peer), Problem> {
    let token = token_of(headers)?;
    let token = match token {
        None => influx_token(uri)?,
        some => some,
    };
    match connection {
        Connection::Control { uid, name } => {
            let peer = Peer { door: "control", address: None };
            let owner = Credential::SystemUser { uid: *uid, name: name.clone() };
            Ok((token.map_or(owner, Credential::Token), peer))
        }
        Connection::Unknown => {
            let peer = Peer { door: "http", address: None };
            Ok((token.map_or(Credential::None, Credential::Token), peer))
        }
        Connection::Network { peer, .. } => {
            let direct = peer.ip().to_canonical();
            let forwarded = is_forwarded(headers);
            let address = match forwarded {
                true if (settings.trusted_proxy)(direct) => forwarded_for(headers, settings),
                _ => Some(direct),
            };
            let peer = Peer { door: "http", address };
            match token {
                Some(token) => Ok((Credential::Token(token), peer)),
                // Whoever is behind an unknown proxy has not the proxy's address, and so not its zone.
                None if forwarded && (address.is_none() || !(settings.trusted_proxy)(direct)) => {
                    let detail =
                        "the request was forwarded by an address that is not in [http] trusted_proxies";
                    Err(Problem::new(&codes::UNAUTHENTICATED, detail))
                }
                None => Ok((Credential::None, peer)),
            }
        }
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

/// The nearest address of `X-Forwarded-For` that is not itself a trusted proxy. Only this header is believed: it is
/// what every proxy sets; `Forwarded` and others only make a request forwarded.
fn forwarded_for(headers: &HeaderMap, settings: &Settings) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<IpAddr> = values
        .flat_map(|value| value.split(','))
        .map(|text| text.trim().parse())
        .collect::<Result<_, _>>()
        .ok()?;
    addresses
        .into_iter()
        .rev()
        .map(|address| address.to_canonical())
        .find(|address| !(settings.trusted_proxy)(*address))
}

/// `Bearer TOKEN`, `Token TOKEN`, or basic with the token as password.
fn token_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let unreadable = || {
        let detail = "the Authorization header cannot be read: send Bearer TOKEN, Token TOKEN, or basic";
        Problem::new(&codes::UNAUTHENTICATED, detail)
    };
    let text = value.to_str().map_err(|_| unreadable())?.trim();
    let (scheme, rest) = text.split_once(' ').ok_or_else(unreadable)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        // InfluxDB 1.8's compatibility form of version 2 is `Token user:password`.
        let token = rest.split_once(':').map_or(rest, |(_, password)| password);
        return Ok(Some(token.to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64(rest).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
        let (_, password) = decoded.split_once(':').ok_or_else(unreadable)?;
        return Ok(Some(password.to_owned()));
    }
    Err(unreadable())
}

/// InfluxDB 1 clients send `u=` and `p=` in the query string; only its own addresses take that.
fn influx_token(uri: &Uri) -> Result<Option<String>, Problem> {
    let query = uri.query().filter(|query| query.contains("p="));
    let Some(query) = query.filter(|_| matches!(uri.path(), "/write" | "/query")) else { return Ok(None) };
    let params = crate::params::Params::parse(query)?;
    if params.one("u")?.is_none() {
        return Ok(None);
    }
    Ok(params.one("p")?.map(str::to_owned))
}

/// Standard base64 (RFC 4648, 4), padding optional.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xFF).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(out)
}

/// Whether a request may come in at all: its `Host` (against DNS rebinding) and its `Origin` (against other sites'
/// pages). There is no CORS: no other origin is ever allowed.
pub(crate) fn check_host_and_origin(
    connection: &Connection,
    version: Version,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    settings: &Settings,
) -> Result<(), Problem> {
    check_one_host(version, headers)?;
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(header::HOST);
    if let (Connection::Network { local, .. }, Some(host)) = (connection, host)
        && local.ip().to_canonical().is_loopback()
        && !is_local_name(host_name(host), settings)
    {
        let detail = "this listener serves this machine only, and the request asks for another host name";
        let hint = "Use localhost or 127.0.0.1, or name the host in the settings";
        return Err(Problem::new(&codes::FORBIDDEN, detail).hint(hint));
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(origin) = headers.get(header::ORIGIN).filter(|_| changes || path == "/api/v1/live") else {
        return Ok(());
    };
    let own =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    if own.is_some() && own == host {
        return Ok(());
    }
    Err(Problem::new(&codes::FORBIDDEN, "the request comes from a page of another origin")
        .hint("Browsers may only use pages that this plant serves itself"))
}

/// RFC 9112, 3.2: without a host, or with two, nobody can tell what is asked, a proxy in front least of all.
fn check_one_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let detail = match headers.get_all(header::HOST).iter().count() {
        1 => return Ok(()),
        0 if version < Version::HTTP_11 => return Ok(()),
        0 => "the request has no Host header",
        _ => "the request has more than one Host header",
    };
    Err(Problem::new(&codes::BAD_HOST, detail))
}

/// Without the port.
fn host_name(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_once(']').map_or(host, |(address, _)| address).trim_start_matches('[');
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_local_name(name: &str, settings: &Settings) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || settings.names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        let table =
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("Zg", "f")];
        for (text, bytes) in table {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("Zm9*"), None);
    }

    #[test]
    fn hosts() {
        let table = [
            ("localhost:8440", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8440", true),
            ("[::1]:8440", true),
            ("press.example:8440", true),
            ("evil.example:8440", false),
            ("192.168.1.7:8440", false),
            ("localhost.evil.example", false),
        ];
        let settings = Settings { names: vec!["press.example".to_owned()], ..Settings::default() };
        for (host, expected) in table {
            assert_eq!(is_local_name(host_name(host), &settings), expected, "{host}");
        }
    }
}
