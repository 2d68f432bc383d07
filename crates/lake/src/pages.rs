//! The pages of the time column, and what they say about where rows of a time are. What does not live here: decoding the
//! pages (`lane`).

use std::ops::Range;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::lane::Want;
use super::schema::column;

/// Narrows a want of which only a part may lie in time.
pub(crate) fn narrow(pages: &[TimePage], want: &mut Want, from: i64, last: i64) {
    if pages.is_empty() || (want.from >= from && want.last <= last) {
        return;
    }
    let end = want.first_row + want.rows;
    let first = pages.partition_point(|page| page.rows.end <= want.first_row);
    let of_want = pages.get(first..).unwrap_or_default();
    let of_want = of_want.get(..of_want.partition_point(|page| page.rows.start < end)).unwrap_or_default();
    let (from_us, last_us) = (from.div_euclid(1_000), last.div_euclid(1_000));
    let own = |page: &&TimePage| page.rows.start >= want.first_row && page.rows.end <= end;
    let may_have = |(at, page): (usize, &TimePage)| {
        if own(&page) {
            return page.min_us <= last_us && page.max_us >= from_us;
        }
        // A page that other signals share says nothing about this one's times, but its neighbours do: rows are sorted.
        let before = at.checked_sub(1).and_then(|at| of_want.get(at)).filter(own);
        let after = of_want.get(at + 1).filter(own);
        before.is_none_or(|page| page.max_us <= last_us) && after.is_none_or(|page| page.min_us >= from_us)
    };
    let mut wanted =
        of_want.iter().enumerate().filter(|(at, page)| may_have((*at, page))).map(|(_, page)| page);
    let Some(begin) = wanted.next() else {
        want.rows = 0;
        return;
    };
    let stop = wanted.next_back().unwrap_or(begin).rows.end.min(end);
    want.first_row = want.first_row.max(begin.rows.start);
    want.rows = stop - want.first_row;
}

pub(crate) struct TimePage {
    rows: Range<u64>,
    min_us: i64,
    max_us: i64,
}

/// The pages of the time column in the order of the file; none where it has no page index.
pub(crate) fn time_pages(parquet: &ArrowReaderMetadata) -> Vec<TimePage> {
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    let metadata = parquet.metadata();
    let (Some(offsets), Some(indexes)) = (metadata.offset_index(), metadata.column_index()) else {
        return Vec::new();
    };
    let mut pages = Vec::new();
    let mut start = 0u64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let end = start + group.num_rows().unsigned_abs();
        let locations = offsets.get(index).and_then(|columns| columns.get(column::TIME));
        let limits = indexes.get(index).and_then(|columns| columns.get(column::TIME));
        if let (Some(locations), Some(ColumnIndexMetaData::INT64(limits))) = (locations, limits) {
            let firsts: Vec<u64> = locations
                .page_locations()
                .iter()
                .map(|page| start + page.first_row_index.unsigned_abs())
                .collect();
            for (page, first) in firsts.iter().enumerate() {
                pages.push(TimePage {
                    rows: *first..firsts.get(page + 1).copied().unwrap_or(end),
                    min_us: limits.min_value(page).copied().unwrap_or(i64::MIN),
                    max_us: limits.max_value(page).copied().unwrap_or(i64::MAX),
                });
            }
        }
        start = end;
    }
    pages
}
