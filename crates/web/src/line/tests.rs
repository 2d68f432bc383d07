//! The tricky cases of line protocol, and that what is written is read.

#![allow(clippy::arithmetic_side_effects, reason = "tests may fail loudly")]

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::name::{SEGMENT_BYTES_MAX, Series, field_name};
use super::*;

/// Shows what a user would see: names, values and times, or the refusal.
struct Show(String);

impl Sink for Show {
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault> {
        let fault = |error| Fault { at: line.at, error };
        let series = Series::parse(line.series).map_err(|fault| fault.within(line.at))?;
        for field in line.fields {
            let path = series.path(&field_name(field.key).map_err(fault)?).map_err(fault)?;
            let value = match field.value {
                FieldValue::Float { value, .. } => format!("{value}"),
                FieldValue::Int(value) => format!("{value} (integer)"),
                FieldValue::UInt(value) => format!("{value} (unsigned)"),
                FieldValue::Bool(value) => format!("{value}"),
                FieldValue::Text { raw, .. } => {
                    let mut text = String::new();
                    unescape_text(raw, &mut text);
                    format!("{text:?}")
                }
            };
            let time = line.time.map(|time| format!(" @{time}")).unwrap_or_default();
            self.0 += &format!("{path} = {value}{time}\n");
        }
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        self.0 += &format!("{}:{} {}\n", refused.line, refused.column, refused.error);
        ControlFlow::Continue(())
    }
}

fn check(body: &str, expected: Expect) {
    let mut show = Show(String::new());
    parse(body.as_bytes(), TimeUnit::Nanoseconds, &mut show);
    expected.assert_eq(&show.0);
}

