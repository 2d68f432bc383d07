//! What the door says of itself (`GetSqlInfo`) and of the types of SQL (`GetXdbcTypeInfo`): two tables as data. Drivers for
//! ODBC and JDBC show them to programs that write SQL by themselves. Numbers and meanings: FlightSql.proto.

use super::table::{Column, INT32, INT64, Kind, UINT32, Values, column, nullable};

/// One value, by the member of the union that it stands in.
#[derive(Clone, Copy)]
enum Info<'a> {
    Text(&'a str),
    Bool(bool),
    Long(i64),
    Int(i32),
    Texts(&'static [&'static str]),
    /// From one number to others.
    Map(&'static [(i32, &'static [i32])]),
}

use Info::{Bool, Int, Long, Map, Text, Texts};

/// Stands for the program's version.
const VERSION: u32 = 1;

static INFOS: &[(u32, Info<'static>)] = &[
    (0, Text("Tidemill")),
    (VERSION, Text("")),
    (2, Text("1.5")), // the version of Arrow's format
    (3, Bool(true)),  // it only reads
    (4, Bool(true)),  // SQL,
    (5, Bool(false)), // but no Substrait,
    (8, Int(0)),      // no transactions,
    (9, Bool(true)),  // and queries can be cancelled
    (10, Bool(false)),
    (11, Bool(false)),
    (100, Int(3_600_000)), // prepared statements that are not used, in ms
    (101, Int(0)),
    (500, Bool(false)), // no CREATE and DROP
    (501, Bool(false)),
    (502, Bool(false)),
    (503, Int(3)), // names are folded to lower case,
    (504, Text("\"")),
    (505, Int(0)), // and quoted ones kept as they are
    (506, Bool(true)),
    (507, Int(0)), // NULL is larger than all
    (508, Texts(&["matches", "read"])),
    (
        509,
        Texts(&[
            "abs", "ceil", "exp", "floor", "ln", "log", "log10", "log2", "power", "round", "signum", "sqrt",
            "trunc",
        ]),
    ),
    (
        510,
        Texts(&[
            "concat", "left", "length", "lower", "lpad", "ltrim", "replace", "reverse", "right", "rpad",
            "rtrim", "strpos", "substr", "trim", "upper",
        ]),
    ),
    (511, Texts(&["coalesce", "nullif"])),
    (512, Texts(&["date_bin", "date_part", "date_trunc", "now", "to_timestamp"])),
    (513, Text("\\")),
    (514, Text("")),
    (515, Bool(true)),
    (516, Bool(true)),
    (
        517,
        Map(&[
            (0, &[0, 2, 6, 7, 19]),
            (6, &[0, 6, 7, 19]),
            (16, &[4, 16, 19]),
            (19, &[0, 2, 4, 6, 7, 16, 19]),
        ]),
    ),
    (518, Bool(true)),
    (519, Bool(false)),
    (520, Bool(true)),
    (521, Bool(true)),
    (522, Int(0b11)), // GROUP BY of what is not selected
    (523, Bool(true)),
    (524, Bool(true)),
    (525, Int(0b11)),
    (526, Int(0b1)),
    (527, Bool(false)),
    (528, Int(2)), // all outer joins
    (529, Text("schema")),
    (530, Text("")),
    (531, Text("catalog")),
    (532, Bool(true)),
    (533, Int(0)),
    (534, Int(0)),
    (535, Int(0)),
    (536, Bool(false)),
    (537, Bool(false)),
    (538, Int(0b111)), // subqueries in comparisons, EXISTS, IN
    (539, Bool(true)),
    (540, Int(0b11)), // UNION and UNION ALL
    (541, Long(0)),   // of the following, 0: no bound of its own
    (542, Long(0)),
    (543, Long(0)),
    (544, Long(0)),
    (545, Long(0)),
    (546, Long(0)),
    (547, Long(0)),
    (548, Long(0)),
    (549, Long(0)),
    (550, Long(0)),
    (551, Long(0)),
    (552, Long(0)),
    (553, Long(0)),
    (554, Long(0)),
    (555, Long(0)),
    (556, Bool(false)),
    (557, Long(65_536)), // bytes of a statement
    (558, Long(0)),
    (559, Long(0)),
    (560, Long(1_000)), // tables of a query
    (561, Long(0)),
    (562, Int(0)), // no transactions
    (563, Bool(false)),
    (564, Int(0b1)),
    (565, Bool(false)),
    (566, Bool(false)),
    (567, Int(0b10)), // answers go forward only, and are read only
    (568, Int(0)),
    (569, Int(0b10)),
    (570, Int(0)),
    (571, Int(0)),
    (572, Bool(false)),
    (573, Bool(false)),
    (574, Bool(false)),
    (575, Bool(false)),
    (576, Bool(false)),
];

/// The columns of `GetSqlInfo`.
pub(super) fn columns() -> Vec<Column> {
    let numbers = Kind::List(Box::new(nullable("$data$", INT32)));
    let entries = Kind::Struct(vec![column("key", INT32), nullable("value", numbers)]);
    let value = Kind::Union(vec![
        nullable("string_value", Kind::Text),
        nullable("bool_value", Kind::Bool),
        nullable("bigint_value", INT64),
        nullable("int32_bitmask", INT32),
        nullable("string_list", Kind::List(Box::new(nullable("string_data", Kind::Text)))),
        nullable("int32_to_int32_list_map", Kind::Map(Box::new(column("entries", entries)))),
    ]);
    vec![column("info_name", UINT32), column("value", value)]
}

/// The rows for these numbers; all of them where none is named. Numbers that are not known are left out.
pub(super) fn values(wanted: &[u32], version: &str) -> Vec<Values> {
    let chosen = INFOS.iter().filter(|(number, _)| wanted.is_empty() || wanted.contains(number));
    let (mut numbers, mut places, mut members) = (Vec::new(), Vec::new(), Members::default());
    for (number, info) in chosen {
        numbers.push(Some(*number));
        places.push(members.add(if *number == VERSION { Text(version) } else { *info }));
    }
    vec![Values::uint32s(&numbers), Values::union(&places, members.done())]
}

/// The values of each member of the union.
#[derive(Default)]
struct Members<'a> {
    texts: Vec<Option<&'a str>>,
    bools: Vec<Option<bool>>,
    longs: Vec<Option<i64>>,
    ints: Vec<Option<i32>>,
    lists: Vec<&'static [&'static str]>,
    maps: Vec<&'static [(i32, &'static [i32])]>,
}

