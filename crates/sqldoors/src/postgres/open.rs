//! How a connection begins: wishes for encryption, who asks, and what they show for it. What comes before a token was shown
//! has little time, little room, and few places. What is not here: the session that follows.

use std::sync::Arc;

use tidemill_core::{Credential, Peer, Problem, WireSession, codes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message::{self, Message, OPENING_BYTES_MAX, Opening};
use super::reply::{Out, Told, WRONG_PASSWORD};
use super::session::Session;
use super::setting;
use super::wire::{Gone, Reader, Stream, Writer};
use crate::serve::Visit;
use crate::{Error, House};

/// How often a connection may ask for something else before it begins: TLS, GSSAPI.
const WISHES_MAX: usize = 4;
/// Who calls themselves so shows no token, and has the rights of the zone that they come from.
const ANONYMOUS: &str = "anonymous";
const WHO: &str = "The password is a token; the user name is anything. `tidemill token create` makes one";
/// The longest password message: a token has 32 characters.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// Opens a connection; none where it only cancelled something, or was refused.
pub(crate) async fn open(
    house: &Arc<House>,
    stream: TcpStream,
    visit: Visit,
) -> Result<Option<Session>, Gone> {
    let Some((stream, parameters)) = start(house, stream, &visit).await? else { return Ok(None) };
    let (read, write) = tokio::io::split(stream);
    let settings = house.settings();
    let mut reader = Reader::new(read, PASSWORD_BYTES_MAX);
    let mut writer = Writer::new(write, settings.idle_max);
    let (minor, parameters) = parameters;
    let unknown: Vec<&str> =
        parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_.")).collect();
    if minor > 0 || !unknown.is_empty() {
        writer.out.negotiate(&unknown);
    }
    let of = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let user = of("user").unwrap_or_default().to_owned();
    if user.is_empty() {
        let problem = Problem::new(&codes::UNAUTHENTICATED, "no user name was given").hint(WHO);
        return refuse(writer, &Told::fatal("28000", problem)).await;
    }
    if of("replication").is_some_and(|value| !matches!(value, "false" | "off" | "no" | "0")) {
        let problem = Problem::new(&codes::UNSUPPORTED_FORMAT, "there is nothing to replicate here");
        return refuse(writer, &Told::fatal("0A000", problem)).await;
    }
    let peer = Peer { door: "postgres", address: Some(visit.peer.ip().to_canonical()) };
    let credential = if user == ANONYMOUS {
        Credential::None
    } else {
        writer.out.ask_password();
        writer.send().await?;
        match reader.next().await? {
            Ok(Message::Password(token)) => Credential::Token(token),
            Ok(Message::Terminate) => {
                writer.close().await;
                return Ok(None);
            }
            Ok(_) => {
                house.postgres.malformed.add(1);
                return refuse(writer, &Told::of(Error::Protocol("a password was asked for"), "")).await;
            }
            Err(error) => {
                house.postgres.malformed.add(1);
                return refuse(writer, &Told::of(error, "")).await;
            }
        }
    };
    let identity = match house.doors.authority.identify(credential.clone(), peer.clone()).await {
        Ok(identity) => identity,
        Err(problem) => return refuse(writer, &unwelcome(&user, &problem)).await,
    };
    let cancel = house.postgres.cancels.enter();
    let mut wire = WireSession {
        user: user.clone(),
        database: of("database").filter(|name| !name.is_empty()).unwrap_or(&user).to_owned(),
        version: format!("PostgreSQL {} (Tidemill {})", setting::VERSION, house.doors.version),
        process: cancel.process,
        settings: setting::all(&house.doors.version, &user, visit.tls.is_some()),
    };
    if let Err(error) = configure(&mut wire, &parameters) {
        return refuse(writer, &Told::of(error, "")).await;
    }
    writer.out.welcome();
    setting::reported(&wire).for_each(|(name, value)| writer.out.setting(name, value));
    writer.out.key(cancel.process, cancel.secret);
    let reader = reader.with_max(settings.message_bytes_max);
    tracing::debug!(event = "postgres.session", who = %identity.name, %peer);
    Ok(Some(Session::new(house.clone(), (reader, writer), visit, (credential, peer), cancel, wire)))
}

/// Says why, and ends it.
async fn refuse(mut writer: Writer, told: &Told) -> Result<Option<Session>, Gone> {
    writer.out.error(told);
    writer.send().await?;
    writer.close().await;
    Ok(None)
}

/// The same words whatever was wrong with what was shown.
pub(crate) fn unwelcome(user: &str, problem: &Problem) -> Told {
    if problem.code.id == codes::UNAUTHENTICATED.id {
        let what = format!("password authentication failed for user \"{user}\"");
        return Told::fatal(WRONG_PASSWORD, Problem::new(problem.code, what).hint(WHO));
    }
    Told::fatal("57P03", problem.clone())
}

/// Settings that a client begins with.
fn configure(wire: &mut WireSession, parameters: &[(String, String)]) -> Result<(), Error> {
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            // `-c name=value`, as libpq passes PGOPTIONS on.
            "options" => {
                for word in value.split_whitespace() {
                    let word = word.strip_prefix("-c").unwrap_or(word).trim_start_matches("--");
                    if let Some((name, value)) = word.split_once('=') {
                        let _ = setting::set(wire, name, Some(value))?;
                    }
                }
            }
            name if name.starts_with("_pq_.") => {}
            name => {
                let _ = setting::set(wire, name, Some(value))?;
            }
        }
    }
    Ok(())
}