#[test]
fn tags_never_share_a_name() {
    check(
        "m,a=x f=1\nm,b=x f=1\ndisk,path=/,dev=sda1 used=3i\nm,a=x\\,b\\=y f=1\nm,a=x,b=y f=1\nm/a=x f=1\nm a\\=x=1",
        expect![[r#"
            m/a=x/f = 1
            m/b=x/f = 1
            disk/dev=sda1,path=%2F/used = 3 (integer)
            m/a=x%2Cb%3Dy/f = 1
            m/a=x,b=y/f = 1
            m/a%3Dx/f = 1
            m/a%3Dx = 1
        "#]],
    );
}

#[test]
fn what_names_become() {
    check(
        "acme/leeds/press/st3 temperature=20.5\nplant/t value=1\n/lead f=1\na//b f=1\n$SYS/x f=1\na.b\\ c;d f\\ 1=1\n\
         m,t=. f=1\n.. f=1\nm 温度=1\nm#+*,t=% f=1",
        expect![[r#"
            acme/leeds/press/st3/temperature = 20.5
            plant/t = 1
            %2Flead/f = 1
            a%2F%2Fb/f = 1
            %24SYS/x/f = 1
            a.b c;d/f 1 = 1
            m/t=%2E/f = 1
            %2E%2E/f = 1
            m/温度 = 1
            m%23%2B%2A/t=%25/f = 1
        "#]],
    );
}

#[test]
fn escapes_as_influxdb_reads_them() {
    check(
        "a\\,b,c\\ d=e\\=f g=1\na\\b f=1\na\\=b f=1\nw,t=x\\\\,u=y f=1\nm f=\"a\\\\b\\\"c\\d\"\nm f=\"two\nlines\",g=2 7\nm f=\"=,, \"\n",
        expect![[r#"
            a%2Cb/c d=e%3Df/g = 1
            a\b/f = 1
            a\%3Db/f = 1
            4:3 the tag 't' has an '=' in its value: write it as \=
            m/f = "a\\b\"c\\d"
            m/f = "two\nlines" @7
            m/g = 2 @7
            m/f = "=,, "
        "#]],
    );
}

#[test]
fn values() {
    check(
        "m a=1,b=1.,c=.5,d=-2.5e-3,e=1E9,f=-0,g=007\n\
         m a=1i,b=-9223372036854775808i,c=18446744073709551615u\n\
         m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE\n\
         m a=\"\",b=\"t\"\n\
         m a=9223372036854775808i\nm a=-1u\nm a=1.5i\nm a=i\nm a=nan\nm a=-inf\nm a=+1\nm a=1e999\nm a=tRUE\nm a=1_0\nm a=0x1\nm a=\"x\"y\nm a=\"x",
        expect![[r#"
            m/a = 1
            m/b = 1
            m/c = 0.5
            m/d = -0.0025
            m/e = 1000000000
            m/f = -0
            m/g = 7
            m/a = 1 (integer)
            m/b = -9223372036854775808 (integer)
            m/c = 18446744073709551615 (unsigned)
            m/a = true
            m/b = true
            m/c = true
            m/d = true
            m/e = true
            m/f = false
            m/g = false
            m/h = false
            m/i = false
            m/j = false
            m/a = ""
            m/b = "t"
            5:5 '9223372036854775808' does not fit a 64-bit integer: leave the suffix away to write a float
            6:5 '-1u' is negative, and the suffix u is for whole numbers from 0: write '-1i'
            7:5 '1.5' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            8:5 'i' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            9:5 'nan' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            10:5 '-inf' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            11:5 '+1' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            12:5 '1e999' does not fit a 64-bit float
            13:5 'tRUE' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            14:5 '1_0' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            15:5 '0x1' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            16:8 'y' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            17:5 the text has no closing quote
        "#]],
    );
}

#[test]
fn lines_and_times() {
    check(
        "  m f=1 1  \r\n\r\n# m f=2\n\tm f=3\t4\n m f=1 -5\nm  f=1\nm f=1  6 \nm f=1 7 8\nm f=1 1.5\nm f=1 -\n\
         m f=1 9223372036854775807\nm f=1 -9223372036854775808\nm f=1 9223372036854775808\n",
        expect![[r#"
            m/f = 1 @1
            4:6 '3	4' is no field value: write 1.5, 3i, 3u, true or "text"; NaN and infinities have no form here
            m/f = 1 @-5
            m/f = 1
            m/f = 1 @6
            8:9 something follows the timestamp: '8'
            9:7 '1.5' is no timestamp: write a whole number in the unit of precision=
            10:7 '-' is no timestamp: write a whole number in the unit of precision=
            m/f = 1 @9223372036854775807
            m/f = 1 @-9223372036854775808
            13:7 the time 9223372036854775808 in the given unit is outside the years 1677 to 2262: is precision= right?
        "#]],
    );
}

#[test]
fn what_is_missing() {
    check(
        "m\n,t=1 f=1\nm, f=1\nm,t f=1\nm,=x f=1\nm,t= f=1\nm,t=a=b f=1\nm f\nm =1\nm f=\nm f=,g=1\nm f=1,\nm f=1,,g=2\nm \nm,t=x\n",
        expect![[r#"
            1:2 the line has no field: write measurement field=value
            2:1 the line has no measurement: write measurement,tag=value field=value time
            3:3 a tag has no name: write name=value between commas
            4:3 the tag 't' has no value: leave the tag out, or give it one
            5:3 a tag has no name: write name=value between commas
            6:3 the tag 't' has no value: leave the tag out, or give it one
            7:3 the tag 't' has an '=' in its value: write it as \=
            8:3 the field 'f' has no value: write 1.5, 3i, 3u, true or "text"
            9:3 a field has no name: write name=value
            10:5 the field 'f' has no value: write 1.5, 3i, 3u, true or "text"
            11:5 the field 'f' has no value: write 1.5, 3i, 3u, true or "text"
            12:7 a field has no name: write name=value
            13:7 a field has no name: write name=value
            14:3 the line has no field: write measurement field=value
            15:6 the line has no field: write measurement field=value
        "#]],
    );
}

#[test]
fn long_names_end_in_a_hash() {
    let long = "x".repeat(SEGMENT_BYTES_MAX + 1);
    let series = |text: &str| Series::parse(format!("m,t={text}").as_bytes()).unwrap().path("f").unwrap();
    let (one, other) = (series(&long), series(&(long.clone() + "y")));
    assert_ne!(one, other);
    for path in [one, other] {
        let segment = path.segments().nth(1).unwrap();
        assert!(segment.len() <= SEGMENT_BYTES_MAX, "{segment}");
        let again = Series::parse(format!("m,{segment}").as_bytes()).unwrap().path("f").unwrap();
        assert_ne!(again, path, "a name that looks like a cut one is another");
    }
}

/// Writes keys and values with the escapes that line protocol wants.
fn escaped(text: &str, characters: &[char]) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if characters.contains(&character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[derive(Clone, Debug, PartialEq)]
struct Point {
    measurement: String,
    tags: std::collections::BTreeMap<String, String>,
    fields: std::collections::BTreeMap<String, String>,
    time: Option<i64>,
}

fn names() -> impl Strategy<Value = String> {
    // A backslash before a delimiter has no spelling in line protocol, and neither has one at the end.
    "[a-c,= /%~.äß#$\"*+]{1,6}".prop_filter("begins a comment", |name| !name.starts_with('#'))
}

fn points() -> impl Strategy<Value = Point> {
    let tags = proptest::collection::btree_map(names(), names(), 0..4);
    let values = prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        any::<i64>().prop_map(|value| format!("{value}i")),
        any::<u64>().prop_map(|value| format!("{value}u")),
        any::<bool>().prop_map(|value| value.to_string()),
        "[a-c\\\\\" ,=\n]{0,6}".prop_map(|text| format!("\"{}\"", escaped(&text, &['"', '\\']))),
    ];
    let fields = proptest::collection::btree_map(names(), values, 1..4);
    let measurement = names().prop_filter("no space first", |name| !name.starts_with(' '));
    (measurement, tags, fields, any::<Option<i64>>()).prop_map(|(measurement, tags, fields, time)| Point {
        measurement,
        tags,
        fields,
        time,
    })
}

impl Point {
    fn written(&self) -> String {
        let mut out = escaped(&self.measurement, &[',', ' ']);
        for (key, value) in &self.tags {
            let keys = [',', ' ', '='];
            out += &format!(",{}={}", escaped(key, &keys), escaped(value, &keys));
        }
        out.push(' ');
        let field = |(key, value): (&String, &String)| format!("{}={value}", escaped(key, &[',', ' ', '=']));
        out += &self.fields.iter().map(field).collect::<Vec<_>>().join(",");
        if let Some(time) = self.time {
            out += &format!(" {time}");
        }
        out
    }
}

#[derive(Default)]
struct Read(Vec<Point>);

impl Sink for Read {
    fn line(&mut self, line: &Line<'_, '_>) -> Result<(), Fault> {
        let series = Series::parse(line.series).unwrap();
        let value = |value: FieldValue<'_>| match value {
            FieldValue::Float { value, .. } => format!("{value:?}"),
            FieldValue::Int(value) => format!("{value}i"),
            FieldValue::UInt(value) => format!("{value}u"),
            FieldValue::Bool(value) => value.to_string(),
            FieldValue::Text { raw, escaped: is_escaped } => {
                assert_eq!(is_escaped, raw.contains('\\'));
                let mut text = String::new();
                unescape_text(raw, &mut text);
                format!("\"{}\"", escaped(&text, &['"', '\\']))
            }
        };
        self.0.push(Point {
            measurement: series.measurement,
            tags: series.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            fields: line.fields.iter().map(|f| (field_name(f.key).unwrap(), value(f.value))).collect(),
            time: line.time,
        });
        Ok(())
    }

    fn bad(&mut self, refused: Refused) -> ControlFlow<()> {
        panic!("{refused:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(points in proptest::collection::vec(points(), 0..6)) {
        let body: Vec<String> = points.iter().map(Point::written).collect();
        let mut read = Read::default();
        parse(body.join("\n").as_bytes(), TimeUnit::Nanoseconds, &mut read);
        prop_assert_eq!(read.0, points);
    }

    #[test]
    fn two_tag_sets_never_share_a_name(one in points(), other in points(), field in names(), value in any::<bool>()) {
        let series = |point: &Point| Series {
            measurement: point.measurement.clone(),
            tags: point.tags.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
        };
        let (one, other) = (series(&one), series(&other));
        let fields = if value { ["value".to_owned(), field] } else { [field.clone(), field] };
        if one.tags != other.tags
            && let (Ok(first), Ok(second)) = (one.path(&fields[0]), other.path(&fields[1]))
        {
            prop_assert_ne!(first, second);
        }
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(prop_oneof![Just(b','), Just(b' '), Just(b'='), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b'1'), Just(b'i'), any::<u8>()], 0..80)) {
        let mut show = Show(String::new());
        parse(&body, TimeUnit::Seconds, &mut show);
    }
}

#[test]
fn a_byte_order_mark_belongs_to_no_name() {
    let mut show = Show(String::new());
    parse("\u{feff}press/t value=1\npress/u value=x".as_bytes(), TimeUnit::Nanoseconds, &mut show);
    assert!(show.0.starts_with("press/t = 1\n"), "{}", show.0);
    let mut first = Show(String::new());
    parse("\u{feff}press/t value=x".as_bytes(), TimeUnit::Nanoseconds, &mut first);
    let mut bare = Show(String::new());
    parse(b"press/t value=x", TimeUnit::Nanoseconds, &mut bare);
    assert_eq!(first.0, bare.0, "and to no column");
}
