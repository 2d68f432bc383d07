//! A sealed piece of the buffer: at most [`CHUNK_ROWS_MAX`] rows of one signal, sorted and packed to about 3 bytes
//! each, immutable and shared. What does not live here: the open piece that rows are added to (`buffer`).

use tidemill_core::{Column, Kind, Quality, SourceId};

use super::bits::{Changes, Deltas};
use super::decimal;
use super::rows::{ReceivedAt, Rows, at};

/// How many rows are sealed together: enough to pack well, few enough to unpack for a short question.
pub(crate) const CHUNK_ROWS_MAX: usize = 1_024;

/// Sealed rows.
#[derive(Debug)]
pub(crate) struct Chunk {
    rows: usize,
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// No time stands twice.
    pub(crate) unique: bool,
    time: Deltas,
    values: Values,
    kind: Runs<Kind>,
    quality: Runs<Quality>,
    received: Received,
    source: Runs<SourceId>,
    replace: Runs<bool>,
    heap: Box<[u8]>,
}

#[derive(Debug)]
enum Values {
    /// Floats as integers at a scale. Rows without a value repeat the one before.
    Decimal { scale: u8, integers: Deltas },
    /// Integers, booleans, references into the heap.
    Integer(Deltas),
    /// Anything else, bit by bit.
    Bits(Changes),
}

/// When rows came, where that says something.
#[derive(Debug)]
enum Received {
    Runs(Runs<Option<ReceivedAt>>),
    /// All of them, in microseconds: rows of old times that came one by one.
    Each(Deltas),
}

impl Received {
    fn new(column: &Column<Option<ReceivedAt>>, rows: usize) -> Received {
        if let Column::Each(values) = column
            && values.iter().all(Option::is_some)
        {
            let runs = 1 + values.iter().zip(values.iter().skip(1)).filter(|(one, next)| one != next).count();
            let micros: Vec<i64> = values.iter().flatten().map(|received| received.micros()).collect();
            let each = Deltas::new(&micros);
            if each.bytes() < runs * size_of::<Run<Option<ReceivedAt>>>() {
                return Received::Each(each);
            }
        }
        Received::Runs(Runs::new(column, rows))
    }

    fn column(&self, rows: usize) -> Column<Option<ReceivedAt>> {
        match self {
            Received::Runs(runs) => runs.column(),
            Received::Each(micros) => {
                Column::Each(micros.iter(rows).map(|micros| Some(ReceivedAt::of_micros(micros))).collect())
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Received::Runs(runs) => runs.bytes(),
            Received::Each(micros) => micros.bytes(),
        }
    }
}

/// Rows with one value: the row after the last one, and the value.
type Run<T> = (u32, T);

/// A column as its runs.
#[derive(Debug)]
struct Runs<T>(Box<[Run<T>]>);

impl<T: Copy + PartialEq + Default> Runs<T> {
    fn new(column: &Column<T>, rows: usize) -> Runs<T> {
        match column {
            Column::Same(value) => Runs(Box::new([(rows as u32, *value)])),
            Column::Each(values) => {
                let mut runs: Vec<Run<T>> = Vec::new();
                for (row, value) in values.iter().enumerate() {
                    match runs.last_mut() {
                        Some((end, last)) if last == value => *end = row as u32 + 1,
                        _ => runs.push((row as u32 + 1, *value)),
                    }
                }
                Runs(runs.into())
            }
        }
    }

    fn column(&self) -> Column<T> {
        match &*self.0 {
            [] => Column::Same(T::default()),
            [(_, value)] => Column::Same(*value),
            runs => {
                let mut values = Vec::with_capacity(runs.last().map_or(0, |(end, _)| *end as usize));
                runs.iter().for_each(|(end, value)| values.resize(*end as usize, *value));
                Column::Each(values)
            }
        }
    }

