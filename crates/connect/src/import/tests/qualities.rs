//! A status is never dropped: what is none rejects its row or is asked for, and what is left out is told.

use expect_test::expect;

use super::*;

/// What was recognised and what was read, each different line once and how often.
pub(super) fn summed(name: &str, text: &str) -> String {
    let options = prefix("p");
    let plan = open_bytes(name, text.as_bytes(), &options).map(|reader| reader.plan().describe());
    let mut out = plan.unwrap_or_default();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in shown(name, text.as_bytes(), &options).lines() {
        let line = match line.strip_prefix("rejected line ").and_then(|rest| rest.split_once([',', ':'])) {
            Some((_, why)) => format!("rejected {}", why.trim()),
            None => line.to_owned(),
        };
        match counts.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => counts.push((line, 1)),
        }
    }
    counts.iter().for_each(|(line, count)| writeln!(out, "{count} x {line}").unwrap());
    out
}

/// Rows of a form for each word.
pub(super) fn rows(head: &str, form: &str, words: &[(&str, usize)]) -> String {
    let row = |(word, count): &(&str, usize)| form.replace("WORD", word).repeat(*count);
    head.to_owned() + &words.iter().map(row).collect::<String>()
}

const MANY: &[(&str, usize)] = &[("Good", 440), ("Bad", 450), ("Degraded", 110)];
const FEW: &[(&str, usize)] = &[("Bad", 1), ("kaputt", 1)];
const NONE: &[(&str, usize)] = &[("kaputt", 2)];
const CODES: &[(&str, usize)] = &[("192", 3), ("0", 3), ("Degraded", 4)];

