//! What the integers of a foreign file of samples mean: qualities are status codes of OPC UA, where 0 is Good, or numbers
//! of OPC DA, where 0 is Bad; times are nanoseconds, or another unit that nobody said. All rows are looked through before
//! one is taken. What is not here: bodies at the doors, whose integers are what their reference says.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use tidemill_core::{Problem, Quality, codes};

use super::parts::ColumnFile;
use super::wrong;

/// Numbers below are none of OPC UA, whose codes say in their upper 16 bits what they mean (OPC 10000-4, 7.39); those of
/// OPC DA have 16 bits in all.
const UA_CODE_MIN: i64 = 0x1_0000;
/// Nanoseconds below lie before 1973: seconds, milliseconds and microseconds of today are smaller.
const NANOS_MIN: i64 = 100_000_000_000_000_000;

/// What the integers in `quality` are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Qualities {
    /// Status codes, as exports have them.
    #[default]
    OpcUa,
    OpcDa,
}

/// What was seen of the integers of a file.
#[derive(Default)]
struct Seen {
    zero: bool,
    opc_da: bool,
    opc_ua: bool,
}

/// Looks through a file whose types leave open what its integers mean.
///
/// # Errors
/// `bad-import`: nothing in it decides; `bad-arrow`: it is damaged.
pub(super) fn qualities(file: &mut ColumnFile) -> Result<(Qualities, Option<&'static str>), Problem> {
    let schema = file.schema()?;
    let open = |name: &str, is: &dyn Fn(&DataType) -> bool| {
        schema.index_of(name).ok().filter(|at| is(schema.field(*at).data_type()))
    };
    let time = open("time", &|kind| *kind == DataType::Int64);
    let quality = open("quality", &DataType::is_integer).filter(|_| !is_export(&schema));
    if time.is_none() && quality.is_none() {
        return Ok((Qualities::OpcUa, None));
    }
    let mut seen = Seen::default();
    while let Some(batch) = file.batch()? {
        if let Some(at) = time {
            nanoseconds(batch.column(at))?;
        }
        if let Some(at) = quality {
            seen.add(batch.column(at))?;
        }
    }
    let is_ours = quality.is_some_and(|at| *schema.field(at).data_type() == DataType::UInt32);
    seen.decide(is_ours)
}

/// Exports of samples have all columns in which a value may stand.
pub(super) fn is_export(schema: &Schema) -> bool {
    ["integer", "text", "kind"].iter().all(|name| schema.index_of(name).is_ok())
}

fn nanoseconds(times: &ArrayRef) -> Result<(), Problem> {
    let small = times.as_primitive::<Int64Type>().iter().flatten().find(|time| time.abs() < NANOS_MIN);
    let Some(small) = small else { return Ok(()) };
    let detail = format!("the column 'time' has '{small}', which as nanoseconds would lie near 1970");
    Err(Problem::new(&codes::BAD_IMPORT, detail).hint(
        "Write it as timestamps, or leave out the columns integer and text: then --time-format says the unit",
    ))
}

impl Seen {
    fn add(&mut self, qualities: &ArrayRef) -> Result<(), Problem> {
        let numbers = cast(qualities, &DataType::Int64).map_err(|error| wrong(&error))?;
        for number in numbers.as_primitive::<Int64Type>().iter().flatten() {
            self.zero |= number == 0;
            self.opc_da |= number > 0 && number < UA_CODE_MIN;
            self.opc_ua |= number >= UA_CODE_MIN;
        }
        Ok(())
    }

    /// Where both kinds stand, a 0 is Bad: what is not good must not become so.
    fn decide(&self, is_ours: bool) -> Result<(Qualities, Option<&'static str>), Problem> {
        match (self.opc_da, self.opc_ua, self.zero) {
            (true, _, _) => {
                Ok((Qualities::OpcDa, Some("numbers in quality are OPC DA's: 192 is Good, 0 is Bad")))
            }
            (false, true, _) | (false, false, false) => Ok((Qualities::OpcUa, None)),
            (false, false, true) if is_ours => {
                Ok((Qualities::OpcUa, Some("each number in quality is 0, OPC UA's Good")))
            }
            (false, false, true) => {
                let detail = "each number in the column 'quality' is 0, which is Good to OPC UA and Bad to OPC DA, and no row \
                              decides it";
                Err(Problem::new(&codes::BAD_IMPORT, detail)
                    .hint("Write Good or Bad there as text, or leave the column out where all are good"))
            }
        }
    }
}

