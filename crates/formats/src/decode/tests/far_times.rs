//! Times of 96 bits: those that nanoseconds hold are kept to the last of them, and no other becomes one of them.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// Julian days, by the calendar: of 1970-01-01, of 9999-12-31 and of 0001-01-01.
const DAY_1970: u32 = 2_440_588;
const DAY_9999: u32 = 5_373_484;
const DAY_0001: u32 = 1_721_426;

/// A file of one signal with a row for each Julian day and count of nanoseconds in it.
fn with_times(days: &[(u32, u64)]) -> Bytes {
    let schema = "message m { required binary signal (UTF8); required int96 time; required double value; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut body = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut body, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let names = vec![ByteArray::from("s"); days.len()];
    column.typed::<ByteArrayType>().write_batch(&names, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let time = |(day, nanos): &(u32, u64)| {
        let (low, high) = ((nanos & 0xFFFF_FFFF) as u32, (nanos >> 32) as u32);
        let mut time = Int96::new();
        time.set_data(low, high, *day);
        time
    };
    let times: Vec<Int96> = days.iter().map(time).collect();
    column.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&vec![1.5; days.len()], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    body.into()
}

#[test]
fn times_of_96_bits_are_kept_to_the_nanosecond_or_refused() {
    let last_ns = 86_399_999_999_999;
    let kept =
        show(Format::Parquet, with_times(&[(DAY_1970, 0), (DAY_1970 + 1, 1), (DAY_1970 - 1, last_ns)]));
    let all = ["s 0 Float(1.5) Good", "s 86400000000001 Float(1.5) Good", "s -1 Float(1.5) Good"];
    assert_eq!(kept.lines().collect::<Vec<_>>(), all);
    let outside = "the time lies outside the years 1677 to 2262 that nanoseconds in 64 bits can hold";
    for day in [DAY_9999, DAY_0001] {
        let shown = show(Format::Parquet, with_times(&[(DAY_1970, 2_000), (day, 0)]));
        assert!(shown.contains(outside) && shown.contains("bad-time"), "{shown}");
        // Of such a file microseconds alone are read: what is finer would be cut.
        let shown = show(Format::Parquet, with_times(&[(DAY_1970, 1), (day, 0)]));
        assert!(shown.contains(outside) && shown.contains("bad-time"), "{shown}");
    }
    let shown = show(Format::Parquet, with_times(&[(u32::MAX >> 1, 0)]));
    assert!(shown.contains(outside), "{shown}");
}

/// In a file the rows with such times are set aside, and the others go in.
#[test]
fn rows_of_a_file_whose_time_is_too_far_are_set_aside() {
    let mut kept = tempfile::tempfile().unwrap();
    kept.write_all(&with_times(&[(DAY_1970, 2_000), (DAY_9999, 0), (DAY_1970, 5_000)])).unwrap();
    kept.rewind().unwrap();
    let mut columns = ColumnFile::open(kept, Naming::default()).unwrap();
    let mut part = columns.next_part().unwrap().unwrap();
    let untimed = part.localize(&mut |_, shown| Ok(shown)).unwrap();
    assert_eq!(untimed.iter().map(|untimed| untimed.row).collect::<Vec<_>>(), [1]);
    let mut sink = Kept::default();
    decode(Format::Arrow, part.body(0, part.len()).unwrap(), &mut sink).unwrap();
    assert_eq!(sink.0, ["s 2000 Float(1.5) Good", "s 5000 Float(1.5) Good"]);
}
