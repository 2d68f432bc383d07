//! Tables below several rows of names, units and types: loggers of Campbell Scientific, and ClickHouse. Counts and sums were
//! added up by hand.

use expect_test::expect;

use super::*;

const LOGGER: &str = include_str!("fixtures/cr1000.dat");
const CLICKHOUSE: &str = include_str!("fixtures/clickhouse.csv");

/// Per signal: its unit, how many values are numbers, their sum, and how many are missing or texts.
fn summed(name: &str, text: &str) -> (String, usize) {
    let mut reader = open_bytes(name, text.as_bytes(), &prefix("p")).unwrap();
    let (mut out, mut rejected) = (std::collections::BTreeMap::new(), 0);
    while let Some(Part::Samples(batch)) = reader.next_part().unwrap() {
        rejected += batch.rejects.len();
        for sample in batch.samples {
            let signal = &reader.signals()[sample.signal as usize];
            let all: &mut (usize, f64, usize) =
                out.entry((signal.path.to_string(), signal.unit.clone())).or_default();
            match sample.value {
                tidemill_core::Value::Float(number) => (all.0, all.1) = (all.0 + 1, all.1 + number),
                _ => all.2 += 1,
            }
        }
    }
    let mut shown = String::new();
    for ((path, unit), (numbers, sum, others)) in out {
        writeln!(shown, "{path} [{unit}] {numbers} numbers, {sum:.2}; {others} others").unwrap();
    }
    (shown, rejected)
}

