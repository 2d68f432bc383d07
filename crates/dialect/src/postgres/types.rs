//! PostgreSQL's types: their numbers and names, and which one a column of ours is told as. What is not here: how values of
//! them are written.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use tidemill_core::TypeNumber;

/// A type as `pg_type` has it.
#[derive(Debug)]
pub(crate) struct PgType {
    pub(crate) number: TypeNumber,
    pub(crate) name: &'static str,
    /// As SQL spells it.
    pub(crate) sql: &'static str,
    /// In bytes; -1 for any.
    pub(crate) length: i16,
    /// The number of its array type; 0 for none.
    pub(crate) array: TypeNumber,
    /// `pg_type.typcategory`.
    pub(crate) category: char,
}

const fn of(
    number: TypeNumber,
    name: &'static str,
    sql: &'static str,
    length: i16,
    array: TypeNumber,
    category: char,
) -> PgType {
    PgType { number, name, sql, length, array, category }
}

pub(crate) const BOOL: TypeNumber = 16;
pub(crate) const BYTEA: TypeNumber = 17;
pub(crate) const CHAR: TypeNumber = 18;
pub(crate) const NAME: TypeNumber = 19;
pub(crate) const INT8: TypeNumber = 20;
pub(crate) const INT2: TypeNumber = 21;
pub(crate) const INT4: TypeNumber = 23;
pub(crate) const TEXT: TypeNumber = 25;
pub(crate) const OID: TypeNumber = 26;
pub(crate) const JSON: TypeNumber = 114;
pub(crate) const FLOAT4: TypeNumber = 700;
pub(crate) const FLOAT8: TypeNumber = 701;
pub(crate) const DATE: TypeNumber = 1082;
pub(crate) const TIME: TypeNumber = 1083;
pub(crate) const TIMESTAMP: TypeNumber = 1114;
pub(crate) const TIMESTAMPTZ: TypeNumber = 1184;
pub(crate) const INTERVAL: TypeNumber = 1186;
pub(crate) const NUMERIC: TypeNumber = 1700;
pub(crate) const RECORD: TypeNumber = 2249;

/// The types that exist here, by number: those of our columns, of the catalogue, and those that clients look up by name.
pub(crate) static TYPES: [PgType; 37] = [
    of(BOOL, "bool", "boolean", 1, 1000, 'B'),
    of(BYTEA, "bytea", "bytea", -1, 1001, 'U'),
    of(CHAR, "char", "\"char\"", 1, 1002, 'Z'),
    of(NAME, "name", "name", 64, 1003, 'S'),
    of(INT8, "int8", "bigint", 8, 1016, 'N'),
    of(INT2, "int2", "smallint", 2, 1005, 'N'),
    of(22, "int2vector", "int2vector", -1, 1006, 'A'),
    of(INT4, "int4", "integer", 4, 1007, 'N'),
    of(24, "regproc", "regproc", 4, 1008, 'N'),
    of(TEXT, "text", "text", -1, 1009, 'S'),
    of(OID, "oid", "oid", 4, 1028, 'N'),
    of(27, "tid", "tid", 6, 1010, 'U'),
    of(28, "xid", "xid", 4, 1011, 'U'),
    of(30, "oidvector", "oidvector", -1, 1013, 'A'),
    of(JSON, "json", "json", -1, 199, 'U'),
    of(FLOAT4, "float4", "real", 4, 1021, 'N'),
    of(FLOAT8, "float8", "double precision", 8, 1022, 'N'),
    of(705, "unknown", "unknown", -2, 0, 'X'),
    of(1033, "aclitem", "aclitem", 16, 1034, 'U'),
    of(1042, "bpchar", "character", -1, 1014, 'S'),
    of(1043, "varchar", "character varying", -1, 1015, 'S'),
    of(DATE, "date", "date", 4, 1182, 'D'),
    of(TIME, "time", "time without time zone", 8, 1183, 'D'),
    of(TIMESTAMP, "timestamp", "timestamp without time zone", 8, 1115, 'D'),
    of(TIMESTAMPTZ, "timestamptz", "timestamp with time zone", 8, 1185, 'D'),
    of(INTERVAL, "interval", "interval", 16, 1187, 'T'),
    of(1266, "timetz", "time with time zone", 12, 1270, 'D'),
    of(NUMERIC, "numeric", "numeric", -1, 1231, 'N'),
    of(2205, "regclass", "regclass", 4, 2210, 'N'),
    of(2206, "regtype", "regtype", 4, 2211, 'N'),
    of(RECORD, "record", "record", -1, 2287, 'P'),
    of(2278, "void", "void", 4, 0, 'P'),
    of(2279, "trigger", "trigger", 4, 0, 'P'),
    of(2950, "uuid", "uuid", 16, 2951, 'U'),
    of(3802, "jsonb", "jsonb", -1, 3807, 'U'),
    of(4089, "regnamespace", "regnamespace", 4, 4090, 'N'),
    of(4096, "regrole", "regrole", 4, 4097, 'N'),
];