/// The minor version and the parameters that a session begins with.
type Start = (u32, Vec<(String, String)>);

/// What the first byte of a TLS handshake is; no packet of ours is so long that it begins with it.
const HANDSHAKE: u8 = 0x16;

/// Reads packets until one begins a session, within TLS where the listener wants that.
async fn start(
    house: &Arc<House>,
    stream: TcpStream,
    visit: &Visit,
) -> Result<Option<(Box<dyn Stream>, Start)>, Gone> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    let mut encrypted = visit.tls.is_none();
    let mut stream: Box<dyn Stream> = match &visit.tls {
        // Clients that know that it must be TLS need not ask.
        Some(tls) if first == [HANDSHAKE] => {
            encrypted = true;
            Box::new(tls.accept(stream).await?)
        }
        _ => Box::new(stream),
    };
    for _ in 0..WISHES_MAX {
        match packet(&mut stream).await? {
            Ok(Opening::Encrypt) if !encrypted => {
                stream.write_all(b"S").await?;
                stream.flush().await?;
                let Some(tls) = &visit.tls else { return Ok(None) };
                stream = Box::new(tls.accept(stream).await?);
                encrypted = true;
            }
            Ok(Opening::Encrypt | Opening::EncryptGss) => {
                stream.write_all(b"N").await?;
                stream.flush().await?;
            }
            Ok(Opening::Cancel { process, secret }) => {
                house.postgres.cancels.cancel(process, &secret);
                break;
            }
            Ok(Opening::Start { .. }) if !encrypted => {
                let what = "this listener speaks TLS only, and the connection is not encrypted";
                let problem = Problem::new(&codes::FORBIDDEN, what).hint("Connect with sslmode=require");
                return turn_away(stream, &Told::fatal("28000", problem)).await;
            }
            Ok(Opening::Start { minor, parameters }) => return Ok(Some((stream, (minor, parameters)))),
            Err(error) => {
                house.postgres.malformed.add(1);
                return turn_away(stream, &Told::of(error, "")).await;
            }
        }
    }
    // Who waits for the end is told it, and not cut off.
    stream.shutdown().await?;
    Ok(None)
}

/// A packet behind its length.
async fn packet(stream: &mut Box<dyn Stream>) -> Result<Result<Opening, Error>, Gone> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = message::length(&length).unwrap_or_default();
    // The length counts itself, and a code follows it.
    if !(8..=OPENING_BYTES_MAX).contains(&length) {
        return Ok(Err(Error::Protocol("what opened the connection is no PostgreSQL client")));
    }
    let mut packet = vec![0; length - 4];
    stream.read_exact(&mut packet).await?;
    Ok(message::opening(&packet))
}

async fn turn_away<T>(mut stream: Box<dyn Stream>, told: &Told) -> Result<Option<T>, Gone> {
    let mut out = Out::default();
    out.error(told);
    stream.write_all(&out.0).await?;
    stream.shutdown().await?;
    Ok(None)
}
