//! Any table of columns (Parquet, Arrow IPC) as text: a header and a line a row as exports spell them, read piece by
//! piece, with the kind of value that each column says it holds. What is not here: which of the columns are times,
//! values and qualities (who imports tables in text recognises that, by the same rules).

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tidemill_core::{Format, Kind, Problem};

use super::parts::ColumnFile;
use super::{KNOWN, guarded, wrong};
use crate::encode::{TableEncoder, of_table, slices};

/// A file of columns whose rows are read as lines of CSV.
pub struct ColumnText {
    columns: ColumnFile,
    schema: SchemaRef,
    encoder: Box<dyn TableEncoder>,
    /// Decoded and not yet spelled.
    slices: Vec<RecordBatch>,
    /// Spelled and, from `start`, not yet taken.
    text: Vec<u8>,
    start: usize,
}

impl ColumnText {
    /// Begins to read a file.
    ///
    /// # Errors
    /// `bad-arrow`: it is damaged, or compressed in a way that is not known.
    pub fn open(file: File) -> Result<ColumnText, Problem> {
        let mut columns = ColumnFile::of_all(file)?;
        let schema = columns.schema()?;
        let mut encoder = of_table(Format::Csv);
        encoder.begin(&schema).map_err(|error| wrong(&error))?;
        let text = std::mem::take(encoder.written());
        Ok(ColumnText { columns, schema, encoder, slices: Vec::new(), text, start: 0 })
    }

    /// What it is, for people.
    pub fn format(&self) -> &'static str {
        self.columns.format()
    }

    /// Whether its columns are those of samples, which [`ColumnFile`] reads as they are; `named` says that something
    /// else names the signal.
    pub fn holds_samples(&self, named: bool) -> bool {
        let has = |name: &str| self.schema.index_of(name).is_ok();
        let known = self.schema.fields().iter().all(|field| KNOWN.contains(&field.name().as_str()));
        // A body of samples has no place for the unit of durations.
        let plain =
            self.schema.field_with_name("value").is_ok_and(|value| unit_of(value.data_type()).is_none());
        let counted = self.schema.field_with_name("time").is_ok_and(|time| time.data_type().is_integer());
        // In which unit integers count, a table asks.
        let in_ns = !counted || self.has_values_beside();
        known && has("time") && plain && in_ns && (named || has("signal"))
    }

    /// Whether values stand also in other columns than `value`, as in exports. A table has no place for that.
    pub fn has_values_beside(&self) -> bool {
        ["integer", "text"].iter().any(|name| self.schema.index_of(name).is_ok())
    }

    /// What each column holds, as far as its type says so; a time is not among it.
    pub fn kinds(&self) -> Vec<Option<Kind>> {
        self.schema.fields().iter().map(|field| kind_of(field.data_type())).collect()
    }

    /// In what each column counts, where its type is a duration.
    pub fn units(&self) -> Vec<Option<&'static str>> {
        self.schema.fields().iter().map(|field| unit_of(field.data_type())).collect()
    }

    /// More text; false at the end.
    fn spell(&mut self) -> Result<bool, Problem> {
        while self.slices.is_empty() {
            let Some(batch) = self.columns.batch()? else { return Ok(false) };
            self.slices = slices(&batch).collect();
            self.slices.reverse();
        }
        let Some(rows) = self.slices.pop() else { return Ok(false) };
        let encoder = &mut self.encoder;
        guarded(|| encoder.rows(&widened(&rows)?).map_err(|error| wrong(&error)))?;
        self.text = std::mem::take(encoder.written());
        self.start = 0;
        Ok(true)
    }
}

impl Read for ColumnText {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.start >= self.text.len() {
            if !self.spell().map_err(|problem| io::Error::other(problem.detail))? {
                return Ok(0);
            }
        }
        let mut rest = self.text.get(self.start..).unwrap_or_default();
        let count = rest.read(out)?;
        self.start += count;
        Ok(count)
    }
}

fn kind_of(found: &DataType) -> Option<Kind> {
    Some(match found {
        DataType::Boolean => Kind::Bool,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, values) => return kind_of(values),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Kind::Bytes
        }
        found if found.is_signed_integer() => Kind::Int,
        found if found.is_unsigned_integer() => Kind::UInt,
        found if found.is_floating() || found.is_decimal() => Kind::Float,
        found if found.is_nested() => Kind::Json,
        DataType::Duration(_) => Kind::Int,
        _ => return None,
    })
}

