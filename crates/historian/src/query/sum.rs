//! `sum` over integers and decimals that is exact or refused. DataFusion's wraps around beyond 64 bits, and a sum of counters
//! or of times in nanoseconds gets there within some rows. This one adds in 128 bits, also what partitions hand each other, and
//! says so when the end does not fit. Every other type, and `sum(DISTINCT …)` of integers beside other sums, is DataFusion's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array};
use arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION,
    DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use tidemill_core::{Problem, codes};
use tidemill_dialect::{bad, from_problem};

use super::whole::too_many_digits;

/// What partitions hand each other: whole numbers of 128 bits.
const STATE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// DataFusion's aggregates, with this `sum`.
pub(crate) fn among(aggregates: Vec<Arc<AggregateUDF>>) -> Vec<Arc<AggregateUDF>> {
    let others = aggregates.into_iter().filter(|other| other.name() != "sum");
    others.chain([Arc::new(AggregateUDF::from(ExactSum(Sum::new())))]).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum(Sum);

/// What is summed as whole numbers.
#[derive(Debug, Clone, Copy)]
enum Whole {
    Signed,
    Unsigned,
    /// Units of the last place: of so many digits, so many of them behind the point.
    Decimal(u8, i8),
}

impl Whole {
    /// Of which type a sum is; none where it is no whole number.
    fn of(sum: &DataType) -> Option<Whole> {
        match sum {
            DataType::Int64 => Some(Whole::Signed),
            DataType::UInt64 => Some(Whole::Unsigned),
            DataType::Decimal128(digits, places) => Some(Whole::Decimal(*digits, *places)),
            _ => None,
        }
    }

    /// Calls with the row and the number of each that is not null, while it takes them.
    fn each(self, values: &ArrayRef, mut add: impl FnMut(usize, i128) -> Result<()>) -> Result<()> {
        let mut present = (0..values.len()).filter(|row| values.is_valid(*row));
        match self {
            Whole::Signed => {
                let numbers = values.as_primitive::<Int64Type>();
                present.try_for_each(|row| add(row, numbers.value(row).into()))
            }
            Whole::Unsigned => {
                let numbers = values.as_primitive::<UInt64Type>();
                present.try_for_each(|row| add(row, numbers.value(row).into()))
            }
            Whole::Decimal(..) => {
                let numbers = values.as_primitive::<Decimal128Type>();
                present.try_for_each(|row| add(row, numbers.value(row)))
            }
        }
    }

    fn array(self, sums: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
        Ok(match self {
            Whole::Signed => Arc::new(sums.map(fitting::<i64>).collect::<Result<Int64Array>>()?),
            Whole::Unsigned => Arc::new(sums.map(fitting::<u64>).collect::<Result<UInt64Array>>()?),
            Whole::Decimal(digits, places) => {
                let sums = sums.collect::<Decimal128Array>();
                sums.validate_decimal_precision(digits).map_err(|_| too_many_digits())?;
                Arc::new(sums.with_precision_and_scale(digits, places)?)
            }
        })
    }
}

/// A sum and one more.
fn added(sum: i128, number: i128) -> Result<i128> {
    sum.checked_add(number).ok_or_else(too_many_digits)
}

/// Refuses to sum decimals that DataFusion adds up without room for more digits, and of which it shows the first alone.
fn has_room(kind: &DataType) -> Result<()> {
    /// As many as ten billion rows may add.
    const ADDED: u8 = 10;
    let (digits, most) = match kind {
        DataType::Decimal32(digits, _) => (*digits, DECIMAL32_MAX_PRECISION),
        DataType::Decimal64(digits, _) => (*digits, DECIMAL64_MAX_PRECISION),
        DataType::Decimal256(digits, _) => (*digits, DECIMAL256_MAX_PRECISION),
        _ => return Ok(()),
    };
    match digits.saturating_add(ADDED) > most {
        true => Err(bad(format!("a sum of {kind} has no room: sum CAST(… AS DECIMAL(38, …))"))),
        false => Ok(()),
    }
}

/// A sum in its own type, or that it does not fit.
fn fitting<T: TryFrom<i128>>(sum: Option<i128>) -> Result<Option<T>> {
    let Some(sum) = sum else { return Ok(None) };
    T::try_from(sum).map(Some).map_err(|_| {
        let what = format!("the sum {sum} does not fit into 64 bits");
        let hint = "Sum CAST(… AS DECIMAL(38, 0)), or value, which is a float";
        from_problem(Problem::new(&codes::BAD_SQL, what).hint(hint))
    })
}

fn state(sums: impl Iterator<Item = Option<i128>>) -> ArrayRef {
    Arc::new(sums.collect::<Decimal128Array>().with_data_type(STATE))
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.iter().try_for_each(has_room)?;
        self.0.return_type(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match One::of(&arguments) {
            Some(one) => Ok(Box::new(one)),
            None if matches!(arguments.return_type(), DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)) => {
                Err(bad("sum(DISTINCT …) of decimals beside other aggregates has no room: ask for it alone"))
            }
            None => self.0.accumulator(arguments),
        }
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match One::of(&arguments) {
            Some(one) => Ok(Box::new(one)),
            None => self.0.create_sliding_accumulator(arguments),
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.0.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match Whole::of(arguments.return_type()) {
            Some(whole) => Ok(Box::new(Groups { whole, sums: Vec::new() })),
            None => self.0.create_groups_accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if arguments.is_distinct || Whole::of(arguments.return_type()).is_none() {
            return self.0.state_fields(arguments);
        }
        Ok(vec![Arc::new(Field::new(format_state_name(arguments.name, "sum"), STATE, true))])
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.0.value_from_stats(statistics).filter(|sum| Whole::of(&sum.data_type()).is_none())
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.0.set_monotonicity(data_type)
    }
}

/// The sum of one group, or of a window that moves.
#[derive(Debug)]
struct One {
    whole: Whole,
    sum: i128,
    count: usize,
}

impl One {
    fn of(arguments: &AccumulatorArgs) -> Option<One> {
        let whole = Whole::of(arguments.return_type()).filter(|_| !arguments.is_distinct)?;
        Some(One { whole, sum: 0, count: 0 })
    }

    fn get(&self) -> Option<i128> {
        (self.count > 0).then_some(self.sum)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for values in values {
            self.count += values.len() - values.null_count();
            self.whole.each(values, |_, number| {
                self.sum = added(self.sum, number)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for values in values {
            self.count -= values.len() - values.null_count();
            self.whole.each(values, |_, number| {
                self.sum = self.sum.checked_sub(number).ok_or_else(too_many_digits)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sum in states.iter().flat_map(|sums| sums.as_primitive::<Decimal128Type>().iter()).flatten() {
            self.count += 1;
            self.sum = added(self.sum, sum)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128(self.get(), DECIMAL128_MAX_PRECISION, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.whole.array(std::iter::once(self.get()))?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sums of many groups.
struct Groups {
    whole: Whole,
    sums: Vec<Option<i128>>,
}

impl Groups {
    fn add(sums: &mut [Option<i128>], group: usize, number: i128) -> Result<()> {
        if let Some(sum) = sums.get_mut(group) {
            *sum = Some(added(sum.unwrap_or_default(), number)?);
        }
        Ok(())
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        all: usize,
    ) -> Result<()> {
        self.sums.resize(all, None);
        for values in values {
            self.whole.each(values, |row, number| {
                let counts = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
                match groups.get(row).filter(|_| counts) {
                    Some(group) => Groups::add(&mut self.sums, *group, number),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], all: usize) -> Result<()> {
        self.sums.resize(all, None);
        for sums in states {
            for (group, sum) in groups.iter().zip(sums.as_primitive::<Decimal128Type>()) {
                if let Some(sum) = sum {
                    Groups::add(&mut self.sums, *group, sum)?;
                }
            }
        }
        Ok(())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![state(emit.take_needed(&mut self.sums).into_iter())])
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.whole.array(emit.take_needed(&mut self.sums).into_iter())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let each = |values: &ArrayRef| {
            let mut sums = vec![None; values.len()];
            self.whole.each(values, |row, number| {
                match filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                    true => Groups::add(&mut sums, row, number),
                    false => Ok(()),
                }
            })?;
            Ok(state(sums.into_iter()))
        };
        values.iter().map(each).collect()
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Option<i128>>()
    }
}
