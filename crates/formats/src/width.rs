//! How long the values of an array are, so that what is made of them can be bounded before it is made. What does not live here:
//! what a query may hold.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{ArrowNativeType, DataType};

/// The bytes of the largest value of an array, or a little more.
pub fn largest(array: &dyn Array) -> usize {
    let widest = |offsets: &mut dyn Iterator<Item = usize>| {
        let mut before = offsets.next().unwrap_or_default();
        offsets.fold(0, |most, next| most.max(next - std::mem::replace(&mut before, next)))
    };
    let narrow = |offsets: &[i32]| widest(&mut offsets.iter().map(|offset| offset.as_usize()));
    let wide = |offsets: &[i64]| widest(&mut offsets.iter().map(|offset| offset.as_usize()));
    match array.data_type() {
        DataType::Utf8View => {
            array.as_string_view().views().iter().map(|v| view_length(*v)).max().unwrap_or(0)
        }
        DataType::BinaryView => {
            array.as_binary_view().views().iter().map(|v| view_length(*v)).max().unwrap_or(0)
        }
        DataType::Utf8 => narrow(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => wide(array.as_string::<i64>().value_offsets()),
        DataType::Binary => narrow(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => wide(array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            narrow(list.value_offsets()) * largest(list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            wide(list.value_offsets()) * largest(list.values())
        }
        DataType::Map(_, _) => narrow(array.as_map().value_offsets()) * largest(array.as_map().entries()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| largest(column)).sum(),
        DataType::Boolean | DataType::Null => 1,
        kind => kind.primitive_width().unwrap_or_else(|| array.get_array_memory_size()),
    }
}

/// The length stands in the lowest 32 bits of a view.
pub fn view_length(view: u128) -> usize {
    usize::try_from(view & u128::from(u32::MAX)).unwrap_or(usize::MAX)
}