/// The forms in which a quality stands beside a value.
const FORMS: &[(&str, &str, &str)] = &[
    ("t.csv", "time,a,quality\n", "2024-01-02T00:00:00Z,1,WORD\n"),
    ("t.csv", "time,a,a_status\n", "2024-01-02T00:00:00Z,1,WORD\n"),
    ("t.csv", "tag,time,value,quality\n", "a,2024-01-02T00:00:00Z,1,WORD\n"),
    ("t.csv", "", "a;2024-01-02T00:00:00Z;1.5;WORD\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"a\":1,\"quality\":\"WORD\"}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"m\":{\"value\":1,\"quality\":\"WORD\"}}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"m\":{\"c\":1,\"c_status\":\"WORD\"}}\n"),
    ("t.jsonl", "", "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":\"WORD\"}\n"),
    ("t.jsonl", "", "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":{\"name\":\"WORD\"}}\n"),
    ("t.jsonl", "", "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":[\"WORD\"]}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"a\":1,\"quality\":{\"name\":\"WORD\"}}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"a\":1,\"quality\":[\"WORD\"]}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"m\":{\"value\":1,\"quality\":{\"name\":\"WORD\"}}}\n"),
    ("t.jsonl", "", "{\"time\":1704153600,\"m\":{\"value\":1,\"quality\":[\"WORD\"]}}\n"),
];

#[test]
fn no_status_is_dropped_because_another_word_is_not_known() {
    let mut all = String::new();
    for (name, head, form) in FORMS {
        for (words, what) in [(MANY, "many"), (FEW, "few"), (NONE, "none"), (CODES, "codes")] {
            writeln!(all, "-- {}{} {what}", head.trim_end(), form.trim_end()).unwrap();
            all += &summed(name, &rows(head, form, words));
        }
    }
    expect![[r#"
        -- time,a,quality2024-01-02T00:00:00Z,1,WORD many
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from quality
        440 x 2024-01-02T00:00:00Z p/a float 1
        450 x 2024-01-02T00:00:00Z p/a float 1 Bad
        110 x rejected column 'quality': 'Degraded' is no quality
        -- time,a,quality2024-01-02T00:00:00Z,1,WORD few
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from quality
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'quality': 'kaputt' is no quality
        -- time,a,quality2024-01-02T00:00:00Z,1,WORD none
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point
        p/quality: quality, text
        note: quality holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/a float 1
        2 x 2024-01-02T00:00:00Z p/quality text kaputt
        -- time,a,quality2024-01-02T00:00:00Z,1,WORD codes
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from quality
        3 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/a float 1 Bad
        4 x rejected column 'quality': 'Degraded' is no quality
        -- time,a,a_status2024-01-02T00:00:00Z,1,WORD many
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from a_status
        440 x 2024-01-02T00:00:00Z p/a float 1
        450 x 2024-01-02T00:00:00Z p/a float 1 Bad
        110 x rejected column 'a_status': 'Degraded' is no quality
        -- time,a,a_status2024-01-02T00:00:00Z,1,WORD few
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from a_status
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'a_status': 'kaputt' is no quality
        -- time,a,a_status2024-01-02T00:00:00Z,1,WORD none
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point
        p/a_status: a_status, text
        note: a_status holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/a float 1
        2 x 2024-01-02T00:00:00Z p/a_status text kaputt
        -- time,a,a_status2024-01-02T00:00:00Z,1,WORD codes
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        p/a: a, numbers with decimal point, quality from a_status
        3 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/a float 1 Bad
        4 x rejected column 'a_status': 'Degraded' is no quality
        -- tag,time,value,qualitya,2024-01-02T00:00:00Z,1,WORD many
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        one value a row: signal tag, value value, quality quality; values by their form, decimal point
        440 x 2024-01-02T00:00:00Z p/a float 1
        450 x 2024-01-02T00:00:00Z p/a float 1 Bad
        110 x rejected column 'quality': 'Degraded' is no quality
        -- tag,time,value,qualitya,2024-01-02T00:00:00Z,1,WORD few
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        one value a row: signal tag, value value, quality quality; values by their form, decimal point
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'quality': 'kaputt' is no quality
        -- tag,time,value,qualitya,2024-01-02T00:00:00Z,1,WORD none
        1 x bad-import: the column 'quality' of t.csv has 'kaputt' (line 2), and no word that is a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- tag,time,value,qualitya,2024-01-02T00:00:00Z,1,WORD codes
        CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        one value a row: signal tag, value value, quality quality; values by their form, decimal point
        3 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/a float 1 Bad
        4 x rejected column 'quality': 'Degraded' is no quality
        -- a;2024-01-02T00:00:00Z;1.5;WORD many
        CSV, UTF-8, separated by ';', no header
        time: column 2, Europe/Berlin where no offset is given
        one value a row: signal column 1, value column 3, quality column 4; values by their form, decimal point
        440 x 2024-01-02T00:00:00Z p/a float 1.5
        450 x 2024-01-02T00:00:00Z p/a float 1.5 Bad
        110 x rejected column '4': 'Degraded' is no quality
        -- a;2024-01-02T00:00:00Z;1.5;WORD few
        CSV, UTF-8, separated by ';', no header
        time: column 2, Europe/Berlin where no offset is given
        one value a row: signal column 1, value column 3, quality column 4; values by their form, decimal point
        1 x 2024-01-02T00:00:00Z p/a float 1.5 Bad
        1 x rejected column '4': 'kaputt' is no quality
        -- a;2024-01-02T00:00:00Z;1.5;WORD none
        CSV, UTF-8, separated by ';', no header
        time: column 2, Europe/Berlin where no offset is given
        p/column 1: column 1, text
        p/column 3: column 3, numbers with decimal point
        p/column 4: column 4, text
        2 x 2024-01-02T00:00:00Z p/column 1 text a
        2 x 2024-01-02T00:00:00Z p/column 3 float 1.5
        2 x 2024-01-02T00:00:00Z p/column 4 text kaputt
        -- a;2024-01-02T00:00:00Z;1.5;WORD codes
        CSV, UTF-8, separated by ';', no header
        time: column 2, Europe/Berlin where no offset is given
        one value a row: signal column 1, value column 3, quality column 4; values by their form, decimal point
        3 x 2024-01-02T00:00:00Z p/a float 1.5
        3 x 2024-01-02T00:00:00Z p/a float 1.5 Bad
        4 x rejected column '4': 'Degraded' is no quality
        -- {"time":1704153600,"a":1,"quality":"WORD"} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x 2024-01-02T00:00:00Z p/a float 1
        450 x 2024-01-02T00:00:00Z p/a float 1 Bad
        110 x rejected column 'quality': 'Degraded' is no quality
        -- {"time":1704153600,"a":1,"quality":"WORD"} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'quality': 'kaputt' is no quality
        -- {"time":1704153600,"a":1,"quality":"WORD"} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: quality holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/a float 1
        2 x 2024-01-02T00:00:00Z p/quality text kaputt
        -- {"time":1704153600,"a":1,"quality":"WORD"} codes
        JSON lines, UTF-8; times s since 1970 UTC
        3 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/a float 1 Bad
        4 x rejected column 'quality': 'Degraded' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":"WORD"}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x 2024-01-02T00:00:00Z p/m/value float 1
        450 x 2024-01-02T00:00:00Z p/m/value float 1 Bad
        110 x rejected column 'm/quality': 'Degraded' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":"WORD"}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x 2024-01-02T00:00:00Z p/m/value float 1 Bad
        1 x rejected column 'm/quality': 'kaputt' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":"WORD"}} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/quality holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/m/value float 1
        2 x 2024-01-02T00:00:00Z p/m/quality text kaputt
        -- {"time":1704153600,"m":{"value":1,"quality":"WORD"}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        3 x 2024-01-02T00:00:00Z p/m/value float 1
        3 x 2024-01-02T00:00:00Z p/m/value float 1 Bad
        4 x rejected column 'm/quality': 'Degraded' is no quality
        -- {"time":1704153600,"m":{"c":1,"c_status":"WORD"}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x 2024-01-02T00:00:00Z p/m/c float 1
        450 x 2024-01-02T00:00:00Z p/m/c float 1 Bad
        110 x rejected column 'm/c_status': 'Degraded' is no quality
        -- {"time":1704153600,"m":{"c":1,"c_status":"WORD"}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x 2024-01-02T00:00:00Z p/m/c float 1 Bad
        1 x rejected column 'm/c_status': 'kaputt' is no quality
        -- {"time":1704153600,"m":{"c":1,"c_status":"WORD"}} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/c_status holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/m/c float 1
        2 x 2024-01-02T00:00:00Z p/m/c_status text kaputt
        -- {"time":1704153600,"m":{"c":1,"c_status":"WORD"}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        3 x 2024-01-02T00:00:00Z p/m/c float 1
        3 x 2024-01-02T00:00:00Z p/m/c float 1 Bad
        4 x rejected column 'm/c_status': 'Degraded' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":"WORD"} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x 2024-01-02T00:00:00Z p/a float 1
        450 x 2024-01-02T00:00:00Z p/a float 1 Bad
        110 x rejected column 'quality': 'Degraded' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":"WORD"} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'quality': 'kaputt' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":"WORD"} none
        1 x bad-import: the column 'quality' of t.jsonl has 'kaputt' (line 1), and no word that is a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- {"signal":"a","time":1704153600,"value":1,"quality":"WORD"} codes
        JSON lines, UTF-8; times s since 1970 UTC
        3 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/a float 1 Bad
        4 x rejected column 'quality': 'Degraded' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":{"name":"WORD"}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'quality': '{"name":"Good"}' is no quality
        450 x rejected column 'quality': '{"name":"Bad"}' is no quality
        110 x rejected column 'quality': '{"name":"Degraded"}' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":{"name":"WORD"}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'quality': '{"name":"Bad"}' is no quality
        1 x rejected column 'quality': '{"name":"kaputt"}' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":{"name":"WORD"}} none
        JSON lines, UTF-8; times s since 1970 UTC
        2 x rejected column 'quality': '{"name":"kaputt"}' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":{"name":"WORD"}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        3 x rejected column 'quality': '{"name":"192"}' is no quality
        3 x rejected column 'quality': '{"name":"0"}' is no quality
        4 x rejected column 'quality': '{"name":"Degraded"}' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":["WORD"]} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'quality': '["Good"]' is no quality
        450 x rejected column 'quality': '["Bad"]' is no quality
        110 x rejected column 'quality': '["Degraded"]' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":["WORD"]} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'quality': '["Bad"]' is no quality
        1 x rejected column 'quality': '["kaputt"]' is no quality
        -- {"signal":"a","time":1704153600,"value":1,"quality":["WORD"]} none
        1 x bad-import: the column 'quality' of t.jsonl has '["kaputt"]' (line 1), and no word that is a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- {"signal":"a","time":1704153600,"value":1,"quality":["WORD"]} codes
        1 x bad-import: the column 'quality' of t.jsonl has '["192"]' (line 1), and no word that is a quality. Write Good, Uncertain or Bad there, or give it another name: it is then left out
        -- {"time":1704153600,"a":1,"quality":{"name":"WORD"}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'quality': '{"name":"Good"}' is no quality
        450 x rejected column 'quality': '{"name":"Bad"}' is no quality
        110 x rejected column 'quality': '{"name":"Degraded"}' is no quality
        -- {"time":1704153600,"a":1,"quality":{"name":"WORD"}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'quality': '{"name":"Bad"}' is no quality
        1 x rejected column 'quality': '{"name":"kaputt"}' is no quality
        -- {"time":1704153600,"a":1,"quality":{"name":"WORD"}} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: quality holds no quality that is known, and its members are signals of their own
        2 x 2024-01-02T00:00:00Z p/a float 1
        2 x 2024-01-02T00:00:00Z p/quality/name text kaputt
        -- {"time":1704153600,"a":1,"quality":{"name":"WORD"}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        note: quality holds no quality that is known, and its members are signals of their own
        10 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/quality/name text 192
        3 x 2024-01-02T00:00:00Z p/quality/name text 0
        4 x 2024-01-02T00:00:00Z p/quality/name text Degraded
        -- {"time":1704153600,"a":1,"quality":["WORD"]} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'quality': '["Good"]' is no quality
        450 x rejected column 'quality': '["Bad"]' is no quality
        110 x rejected column 'quality': '["Degraded"]' is no quality
        -- {"time":1704153600,"a":1,"quality":["WORD"]} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'quality': '["Bad"]' is no quality
        1 x rejected column 'quality': '["kaputt"]' is no quality
        -- {"time":1704153600,"a":1,"quality":["WORD"]} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: quality holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/a float 1
        2 x 2024-01-02T00:00:00Z p/quality json ["kaputt"]
        -- {"time":1704153600,"a":1,"quality":["WORD"]} codes
        JSON lines, UTF-8; times s since 1970 UTC
        note: quality holds no quality that is known, and is a signal of its own
        10 x 2024-01-02T00:00:00Z p/a float 1
        3 x 2024-01-02T00:00:00Z p/quality json ["192"]
        3 x 2024-01-02T00:00:00Z p/quality json ["0"]
        4 x 2024-01-02T00:00:00Z p/quality json ["Degraded"]
        -- {"time":1704153600,"m":{"value":1,"quality":{"name":"WORD"}}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'm/quality': '{"name":"Good"}' is no quality
        450 x rejected column 'm/quality': '{"name":"Bad"}' is no quality
        110 x rejected column 'm/quality': '{"name":"Degraded"}' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":{"name":"WORD"}}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'm/quality': '{"name":"Bad"}' is no quality
        1 x rejected column 'm/quality': '{"name":"kaputt"}' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":{"name":"WORD"}}} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/quality holds no quality that is known, and its members are signals of their own
        2 x 2024-01-02T00:00:00Z p/m/value float 1
        2 x 2024-01-02T00:00:00Z p/m/quality/name text kaputt
        -- {"time":1704153600,"m":{"value":1,"quality":{"name":"WORD"}}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/quality holds no quality that is known, and its members are signals of their own
        10 x 2024-01-02T00:00:00Z p/m/value float 1
        3 x 2024-01-02T00:00:00Z p/m/quality/name text 192
        3 x 2024-01-02T00:00:00Z p/m/quality/name text 0
        4 x 2024-01-02T00:00:00Z p/m/quality/name text Degraded
        -- {"time":1704153600,"m":{"value":1,"quality":["WORD"]}} many
        JSON lines, UTF-8; times s since 1970 UTC
        440 x rejected column 'm/quality': '["Good"]' is no quality
        450 x rejected column 'm/quality': '["Bad"]' is no quality
        110 x rejected column 'm/quality': '["Degraded"]' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":["WORD"]}} few
        JSON lines, UTF-8; times s since 1970 UTC
        1 x rejected column 'm/quality': '["Bad"]' is no quality
        1 x rejected column 'm/quality': '["kaputt"]' is no quality
        -- {"time":1704153600,"m":{"value":1,"quality":["WORD"]}} none
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/quality holds no quality that is known, and is a signal of its own
        2 x 2024-01-02T00:00:00Z p/m/value float 1
        2 x 2024-01-02T00:00:00Z p/m/quality json ["kaputt"]
        -- {"time":1704153600,"m":{"value":1,"quality":["WORD"]}} codes
        JSON lines, UTF-8; times s since 1970 UTC
        note: m/quality holds no quality that is known, and is a signal of its own
        10 x 2024-01-02T00:00:00Z p/m/value float 1
        3 x 2024-01-02T00:00:00Z p/m/quality json ["192"]
        3 x 2024-01-02T00:00:00Z p/m/quality json ["0"]
        4 x 2024-01-02T00:00:00Z p/m/quality json ["Degraded"]
    "#]].assert_eq(&all);
}

/// OPC DA's qualities have 16 bits, of which the upper eight are the vendor's; codes of OPC UA are larger.
#[test]
fn the_bits_of_a_vendor_say_nothing() {
    let text = "time,a,quality\n1704153600,1,256\n1704153600,2,448\n1704153600,3,320\n1704153600,4,2147483648\n1704153600,5,65536\n";
    check(
        text,
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1 Bad
        2024-01-02T00:00:00Z p/a float 2
        2024-01-02T00:00:00Z p/a float 3 Uncertain
        2024-01-02T00:00:00Z p/a float 4 Bad
        2024-01-02T00:00:00Z p/a float 5 Good (0x00010000)
    "#]],
    );
}

#[test]
fn a_status_among_others_is_a_status() {
    let text = concat!(
        "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":\"Bad\"}\n",
        "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":[0]}\n",
        "{\"signal\":\"a\",\"time\":1704153600,\"value\":1,\"quality\":{\"code\":0},\"more\":{\"x\":1,\"y\":{\"z\":2}}}\n",
    );
    expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        note: more is left out
        1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        1 x rejected column 'quality': '[0]' is no quality
        1 x rejected column 'quality': '{"code":0}' is no quality
    "#]]
    .assert_eq(&summed("t.jsonl", text));
    // A device that tells of itself tells of no value.
    let text = "{\"time\":1704153600,\"a\":1,\"status\":{\"rssi\":-60,\"state\":\"error\"},\"wine\":{\"quality\":\"Good\"}}\n";
    expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        note: status holds no quality that is known, and its members are signals of their own
        1 x 2024-01-02T00:00:00Z p/a float 1
        1 x 2024-01-02T00:00:00Z p/status/rssi float -60
        1 x 2024-01-02T00:00:00Z p/status/state text error
        1 x 2024-01-02T00:00:00Z p/wine/quality text Good
    "#]]
    .assert_eq(&summed("t.jsonl", text));
    expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: time, s since 1970 UTC
        p/a: a, numbers with decimal point
        p/door_status: door_status, text
        2 x 2024-01-02T00:00:00Z p/a float 1
        1 x 2024-01-02T00:00:00Z p/door_status text ok
        1 x 2024-01-02T00:00:00Z p/door_status text open
    "#]]
    .assert_eq(&summed("t.csv", "time,a,door_status\n1704153600,1,ok\n1704153600,1,open\n"));
    expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: time, s since 1970 UTC
        p/a: a, numbers with decimal point
        p/signal_quality: signal_quality, numbers with decimal point
        2 x 2024-01-02T00:00:00Z p/a float 1
        1 x 2024-01-02T00:00:00Z p/signal_quality float 97.5
        1 x 2024-01-02T00:00:00Z p/signal_quality float 98
    "#]]
    .assert_eq(&summed("t.csv", "time,a,signal_quality\n1704153600,1,97.5\n1704153600,1,98\n"));
}

#[test]
fn of_two_columns_with_one_name_either_could_be_meant() {
    for (head, row, expected) in [
        (
            "tag,time,value,value",
            "a,1704153600,1,2",
            expect![[r#"
            1 x bad-import: the column 'value' of t.csv has the name of another, 'value'. Either could be meant: rename one, or say which with --value and its number
        "#]],
        ),
        (
            "tag,time,Value,value",
            "a,1704153600,1,2",
            expect![[r#"
            1 x bad-import: the column 'value' of t.csv has the name of another, 'Value'. Either could be meant: rename one, or say which with --value and its number
        "#]],
        ),
        (
            "tag,time,value,reading",
            "a,1704153600,1,2",
            expect![[r#"
            CSV, UTF-8, separated by ',', header in line 1
            time: time, s since 1970 UTC
            one value a row: signal tag, value value; values by their form, decimal point
            note: reading is left out
            1 x 2024-01-02T00:00:00Z p/a float 1
        "#]],
        ),
        (
            "tag,time,value,quality,quality",
            "a,1704153600,1,Good,Bad",
            expect![[r#"
            1 x bad-import: the column 'quality' of t.csv has qualities, and so has 'quality'. Give the one that does not count another name: it is then left out
        "#]],
        ),
        (
            "tag,time,value,quality,status",
            "a,1704153600,1,Good,Bad",
            expect![[r#"
            1 x bad-import: the column 'status' of t.csv has qualities, and so has 'quality'. Give the one that does not count another name: it is then left out
        "#]],
        ),
        (
            "tag,time,value,quality,status",
            "a,1704153600,1,,Bad",
            expect![[r#"
            CSV, UTF-8, separated by ',', header in line 1
            time: time, s since 1970 UTC
            one value a row: signal tag, value value, quality status; values by their form, decimal point
            note: quality is left out
            1 x 2024-01-02T00:00:00Z p/a float 1 Bad
        "#]],
        ),
    ] {
        expected.assert_eq(&summed("t.csv", &format!("{head}\n{row}\n")));
    }
}

#[test]
fn a_member_without_a_name_is_no_other() {
    let text = "{\"time\":1704153600,\"b\":{\"\":5,\"c\":1},\"\":{\"d\":1},\"\\u0020\":2}\n";
    expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        1 x 2024-01-02T00:00:00Z p/b/c float 1
        1 x 2024-01-02T00:00:00Z p/%20 float 2
        1 x rejected column 'b/': there is no name; column '/d': there is no name
    "#]]
    .assert_eq(&summed("t.jsonl", text));
}
