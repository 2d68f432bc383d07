//! The messages of Flight and Flight SQL that this door speaks: what clients ask, decoded; what they are answered, encoded.
//! By hand from Flight.proto and FlightSql.proto of Apache Arrow, whose names and numbers are frozen; the few fields that
//! are used do not need a generator. What is not here: what is done about them.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use bytes::Bytes;

use super::grpc;
use super::ipc::Message;
use super::wire::{Fields, Writer};
use crate::Error;

/// `google.protobuf.Any` has the name of what it holds behind this.
const TYPE_URL: &str = "type.googleapis.com/";
/// The package of Flight SQL's messages.
const PACKAGE: &str = "arrow.flight.protocol.sql.";

/// What is searched for in the catalogue. None asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) catalog: Option<String>,
    /// A pattern with `%` and `_`, but for keys, where it is a name.
    pub(super) schema: Option<String>,
    /// The same.
    pub(super) table: Option<String>,
    pub(super) types: Vec<String>,
    pub(super) include_schema: bool,
}

/// What is asked by a descriptor, or shown as a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Query {
        text: String,
        in_transaction: bool,
    },
    Prepared(Bytes),
    /// What `GetFlightInfo` gave.
    Ticket(Bytes),
    Catalogs,
    Schemas(Search),
    Tables(Search),
    TableTypes,
    PrimaryKeys,
    ForeignKeys,
    SqlInfo(Vec<u32>),
    TypeInfo(Option<i32>),
    /// What would change something.
    Change(&'static str),
    /// What this door has no answer to, by its name.
    Other(String),
}

impl Command {
    /// A command in an `Any`.
    pub(super) fn read(any: &Bytes) -> Result<Command, Error> {
        let (name, value) = any_of(any)?;
        let text = |field: u64| -> Result<Option<String>, Error> {
            let mut found = None;
            for item in Fields::of(&value) {
                let (number, content) = item?;
                if number == field {
                    found = Some(content.text()?);
                }
            }
            Ok(found)
        };
        let handle = || bytes_of(&value, 1);
        Ok(match name.as_str() {
            "CommandStatementQuery" => Command::Query {
                text: text(1)?.unwrap_or_default(),
                in_transaction: !bytes_of(&value, 2)?.is_empty(),
            },
            "CommandPreparedStatementQuery" => Command::Prepared(handle()?),
            "TicketStatementQuery" => Command::Ticket(handle()?),
            "CommandGetCatalogs" => Command::Catalogs,
            "CommandGetDbSchemas" => {
                Command::Schemas(Search { catalog: text(1)?, schema: text(2)?, ..Search::default() })
            }
            "CommandGetTables" => Command::Tables(tables(&value)?),
            "CommandGetTableTypes" => Command::TableTypes,
            "CommandGetPrimaryKeys" => Command::PrimaryKeys,
            "CommandGetExportedKeys" | "CommandGetImportedKeys" | "CommandGetCrossReference" => {
                Command::ForeignKeys
            }
            "CommandGetSqlInfo" => Command::SqlInfo(numbers(&value)?),
            "CommandGetXdbcTypeInfo" => Command::TypeInfo(type_number(&value)?),
            "CommandStatementUpdate" | "CommandPreparedStatementUpdate" => Command::Change("an update"),
            "CommandStatementIngest" => Command::Change("loading rows"),
            _ => Command::Other(name),
        })
    }

    /// A ticket of ours.
    pub(super) fn ticket(handle: &[u8]) -> Vec<u8> {
        any("TicketStatementQuery", &Writer::new().bytes(1, handle).done())
    }
}

fn tables(value: &Bytes) -> Result<Search, Error> {
    let mut search = Search::default();
    for field in Fields::of(value) {
        match field? {
            (1, field) => search.catalog = Some(field.text()?),
            (2, field) => search.schema = Some(field.text()?),
            (3, field) => search.table = Some(field.text()?),
            (4, field) => search.types.push(field.text()?),
            (5, field) => search.include_schema = field.number() != 0,
            _ => {}
        }
    }
    Ok(search)
}

