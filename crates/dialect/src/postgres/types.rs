//! PostgreSQL's types: their numbers and names, and which one a column of ours is told as. What is not here: how values of
//! them are written.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::datatypes::{DataType, Field};
use tidemill_core::TypeNumber;

use super::{procedures, tables};

/// A type as `pg_type` has it.
#[derive(Debug)]
pub(crate) struct PgType {
    pub(crate) number: TypeNumber,
    pub(crate) name: &'static str,
    /// As SQL spells it.
    pub(crate) sql: &'static str,
    /// In bytes; -1 for any.
    pub(crate) length: i16,
    /// The number of the type of its items, where it has some and is no array; 0 for none.
    pub(crate) item: TypeNumber,
    /// The number of its array type; 0 for none.
    pub(crate) array: TypeNumber,
    /// `pg_type.typcategory`.
    pub(crate) category: char,
    /// Whether it is the preferred one of its category.
    pub(crate) preferred: bool,
    pub(crate) align: char,
    pub(crate) storage: char,
    /// The numbers of its functions, as [`FUNCTIONS`] has their columns; 0 for none.
    pub(crate) functions: [u32; 7],
}

/// The columns of `pg_type` that name a type's functions.
pub(crate) const FUNCTIONS: [&str; 7] =
    ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typsubscript"];

pub(crate) const BOOL: TypeNumber = 16;
pub(crate) const BYTEA: TypeNumber = 17;
pub(crate) const CHAR: TypeNumber = 18;
pub(crate) const NAME: TypeNumber = 19;
pub(crate) const INT8: TypeNumber = 20;
pub(crate) const INT2: TypeNumber = 21;
pub(crate) const INT4: TypeNumber = 23;
pub(crate) const REGPROC: TypeNumber = 24;
pub(crate) const TEXT: TypeNumber = 25;
pub(crate) const OID: TypeNumber = 26;
pub(crate) const XID: TypeNumber = 28;
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
pub(crate) static TYPES: LazyLock<Vec<PgType>> =
    LazyLock::new(|| include_str!("types.txt").lines().filter_map(of_line).collect());

fn of_line(line: &'static str) -> Option<PgType> {
    let (rest, sql) = line.split_once(": ").filter(|_| !line.starts_with('#'))?;
    let mut words = rest.split(' ');
    let number = words.next()?.parse().ok()?;
    let name = words.next()?;
    let length = words.next()?.parse().ok()?;
    let (item, array) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let mut letters = words.next()?.chars();
    let (category, preferred) = (letters.next()?, letters.next()? == 't');
    let (align, storage) = (letters.next()?, letters.next()?);
    let functions = [(); 7].map(|()| words.next().and_then(procedures::number).unwrap_or_default());
    Some(PgType { number, name, sql, length, item, array, category, preferred, align, storage, functions })
}

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

/// The type by the name that `pg_type` has for it, `[]` behind it for its array.
pub(crate) fn named(name: &str) -> Option<TypeNumber> {
    let find = |name: &str| TYPES.iter().find(|known| known.name == name);
    match name.strip_suffix("[]") {
        Some(item) => find(item).map(|item| item.array),
        None => find(name).map(|known| known.number),
    }
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

/// What a column is told as. A cast keeps what its field was told as, which then says nothing of values of another kind.
pub(crate) fn of_field(field: &Field) -> TypeNumber {
    let told = field.metadata().get(TOLD_AS).and_then(|number| number.parse().ok());
    told.filter(|kind| holds(*kind, field.data_type())).unwrap_or_else(|| of_kind(field.data_type()))
}

/// Whether values of an Arrow type can be told as a type.
fn holds(kind: TypeNumber, by: &DataType) -> bool {
    match (kind, tables::arrow_type(kind)) {
        // Some floats are told as one.
        (NUMERIC, _) => by.is_decimal() || *by == DataType::Float64,
        (_, DataType::Utf8) => matches!(by, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        (_, DataType::List(_)) => matches!(by, DataType::List(_) | DataType::LargeList(_)),
        (_, other) => other == *by,
    }
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
