//! Small tables of our own as Arrow IPC messages: what the catalogue answers, and the unions of `GetSqlInfo`, which SQL
//! cannot say. Written by hand, for this room has no Arrow; answers of queries pass through as the history spells them.

use bytes::Bytes;

use super::flatbuffer::{self, Slot, Slots};
use super::ipc::{Message, SCHEMA};

/// Metadata version V5.
const V5: i16 = 4;
/// The union `MessageHeader` of Message.fbs: rows.
const RECORD_BATCH: u8 = 3;

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int { bits: i32, signed: bool },
    Text,
    Binary,
    List(Box<Column>),
    Struct(Vec<Column>),
    Map(Box<Column>),
    Union(Vec<Column>),
}

pub(super) const INT32: Kind = Kind::Int { bits: 32, signed: true };
pub(super) const INT64: Kind = Kind::Int { bits: 64, signed: true };
pub(super) const UINT32: Kind = Kind::Int { bits: 32, signed: false };
pub(super) const UINT8: Kind = Kind::Int { bits: 8, signed: false };

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// A column that always has a value.
pub(super) fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

/// A column that may be NULL.
pub(super) fn nullable(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: true }
}

impl Column {
    fn slots(&self) -> Slots {
        let (number, kind, children): (u8, Slots, &[Column]) = match &self.kind {
            Kind::Int { bits, signed } => (2, vec![(0, int(*bits)), (1, byte(u8::from(*signed)))], &[]),
            Kind::Binary => (4, vec![], &[]),
            Kind::Text => (5, vec![], &[]),
            Kind::Bool => (6, vec![], &[]),
            Kind::List(item) => (12, vec![], std::slice::from_ref(item.as_ref())),
            Kind::Struct(members) => (13, vec![], members),
            Kind::Union(members) => {
                let numbers = (0..).take(members.len()).collect();
                // Mode 1 is dense.
                (14, vec![(0, short(1)), (1, Slot::Numbers(numbers))], members)
            }
            Kind::Map(entries) => (17, vec![], std::slice::from_ref(entries.as_ref())),
        };
        vec![
            (0, Slot::Text(self.name.to_owned())),
            (1, byte(u8::from(self.nullable))),
            (2, byte(number)),
            (3, Slot::Table(kind)),
            (5, Slot::Tables(children.iter().map(Column::slots).collect())),
        ]
    }
}

/// The values of a column.
#[derive(Debug, Default)]
pub(super) struct Values {
    rows: usize,
    nulls: usize,
    /// As Arrow's columnar format orders them: validity (where the type has it), offsets, values.
    buffers: Vec<Vec<u8>>,
    children: Vec<Values>,
}

impl Values {
    fn new(present: &[bool], others: Vec<Vec<u8>>, children: Vec<Values>) -> Values {
        let nulls = present.iter().filter(|present| !**present).count();
        let validity = if nulls == 0 { Vec::new() } else { bits(present) };
        let buffers = std::iter::once(validity).chain(others).collect();
        Values { rows: present.len(), nulls, buffers, children }
    }

    /// Text or binary.
    pub(super) fn texts<T: AsRef<[u8]>>(values: &[Option<T>]) -> Values {
        let present: Vec<bool> = values.iter().map(Option::is_some).collect();
        let value =
            |value: &Option<T>| value.as_ref().map(|value| value.as_ref().to_vec()).unwrap_or_default();
        let all: Vec<Vec<u8>> = values.iter().map(value).collect();
        let ends = offsets(all.iter().map(Vec::len));
        Values::new(&present, vec![ends, all.concat()], Vec::new())
    }

    pub(super) fn int32s(values: &[Option<i32>]) -> Values {
        numbers(values, i32::to_le_bytes)
    }

    pub(super) fn int64s(values: &[Option<i64>]) -> Values {
        numbers(values, i64::to_le_bytes)
    }

    pub(super) fn uint32s(values: &[Option<u32>]) -> Values {
        numbers(values, u32::to_le_bytes)
    }

    pub(super) fn bools(values: &[Option<bool>]) -> Values {
        let present: Vec<bool> = values.iter().map(Option::is_some).collect();
        let truths: Vec<bool> = values.iter().map(|value| value.unwrap_or_default()).collect();
        Values::new(&present, vec![bits(&truths)], Vec::new())
    }

    /// Lists (or maps) of so many items each; none is NULL.
    pub(super) fn lists(lengths: &[Option<usize>], items: Values) -> Values {
        let present: Vec<bool> = lengths.iter().map(Option::is_some).collect();
        let ends = offsets(lengths.iter().map(|length| length.unwrap_or_default()));
        Values::new(&present, vec![ends], vec![items])
    }