/// `repeated uint32`, packed or one by one.
fn numbers(value: &Bytes) -> Result<Vec<u32>, Error> {
    let mut numbers = Vec::new();
    for field in Fields::of(value) {
        let (1, field) = field? else { continue };
        let mut packed = match field {
            super::wire::Field::Number(number) => {
                numbers.extend(u32::try_from(number));
                continue;
            }
            super::wire::Field::Bytes(packed) => packed,
        };
        while !packed.is_empty() {
            numbers.extend(u32::try_from(super::wire::varint(&mut packed)?));
        }
    }
    Ok(numbers)
}

/// An int32 is a varint of 64 bits, of which the lower half counts.
fn type_number(value: &Bytes) -> Result<Option<i32>, Error> {
    let mut found = None;
    for field in Fields::of(value) {
        if let (1, field) = field? {
            let [a, b, c, d, ..] = field.number().to_le_bytes();
            found = Some(i32::from_le_bytes([a, b, c, d]));
        }
    }
    Ok(found)
}

/// The last field of this number, as proto3 has it; empty where there is none.
fn bytes_of(message: &Bytes, wanted: u64) -> Result<Bytes, Error> {
    let mut found = Bytes::new();
    for field in Fields::of(message) {
        let (number, field) = field?;
        if number == wanted {
            found = field.bytes();
        }
    }
    Ok(found)
}

/// The name and the content of an `Any` of Flight SQL.
fn any_of(any: &Bytes) -> Result<(String, Bytes), Error> {
    let url = bytes_of(any, 1)?;
    let name = std::str::from_utf8(&url).ok().and_then(|url| url.rsplit('/').next());
    let name = name.and_then(|name| name.strip_prefix(PACKAGE));
    let name = name.ok_or(Error::Protocol("a command is no message of Flight SQL"))?;
    Ok((name.to_owned(), bytes_of(any, 2)?))
}

/// A message of Flight SQL in an `Any`.
pub(super) fn any(name: &str, message: &[u8]) -> Vec<u8> {
    let url = [TYPE_URL, PACKAGE, name].concat();
    Writer::new().bytes(1, url.as_bytes()).bytes(2, message).done()
}

/// The command of a `FlightDescriptor`.
pub(super) fn descriptor(message: &Bytes) -> Result<Command, Error> {
    const COMMAND: u64 = 2;
    let mut kind = 0;
    for field in Fields::of(message) {
        if let (1, field) = field? {
            kind = field.number();
        }
    }
    if kind != COMMAND {
        return Err(Error::Protocol("flights are asked for by a command of Flight SQL, not by a path"));
    }
    Command::read(&bytes_of(message, 2)?)
}

/// The same as its bytes.
pub(super) fn command_of(descriptor: &Bytes) -> Result<Bytes, Error> {
    bytes_of(descriptor, 2)
}

/// The command of a `Ticket`.
pub(super) fn ticket(message: &Bytes) -> Result<Command, Error> {
    Command::read(&bytes_of(message, 1)?)
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Prepare {
        text: String,
        in_transaction: bool,
    },
    Close(Bytes),
    /// The tickets of the flight, and whether the older action asks.
    Cancel {
        handles: Vec<Bytes>,
        older: bool,
    },
    /// By its name.
    Other(String),
}

/// An `Action`.
pub(super) fn action(message: &Bytes) -> Result<Action, Error> {
    let name = bytes_of(message, 1)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let body = bytes_of(message, 2)?;
    Ok(match name.as_str() {
        "CreatePreparedStatement" => {
            let (_, request) = any_of(&body)?;
            let text = String::from_utf8(bytes_of(&request, 1)?.to_vec());
            Action::Prepare {
                text: text.map_err(|_| Error::Protocol("a query is not UTF-8"))?,
                in_transaction: !bytes_of(&request, 2)?.is_empty(),
            }
        }
        "ClosePreparedStatement" => Action::Close(bytes_of(&any_of(&body)?.1, 1)?),
        "CancelFlightInfo" => Action::Cancel { handles: handles(&bytes_of(&body, 1)?)?, older: false },
        "CancelQuery" => {
            let info = bytes_of(&any_of(&body)?.1, 1)?;
            Action::Cancel { handles: handles(&info)?, older: true }
        }
        _ => Action::Other(name),
    })
}

