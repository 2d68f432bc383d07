//! Writers of CSV and their habits: separators, quotes, encodings, headers, kinds of values, absence.

use expect_test::expect;

use super::*;

#[test]
fn separators() {
    check(
        "time,a,b\n2024-01-02T00:00:00Z,1,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "time;a;b\n2024-01-02T00:00:00Z;1;2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "time\ta\tb\n2024-01-02T00:00:00Z\t1\t2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "time|a|b\n2024-01-02T00:00:00Z|1|2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "sep=;\r\ntime;a\r\n2024-01-02T00:00:00Z;1\r\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
    "#]],
    );
    check(
        "time, a, b\n2024-01-02T00:00:00Z, 1, 2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "time;note\n2024-01-02T00:00:00Z;a,b,c\n2024-01-02T00:00:01Z;d,e,f\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/note text a,b,c
        2024-01-02T00:00:01Z p/note text d,e,f
    "#]],
    );
}

#[test]
fn an_excel_export_in_german() {
    let text = "Datum;Temperatur (°C);Druck [bar];Läuft\r\n01.02.2024 06:00;1.021,5;0,25;WAHR\r\n01.02.2024 06:05;20,75;;FALSCH\r\n";
    let latin = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    check_with(
        "Ofen 3.csv",
        &latin,
        &options(),
        expect![[r#"
        2024-02-01T05:00:00Z Ofen 3/Temperatur float 1021.5 °C
        2024-02-01T05:00:00Z Ofen 3/Druck float 0.25 bar
        2024-02-01T05:00:00Z Ofen 3/Läuft boolean true
        2024-02-01T05:05:00Z Ofen 3/Temperatur float 20.75 °C
        2024-02-01T05:05:00Z Ofen 3/Läuft boolean false
    "#]],
    );
    check_plan(
        text,
        expect![[r#"
        CSV, UTF-8, separated by ';', header in line 1
        time: Datum, Europe/Berlin where no offset is given
        p/Temperatur: Temperatur (°C), numbers with decimal comma, in °C
        p/Druck: Druck [bar], numbers with decimal comma, in bar
        p/Läuft: Läuft, true or false
    "#]],
    );
}

#[test]
fn encodings() {
    let text = "Zeit;Größe\n2024-01-02 00:00;1,5\n";
    let utf16 = |little: bool| {
        let mark = if little { [0xFF, 0xFE] } else { [0xFE, 0xFF] };
        let bytes =
            text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() });
        mark.into_iter().chain(bytes).collect::<Vec<u8>>()
    };
    let expected = "2024-01-01T23:00:00Z p/Größe float 1.5\n";
    let latin = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    for bytes in
        [text.as_bytes().to_vec(), marked, latin, utf16(true), utf16(false), utf16(true)[2..].to_vec()]
    {
        assert_eq!(shown("t.csv", &bytes, &prefix("p")), expected);
    }
    // Only ASCII at first: a later line may be Windows-1252.
    let rows = "2024-01-02 00:00,plain\n".repeat(60_000);
    let late = [b"time,note\n", rows.as_bytes(), b"2024-01-03 00:00,M\xFCller\n"].concat();
    assert!(shown("t.csv", &late, &prefix("p")).ends_with("2024-01-02T23:00:00Z p/note text Müller\n"));
    // A file that is UTF-8 elsewhere has a damaged line.
    let damaged = "Zeit,Größe\n2024-01-02 00:00,1\n2024-01-02 00:01,\u{1}2\n".replace('\u{1}', "");
    let rows = "2024-01-02 00:00,1\n".repeat(60_000);
    let damaged = [damaged.as_bytes(), rows.as_bytes(), b"2024-01-02 00:01,\xFC\n"].concat();
    assert!(
        shown("t.csv", &damaged, &prefix("p"))
            .ends_with("rejected line 60004: the line is not UTF-8, as the others are\n")
    );
}

#[test]
fn quotes() {
    check(
        "time,\"a,b\"\n\"2024-01-02T00:00:00Z\",\"1\"\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a,b float 1
    "#]],
    );
    check(
        "time,note,x\n2024-01-02T00:00:00Z,\"two\nlines, \"\"quoted\"\"\",1\n2024-01-02T00:00:01Z,one,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/note text two
        lines, "quoted"
        2024-01-02T00:00:00Z p/x float 1
        2024-01-02T00:00:01Z p/note text one
        2024-01-02T00:00:01Z p/x float 2
    "#]],
    );
    check(
        "time,size\n2024-01-02T00:00:00Z,5\" disk\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/size text 5" disk
    "#]],
    );
    check(
        "time,note\n2024-01-02T00:00:00Z,\"open\n2024-01-02T00:00:01Z,fine\n",
        expect![[r#"
        2024-01-02T00:00:01Z p/note text fine
        rejected line 2: a quote is opened and not closed
    "#]],
    );
    check(
        "time,a\n2024-01-02T00:00:00Z,\"1,234.5\"\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1234.5
    "#]],
    );
}

#[test]
fn line_ends() {
    check(
        "time,a\r\n2024-01-02T00:00:00Z,1\r\n\r\n2024-01-02T00:00:01Z,2",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    check(
        "time,a\r2024-01-02T00:00:00Z,1\r2024-01-02T00:00:01Z,2\r",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    check(
        "time;a;b\n2024-01-02T00:00:00Z;1;2\n;;\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
}

#[test]
fn ragged_rows() {
    check(
        "time,a,b\n2024-01-02T00:00:00Z,1,2\n2024-01-02T00:00:01Z,1\n2024-01-02T00:00:02Z,1,2,3\n2024-01-02T00:00:03Z,1,2,\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/b float 2
        2024-01-02T00:00:03Z p/a float 1
        2024-01-02T00:00:03Z p/b float 2
        rejected line 3: the row has 2 fields, and 3 are needed
        rejected line 4: the row has 4 fields, and the table 3
    "#]],
    );
    // A separator at the end of each row, or of the header.
    check(
        "time;a\n2024-01-02T00:00:00Z;1;\n2024-01-02T00:00:01Z;2;\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    check(
        "time;a;\n2024-01-02T00:00:00Z;1\n2024-01-02T00:00:01Z;2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    // A header that lacks a name would give every column its neighbour's.
    check(
        "time,a\n2024-01-02T00:00:00Z,1,2\n2024-01-02T00:00:01Z,2,3\n",
        expect![[r#"
            bad-import: the header of t.csv has 2 fields, its rows have 3. Mend the header so that each column has one name; where numbers have decimal commas, separate the columns by ';'
        "#]],
    );
    check(
        "time,temp,press\n2024-01-02 00:00:00,21,5,1013,25\n2024-01-02 00:00:01,21,6,1013,20\n",
        expect![[r#"
            bad-import: the header of t.csv has 3 fields, its rows have 5. Mend the header so that each column has one name; where numbers have decimal commas, separate the columns by ';'
        "#]],
    );
}

#[test]
fn headers() {
    check(
        "time,a,a,A\n2024-01-02T00:00:00Z,1,2,3\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:00Z p/a 2 float 2
        2024-01-02T00:00:00Z p/A float 3
    "#]],
    );
    check(
        "time,T (°C),T (°F),T [K]\n2024-01-02T00:00:00Z,1,2,3\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/T (°C) float 1 °C
        2024-01-02T00:00:00Z p/T (°F) float 2 °F
        2024-01-02T00:00:00Z p/T [K] float 3 K
    "#]],
    );
    check(
        "time,line 1/temp,#2,$x,50%,a+b\n2024-01-02T00:00:00Z,1,2,3,4,5\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/line 1%2Ftemp float 1
        2024-01-02T00:00:00Z p/%232 float 2
        2024-01-02T00:00:00Z p/%24x float 3
        2024-01-02T00:00:00Z p/50%25 float 4
        2024-01-02T00:00:00Z p/a%2Bb float 5
    "#]],
    );
    check(
        "#time,a\n2024-01-02T00:00:00Z,1\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
    "#]],
    );
    check(
        "Zeit;101;102\n2024-01-02T00:00:00Z;1;2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/101 float 1
        2024-01-02T00:00:00Z p/102 float 2
    "#]],
    );
    check(
        "Device: X7\nSerial;4711\n\nTime;Flow;Temp\n2024-01-02T00:00:00Z;1;2\n2024-01-02T00:00:01Z;3;4\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/Flow float 1
        2024-01-02T00:00:00Z p/Temp float 2
        2024-01-02T00:00:01Z p/Flow float 3
        2024-01-02T00:00:01Z p/Temp float 4
    "#]],
    );
    check(
        "Time;Flow;Temp\n;l/min;°C\n2024-01-02T00:00:00Z;1;2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/Flow float 1 l/min
        2024-01-02T00:00:00Z p/Temp float 2 °C
    "#]],
    );
    check(
        ",time,a\n0,2024-01-02T00:00:00Z,1\n1,2024-01-02T00:00:01Z,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    check(
        "time,a\n2024-01-02T00:00:00Z,1\ntime,a\n2024-01-02T00:00:01Z,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
    "#]],
    );
    check(
        "time,,b\n2024-01-02T00:00:00Z,1,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/column 2 float 1
        2024-01-02T00:00:00Z p/b float 2
    "#]],
    );
    check(
        "time,value\n2024-01-02T00:00:00Z,1\n",
        expect![[r#"
        2024-01-02T00:00:00Z p float 1
    "#]],
    );
}

#[test]
fn no_header() {
    check(
        "2024-01-02T00:00:00Z,1,2\n2024-01-02T00:00:01Z,3,4\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/column 2 float 1
        2024-01-02T00:00:00Z p/column 3 float 2
        2024-01-02T00:00:01Z p/column 2 float 3
        2024-01-02T00:00:01Z p/column 3 float 4
    "#]],
    );
    check(
        "1704153600,1\n1704153601,2\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/column 2 float 1
        2024-01-02T00:00:01Z p/column 2 float 2
    "#]],
    );
    check_with(
        "t.csv",
        b"2024-01-02T00:00:00Z;1,5\n",
        &signal("acme/x"),
        expect![[r#"
        2024-01-02T00:00:00Z acme/x float 1.5
    "#]],
    );
}

#[test]
fn units() {
    check(
        "time,Temp (°C),Level [%],Valve (left),Flow / m³/h,Speed [furlong/h],Depth in mm\n2024-01-02T00:00:00Z,1,2,3,4,5,6\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/Temp float 1 °C
        2024-01-02T00:00:00Z p/Level float 2 %
        2024-01-02T00:00:00Z p/Valve (left) float 3
        2024-01-02T00:00:00Z p/Flow float 4 m³/h
        2024-01-02T00:00:00Z p/Speed float 5 furlong/h
        2024-01-02T00:00:00Z p/Depth float 6 mm
    "#]],
    );
}

#[test]
fn kinds() {
    check(
        "time,a,b,c\n2024-01-02T00:00:00Z,10844,true,idle\n2024-01-02T00:00:01Z,1e3,FALSE,12\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 10844
        2024-01-02T00:00:00Z p/b boolean true
        2024-01-02T00:00:00Z p/c text idle
        2024-01-02T00:00:01Z p/a float 1000
        2024-01-02T00:00:01Z p/b boolean false
        2024-01-02T00:00:01Z p/c float 12
    "#]],
    );
    check(
        "time,a\n2024-01-02T00:00:00Z,1\n2024-01-02T00:00:01Z,2\n2024-01-02T00:00:02Z,x2\n2024-01-02T00:00:03Z,inf\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1
        2024-01-02T00:00:01Z p/a float 2
        2024-01-02T00:00:02Z p/a text x2
        rejected line 5, column 'a': 'inf' is no finite number
    "#]],
    );
    check(
        "time,a\n2024-01-02T00:00:00Z,-0.0\n2024-01-02T00:00:01Z,\u{2212}2\n2024-01-02T00:00:02Z,.5\n2024-01-02T00:00:03Z,+1E-3\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float -0
        2024-01-02T00:00:01Z p/a float -2
        2024-01-02T00:00:02Z p/a float 0.5
        2024-01-02T00:00:03Z p/a float 0.001
    "#]],
    );
}

#[test]
fn absence() {
    check(
        "time,a,b\n2024-01-02T00:00:00Z,,1\n2024-01-02T00:00:01Z,NaN,NULL\n2024-01-02T00:00:02Z,Bad,No Data\n2024-01-02T00:00:03Z,I/O Timeout,-\n2024-01-02T00:00:04Z,2,#DIV/0!\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/b float 1
        2024-01-02T00:00:01Z p/a none - Bad_NoData
        2024-01-02T00:00:01Z p/b none - Bad_NoData
        2024-01-02T00:00:02Z p/a none - Bad
        2024-01-02T00:00:02Z p/b none - Bad_NoData
        2024-01-02T00:00:03Z p/a none - Bad_Timeout
        2024-01-02T00:00:03Z p/b none - Bad_NoData
        2024-01-02T00:00:04Z p/a float 2
        2024-01-02T00:00:04Z p/b none - Bad
    "#]],
    );
    // In a column of text a dash is a text; NaN is none.
    check(
        "time,a\n2024-01-02T00:00:00Z,run\n2024-01-02T00:00:01Z,-\n2024-01-02T00:00:02Z,nan\n2024-01-02T00:00:03Z,error\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a text run
        2024-01-02T00:00:01Z p/a text -
        2024-01-02T00:00:02Z p/a none - Bad_NoData
        2024-01-02T00:00:03Z p/a text error
    "#]],
    );
}

#[test]
fn decimal_marks() {
    check(
        "time;a\n2024-01-02T00:00:00Z;1,5\n2024-01-02T00:00:01Z;1.234\n2024-01-02T00:00:02Z;1.234,5\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1.5
        2024-01-02T00:00:01Z p/a float 1234
        2024-01-02T00:00:02Z p/a float 1234.5
    "#]],
    );
    check(
        "time;a;b\n2024-01-02T00:00:00Z;0,125;1,234\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 0.125
        2024-01-02T00:00:00Z p/b float 1.234
    "#]],
    );
    check(
        "time;a\n2024-01-02T00:00:00Z;1.234\n",
        expect![[r#"
            bad-import: '1.234' in t.csv (line 2, column 'a') may be 1234 (thousands) or 1.234 (decimal point), and no row of the file decides it. Say which with --decimal comma or --decimal point
        "#]],
    );
    check(
        "time;a\n2024-01-02T00:00:00Z;1'234.5\n2024-01-02T00:00:01Z;1 234.5\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1234.5
        2024-01-02T00:00:01Z p/a float 1234.5
    "#]],
    );
    check(
        "time;a\n2024-01-02T00:00:00Z;1,5\n2024-01-02T00:00:01Z;1.5\n",
        expect![[r#"
        2024-01-02T00:00:01Z p/a float 1.5
        rejected line 2, column 'a': '1,5' is no finite number
    "#]],
    );
    check(
        "time;a\n2024-01-02T00:00:00Z;1013,250\n2024-01-02T00:00:01Z;1,250\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/a float 1013.25
        2024-01-02T00:00:01Z p/a float 1.25
    "#]],
    );
}

#[test]
fn status_columns() {
    check(
        "time,value,quality\n2024-01-02T00:00:00Z,1,192\n2024-01-02T00:00:01Z,2,0\n2024-01-02T00:00:02Z,,0\n2024-01-02T00:00:03Z,4,fine\n",
        expect![[r#"
        2024-01-02T00:00:00Z p float 1
        2024-01-02T00:00:01Z p float 2 Bad
        2024-01-02T00:00:02Z p none - Bad
        rejected line 5, column 'quality': 'fine' is no quality
    "#]],
    );
    check(
        "time,value,quality\n2024-01-02T00:00:00Z,1,Good\n2024-01-02T00:00:01Z,2,Uncertain_LastUsableValue\n2024-01-02T00:00:02Z,,Bad_NoCommunication\n",
        expect![[r#"
        2024-01-02T00:00:00Z p float 1
        2024-01-02T00:00:01Z p float 2 Uncertain_LastUsableValue
        2024-01-02T00:00:02Z p none - Bad_NoCommunication
    "#]],
    );
    check(
        "time,value,status\n2024-01-02T00:00:00Z,1,0\n2024-01-02T00:00:01Z,2,-254\n",
        expect![[r#"
        2024-01-02T00:00:00Z p float 1
        2024-01-02T00:00:01Z p float 2 Bad
    "#]],
    );
    check(
        "time,T,T_status,P,P_status\n2024-01-02T00:00:00Z,1,Good,2,Bad\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/T float 1
        2024-01-02T00:00:00Z p/P float 2 Bad
    "#]],
    );
    check(
        "time;T;Status;P;Status\n2024-01-02T00:00:00Z;1;Bad;2;Good\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/T float 1 Bad
        2024-01-02T00:00:00Z p/P float 2
    "#]],
    );
    // Called status, and none: a machine's state.
    check(
        "time,status\n2024-01-02T00:00:00Z,running\n2024-01-02T00:00:01Z,idle\n",
        expect![[r#"
        2024-01-02T00:00:00Z p/status text running
        2024-01-02T00:00:01Z p/status text idle
    "#]],
    );
}

#[test]
fn one_row_a_sample() {
    check_with("pi.csv", b"tag;time;value;status\nU1.TI-101.PV;01-Mar-24 06:00:00;20.5;Good\nU1.TI-101.PV;01-Mar-24 06:01:00;I/O Timeout;Bad\nU1.XS-7;01-Mar-24 06:00:00;Open;Good\n", &options(), expect![[r#"
        2024-03-01T05:00:00Z U1.TI-101.PV float 20.5
        2024-03-01T05:01:00Z U1.TI-101.PV none - Bad_Timeout
        2024-03-01T05:00:00Z U1.XS-7 text Open
    "#]]);
    check_with(
        "pi.csv",
        b"U1.TI-101.PV,01-Mar-24 06:00:00,20.5\nU1.TI-102.PV,01-Mar-24 06:00:00,No Data\n",
        &prefix("acme/leeds"),
        expect![[r#"
        2024-03-01T05:00:00Z acme/leeds/U1.TI-101.PV float 20.5
        2024-03-01T05:00:00Z acme/leeds/U1.TI-102.PV none - Bad_NoData
    "#]],
    );
    check_with("own.csv", b"signal,time,value,kind,quality\nacme/a,2024-01-02T00:00:00.000000001Z,0.1,float,Good\nacme/a,2024-01-02T00:00:01Z,,none,Bad_NoCommunication\nacme/n,2024-01-02T00:00:01Z,9007199254740993,integer,Good\nacme/n,2024-01-02T00:00:02Z,18446744073709551615,unsigned,Good\nacme/b,2024-01-02T00:00:01Z,true,boolean,Good\nacme/t,2024-01-02T00:00:01Z,\" NaN \",text,Good\nacme/t,2024-01-02T00:00:02Z,,text,Good\nacme/j,2024-01-02T00:00:01Z,\"{\"\"a\"\":1}\",json,Good\nacme/x%2Fy,2024-01-02T00:00:01Z,0x00ff,bytes,Bad (0x80120000)\nacme/n,2024-01-02T00:00:03Z,1.5,integer,Good\n", &options(), expect![[r#"
        2024-01-02T00:00:00.000000001Z acme/a float 0.1
        2024-01-02T00:00:01Z acme/a none - Bad_NoCommunication
        2024-01-02T00:00:01Z acme/n integer 9007199254740993
        2024-01-02T00:00:02Z acme/n unsigned 18446744073709551615
        2024-01-02T00:00:01Z acme/b boolean true
        2024-01-02T00:00:01Z acme/t text  NaN 
        2024-01-02T00:00:02Z acme/t text 
        2024-01-02T00:00:01Z acme/j json {"a":1}
        2024-01-02T00:00:01Z acme/x%2Fy bytes 0x00ff Bad (0x80120000)
        rejected line 11, column 'value': '1.5' is no integer
    "#]]);
    check_with("wincc.csv", b"\"VarName\";\"TimeString\";\"VarValue\";\"Validity\";\"Time_ms\"\n\"Tank/Level\";\"16.05.2023 10:00:00\";12,5;1;45062416666,6\n\"Tank/Level\";\"16.05.2023 10:00:01\";12,6;1;45062416678,2\n", &options(), expect![[r#"
        2023-05-16T08:00:00Z Tank/Level float 12.5
        2023-05-16T08:00:01Z Tank/Level float 12.6
    "#]]);
    check_with(
        "n.csv",
        b"/site/a b//x,2024-01-02T00:00:00Z,1\nsite/+,2024-01-02T00:00:00Z,1\n,2024-01-02T00:00:00Z,1\n",
        &options(),
        expect![[r#"
        2024-01-02T00:00:00Z site/%2B float 1
        rejected line 1, column '1': 'site/a b//x' has an empty segment: remove the doubled, leading or trailing '/'
        rejected line 3, column '1': there is no name
    "#]],
    );
    check_with("n.csv", b"name,timestamp,value,unit,operator\na,2024-01-02T00:00:00Z,1,bar,Kim\nb,2024-01-02T00:00:00Z,on,,Kim\n", &options(), expect![[r#"
        2024-01-02T00:00:00Z a float 1 bar
        2024-01-02T00:00:00Z b boolean true
    "#]]);
}