    pub(super) fn structs(rows: usize, members: Vec<Values>) -> Values {
        Values::new(&vec![true; rows], Vec::new(), members)
    }

    /// A dense union: of each row which member, and the how-manieth value of it.
    pub(super) fn union(places: &[(i8, i32)], members: Vec<Values>) -> Values {
        let types = places.iter().flat_map(|(member, _)| member.to_le_bytes()).collect();
        let offsets = places.iter().flat_map(|(_, offset)| offset.to_le_bytes()).collect();
        Values { rows: places.len(), nulls: 0, buffers: vec![types, offsets], children: members }
    }

    /// No rows of this type.
    pub(super) fn none(kind: &Kind) -> Values {
        let none = |columns: &[Column]| columns.iter().map(|column| Values::none(&column.kind)).collect();
        let offsets = || vec![0; 4];
        let (buffers, children): (_, Vec<Values>) = match kind {
            Kind::Bool | Kind::Int { .. } => (vec![vec![], vec![]], Vec::new()),
            Kind::Text | Kind::Binary => (vec![vec![], offsets(), vec![]], Vec::new()),
            Kind::List(item) | Kind::Map(item) => {
                (vec![vec![], offsets()], none(std::slice::from_ref(item.as_ref())))
            }
            Kind::Struct(members) => (vec![vec![]], none(members)),
            Kind::Union(members) => (vec![vec![], vec![]], none(members)),
        };
        Values { rows: 0, nulls: 0, buffers, children }
    }

    fn gather(&self, nodes: &mut Vec<(i64, i64)>, buffers: &mut Vec<(i64, i64)>, body: &mut Vec<u8>) {
        nodes.push((signed(self.rows), signed(self.nulls)));
        for buffer in &self.buffers {
            buffers.push((signed(body.len()), signed(buffer.len())));
            body.extend_from_slice(buffer);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        self.children.iter().for_each(|child| child.gather(nodes, buffers, body));
    }
}

/// The message that tells the columns.
pub(super) fn schema(columns: &[Column]) -> Message {
    let fields = columns.iter().map(Column::slots).collect();
    message(SCHEMA, vec![(1, Slot::Tables(fields))], Vec::new())
}

/// A table: its columns, and its rows where there are any.
pub(super) fn table(columns: &[Column], values: &[Values]) -> Vec<Message> {
    let (mut nodes, mut buffers, mut body) = (Vec::new(), Vec::new(), Vec::new());
    values.iter().for_each(|values| values.gather(&mut nodes, &mut buffers, &mut body));
    let rows = values.first().map(|values| values.rows).unwrap_or_default();
    let batch = vec![(0, long(signed(rows))), (1, Slot::Pairs(nodes)), (2, Slot::Pairs(buffers))];
    let batch = (rows > 0).then(|| message(RECORD_BATCH, batch, body));
    std::iter::once(schema(columns)).chain(batch).collect()
}

fn message(kind: u8, header: Slots, body: Vec<u8>) -> Message {
    let root = vec![(0, short(V5)), (1, byte(kind)), (2, Slot::Table(header)), (3, long(signed(body.len())))];
    Message { header: Bytes::from(flatbuffer::write(root)), body: Bytes::from(body) }
}

fn numbers<T: Copy + Default, const BYTES: usize>(
    values: &[Option<T>],
    spell: fn(T) -> [u8; BYTES],
) -> Values {
    let present: Vec<bool> = values.iter().map(Option::is_some).collect();
    let spelled = values.iter().flat_map(|value| spell(value.unwrap_or_default())).collect();
    Values::new(&present, vec![spelled], Vec::new())
}

/// The beginnings of values that follow each other, and the end of the last.
fn offsets(lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut end = 0usize;
    let ends = lengths.map(|length| {
        end = end.saturating_add(length);
        i32::try_from(end).unwrap_or(i32::MAX)
    });
    std::iter::once(0).chain(ends).flat_map(i32::to_le_bytes).collect()
}

/// One bit a truth, the lowest first.
fn bits(truths: &[bool]) -> Vec<u8> {
    let byte = |eight: &[bool]| {
        eight.iter().enumerate().fold(0, |byte, (place, truth)| byte | u8::from(*truth) << place)
    };
    truths.chunks(8).map(byte).collect()
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn byte(number: u8) -> Slot {
    Slot::Number(vec![number])
}

fn short(number: i16) -> Slot {
    Slot::Number(number.to_le_bytes().to_vec())
}

fn int(number: i32) -> Slot {
    Slot::Number(number.to_le_bytes().to_vec())
}

fn long(number: i64) -> Slot {
    Slot::Number(number.to_le_bytes().to_vec())
}