/// The unit of a duration, in UCUM.
fn unit_of(found: &DataType) -> Option<&'static str> {
    match found {
        DataType::Duration(TimeUnit::Second) => Some("s"),
        DataType::Duration(TimeUnit::Millisecond) => Some("ms"),
        DataType::Duration(TimeUnit::Microsecond) => Some("us"),
        DataType::Duration(TimeUnit::Nanosecond) => Some("ns"),
        _ => None,
    }
}

/// Narrow floats as what a sample holds, since their own shortest digits mean another number there; durations as the
/// counts that they are.
fn widened(rows: &RecordBatch) -> Result<RecordBatch, Problem> {
    let wide = |found: &DataType| match found {
        DataType::Float16 | DataType::Float32 => Some(DataType::Float64),
        DataType::Duration(_) => Some(DataType::Int64),
        _ => None,
    };
    let schema = rows.schema_ref();
    if !schema.fields().iter().any(|field| wide(field.data_type()).is_some()) {
        return Ok(rows.clone());
    }
    let (mut fields, mut columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        if let Some(wide) = wide(field.data_type()) {
            columns.push(cast(column, &wide).map_err(|error| wrong(&error))?);
            fields.push(Arc::new(field.as_ref().clone().with_data_type(wide)));
        } else {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use arrow::array::{
        BinaryArray, Date32Array, DictionaryArray, DurationNanosecondArray, DurationSecondArray,
        Float32Array, Int32Array, StringArray, TimestampMillisecondArray,
    };
    use arrow::datatypes::Int8Type;
    use arrow::ipc::writer::FileWriter;
    use expect_test::expect;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn opened(bytes: &[u8]) -> Result<ColumnText, Problem> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        ColumnText::open(file)
    }

    fn parquet(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
        let groups = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
        let mut body = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), Some(groups)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        body
    }

    fn arrow(batch: &RecordBatch) -> Vec<u8> {
        let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn tables_of_both_formats_are_the_same_text() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("__index_level_0__", Arc::new(TimestampMillisecondArray::from(vec![0, 1_500, 2_000]))),
            ("a, b", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::INFINITY)]))),
            ("n", Arc::new(Int32Array::from(vec![Some(7), None, Some(-3)]))),
            ("s", Arc::new(StringArray::from(vec![Some(""), None, Some("x \"y\"\nz")]))),
            ("d", Arc::new(DictionaryArray::<Int8Type>::from_iter([Some("up"), None, Some("12")]))),
            ("bytes", Arc::new(BinaryArray::from(vec![Some(&[0, 255][..]), None, Some(&[])]))),
            ("day", Arc::new(Date32Array::from(vec![0, 1, 2]))),
            ("up", Arc::new(DurationNanosecondArray::from(vec![Some(i64::MAX), None, Some(-1)]))),
            ("took", Arc::new(DurationSecondArray::from(vec![0, 90, 3]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut shown = Vec::new();
        for body in [parquet(&batch, 2), arrow(&batch)] {
            let mut table = opened(&body).unwrap();
            assert!(!table.holds_samples(true));
            let mut text = String::new();
            table.read_to_string(&mut text).unwrap();
            shown.push(format!("{text}{:?}\n{:?}", table.kinds(), table.units()));
        }
        assert_eq!(shown[0], shown[1]);
        expect![[r#"
            __index_level_0__,"a, b",n,s,d,bytes,day,up,took
            1970-01-01T00:00:00,0.10000000149011612,7,"",up,0x00ff,1970-01-01,9223372036854775807,0
            1970-01-01T00:00:01.500,,,,,,1970-01-02,,90
            1970-01-01T00:00:02,Infinity,-3,"x ""y""
            z",12,0x,1970-01-03,-1,3
            [None, Some(Float), Some(Int), Some(Text), Some(Text), Some(Bytes), None, Some(Int), Some(Int)]
            [None, None, None, None, None, None, None, Some("ns"), Some("s")]"#]]
        .assert_eq(&shown[0]);
    }

    #[test]
    fn what_is_damaged_says_so_and_what_is_empty_has_a_head() {
        let columns: Vec<(&str, ArrayRef)> = vec![("time", Arc::new(Int32Array::from(Vec::<i32>::new())))];
        let empty = RecordBatch::try_from_iter(columns).unwrap();
        for body in [parquet(&empty, 2), arrow(&empty)] {
            let mut text = String::new();
            opened(&body).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "time\n");
            let cut = body.get(..body.len() / 2).unwrap();
            let read = opened(cut).and_then(|mut table| {
                let told = |error: io::Error| crate::decode::unreadable(&error.to_string());
                table.read_to_string(&mut text).map_err(told)
            });
            assert!(read.is_err());
        }
    }
}
