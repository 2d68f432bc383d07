//! What templates and presets make of series, as their page says.

use expect_test::expect;

use super::super::name::Series;
use super::super::origin::Origin;
use super::super::template::{Field, Named, Templates};
use super::*;

/// What templates make of a field that comes by a call with these parameters (`db=x&rp=y`).
fn named(templates: &Templates, call: &str, series: &str, field: &str) -> Named {
    let mut origin = Origin::default();
    for (name, value) in call.split('&').filter_map(|pair| pair.split_once('=')) {
        origin.add(name, value);
    }
    let series = Series::parse(series.as_bytes()).unwrap();
    let default = series.path(field).unwrap();
    templates.name(&Field { series: &series, name: field, origin: &origin, default: &default })
}

/// The page that shows what the presets do is held against them: every row of their table is computed here.
#[test]
fn the_page_shows_what_every_preset_does() {
    let page = include_str!("../../../../docs/reference/line-protocol.md");
    let table = page.split_once("| preset | series | name |").unwrap().1;
    let mut shown = Vec::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .filter(|cell| !cell.is_empty())
            .collect();
        let [preset, line, expected] = cells[..] else { panic!("{row}") };
        let templates: Templates = toml::from_str(&format!("presets = [\"{preset}\"]")).unwrap();
        let at = line.char_indices().find(|(at, c)| *c == ' ' && !line[..*at].ends_with('\\')).unwrap().0;
        let (series, fields) = line.split_at(at);
        let field = fields.trim_start().split('=').next().unwrap();
        let call = if preset == "influxdb-databases" { "db=telegraf" } else { "" };
        let Named::Path(path) = named(&templates, call, series, field) else { panic!("{row}: no name") };
        assert_eq!(path.as_str(), expected, "{row}");
        shown.push(preset);
    }
    for (name, _) in PRESETS {
        assert!(shown.contains(name), "{name} is not shown");
    }
}

#[test]
fn an_unknown_preset_names_those_there_are() {
    let error = toml::from_str::<Templates>("presets = [\"telegraf\"]").unwrap_err();
    assert!(error.to_string().contains("there is no preset 'telegraf'; there are: telegraf-mqtt_consumer,"));
}

/// Placeholders and conditions of what a call says: `what the call says | series | field`, and what becomes of it.
#[test]
fn a_template_knows_where_a_series_comes_from() {
    let templates = r#"
        presets = ["influxdb-databases"]
        [[template]]
        match = { measurement = "plain" }
        path = "{db}/{measurement}/{field}"
        [[template]]
        match = { measurement = "bucket", bucket = "*" }
        path = "{bucket}/{org}/{field}"
        [[template]]
        match = { measurement = "parted" }
        path = "{bucket:path}/{rp}/{field}"
        [[template]]
        match = { measurement = "tag", "db:tag" = "*" }
        path = "{db}/{db:tag}/{field}"
        [[template]]
        match = { measurement = "staging", db = "staging" }
        path = "try/{field}"
    "#;
    let templates: Templates = toml::from_str(templates).unwrap();
    let rows = [
        ("db=prod", "plain,host=a", "f"),
        ("bucket=prod", "plain,host=a", "f"),
        ("db=a/b", "plain", "f"),
        ("", "plain", "f"),
        ("", "plain,db=of-the-line", "f"),
        ("db=prod", "plain,db=of-the-line", "f"),
        ("bucket=telegraf&org=acme", "bucket", "f"),
        ("db=telegraf", "bucket", "f"),
        ("bucket=telegraf/one week&org=acme", "parted", "f"),
        ("db=telegraf", "parted", "f"),
        ("db=telegraf&rp=1y", "parted", "f"),
        ("db=prod", "tag,db=postgres", "f"),
        ("db=prod", "tag", "f"),
        ("db=staging", "staging", "f"),
        ("db=prod", "staging", "f"),
        ("db=prod&rp=autogen", "cpu,host=a,cpu=0", "idle"),
        ("bucket=staging", "cpu,host=a,cpu=0", "idle"),
        ("db=prod&rp=1y", "cpu,host=a,cpu=0", "value"),
        ("", "cpu,host=a,db=x,rp=y", "idle"),
    ];
    let mut told = String::new();
    for (call, series, field) in rows {
        let named = match named(&templates, call, series, field) {
            Named::Path(path) => path.to_string(),
            Named::Default => "(default)".to_owned(),
            Named::Nothing(why) => format!("({why})"),
        };
        told += &format!("{call} | {series} | {field} → {named}\n");
    }
    expect![[r#"
        db=prod | plain,host=a | f → prod/plain/f
        bucket=prod | plain,host=a | f → prod/plain/f
        db=a/b | plain | f → a%2Fb/plain/f
         | plain | f → (its template wants {db}, which its call does not say)
         | plain,db=of-the-line | f → of-the-line/plain/f
        db=prod | plain,db=of-the-line | f → prod/plain/f
        bucket=telegraf&org=acme | bucket | f → telegraf/acme/f
        db=telegraf | bucket | f → (its template wants {org}, which its call does not say)
        bucket=telegraf/one week&org=acme | parted | f → telegraf/one week/autogen/f
        db=telegraf | parted | f → telegraf/autogen/f
        db=telegraf&rp=1y | parted | f → telegraf/1y/f
        db=prod | tag,db=postgres | f → prod/postgres/f
        db=prod | tag | f → prod/tag/f
        db=staging | staging | f → try/f
        db=prod | staging | f → prod/staging/f
        db=prod&rp=autogen | cpu,host=a,cpu=0 | idle → prod/cpu/cpu=0,host=a/idle
        bucket=staging | cpu,host=a,cpu=0 | idle → staging/cpu/cpu=0,host=a/idle
        db=prod&rp=1y | cpu,host=a,cpu=0 | value → prod/1y/cpu/cpu=0,host=a
         | cpu,host=a,db=x,rp=y | idle → x/y/cpu/db=x,host=a,rp=y/idle
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_a_template_cannot_be_is_said() {
    let error = |path: &str| Shape::try_from(path.to_owned()).unwrap_err();
    assert_eq!(error("a/{db"), "'a/{db' has a '{' without '}'");
}
