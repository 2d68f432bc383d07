//! What a user sees of the progress of an import, as numbers.

use std::io::Write as _;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::*;

/// Columns become text of many times their length: that text is not what the bar counts.
#[test]
fn the_bar_of_packed_columns_shows_the_place_in_the_file() {
    let mut file = tempfile::tempfile().unwrap();
    let mut packer = GzEncoder::new(&mut file, Compression::fast());
    packer.write_all(b"time,value\n").unwrap();
    (0..200_000).for_each(|row| writeln!(packer, "{},{row}", 1_704_067_200 + row).unwrap());
    packer.finish().unwrap();
    let (place, bytes) = (file.try_clone().unwrap(), file.metadata().unwrap().len());
    let unpacked = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
        let mut again = file.try_clone()?;
        again.rewind()?;
        Ok(Box::new(MultiGzDecoder::new(again)))
    };
    let options = Options { signal: Some("a".to_owned()), ..Options::new(jiff::tz::TimeZone::UTC) };
    let (bar, stop) = (progress::import("x.csv", bytes), Stop::default());
    looked_through(Box::new(unpacked), "x.csv", &options, Some(&place), (&bar, &stop)).unwrap();
    assert!((bytes / 2..=bytes).contains(&bar.bar().position()), "{} of {bytes}", bar.bar().position());
}
