//! What the expressions of one query hold and whether they may go on. DataFusion's pool knows what sorting, grouping and
//! joining hold; the values that functions make for a batch of rows it does not know. Here they are charged to the same
//! pool for as long as they live, and every function asks here first whether the query still has time and a reader. What
//! is not here: who asks ([`super::bounds`], [`super::gate`]).

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, from_problem};
use tidemill_formats::view_length;

use super::pace::Pace;

/// The largest constant that planning works out. What would be larger is made when the query runs, where it is charged:
/// a plan is copied many times before that.
pub(crate) const CONSTANT_BYTES_MAX: usize = 1 << 10;
/// How many living arrays are remembered before the first look at which of them still live.
const REMEMBERED_FIRST: usize = 64;

/// The meter of one query.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) pace: Arc<Pace>,
    planning: AtomicBool,
    memory: MemoryReservation,
    made: Mutex<Made>,
}

/// What was made and charged. The arrays are not kept alive: who evaluates an expression drops them, and the next look
/// finds them gone.
#[derive(Debug)]
struct Made {
    arrays: Vec<(Weak<dyn Array>, usize)>,
    look_at: usize,
}

impl Meter {
    pub(crate) fn new(pool: &Arc<dyn MemoryPool>, pace: Arc<Pace>) -> Arc<Meter> {
        Arc::new(Meter {
            pace,
            planning: AtomicBool::new(true),
            memory: MemoryConsumer::new("expressions").register(pool),
            made: Mutex::new(Made { arrays: Vec::new(), look_at: REMEMBERED_FIRST }),
        })
    }

    /// The meter of the query that these settings belong to.
    pub(crate) fn of(config: &ConfigOptions) -> Option<&Arc<Meter>> {
        config.extensions.get::<Metered>().map(|metered| &metered.0)
    }

    /// The plan is made; from here on values are made for rows.
    pub(crate) fn planned(&self) {
        self.planning.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_planning(&self) -> bool {
        self.planning.load(Ordering::Relaxed)
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    /// `query-time`: its time is up, or nobody listens.
    pub(crate) fn go_on(&self) -> Result<()> {
        match self.pace.is_stopped() {
            true => Err(from_problem(Problem::new(&codes::QUERY_TIME, "the query was stopped"))),
            false => Ok(()),
        }
    }

    /// Charges an array until nobody holds it any more.
    ///
    /// # Errors
    /// `query-memory`: the query may not hold that much.
    pub(crate) fn charge(&self, array: &ArrayRef, bytes: usize, what: &str) -> Result<()> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.arrays.len() >= made.look_at {
            self.forget(&mut made);
            // Twice as many as live, so that looking costs each array a constant.
            made.look_at = REMEMBERED_FIRST.max(made.arrays.len() * 2);
        }
        if self.memory.try_grow(bytes).is_err() {
            self.forget(&mut made);
            self.memory.try_grow(bytes).map_err(|_| too_much(what))?;
        }
        made.arrays.push((Arc::downgrade(array), bytes));
        Ok(())
    }

    /// Charges what is needed for the length of one call.
    ///
    /// # Errors
    /// `query-memory`: the query may not hold that much.
    pub(crate) fn borrow(&self, bytes: usize, what: &str) -> Result<Borrowed<'_>> {
        if self.memory.try_grow(bytes).is_err() {
            self.forget(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner));
            self.memory.try_grow(bytes).map_err(|_| too_much(what))?;
        }
        Ok(Borrowed { meter: self, bytes })
    }

    /// Gives back what belongs to arrays that are gone.
    fn forget(&self, made: &mut Made) {
        let mut gone = 0;
        made.arrays.retain(|(array, bytes)| {
            let lives = array.strong_count() > 0;
            gone += if lives { 0 } else { *bytes };
            lives
        });
        self.memory.shrink(gone);
    }
}

/// Bytes charged for the length of one call.
pub(crate) struct Borrowed<'a> {
    meter: &'a Meter,
    bytes: usize,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.meter.memory.shrink(self.bytes);
    }
}

/// `query-memory`, on its way through DataFusion.
pub(crate) fn too_much(what: &str) -> DataFusionError {
    let detail = format!("{what} needs more memory than the query may have");
    from_problem(Problem::new(&codes::QUERY_MEMORY, detail).hint("Make shorter values, or fewer at once"))
}

/// How the meter travels: as a part of the settings that every function is given.
#[derive(Clone, Debug)]
pub(crate) struct Metered(pub(crate) Arc<Meter>);

impl ConfigExtension for Metered {
    const PREFIX: &'static str = "tidemill";
}

impl ExtensionOptions for Metered {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        Err(bad(format!("there is no setting '{key}'")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// Whether values of the type may be of any length.
pub(crate) fn is_of_any_length(kind: &DataType) -> bool {
    kind.primitive_width().is_none() && !matches!(kind, DataType::Boolean | DataType::Null)
}

/// How many bytes the rows of an array hold. Views count what they show, not what they share, so that a short list of
/// paths does not count once for each batch.
pub(crate) fn bytes_of(array: &dyn Array) -> usize {
    let rows = array.len();
    match array.data_type() {
        DataType::Utf8View => rows * 16 + viewed(array.as_string_view().views()),
        DataType::BinaryView => rows * 16 + viewed(array.as_binary_view().views()),
        DataType::Utf8 => rows * 4 + spanned(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => rows * 8 + spanned(array.as_string::<i64>().value_offsets()),
        DataType::Binary => rows * 4 + spanned(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => rows * 8 + spanned(array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            rows * 4 + of_items(list.values(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            rows * 8 + of_items(list.values(), list.value_offsets())
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            rows * 4 + of_items(&(Arc::new(map.entries().clone()) as ArrayRef), map.value_offsets())
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| bytes_of(column)).sum(),
        DataType::Boolean | DataType::Null => rows.div_ceil(8),
        kind => kind.primitive_width().map_or_else(|| array.get_array_memory_size(), |width| width * rows),
    }
}

fn viewed(views: &[u128]) -> usize {
    views.iter().map(|view| view_length(*view)).filter(|length| *length > 12).sum()
}

fn spanned<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last.as_usize() - first.as_usize(),
        _ => 0,
    }
}

fn of_items<O: OffsetSizeTrait>(items: &ArrayRef, offsets: &[O]) -> usize {
    let first = offsets.first().map_or(0, |first| first.as_usize());
    bytes_of(&items.slice(first, spanned(offsets)))
}
