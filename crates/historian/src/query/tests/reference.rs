//! The reference pages are those of the code: their tables are made here, and their examples run.

use std::fmt::Write;

use expect_test::expect_file;
use tidemill_core::{ReadScope, TableSpec};
use tidemill_dialect::statement::{CHAIN_MAX, DEPTH_MAX, MEANT_MAX, TABLES_MAX, TEXT_BYTES_MAX, TOKENS_MAX};

use super::fake::*;
use super::small::{engine_of, plant};
use crate::query::columns::{SAMPLE_COLUMNS, SAMPLES, SampleColumn};
use crate::query::functions::Function;
use crate::query::meter::CONSTANT_BYTES_MAX;
use crate::query::planning::{PARTS_MAX, STEPS_MAX};
use crate::query::read_function::{self, MODES};
use crate::query::system::{OWN, arrow_type};
use crate::query::{rules, signals};
use tidemill_formats::sql_type;

fn table(head: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut text = format!("| {} |\n|---|---|---|\n", head.join(" | "));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    text
}

const HEAD: [&str; 3] = ["column", "type", "what"];

fn of_samples<'a>(columns: impl Iterator<Item = &'a SampleColumn>) -> String {
    table(
        HEAD,
        columns.map(|column| {
            let field = SAMPLES.field_with_name(column.name).unwrap();
            [format!("`{}`", column.name), sql_type(field.data_type()), column.description.to_owned()]
        }),
    )
}

fn of_spec(spec: &TableSpec) -> String {
    let rows = spec.columns.iter().map(|column| {
        [format!("`{}`", column.name), sql_type(&arrow_type(column.kind)), column.description.to_owned()]
    });
    format!("**sys.{}**: {}\n\n{}", spec.name, spec.description, table(HEAD, rows))
}

fn block(name: &str) -> String {
    match name {
        "samples" => of_samples(SAMPLE_COLUMNS.iter()),
        "read" => of_samples(read_function::columns()),
        "signals" => table(
            HEAD,
            signals::COLUMNS.iter().map(|column| {
                [
                    format!("`{}`", column.name),
                    sql_type(&arrow_type(column.kind)),
                    column.description.to_owned(),
                ]
            }),
        ),
        "modes" => MODES.iter().map(|(mode, what)| format!("- `{mode}`: {what}\n")).collect(),
        "functions" => Function::ALL
            .iter()
            .map(|function| {
                let (call, gives) = function.description();
                format!("- `{call}`: {gives}\n")
            })
            .collect(),
        "system" => OWN.iter().map(|spec| of_spec(spec)).collect::<Vec<_>>().join("\n"),
        "limits" => format!(
            "\n| limit | |\n|---|---|\n| length of a query | {TEXT_BYTES_MAX} bytes, {TOKENS_MAX} words and signs |\n\
             | nesting | {DEPTH_MAX} levels of parentheses and subqueries, {CHAIN_MAX} operators in one expression |\n\
             | tables and subqueries, a name from WITH each time it is used | {TABLES_MAX} |\n\
             | parts of all expressions, what is said more than once each time | {} |\n\
             | steps of a plan; parts of the expressions of one step | {STEPS_MAX}; {PARTS_MAX} |\n\
             | length of a constant that is worked out while planning | {CONSTANT_BYTES_MAX} bytes |\n\
             | what one call of a function may make for a batch of rows | {} MiB |\n\
             | pixels of `read(…, 'points', …)` | {} |\n",
            MEANT_MAX,
            rules::CALL_BYTES_MAX >> 20,
            crate::query::modes::POINTS_MAX,
        ),
        other => panic!("the page has a block '{other}' that nobody makes"),
    }
}

const PAGE: &str = include_str!("../../../../../docs/reference/sql.md");

#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let mut made = String::new();
    let mut inside = false;
    for line in PAGE.lines() {
        if line == "<!-- end -->" {
            inside = false;
        }
        if !inside {
            made += line;
            made.push('\n');
        }
        let name = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        if let Some(name) = name.filter(|name| *name != "end" && !name.starts_with("test: ")) {
            made += &block(name);
            inside = true;
        }
    }
    expect_file!["../../../../../docs/reference/sql.md"].assert_eq(&made);
}

#[test]
fn the_examples_of_the_page_run() {
    let engine = engine_of(&plant());
    let examples: Vec<&str> =
        PAGE.split("```sql\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert!(examples.len() >= 4);
    for example in examples {
        let answer =
            sql_bytes(&engine, &ReadScope::everything(), example, Vec::new(), tidemill_core::Format::Csv);
        assert!(answer.is_ok(), "{example}\n{answer:?}");
    }
}

#[test]
fn the_page_of_formats_knows_them_all() {
    let page = include_str!("../../../../../docs/reference/formats.md");
    for format in tidemill_core::Format::ALL {
        assert!(
            page.contains(&format!("| `{}` | `{}` |", format.name(), format.media_type())),
            "{}",
            format.name()
        );
    }
}