/// The actions that are taken, with what they do.
pub(super) const ACTIONS: [(&str, &str); 4] = [
    ("CreatePreparedStatement", "Prepares a query, with parameters $1, $2, …"),
    ("ClosePreparedStatement", "Forgets a prepared query"),
    ("CancelFlightInfo", "Stops a query and forgets its ticket"),
    ("CancelQuery", "The same, as older clients say it"),
];

/// An `ActionType`.
pub(super) fn action_type(name: &str, description: &str) -> Vec<u8> {
    Writer::new().bytes(1, name.as_bytes()).bytes(2, description.as_bytes()).done()
}

/// The handles in the tickets of a `FlightInfo`.
fn handles(info: &Bytes) -> Result<Vec<Bytes>, Error> {
    let mut found = Vec::new();
    for field in Fields::of(info) {
        let (3, endpoint) = field? else { continue };
        if let Command::Ticket(handle) = ticket(&bytes_of(&endpoint.bytes(), 1)?)? {
            found.push(handle);
        }
    }
    Ok(found)
}

/// The result of a cancelled flight.
pub(super) fn cancelled(older: bool) -> Vec<u8> {
    let done = Writer::new().number(1, 1).done();
    let body = if older { any("ActionCancelQueryResult", &done) } else { done };
    Writer::new().bytes(1, &body).done()
}

/// The result of a prepared statement.
pub(super) fn prepared(handle: &[u8], schema: &[u8], parameters: &[u8]) -> Vec<u8> {
    let result = Writer::new().bytes(1, handle).bytes(2, schema).bytes(3, parameters).done();
    Writer::new().bytes(1, &any("ActionCreatePreparedStatementResult", &result)).done()
}

/// A `FlightInfo` of one ticket: the descriptor as it was asked, the columns, and until when it holds (seconds since 1970),
/// where it does not hold for ever.
pub(super) fn flight_info(schema: &[u8], asked: &[u8], ticket: &[u8], until_s: Option<u64>) -> Vec<u8> {
    /// A count that is not known: an int64 of -1.
    const UNKNOWN: u64 = u64::MAX;
    let mut endpoint = Writer::new().message(1, &Writer::new().bytes(1, ticket).done());
    if let Some(until_s) = until_s {
        endpoint = endpoint.message(3, &Writer::new().number(1, until_s).done());
    }
    Writer::new()
        .bytes(1, schema)
        .message(2, asked)
        .message(3, &endpoint.done())
        .number(4, UNKNOWN)
        .number(5, UNKNOWN)
        .number(6, 1)
        .done()
}

/// A `SchemaResult`.
pub(super) fn schema_result(schema: &[u8]) -> Vec<u8> {
    Writer::new().bytes(1, schema).done()
}

/// A `FlightData` in pieces: the body is not copied.
pub(super) fn flight_data(message: Message) -> Vec<Bytes> {
    let mut head = Writer::new().bytes(2, &message.header);
    if !message.body.is_empty() {
        head = head.head(1_000, message.body.len());
    }
    let head = head.done();
    let length = head.len().saturating_add(message.body.len());
    let head = Bytes::from([&grpc::prefix(length)[..], &head].concat());
    [head, message.body].into_iter().filter(|piece| !piece.is_empty()).collect()
}

/// What `DoPut` sends: the descriptor, where there is one, and a message of Arrow.
pub(super) struct Put {
    pub(super) descriptor: Option<Bytes>,
    pub(super) message: Option<Message>,
}