/// What `pg_type.typtype` may be: a base type, or what only functions have. There are no domains, ranges and composites.
pub(crate) const KINDS: [&str; 2] = ["b", "p"];

/// The type of that number, which is no array.
pub(crate) fn by_number(number: TypeNumber) -> Option<&'static PgType> {
    TYPES.iter().find(|known| known.number == number)
}

/// The type of whose array this is the number.
pub(crate) fn item_of(array: TypeNumber) -> Option<&'static PgType> {
    TYPES.iter().find(|known| known.array != 0 && known.array == array)
}

/// The type by its name or as SQL spells it, `_` before it or `[]` behind it for its array.
pub(crate) fn by_name(name: &str) -> Option<TypeNumber> {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let find = |name: &str| {
        let name = match name {
            "int" => "int4",
            "float" => "float8",
            "decimal" | "dec" => "numeric",
            "char" => "bpchar",
            name => name,
        };
        TYPES.iter().find(|known| known.name == name || known.sql == name)
    };
    if let Some(known) = find(name) {
        return Some(known.number);
    }
    let item = name.strip_suffix("[]").or_else(|| name.strip_prefix('_'))?;
    find(item).map(|known| known.array).filter(|array| *array != 0)
}

/// As `format_type` spells it.
pub(crate) fn spelled(number: TypeNumber) -> String {
    match (by_number(number), item_of(number)) {
        (Some(known), _) => known.sql.to_owned(),
        (None, Some(item)) => format!("{}[]", item.sql),
        (None, None) => "???".to_owned(),
    }
}

/// The member of a field's metadata that names its type, where Arrow has none of that meaning.
const TOLD_AS: &str = "postgres.type";

/// The field, told as that type.
pub(crate) fn told_as(field: Field, kind: TypeNumber) -> Field {
    field.with_metadata(HashMap::from([(TOLD_AS.to_owned(), kind.to_string())]))
}

/// What a column is told as.
pub(crate) fn of_field(field: &Field) -> TypeNumber {
    let told = field.metadata().get(TOLD_AS).and_then(|number| number.parse().ok());
    told.unwrap_or_else(|| of_kind(field.data_type()))
}

/// What values of an Arrow type are told as. Unsigned numbers become the next wider signed one.
pub(crate) fn of_kind(kind: &DataType) -> TypeNumber {
    match kind {
        DataType::Boolean => BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => INT2,
        DataType::Int32 | DataType::UInt16 => INT4,
        DataType::Int64 | DataType::UInt32 => INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => NUMERIC,
        DataType::Float16 | DataType::Float32 => FLOAT4,
        DataType::Float64 => FLOAT8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            BYTEA
        }
        DataType::Date32 | DataType::Date64 => DATE,
        DataType::Time32(_) | DataType::Time64(_) => TIME,
        DataType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
        DataType::Timestamp(_, None) => TIMESTAMP,
        DataType::Interval(_) | DataType::Duration(_) => INTERVAL,
        DataType::Dictionary(_, value) => of_kind(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let item = of_field(item);
            match by_number(item).map(|item| item.array) {
                // Lists of lists, and of what has no array.
                None | Some(0) => JSON,
                Some(array) => array,
            }
        }
        DataType::Struct(_) | DataType::Map(..) => JSON,
        _ => TEXT,
    }
}

/// Its length in bytes; -1 for any.
pub(crate) fn length(number: TypeNumber) -> i16 {
    by_number(number).map_or(-1, |known| known.length)
}
