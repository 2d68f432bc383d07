//! What stands in the catalogue that PostgreSQL's clients look things up in: the schemas, tables and columns that the
//! caller may read, the types and functions that exist, and who and where they are. What is not here: columns of the
//! catalogue itself ([`super::tables`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tidemill_core::{TypeNumber, WireSession};

use super::procedures;
use super::tables::{self, Cell, INFORMATION_SCHEMA, PG_CATALOG, Row, TABLES, number_of};
use super::types::{self, PgType};

/// The schemas, with their numbers.
pub(crate) const SCHEMAS: [(&str, u32, &str); 4] = [
    (PG_CATALOG, 11, "What PostgreSQL's clients look things up in"),
    ("public", 2_200, "Signals and their samples"),
    ("sys", 16_384, "What Tidemill says of itself"),
    (INFORMATION_SCHEMA, 13_000, "What there is, as the SQL standard tells it"),
];

/// The one role that everything belongs to.
pub(crate) const OWNER: (&str, u32) = ("tidemill", 10);
/// The role that the caller has.
const CALLER: u32 = 16_385;
const DATABASE: u32 = 16_386;
const HEAP: u32 = 2;
const TABLESPACE: u32 = 1_663;
/// The encoding UTF8.
const UTF8: i32 = 6;

/// A table that the caller may read.
#[derive(Clone, Debug)]
pub struct Readable {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: String,
    /// What is said of it; empty for nothing.
    pub description: String,
    /// Its columns.
    pub columns: SchemaRef,
    /// What is said of each column.
    pub descriptions: Vec<&'static str>,
}

impl Readable {
    fn number(&self) -> u32 {
        number_of(self.schema, &self.name)
    }
}

/// A function of ours.
#[derive(Clone, Debug)]
pub struct Callable {
    /// Its name.
    pub name: &'static str,
    /// Its arguments: their names, and their types as SQL spells them.
    pub arguments: Vec<(&'static str, &'static str)>,
    /// How many of the last ones may be left out.
    pub optional: usize,
    /// The type of what it gives, as SQL spells it; `SETOF` before what stands in FROM.
    pub gives: &'static str,
    /// What it gives, in a sentence.
    pub description: &'static str,
}

impl Callable {
    fn number(&self) -> u32 {
        number_of("function", self.name)
    }