/// Qualities of OPC DA as words.
pub(super) fn of_opc_da(qualities: &ArrayRef) -> Result<ArrayRef, Problem> {
    spelled(qualities, &|number| match number {
        // Negative ones are states of systems that have no value.
        ..0 => Some(Quality::BAD),
        // The upper eight bits are the vendor's.
        0..UA_CODE_MIN => u32::try_from(number & 0xFF).ok().map(Quality::from_number),
        code => u32::try_from(code).ok().map(Quality),
    })
}

/// Qualities of OPC UA as words, for lines in which a bare 0 would be OPC DA's.
pub(super) fn of_opc_ua(qualities: &ArrayRef) -> Result<ArrayRef, Problem> {
    spelled(qualities, &|number| u32::try_from(number).ok().map(Quality))
}

fn spelled(qualities: &ArrayRef, read: &dyn Fn(i64) -> Option<Quality>) -> Result<ArrayRef, Problem> {
    let numbers = cast(qualities, &DataType::Int64).map_err(|error| wrong(&error))?;
    let mut texts = StringBuilder::new();
    for number in numbers.as_primitive::<Int64Type>() {
        match number.map(|number| (number, read(number))) {
            None => texts.append_null(),
            // A code in hex is taken as it is.
            Some((_, Some(quality))) => texts.append_value(format!("0x{:08X}", quality.0)),
            Some((number, None)) => texts.append_value(number.to_string()),
        }
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use arrow::array::*;
    use arrow::ipc::writer::FileWriter;
    use expect_test::expect;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::decode::Naming;

    fn written(batch: &RecordBatch) -> [Vec<u8>; 2] {
        let mut parquet = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let mut arrow = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
        arrow.write(batch).unwrap();
        arrow.finish().unwrap();
        [parquet, arrow.into_inner().unwrap()]
    }

    /// The qualities as the body of a write has them, and as lines of rejected rows have them.
    fn read(bytes: &[u8]) -> Result<String, Problem> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut columns = ColumnFile::open(file, Naming::default())?;
        let mut shown = columns.note().map(|note| format!("{note}: ")).unwrap_or_default();
        while let Some(part) = columns.next_part()? {
            for row in 0..part.len() {
                let line: serde_json::Value = serde_json::from_str(&part.line(row)?).unwrap();
                let body = part.body(row, row + 1)?;
                let mut kept = Kept(String::new());
                crate::decode::decode(tidemill_core::Format::Arrow, body, &mut kept)?;
                shown += &format!("{} as {}; ", kept.0, line["quality"]);
            }
        }
        Ok(shown)
    }

    struct Kept(String);

    impl tidemill_core::SampleSink for Kept {
        fn sample(
            &mut self,
            sample: &tidemill_core::ColumnSample<'_>,
        ) -> Result<(), (&'static str, Problem)> {
            self.0 += &sample.quality.to_string();
            Ok(())
        }
    }

    fn columns(rows: usize, more: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("signal", Arc::new(StringArray::from(vec!["a"; rows]))),
            ("value", Arc::new(Float64Array::from(vec![1.0; rows]))),
        ];
        if more.iter().all(|(name, _)| *name != "time") {
            columns
                .push(("time", Arc::new(TimestampNanosecondArray::from(vec![0; rows]).with_timezone("UTC"))));
        }
        columns.extend(more);
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    #[test]
    fn what_numbers_in_quality_mean_is_seen_or_asked_and_no_bad_becomes_good() {
        const BAD: i64 = 0x8000_0000;
        let int = |numbers: &[i64]| Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef;
        let unsigned = |numbers: &[u32]| Arc::new(UInt32Array::from(numbers.to_vec())) as ArrayRef;
        let text = || Arc::new(StringArray::from(vec![None::<&str>; 2])) as ArrayRef;
        let export = |quality| {
            let kind = Arc::new(StringArray::from(vec!["float"; 2])) as ArrayRef;
            vec![("integer", int(&[0, 0])), ("text", text()), ("kind", kind), ("quality", quality)]
        };
        let mut shown = String::new();
        for (what, rows, more) in [
            ("OPC DA", 3, vec![("quality", int(&[0, 192, 64]))]),
            ("OPC DA in a byte", 2, vec![("quality", Arc::new(UInt8Array::from(vec![0, 192])) as ArrayRef)]),
            ("OPC DA, unsigned", 2, vec![("quality", unsigned(&[0, 192]))]),
            ("OPC DA with a vendor's bits", 2, vec![("quality", int(&[256, 448]))]),
            ("OPC DA without any that is bad", 2, vec![("quality", int(&[192, 192]))]),
            ("OPC UA", 3, vec![("quality", int(&[0, BAD, 0x4000_0000]))]),
            ("both", 3, vec![("quality", int(&[0, BAD, 192]))]),
            ("a state of PI", 2, vec![("quality", int(&[-313, 192]))]),
            ("zeros", 2, vec![("quality", int(&[0, 0]))]),
            (
                "zeros and nothing",
                2,
                vec![("quality", Arc::new(Int64Array::from(vec![Some(0), None])) as ArrayRef)],
            ),
            ("nothing", 1, vec![("quality", Arc::new(Int64Array::from(vec![None])) as ArrayRef)]),
            ("zeros of a query's answer", 2, vec![("quality", unsigned(&[0, 0]))]),
            ("an export", 2, export(unsigned(&[0, 192]))),
            ("an export of what is good", 2, export(unsigned(&[0, 0]))),
        ] {
            let told = written(&columns(rows, more))
                .map(|bytes| read(&bytes).unwrap_or_else(|problem| problem.to_string()));
            assert_eq!(told[0], told[1], "{what}");
            shown += &format!("{what}: {}\n", told[0]);
        }
        expect![[r#"
            OPC DA: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Good as "0x00000000"; Uncertain as "0x40000000"; 
            OPC DA in a byte: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Good as "0x00000000"; 
            OPC DA, unsigned: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Good as "0x00000000"; 
            OPC DA with a vendor's bits: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Good as "0x00000000"; 
            OPC DA without any that is bad: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Good as "0x00000000"; Good as "0x00000000"; 
            OPC UA: Good as "0x00000000"; Bad as "0x80000000"; Uncertain as "0x40000000"; 
            both: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Bad as "0x80000000"; Good as "0x00000000"; 
            a state of PI: numbers in quality are OPC DA's: 192 is Good, 0 is Bad: Bad as "0x80000000"; Good as "0x00000000"; 
            zeros: bad-import: each number in the column 'quality' is 0, which is Good to OPC UA and Bad to OPC DA, and no row decides it. Write Good or Bad there as text, or leave the column out where all are good
            zeros and nothing: bad-import: each number in the column 'quality' is 0, which is Good to OPC UA and Bad to OPC DA, and no row decides it. Write Good or Bad there as text, or leave the column out where all are good
            nothing: Good as null; 
            zeros of a query's answer: each number in quality is 0, OPC UA's Good: Good as "0x00000000"; Good as "0x00000000"; 
            an export: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 2). Leave out all of them but the one that holds the value
            an export of what is good: bad-arrow: the columns value, integer and kind say different things of one sample (line 1, column 2). Leave out all of them but the one that holds the value
        "#]].assert_eq(&shown);
    }

    #[test]
    fn integer_times_that_are_no_nanoseconds_are_asked() {
        let text = || ("text", Arc::new(StringArray::from(vec![None::<&str>; 1])) as ArrayRef);
        for (time, good) in
            [(1_705_320_000, false), (1_705_320_000_000_000, false), (1_705_320_000_000_000_000, true)]
        {
            let time = ("time", Arc::new(Int64Array::from(vec![time])) as ArrayRef);
            for bytes in written(&columns(1, vec![time.clone(), text()])) {
                match read(&bytes) {
                    Ok(_) => assert!(good),
                    Err(problem) => assert!(!good && problem.code == &codes::BAD_IMPORT, "{problem}"),
                }
            }
        }
    }
}
