//! Workbooks as openpyxl and XlsxWriter write them, archives, and what is wrong with them.

use std::io::Read as _;

use expect_test::expect;

use super::*;

const OPENPYXL: &[u8] = include_bytes!("fixtures/openpyxl.xlsx");
const XLSXWRITER: &[u8] = include_bytes!("fixtures/xlsxwriter.xlsx");

fn sheet(bytes: &'static [u8], sheet: &str) -> String {
    let members = packed(&mut Cursor::new(bytes)).unwrap();
    assert!(is_workbook(&members));
    let book = Workbook::open(members, &mut || Ok(Cursor::new(bytes))).unwrap();
    assert!(book.sheets().any(|name| name == sheet));
    let mut text = String::new();
    book.rows(sheet, Cursor::new(bytes)).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn sheets_become_rows() {
    let text = sheet(OPENPYXL, "Messung");
    expect![[r#"
        "Ofen 3, Export"

        Zeit,Temperatur (°C),Druck [bar],Zustand,ok,Notiz
        2024-12-31T14:00:00,20.5,0,läuft,true,
        2024-12-31T14:01:00,21.5,#N/A,steht,false,"a ""b"", c"
        2024-12-31T14:02:00,22.5,,läuft,true,
        2024-12-31T14:03:00,23.5,3.75,steht,false,
        2024-12-31T14:04:00,24.5,5,läuft,true,
        2024-12-31T14:05:00,25.5,6.25,steht,false,
    "#]]
    .assert_eq(&text);
    check(
        &text,
        expect![[r#"
        2024-12-31T13:00:00Z p/Temperatur float 20.5 °C
        2024-12-31T13:00:00Z p/Druck float 0 bar
        2024-12-31T13:00:00Z p/Zustand text läuft
        2024-12-31T13:00:00Z p/ok boolean true
        2024-12-31T13:01:00Z p/Temperatur float 21.5 °C
        2024-12-31T13:01:00Z p/Druck none - bar Bad_NoData
        2024-12-31T13:01:00Z p/Zustand text steht
        2024-12-31T13:01:00Z p/ok boolean false
        2024-12-31T13:01:00Z p/Notiz text a "b", c
        2024-12-31T13:02:00Z p/Temperatur float 22.5 °C
        2024-12-31T13:02:00Z p/Zustand text läuft
        2024-12-31T13:02:00Z p/ok boolean true
        2024-12-31T13:03:00Z p/Temperatur float 23.5 °C
        2024-12-31T13:03:00Z p/Druck float 3.75 bar
        2024-12-31T13:03:00Z p/Zustand text steht
        2024-12-31T13:03:00Z p/ok boolean false
        2024-12-31T13:04:00Z p/Temperatur float 24.5 °C
        2024-12-31T13:04:00Z p/Druck float 5 bar
        2024-12-31T13:04:00Z p/Zustand text läuft
        2024-12-31T13:04:00Z p/ok boolean true
        2024-12-31T13:05:00Z p/Temperatur float 25.5 °C
        2024-12-31T13:05:00Z p/Druck float 6.25 bar
        2024-12-31T13:05:00Z p/Zustand text steht
        2024-12-31T13:05:00Z p/ok boolean false
    "#]],
    );
    expect![[r#"
        Datum,Wert
        2024-06-01T12:00:00.25,0.5
        2024-06-01T12:00:01.25,1.5
        2024-06-01T12:00:02.25,2.5
        2024-06-01T12:00:03.25,3.5
        2024-06-01T12:00:04.25,4.5
    "#]]
    .assert_eq(&sheet(XLSXWRITER, "Daten"));
}

/// A workbook and the CSV that Excel makes of it mean the same: per cent of a hundred, and what is elapsed in seconds.
#[test]
fn numbers_are_what_excel_shows() {
    const SHOWN: &[u8] = include_bytes!("fixtures/shown.xlsx");
    check(
        &sheet(SHOWN, "Anteile"),
        expect![[r#"
        2023-12-31T23:00:00Z p/Anteil float 12.5 %
        2023-12-31T23:00:00Z p/genau float 7 %
        2023-12-31T23:00:00Z p/Dauer float 129600 s
        2023-12-31T23:00:00Z p/in Prozent float 12.5
        2023-12-31T23:01:00Z p/Anteil float 50 %
        2023-12-31T23:01:00Z p/genau float 29 %
        2023-12-31T23:01:00Z p/Dauer float 21600 s
        2023-12-31T23:01:00Z p/in Prozent float 50
        2023-12-31T23:02:00Z p/Anteil float 100 %
        2023-12-31T23:02:00Z p/genau float 0.12345 %
        2023-12-31T23:02:00Z p/Dauer float 2656800 s
        2023-12-31T23:02:00Z p/in Prozent float 100
    "#]],
    );
    check(
        "Zeit;Anteil\n01.01.2024 00:00;12,5%\n01.01.2024 00:01;50%\n",
        expect![[r#"
        2023-12-31T23:00:00Z p/Anteil float 12.5 %
        2023-12-31T23:01:00Z p/Anteil float 50 %
    "#]],
    );
    // Hours beside dates are times of day, however they are shown.
    check(
        &sheet(SHOWN, "Stunden"),
        expect![[r#"
            2024-01-01T05:00:00Z p float 0
            2024-01-01T06:00:00Z p float 1
            2024-01-01T07:00:00Z p float 2
        "#]],
    );
}

/// Each byte of an archive changed: an error or other rows, and never more than that.
#[test]
fn damaged_workbooks_panic_nowhere() {
    for at in (0..XLSXWRITER.len()).step_by(7) {
        let mut bytes = XLSXWRITER.to_vec();
        bytes[at] ^= 0x55;
        exercise(&bytes);
        exercise(&XLSXWRITER[..at]);
    }
}

/// More comes out than the list says: it ends there, and does not fill the disk or the memory.
#[test]
fn an_archive_that_lies_is_found_out() {
    let members = packed(&mut Cursor::new(OPENPYXL)).unwrap();
    let styles = members.iter().find(|member| member.name == "xl/styles.xml").unwrap();
    let mut short = styles.clone();
    short.bytes = 100;
    let mut text = Vec::new();
    let error = short.open(Cursor::new(OPENPYXL)).unwrap().read_to_end(&mut text).unwrap_err();
    expect!["the archive is damaged: a file is longer than it says"].assert_eq(&error.to_string());
}

/// Writers are free in what they call the namespace of relations: `r:id`, `d3p1:id`.
#[test]
fn a_sheet_is_found_whatever_its_relation_is_called() {
    use super::super::xml::{Event, Xml};
    let sheet = |text: &str| match Xml::new(Cursor::new(text.to_owned())).next().unwrap() {
        Event::Open(tag) => tag.attribute_of_any("id").map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(sheet(r#"<x:sheet id="9" name="A" sheetId="1" d3p1:id="rId1"/>"#).as_deref(), Some("rId1"));
    assert_eq!(sheet(r#"<sheet name="A" sheetId="1" r:id="rId2"/>"#).as_deref(), Some("rId2"));
    assert_eq!(sheet(r#"<sheet name="A" id="1"/>"#), None);
}
