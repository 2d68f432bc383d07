//! Times of 96 bits, as older writers of Parquet spell them: years that 64 bits of nanoseconds cannot hold, which a library
//! would turn into other years without a word. What is not here: times of 64 bits, whose range each cast checks.

use hashbrown::HashSet;
use parquet::column::reader::ColumnReader;
use parquet::data_type::Int96;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use tidemill_core::{Problem, codes};

use super::column::OUTSIDE;
use super::{STEP_ROWS, unreadable};

/// The Julian day of 1970-01-01 (parquet-format, LogicalTypes.md, INT96).
const EPOCH_DAY: i64 = 2_440_588;
/// Whole days that nanoseconds in 64 bits reach before and behind 1970.
const DAYS_IN_NS: i64 = 106_751;
/// The same for microseconds.
const DAYS_IN_US: i64 = 106_751_991;
const DAY_NS: i64 = 86_400_000_000_000;

/// The columns that hold such years: they are read to the microsecond, so that the rows with them are named as outside.
///
/// # Errors
/// `bad-time`: a column has also times that are finer than that, or years beyond those of microseconds; `bad-arrow`: the
/// file is damaged.
pub(super) fn columns<R: ChunkReader + 'static>(input: R) -> Result<HashSet<String>, Problem> {
    let told = |error: ParquetError| unreadable(&error.to_string());
    let file = SerializedFileReader::new(input).map_err(told)?;
    let mut far = HashSet::new();
    let leaves = file.metadata().file_metadata().schema_descr_ptr();
    for (number, leaf) in leaves.columns().iter().enumerate() {
        if leaf.physical_type() != parquet::basic::Type::INT96 {
            continue;
        }
        let mut seen = Seen::default();
        for group in 0..file.num_row_groups() {
            let group = file.get_row_group(group).map_err(told)?;
            let reader = group.get_column_reader(number).map_err(told)?;
            seen.all(reader).map_err(told)?;
        }
        let name = leaf.path().parts().first().cloned().unwrap_or_default();
        let is_plain = leaf.path().parts().len() == 1 && leaf.max_rep_level() == 0;
        match (seen.is_outside, seen.is_finer || seen.is_beyond || !is_plain) {
            (false, _) => {}
            (true, false) => drop(far.insert(name)),
            (true, true) => {
                return Err(Problem::new(&codes::BAD_TIME, format!("the column '{name:.80}': {OUTSIDE}"))
                    .hint("Write the file without the rows that have such times"));
            }
        }
    }
    Ok(far)
}

/// What the times of a column are.
#[derive(Default)]
struct Seen {
    is_outside: bool,
    is_beyond: bool,
    is_finer: bool,
}

impl Seen {
    fn all(&mut self, reader: ColumnReader) -> Result<(), ParquetError> {
        let ColumnReader::Int96ColumnReader(mut reader) = reader else { return Ok(()) };
        let (mut defined, mut repeated, mut times) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let (defs, reps) = (Some(&mut defined), Some(&mut repeated));
            let (records, ..) = reader.read_records(STEP_ROWS, defs, reps, &mut times)?;
            if records == 0 {
                return Ok(());
            }
            times.iter().for_each(|time| self.add(time));
            defined.clear();
            repeated.clear();
            times.clear();
        }
    }

    fn add(&mut self, time: &Int96) {
        let &[low, high, day] = time.data() else { return };
        // As the library reads it: both with their signs.
        let nanos = (i64::from(high) << 32).wrapping_add(i64::from(low));
        let days = i64::from(day.cast_signed()) - EPOCH_DAY + nanos.div_euclid(DAY_NS);
        self.is_outside |= !(-DAYS_IN_NS..DAYS_IN_NS).contains(&days);
        self.is_beyond |= !(-DAYS_IN_US..DAYS_IN_US).contains(&days);
        self.is_finer |= nanos.rem_euclid(1_000) != 0;
    }
}