impl<'a> Members<'a> {
    /// Which member it is, and the how-manieth of it.
    fn add(&mut self, info: Info<'a>) -> (i8, i32) {
        fn push<T>(values: &mut Vec<T>, value: T) -> i32 {
            values.push(value);
            i32::try_from(values.len() - 1).unwrap_or(i32::MAX)
        }
        match info {
            Text(text) => (0, push(&mut self.texts, Some(text))),
            Bool(truth) => (1, push(&mut self.bools, Some(truth))),
            Long(number) => (2, push(&mut self.longs, Some(number))),
            Int(number) => (3, push(&mut self.ints, Some(number))),
            Texts(texts) => (4, push(&mut self.lists, texts)),
            Map(map) => (5, push(&mut self.maps, map)),
        }
    }

    fn done(self) -> Vec<Values> {
        let texts: Vec<_> = self.lists.iter().copied().flatten().map(|text| Some(*text)).collect();
        let lengths: Vec<_> = self.lists.iter().map(|list| Some(list.len())).collect();
        let entries: Vec<_> = self.maps.iter().copied().flatten().collect();
        let keys: Vec<_> = entries.iter().map(|(key, _)| Some(*key)).collect();
        let numbers: Vec<_> = entries.iter().flat_map(|(_, to)| to.iter().map(|to| Some(*to))).collect();
        let lists: Vec<_> = entries.iter().map(|(_, to)| Some(to.len())).collect();
        let map = vec![Values::int32s(&keys), Values::lists(&lists, Values::int32s(&numbers))];
        let sizes: Vec<_> = self.maps.iter().map(|map| Some(map.len())).collect();
        vec![
            Values::texts(&self.texts),
            Values::bools(&self.bools),
            Values::int64s(&self.longs),
            Values::int32s(&self.ints),
            Values::lists(&lengths, Values::texts(&texts)),
            Values::lists(&sizes, Values::structs(entries.len(), map)),
        ]
    }
}

/// A type of SQL, by name and number (XdbcDataType), sorted by these.
struct Type {
    number: i32,
    name: &'static str,
    /// Digits, bits or letters.
    size: Option<i32>,
    /// What stands around a literal.
    quote: Option<&'static str>,
    /// Of numbers: whether they have no sign, the base of their size, and their digits behind the point.
    unsigned: Option<bool>,
    radix: Option<i32>,
    scale: Option<i32>,
}