    fn bytes(&self) -> usize {
        self.0.len() * size_of::<Run<T>>()
    }
}

impl Chunk {
    /// Sorts and packs rows, one at least, and leaves their room.
    pub(crate) fn seal(rows: &mut Rows) -> Chunk {
        let unique = rows.sort();
        let values = pack(rows);
        let len = rows.len();
        let chunk = Chunk {
            rows: len,
            min: rows.time.first().copied().unwrap_or(i64::MAX),
            max: rows.time.last().copied().unwrap_or(i64::MIN),
            unique,
            time: Deltas::new(&rows.time),
            values,
            kind: Runs::new(&rows.kind, len),
            quality: Runs::new(&rows.quality, len),
            received: Received::new(&rows.received, len),
            source: Runs::new(&rows.source, len),
            replace: Runs::new(&rows.replace, len),
            heap: std::mem::take(&mut rows.heap).into(),
        };
        rows.clear();
        chunk
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// The rows, by time and arrival.
    pub(crate) fn open(&self) -> Rows {
        let kind = self.kind.column();
        let bits = match &self.values {
            Values::Bits(bits) => bits.iter(self.rows).collect(),
            Values::Integer(integers) => integers.iter(self.rows).map(i64::cast_unsigned).collect(),
            Values::Decimal { scale, integers } => {
                let mut bits: Vec<u64> =
                    integers.iter(self.rows).map(|scaled| decimal::value(scaled, *scale).to_bits()).collect();
                if let Column::Each(kinds) = &kind {
                    bits.iter_mut()
                        .zip(kinds)
                        .filter(|(_, kind)| **kind == Kind::None)
                        .for_each(|(bits, _)| *bits = 0);
                }
                bits
            }
        };
        Rows {
            time: self.time.iter(self.rows).collect(),
            kind,
            bits,
            quality: self.quality.column(),
            received: self.received.column(self.rows),
            source: self.source.column(),
            replace: self.replace.column(),
            heap: self.heap.to_vec(),
        }
    }

    /// How much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Decimal { integers, .. } | Values::Integer(integers) => integers.bytes(),
            Values::Bits(bits) => bits.bytes(),
        };
        let columns = self.kind.bytes()
            + self.quality.bytes()
            + self.received.bytes()
            + self.source.bytes()
            + self.replace.bytes();
        // Each box costs the allocator about 16 bytes more.
        size_of::<Chunk>() + 9 * 16 + self.time.bytes() + values + columns + self.heap.len()
    }
}

fn pack(rows: &Rows) -> Values {
    let float = |row: usize| matches!(at(&rows.kind, row), Kind::Float | Kind::None);
    let floats = match &rows.kind {
        Column::Same(kind) => *kind == Kind::Float,
        Column::Each(_) => (0..rows.len()).all(float),
    };
    if floats {
        return decimals(rows).unwrap_or_else(|| Values::Bits(Changes::new(&rows.bits)));
    }
    let integers: Vec<i64> = rows.bits.iter().map(|bits| bits.cast_signed()).collect();
    match &rows.kind {
        Column::Same(_) => Values::Integer(Deltas::new(&integers)),
        Column::Each(_) => Values::Bits(Changes::new(&rows.bits)),
    }
}

/// Floats that are decimals, all of them.
fn decimals(rows: &Rows) -> Option<Values> {
    let mut integers = Vec::with_capacity(rows.len());
    let mut scale = 0;
    // The first rows mostly tell the scale; what needs a larger one begins again.
    while let Err(value) = scaled(rows, scale, &mut integers) {
        scale = decimal::scale_of(value, scale + 1)?;
    }
    Some(Values::Decimal { scale, integers: Deltas::new(&integers) })
}

/// Puts the rows as integers at this scale in place of what is in `out`. Says which value is none.
fn scaled(rows: &Rows, scale: u8, out: &mut Vec<i64>) -> Result<(), f64> {
    let none = |row: usize| matches!(&rows.kind, Column::Each(kinds) if kinds.get(row) == Some(&Kind::None));
    out.clear();
    let mut last = 0;
    for (row, bits) in rows.bits.iter().enumerate() {
        if !none(row) {
            let value = f64::from_bits(*bits);
            last = decimal::scaled(value, scale).ok_or(value)?;
        }
        out.push(last);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