    /// Its arguments, as `pg_get_function_arguments` tells them.
    pub(crate) fn arguments(&self) -> String {
        let needed = self.arguments.len().saturating_sub(self.optional);
        let one = |(place, (name, kind)): (usize, &(&str, &str))| {
            let default = if place < needed { "" } else { " DEFAULT NULL" };
            format!("{name} {kind}{default}")
        };
        self.arguments.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    /// As `pg_get_functiondef` tells it: what it does stands where others have their source.
    pub(crate) fn definition(&self) -> String {
        let (name, arguments, gives) = (self.name, self.arguments(), self.gives);
        let description = self.description;
        format!(
            "CREATE FUNCTION public.{name}({arguments})\n RETURNS {gives}\n LANGUAGE internal\nAS $function${description}$function$\n"
        )
    }
}

/// What the catalogue is made from, for one query.
#[derive(Debug)]
pub struct Contents {
    /// What the caller may read.
    pub readable: Vec<Readable>,
    /// What the caller may call, beside what PostgreSQL has.
    pub callable: Vec<Callable>,
    /// Who and where the caller is.
    pub session: Arc<WireSession>,
}

fn row<const N: usize>(cells: [(&'static str, Cell); N]) -> Row {
    HashMap::from(cells)
}

/// The number of a schema.
pub(crate) fn schema_number(name: &str) -> Option<u32> {
    SCHEMAS.iter().find(|(known, ..)| *known == name).map(|(_, number, _)| *number)
}

impl Contents {
    /// The number of a table, as `to_regclass` finds it: in the schema that is named, or on the path.
    pub(crate) fn table(&self, name: &str) -> Option<u32> {
        let name = name.replace('"', "");
        let (schema, name) = match name.rsplit_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, name.as_str()),
        };
        let own = self
            .readable
            .iter()
            .find(|table| table.schema == schema.unwrap_or("public") && table.name == name);
        own.map(Readable::number).or_else(|| tables::find(schema, name).map(|table| table.number))
    }

    /// Schema and name of a table by its number.
    pub(crate) fn name(&self, number: u32) -> Option<(&str, &str)> {
        let own = self.readable.iter().find(|table| table.number() == number);
        own.map(|table| (table.schema, table.name.as_str())).or_else(|| {
            TABLES.iter().find(|table| table.number == number).map(|table| (table.schema, table.name))
        })
    }

    /// What is said of a table (column 0) or of one of its columns.
    pub(crate) fn description(&self, number: u32, column: usize) -> Option<&str> {
        if let Some(function) = self.function(number) {
            return Some(function.description).filter(|_| column == 0);
        }
        let table = self.readable.iter().find(|table| table.number() == number)?;
        let description = match column.checked_sub(1) {
            None => table.description.as_str(),
            Some(column) => table.descriptions.get(column).copied()?,
        };
        Some(description).filter(|description| !description.is_empty())
    }

    /// A function of ours by its number.
    pub(crate) fn function(&self, number: u32) -> Option<&Callable> {
        self.callable.iter().find(|function| function.number() == number)
    }

    /// The number of a function by its name.
    pub(crate) fn function_number(&self, name: &str) -> Option<u32> {
        let name = name.trim_start_matches("pg_catalog.").trim_start_matches("public.");
        let name = name.split('(').next().unwrap_or_default();
        let own = self.callable.iter().find(|function| function.name == name).map(Callable::number);
        own.or_else(|| procedures::number(name))
    }

    /// Every table: schema, name, number, columns with type and whether they may be NULL.
    fn all(&self) -> impl Iterator<Item = (&str, &str, u32, Vec<(&str, TypeNumber, bool)>)> {
        let own = self.readable.iter().map(|table| {
            let columns = table.columns.fields().iter();
            let columns =
                columns.map(|field| (field.name().as_str(), types::of_field(field), field.is_nullable()));
            (table.schema, table.name.as_str(), table.number(), columns.collect())
        });
        own.chain(TABLES.iter().map(|table| {
            let columns = table.columns.iter().map(|(name, kind)| (*name, *kind, true));
            (table.schema, table.name, table.number, columns.collect())
        }))
    }

    /// The rows of a table of the catalogue.
    pub(crate) fn rows(&self, schema: &str, name: &str) -> Vec<Row> {
        match (schema, name) {
            (PG_CATALOG, "pg_namespace") => SCHEMAS
                .iter()
                .map(|(name, number, _)| {
                    row([
                        ("oid", (*number).into()),
                        ("nspname", (*name).into()),
                        ("nspowner", OWNER.1.into()),
                    ])
                })
                .collect(),
            (PG_CATALOG, "pg_class") => self.classes(),
            (PG_CATALOG, "pg_attribute") => self.attributes(),
            (PG_CATALOG, "pg_type") => pg_types(),
            (PG_CATALOG, "pg_proc") => functions(&self.callable),
            (PG_CATALOG, "pg_language") => vec![row([("oid", 12.into()), ("lanname", "internal".into())])],
            (PG_CATALOG, "pg_database") => vec![self.database()],
            (PG_CATALOG, "pg_roles" | "pg_authid" | "pg_user") => self.roles(),
            (PG_CATALOG, "pg_settings") => self.settings(),
            (PG_CATALOG, "pg_description") => self.descriptions(),
            (PG_CATALOG, "pg_am") => {
                let handler = procedures::number("heap_tableam_handler").unwrap_or_default();
                vec![row([
                    ("oid", HEAP.into()),
                    ("amname", "heap".into()),
                    ("amhandler", handler.into()),
                    ("amtype", "t".into()),
                ])]
            }
            (PG_CATALOG, "pg_tablespace") => {
                vec![row([
                    ("oid", TABLESPACE.into()),
                    ("spcname", "pg_default".into()),
                    ("spcowner", OWNER.1.into()),
                ])]
            }
            (PG_CATALOG, "pg_tables") => self
                .all()
                .map(|(schema, name, ..)| {
                    row([
                        ("schemaname", schema.into()),
                        ("tablename", name.into()),
                        ("tableowner", OWNER.0.into()),
                    ])
                })
                .collect(),
            (INFORMATION_SCHEMA, "schemata") => SCHEMAS
                .iter()
                .map(|(name, ..)| {
                    row([
                        ("catalog_name", self.session.database.as_str().into()),
                        ("schema_name", (*name).into()),
                        ("schema_owner", OWNER.0.into()),
                    ])
                })
                .collect(),
            (INFORMATION_SCHEMA, "tables") => self.standard_tables(),
            (INFORMATION_SCHEMA, "columns") => self.standard_columns(),
            _ => Vec::new(),
        }
    }

    fn classes(&self) -> Vec<Row> {
        self.all()
            .map(|(schema, name, number, columns)| {
                row([
                    ("oid", number.into()),
                    ("relname", name.into()),
                    ("relnamespace", schema_number(schema).unwrap_or_default().into()),
                    ("relowner", OWNER.1.into()),
                    ("relam", HEAP.into()),
                    ("reltuples", (-1).into()),
                    ("relpersistence", "p".into()),
                    // What the standard tells are views; the others are tables, though none can be written.
                    ("relkind", if schema == INFORMATION_SCHEMA { "v" } else { "r" }.into()),
                    ("relnatts", i32::try_from(columns.len()).unwrap_or(i32::MAX).into()),
                    ("relispopulated", true.into()),
                    ("relreplident", "n".into()),
                ])
            })
            .collect()
    }

    fn attributes(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (_, _, table, columns) in self.all() {
            for (number, (name, kind, nullable)) in (1_i32..).zip(columns) {
                rows.push(row([
                    ("attrelid", table.into()),
                    ("attname", name.into()),
                    ("atttypid", kind.into()),
                    ("attlen", i32::from(types::length(kind)).into()),
                    ("attnum", number.into()),
                    ("attstattarget", (-1).into()),
                    ("attcacheoff", (-1).into()),
                    ("atttypmod", (-1).into()),
                    ("attndims", i32::from(types::item_of(kind).is_some()).into()),
                    ("attalign", "i".into()),
                    ("attstorage", "p".into()),
                    ("attnotnull", (!nullable).into()),
                    ("attislocal", true.into()),
                ]));
            }
        }
        rows
    }

    fn database(&self) -> Row {
        row([
            ("oid", DATABASE.into()),
            ("datname", self.session.database.as_str().into()),
            ("datdba", OWNER.1.into()),
            ("encoding", UTF8.into()),
            ("datlocprovider", "c".into()),
            ("datallowconn", true.into()),
            ("datconnlimit", (-1).into()),
            ("dattablespace", TABLESPACE.into()),
            ("datcollate", "C".into()),
            ("datctype", "C".into()),
        ])
    }

    fn roles(&self) -> Vec<Row> {
        [(OWNER.0, OWNER.1), (self.session.user.as_str(), CALLER)]
            .into_iter()
            .map(|(name, number)| {
                row([
                    ("oid", number.into()),
                    ("rolname", name.into()),
                    ("rolinherit", true.into()),
                    ("rolcanlogin", (number == CALLER).into()),
                    ("rolconnlimit", (-1).into()),
                    ("usename", name.into()),
                    ("usesysid", number.into()),
                ])
            })
            .collect()
    }

    /// The name of a role by its number.
    pub(crate) fn role(&self, number: u32) -> Option<&str> {
        match number {
            CALLER => Some(&self.session.user),
            number if number == OWNER.1 => Some(OWNER.0),
            _ => None,
        }
    }

    fn settings(&self) -> Vec<Row> {
        let settings = self.session.settings.iter();
        settings
            .map(|(name, value)| {
                row([
                    ("name", name.as_str().into()),
                    ("setting", value.as_str().into()),
                    ("category", "Client Connection Defaults".into()),
                    ("short_desc", "".into()),
                    ("context", "user".into()),
                    ("vartype", "string".into()),
                    ("source", "default".into()),
                    ("boot_val", value.as_str().into()),
                    ("reset_val", value.as_str().into()),
                ])
            })
            .collect()
    }

    fn descriptions(&self) -> Vec<Row> {
        let class = |name| tables::find(None, name).map(|table| table.number).unwrap_or_default();
        let (classes, schemas) = (class("pg_class"), class("pg_namespace"));
        let one = |object: u32, class: u32, column: usize, text: &str| {
            row([
                ("objoid", object.into()),
                ("classoid", class.into()),
                ("objsubid", i32::try_from(column).unwrap_or_default().into()),
                ("description", text.into()),
            ])
        };
        let mut rows: Vec<Row> =
            SCHEMAS.iter().map(|(_, number, text)| one(*number, schemas, 0, text)).collect();
        for table in &self.readable {
            let count = table.descriptions.len();
            rows.extend((0..=count).filter_map(|column| {
                let text = self.description(table.number(), column)?;
                Some(one(table.number(), classes, column, text))
            }));
        }
        rows
    }

    fn standard_tables(&self) -> Vec<Row> {
        self.all()
            .map(|(schema, name, ..)| {
                row([
                    ("table_catalog", self.session.database.as_str().into()),
                    ("table_schema", schema.into()),
                    ("table_name", name.into()),
                    ("table_type", if schema == INFORMATION_SCHEMA { "VIEW" } else { "BASE TABLE" }.into()),
                    ("is_insertable_into", "NO".into()),
                    ("is_typed", "NO".into()),
                ])
            })
            .collect()
    }

    fn standard_columns(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (schema, table, _, columns) in self.all() {
            for (number, (name, kind, nullable)) in (1_i32..).zip(columns) {
                let array = types::item_of(kind).is_some();
                let mut cells = row([
                    ("table_catalog", self.session.database.as_str().into()),
                    ("table_schema", schema.into()),
                    ("table_name", table.into()),
                    ("column_name", name.into()),
                    ("ordinal_position", number.into()),
                    ("is_nullable", if nullable { "YES" } else { "NO" }.into()),
                    ("data_type", if array { "ARRAY".to_owned() } else { types::spelled(kind) }.into()),
                    ("udt_catalog", self.session.database.as_str().into()),
                    ("udt_schema", PG_CATALOG.into()),
                    ("udt_name", type_name(kind).into()),
                    ("dtd_identifier", number.to_string().into()),
                    ("is_self_referencing", "NO".into()),
                    ("is_identity", "NO".into()),
                    ("is_generated", "NEVER".into()),
                    ("is_updatable", "NO".into()),
                ]);
                for (name, value) in measures(kind) {
                    cells.insert(name, value.map_or(Cell::Null, Cell::from));
                }
                rows.push(cells);
            }
        }
        rows
    }
}

/// The precisions that the standard tells of a type.
fn measures(kind: TypeNumber) -> [(&'static str, Option<i32>); 8] {
    let (bits, radix, scale) = match kind {
        types::INT2 => (Some(16), Some(2), Some(0)),
        types::INT4 => (Some(32), Some(2), Some(0)),
        types::INT8 => (Some(64), Some(2), Some(0)),
        types::FLOAT4 => (Some(24), Some(2), None),
        types::FLOAT8 => (Some(53), Some(2), None),
        types::NUMERIC => (None, Some(10), None),
        _ => (None, None, None),
    };
    let micros = matches!(kind, types::TIMESTAMP | types::TIMESTAMPTZ | types::TIME | types::INTERVAL);
    [
        ("numeric_precision", bits),
        ("numeric_precision_radix", radix),
        ("numeric_scale", scale),
        ("datetime_precision", micros.then_some(6)),
        ("character_maximum_length", None),
        ("character_octet_length", None),
        ("interval_precision", None),
        ("maximum_cardinality", None),
    ]
}

/// `pg_type.typname`.
fn type_name(kind: TypeNumber) -> String {
    match (types::by_number(kind), types::item_of(kind)) {
        (Some(known), _) => known.name.to_owned(),
        (None, Some(item)) => format!("_{}", item.name),
        (None, None) => String::new(),
    }
}

fn pg_types() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in types::TYPES.iter() {
        rows.push(pg_type(kind));
        if kind.array != 0 {
            rows.push(array_type(kind));
        }
    }
    rows
}

fn pg_type(kind: &PgType) -> Row {
    let mut told = row([
        ("oid", kind.number.into()),
        ("typname", kind.name.into()),
        ("typnamespace", 11.into()),
        ("typowner", OWNER.1.into()),
        ("typlen", i32::from(kind.length).into()),
        ("typbyval", matches!(kind.length, 1 | 2 | 4 | 8).into()),
        ("typtype", types::KINDS[usize::from(matches!(kind.category, 'P' | 'X'))].into()),
        ("typcategory", kind.category.to_string().into()),
        ("typispreferred", kind.preferred.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typelem", kind.item.into()),
        ("typarray", kind.array.into()),
        ("typalign", kind.align.to_string().into()),
        ("typstorage", kind.storage.to_string().into()),
        ("typtypmod", (-1).into()),
    ]);
    told.extend(types::FUNCTIONS.into_iter().zip(kind.functions.map(Cell::from)));
    told
}

/// The type of arrays of a type: its own functions are those of all arrays.
fn array_type(item: &PgType) -> Row {
    let mut told = pg_type(item);
    told.extend([
        ("oid", item.array.into()),
        ("typname", format!("_{}", item.name).into()),
        ("typlen", (-1).into()),
        ("typbyval", false.into()),
        ("typispreferred", false.into()),
        ("typelem", item.number.into()),
        ("typarray", 0.into()),
        ("typalign", if item.align == 'd' { "d" } else { "i" }.into()),
        ("typstorage", "x".into()),
    ]);
    // An array of records is none of a type that a column may have.
    if item.number != types::RECORD {
        told.extend([("typtype", "b".into()), ("typcategory", "A".into())]);
    }
    let functions = [
        ("typinput", "array_in"),
        ("typoutput", "array_out"),
        ("typreceive", "array_recv"),
        ("typsend", "array_send"),
        ("typanalyze", "array_typanalyze"),
        ("typsubscript", "array_subscript_handler"),
    ];
    let number = |name| procedures::number(name).unwrap_or_default();
    told.extend(functions.map(|(column, name)| (column, number(name).into())));
    told
}

fn functions(callable: &[Callable]) -> Vec<Row> {
    let one = |number: u32, name: &str, schema: u32, gives: TypeNumber, takes: &[TypeNumber]| {
        row([
            ("oid", number.into()),
            ("proname", name.into()),
            ("pronamespace", schema.into()),
            ("proowner", OWNER.1.into()),
            ("prolang", 12.into()),
            ("prokind", "f".into()),
            ("provolatile", "s".into()),
            ("proparallel", "s".into()),
            ("pronargs", i32::try_from(takes.len()).unwrap_or_default().into()),
            ("prorettype", gives.into()),
            ("proargtypes", takes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ").into()),
        ])
    };
    let theirs = procedures::PROCEDURES.iter().map(|known| {
        let mut told = one(known.number, known.name, 11, known.gives, &known.takes);
        told.insert("provolatile", known.varies.to_string().into());
        told.insert("proisstrict", known.strict.into());
        told.insert("proleakproof", known.leakproof.into());
        told
    });
    let own = callable.iter().map(|function| {
        let kind = |name: &str| types::by_name(name).unwrap_or_default();
        let takes: Vec<TypeNumber> = function.arguments.iter().map(|(_, name)| kind(name)).collect();
        let set = function.gives.starts_with("SETOF ");
        let gives = if set { types::RECORD } else { kind(function.gives) };
        let mut told = one(function.number(), function.name, 2_200, gives, &takes);
        told.insert("proretset", set.into());
        told.insert("pronargdefaults", i32::try_from(function.optional).unwrap_or_default().into());
        told
    });
    theirs.chain(own).collect()
}