/// Times as XDBC has them: their generic number, and which of them.
const DATETIME: i32 = 9;

const fn number(number: i32, name: &'static str, size: i32, unsigned: bool, radix: i32) -> Type {
    let scale = if radix == 10 { Some(0) } else { None };
    Type { number, name, size: Some(size), quote: None, unsigned: Some(unsigned), radix: Some(radix), scale }
}

const fn quoted(number: i32, name: &'static str, size: Option<i32>) -> Type {
    Type { number, name, size, quote: Some("'"), unsigned: None, radix: None, scale: None }
}

static TYPES: [Type; 13] = [
    Type {
        number: -7,
        name: "BOOLEAN",
        size: Some(1),
        quote: None,
        unsigned: None,
        radix: None,
        scale: None,
    },
    number(-6, "TINYINT", 3, false, 10),
    number(-5, "BIGINT", 19, false, 10),
    number(-5, "BIGINT UNSIGNED", 20, true, 10),
    quoted(-3, "BYTEA", None),
    Type {
        number: 3,
        name: "DECIMAL",
        size: Some(38),
        quote: None,
        unsigned: Some(false),
        radix: Some(10),
        scale: None,
    },
    number(4, "INTEGER", 10, false, 10),
    number(4, "INTEGER UNSIGNED", 10, true, 10),
    number(5, "SMALLINT", 5, false, 10),
    number(7, "REAL", 24, false, 2),
    number(8, "DOUBLE", 53, false, 2),
    quoted(12, "VARCHAR", None),
    quoted(93, "TIMESTAMP", Some(35)),
];

/// The columns of `GetXdbcTypeInfo`.
pub(super) fn type_columns() -> Vec<Column> {
    vec![
        column("type_name", Kind::Text),
        column("data_type", INT32),
        nullable("column_size", INT32),
        nullable("literal_prefix", Kind::Text),
        nullable("literal_suffix", Kind::Text),
        nullable("create_params", Kind::List(Box::new(column("item", Kind::Text)))),
        column("nullable", INT32),
        column("case_sensitive", Kind::Bool),
        column("searchable", INT32),
        nullable("unsigned_attribute", Kind::Bool),
        column("fixed_prec_scale", Kind::Bool),
        nullable("auto_increment", Kind::Bool),
        nullable("local_type_name", Kind::Text),
        nullable("minimum_scale", INT32),
        nullable("maximum_scale", INT32),
        column("sql_data_type", INT32),
        nullable("datetime_subcode", INT32),
        nullable("num_prec_radix", INT32),
        nullable("interval_precision", INT32),
    ]
}

/// The rows of this number, or of all.
pub(super) fn type_values(wanted: Option<i32>) -> Vec<Values> {
    const TIMESTAMP: i32 = 93;
    let types: Vec<&Type> =
        TYPES.iter().filter(|kind| wanted.is_none_or(|wanted| wanted == kind.number)).collect();
    let texts = |of: fn(&Type) -> Option<&'static str>| {
        Values::texts(&types.iter().map(|kind| of(kind)).collect::<Vec<_>>())
    };
    let ints =
        |of: fn(&Type) -> Option<i32>| Values::int32s(&types.iter().map(|kind| of(kind)).collect::<Vec<_>>());
    let bools =
        |of: fn(&Type) -> Option<bool>| Values::bools(&types.iter().map(|kind| of(kind)).collect::<Vec<_>>());
    let no_parameters: Vec<Option<usize>> = vec![None; types.len()];
    vec![
        texts(|kind| Some(kind.name)),
        ints(|kind| Some(kind.number)),
        ints(|kind| kind.size),
        texts(|kind| kind.quote),
        texts(|kind| kind.quote),
        Values::lists(&no_parameters, Values::texts::<&str>(&[])),
        ints(|_| Some(1)), // may be NULL
        bools(|kind| Some(kind.name == "VARCHAR")),
        ints(|_| Some(3)), // by any operator
        bools(|kind| kind.unsigned),
        bools(|_| Some(false)),
        bools(|kind| kind.unsigned.map(|_| false)),
        texts(|kind| Some(kind.name)),
        ints(|kind| kind.scale),
        ints(|kind| kind.scale),
        ints(|kind| Some(if kind.number == TIMESTAMP { DATETIME } else { kind.number })),
        ints(|kind| (kind.number == TIMESTAMP).then_some(3)),
        ints(|kind| kind.radix),
        ints(|_| None),
    ]
}