/// A `FlightData` that was sent.
pub(super) fn put(message: &Bytes) -> Result<Put, Error> {
    let (mut descriptor, mut header, mut body) = (None, Bytes::new(), Bytes::new());
    for field in Fields::of(message) {
        match field? {
            (1, field) => descriptor = Some(field.bytes()),
            (2, field) => header = field.bytes(),
            (1_000, field) => body = field.bytes(),
            _ => {}
        }
    }
    let message = (!header.is_empty()).then_some(Message { header, body });
    Ok(Put { descriptor, message })
}

/// A `PutResult` that says which handle the bound statement has.
pub(super) fn put_result(handle: &[u8]) -> Vec<u8> {
    Writer::new().bytes(1, &Writer::new().bytes(1, handle).done()).done()
}

/// User and password of a `HandshakeRequest`, whose payload is a `BasicAuth`.
pub(super) fn basic_auth(request: &Bytes) -> Result<String, Error> {
    let password = bytes_of(&bytes_of(request, 2)?, 3)?;
    String::from_utf8(password.to_vec()).map_err(|_| Error::Protocol("a password is not UTF-8"))
}

/// A `HandshakeResponse` with this payload.
pub(super) fn handshake(payload: &[u8]) -> Vec<u8> {
    Writer::new().bytes(2, payload).done()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may fail")]
mod tests {
    use super::*;

    fn command(name: &str, message: Writer) -> Command {
        Command::read(&Bytes::from(any(name, &message.done()))).unwrap()
    }

    #[test]
    fn commands_are_read() {
        let search = Search {
            catalog: Some("tidemill".to_owned()),
            schema: Some("pub%".to_owned()),
            table: Some("s%".to_owned()),
            types: vec!["TABLE".to_owned(), "VIEW".to_owned()],
            include_schema: true,
        };
        let asked = Writer::new()
            .bytes(1, b"tidemill")
            .bytes(2, b"pub%")
            .bytes(3, b"s%")
            .bytes(4, b"TABLE")
            .bytes(4, b"VIEW")
            .number(5, 1);
        assert_eq!(command("CommandGetTables", asked), Command::Tables(search));
        assert_eq!(
            command("CommandGetSqlInfo", Writer::new().number(1, 5).bytes(1, &[8, 0x90, 4])),
            Command::SqlInfo(vec![5, 8, 528])
        );
        let minus_five = Writer::new().number(1, -5i64 as u64);
        assert_eq!(command("CommandGetXdbcTypeInfo", minus_five), Command::TypeInfo(Some(-5)));
        let query = Writer::new().bytes(1, b"SELECT 1");
        assert_eq!(
            command("CommandStatementQuery", query),
            Command::Query { text: "SELECT 1".to_owned(), in_transaction: false }
        );
        assert_eq!(command("CommandStatementUpdate", Writer::new()), Command::Change("an update"));
    }

    #[test]
    fn a_cancelled_flight_is_known_by_its_tickets() {
        let info = Bytes::from(flight_info(b"schema", b"asked", &Command::ticket(b"handle"), Some(7)));
        let body = Writer::new().message(1, &info).done();
        let message = Writer::new().bytes(1, b"CancelFlightInfo").bytes(2, &body).done();
        assert_eq!(
            action(&Bytes::from(message)).unwrap(),
            Action::Cancel { handles: vec![Bytes::from_static(b"handle")], older: false }
        );
    }

    #[test]
    fn data_is_framed_without_a_copy() {
        let (header, body) = (Bytes::from_static(b"head"), Bytes::from_static(b"12345678"));
        let pieces = flight_data(Message { header: header.clone(), body: body.clone() });
        assert_eq!(pieces[1].as_ptr(), body.as_ptr());
        let whole = Bytes::from(pieces.concat());
        assert_eq!(&whole[..5], [0, 0, 0, 0, u8::try_from(whole.len() - 5).unwrap()]);
        let read = put(&whole.slice(5..)).unwrap();
        assert_eq!(read.message, Some(Message { header, body }));
    }
}