#[test]
fn tables_of_campbells_loggers() {
    let (all, rejected) = summed("cr1000.dat", LOGGER);
    expect![[r#"
        p/AirTC_Avg [Deg C] 3 numbers, 22.50; 1 others
        p/BattV_Min [Volts] 4 numbers, 50.24; 0 others
        p/Mode [] 0 numbers, 0.00; 4 others
        p/Rain_mm_Tot [mm] 4 numbers, 1.60; 0 others
        p/SoilT(1) [Deg C] 3 numbers, 30.25; 1 others
        p/SoilT(2) [Deg C] 3 numbers, 32.75; 0 others
    "#]]
    .assert_eq(&all);
    assert_eq!(rejected, 0);
    check_plan(
        LOGGER,
        expect![[r#"
            CSV, UTF-8, separated by ',', header in line 2
            time: TIMESTAMP, Europe/Berlin where no offset is given
            p/BattV_Min: BattV_Min, numbers with decimal point, in Volts
            p/AirTC_Avg: AirTC_Avg, numbers with decimal point, in Deg C
            p/SoilT(1): SoilT(1), numbers with decimal point, in Deg C
            p/SoilT(2): SoilT(2), numbers with decimal point, in Deg C
            p/Rain_mm_Tot: Rain_mm_Tot, numbers with decimal point, in mm
            p/Mode: Mode, text
            note: RECORD counts the rows, and is left out
        "#]],
    );
    // Put together, and of another table behind it.
    let twice = format!("{LOGGER}{LOGGER}");
    let (_, rejected) = summed("t.dat", &twice);
    assert_eq!(rejected, 0);
    let other = format!("{LOGGER}{}", LOGGER.replace("AirTC_Avg", "RH"));
    check_plan(
        &other,
        expect![
            "bad-import: t.csv holds more than one table: in line 10 another begins below a header of its own. Cut it into one file for each header, and import each"
        ],
    );
    // Narrower and wider than its first line, and one that holds nothing yet.
    let narrow = "\"TOA5\",\"a\",\"CR6\",\"7\",\"o\",\"p\",\"1\",\"T\"\n\"TIMESTAMP\",\"RECORD\",\"T_C\"\n\"TS\",\"RN\",\"\"\n\"\",\"\",\"Smp\"\n";
    check(
        &format!("{narrow}\"2024-05-01 00:00:00\",0,\"x\"\n\"2024-05-01 00:00:01\",1,2\n"),
        expect![[r#"
        2024-04-30T22:00:00Z p/T_C text x
        2024-04-30T22:00:01Z p/T_C float 2
    "#]],
    );
    assert!(summed("t.dat", narrow).0.is_empty());
    // What could not be read comes in below the whole head.
    let bad = LOGGER.replace("0.2,\"rain\"", "0.2,\"rain\",9");
    let mut reader = open_bytes("t.dat", bad.as_bytes(), &prefix("p")).unwrap();
    let mut list = format!("{}\n", reader.rejected_head().unwrap()).into_bytes();
    while let Some(Part::Samples(batch)) = reader.next_part().unwrap() {
        batch.rejects.iter().for_each(|reject| reject.write(&mut list));
    }
    let list = String::from_utf8(list).unwrap().replace("\"rain\",9", "\"rain\"");
    expect![[r#"
        p/AirTC_Avg [Deg C] 1 numbers, 7.75; 0 others
        p/BattV_Min [Volts] 1 numbers, 12.58; 0 others
        p/Mode [] 0 numbers, 0.00; 1 others
        p/Rain_mm_Tot [mm] 1 numbers, 0.20; 0 others
        p/SoilT(1) [Deg C] 0 numbers, 0.00; 1 others
        p/SoilT(2) [Deg C] 1 numbers, 11.00; 0 others
    "#]]
    .assert_eq(&summed("t.dat", &list).0);
}

/// Rows of units are of the header: they stand in the list of rejects, and again where files were put together.
#[test]
fn rows_of_units_stand_with_their_header() {
    let text = "time,a,b\n,°C,bar\n2024-01-02 03:04:05,1,2\n2024-01-02 03:04:06,1,2,3\n";
    let reader = open_bytes("t.csv", text.as_bytes(), &prefix("p")).unwrap();
    assert_eq!(reader.rejected_head(), Some("time,a,b\n,°C,bar"));
    assert_eq!(
        summed("t.csv", &format!("{text}{text}")),
        ("p/a [°C] 2 numbers, 2.00; 0 others\np/b [bar] 2 numbers, 4.00; 0 others\n".to_owned(), 2)
    );
}

#[test]
fn rows_of_types_below_a_header() {
    check(
        CLICKHOUSE,
        expect![[r#"
            2024-05-01T00:00:00Z p/temp float 20.5
            2024-05-01T00:00:00Z p/pressure float 1000
            2024-05-01T00:00:00Z p/state boolean true
            2024-05-01T00:00:01.500Z p/temp none - Bad_NoData
            2024-05-01T00:00:01.500Z p/pressure float 1001
            2024-05-01T00:00:01.500Z p/state boolean false
            2024-05-01T00:00:02Z p/temp float 21
            2024-05-01T00:00:02Z p/pressure float 1003
            2024-05-01T00:00:02Z p/state boolean true
        "#]],
    );
    let tabs = "ts\ttemp\nDateTime(\\'America/New_York\\')\tNullable(Decimal(9, 2))\n2024-05-01 00:00:00\t20.5\n2024-05-01 00:00:01\t\\N\n";
    check(
        tabs,
        expect![[r#"
        2024-05-01T04:00:00Z p/temp float 20.5
        2024-05-01T04:00:01Z p/temp none - Bad_NoData
    "#]],
    );
    // In a zone that nobody knows, and with a word that is no type.
    check(
        &CLICKHOUSE.replace("UTC", "Mars/Base"),
        expect![[r#"
        bad-import: the column 'ts' of t.csv has times in Mars/Base, as its type says, and no such zone is known. Say which with --timezone, such as America/New_York
    "#]],
    );
    check(
        &CLICKHOUSE.replace("Int32", "Number"),
        expect![[r#"
        bad-import: t.csv holds more than one table: in line 2 another begins below a header of its own. Cut it into one file for each header, and import each
    "#]],
    );
    // Without a zone they are the plant's, and what stands twice is one table.
    let plain = CLICKHOUSE.replace("64(3, 'UTC')", "");
    assert!(
        shown("t.csv", plain.as_bytes(), &prefix("p"))
            .starts_with("2024-04-30T22:00:00Z p/temp float 20.5\n")
    );
    assert_eq!(summed("t.csv", &format!("{CLICKHOUSE}{CLICKHOUSE}")).1, 0);
    // Types within types are looked at in no deeper stack.
    let deep = format!(
        "time,a\n{}String{},Int8\n2024-05-01 00:00:00,1\n",
        "Nullable(".repeat(50_000),
        ")".repeat(50_000)
    );
    assert_eq!(summed("t.csv", &deep), ("p/a [] 1 numbers, 1.00; 0 others\n".to_owned(), 0));
}
