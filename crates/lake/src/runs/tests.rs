//! Chunks of runs as the library reads them, and what a file says of them, counted here.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, StringArray};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// A dice of its own, so that a failure is the same each time.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |sides| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    }
}

/// A file with a column of names and one of numbers that may be missing, in groups of rows.
fn file(names: &[String], numbers: &[Option<i64>], group: usize) -> Bytes {
    let schema =
        parse_message_type("message t { required binary name (UTF8); optional int64 number; }").unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).unwrap();
    let columns = writer.schema_descr().columns().to_vec();
    let mut compressor = Compressor::new(ZSTD_LEVEL).unwrap();
    let (mut name, mut number) = (Runs::default(), Runs::default());
    name.extend(names.iter().cloned());
    numbers.iter().for_each(|value| number.push(*value, 1));
    let mut left = names.len();
    while left > 0 {
        let rows = left.min(group);
        let mut group = writer.next_row_group().unwrap();
        let text = |name: &String| name.as_bytes().to_vec();
        let (bytes, close) = chunk(&columns[0], &mut name, rows, true, text, &mut compressor).unwrap();
        group.append_column(&bytes, close).unwrap();
        let long = |number: &i64| number.to_le_bytes().to_vec();
        let (bytes, close) = chunk(&columns[1], &mut number, rows, true, long, &mut compressor).unwrap();
        group.append_column(&bytes, close).unwrap();
        group.close().unwrap();
        left -= rows;
    }
    assert_eq!((name.runs.len(), number.runs.len()), (0, 0), "nothing is left behind the last group");
    writer.into_inner().unwrap().into()
}

fn read(file: Bytes) -> (Vec<String>, Vec<Option<i64>>, ParquetMetaData) {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let metadata = reader.metadata().as_ref().clone();
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for batch in reader.with_batch_size(1_000).build().unwrap() {
        let batch = batch.unwrap();
        let column: &StringArray = batch.column(0).as_any().downcast_ref().unwrap();
        names.extend(column.iter().map(|name| name.unwrap().to_owned()));
        let column: &Int64Array = batch.column(1).as_any().downcast_ref().unwrap();
        numbers.extend(column.iter());
    }
    (names, numbers, metadata)
}

#[test]
fn what_is_written_is_read_by_the_library() {
    for seed in 0..200 {
        let mut dice = dice(seed);
        let (words, longest) = (1 << dice(12), 1 << dice(9));
        let (rows, words, longest) = (1 + dice(1_500), 1 + dice(words), 1 + dice(longest));
        let group = 1 + dice(700) as usize;
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        while names.len() < rows as usize {
            let (name, number) = (format!("plant/{}", dice(words)), dice(words) as i64 - 3);
            let there = dice(4) > 0;
            for _ in 0..=dice(longest) {
                names.push(name.clone());
                numbers.push(there.then_some(number));
            }
        }
        let (names_read, numbers_read, metadata) = read(file(&names, &numbers, group));
        assert_eq!(names_read, names, "seed {seed}");
        assert_eq!(numbers_read, numbers, "seed {seed}");

        // What a file says of a group and of a page is true of its rows, counted here.
        let mut from = 0;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let until = from + group.num_rows() as usize;
            let statistics = group.column(0).statistics().unwrap();
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            assert_eq!(Some(&text(statistics.min_bytes_opt())), names[from..until].iter().min());
            assert_eq!(Some(&text(statistics.max_bytes_opt())), names[from..until].iter().max());
            let nulls = numbers[from..until].iter().filter(|number| number.is_none()).count();
            assert_eq!(group.column(1).statistics().unwrap().null_count_opt(), Some(nulls as u64));
            let pages = metadata.offset_index().unwrap()[index][0].page_locations();
            let limits = &metadata.column_index().unwrap()[index][1];
            for (page, place) in pages.iter().enumerate() {
                let end = pages.get(page + 1).map_or(until - from, |next| next.first_row_index as usize);
                let of_page = &numbers[from + place.first_row_index as usize..from + end];
                let nulls = of_page.iter().filter(|number| number.is_none()).count();
                assert_eq!(limits.null_count(page), Some(nulls as i64));
                assert_eq!(limits.is_null_page(page), nulls == of_page.len());
            }
            from = until;
        }
        assert_eq!(from, names.len());
    }
}

#[test]
fn a_column_of_one_value_costs_next_to_nothing() {
    let names = vec!["acme/leeds/press/temperature".to_owned(); 100_000];
    let numbers = vec![None; 100_000];
    let bytes = file(&names, &numbers, 100_000);
    let (names_read, numbers_read, metadata) = read(bytes);
    assert_eq!((names_read, numbers_read), (names, numbers));
    let group = metadata.row_group(0);
    let size: i64 = group.columns().iter().map(|column| column.compressed_size()).sum();
    let pages = metadata.offset_index().unwrap()[0][0].page_locations().len() as i64;
    assert!(size < 200 + 2 * pages * 40, "{size} bytes in {pages} pages");
}
