//! Pages that changed after they were written, where the file has checksums of them. Those of our own files are the lake's.

use super::*;

/// Three rows as pyarrow 26 writes them with `write_page_checksum`, unpacked: each page is behind a head of 25 bytes.
const FILE: &[u8] = b"PAR1\x15\x00\x15*\x15*\x15\xdc\xb5\xb6\x91\x05\x1c\x15\x06\x15\x00\x15\x06\x15\x06\x1c\x00\x00\x00\x02\x00\
    \x00\x00\x06\x01\x01\x00\x00\x00a\x01\x00\x00\x00b\x01\x00\x00\x00a\x15\x00\x15<\x15<\x15\xfa\xca\xd7\xa9\
    \x0d\x1c\x15\x06\x15\x00\x15\x06\x15\x06\x1c\x00\x00\x00\x02\x00\x00\x00\x06\x01\x01\x00\x00\x00\x00\x00\x00\
    \x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x15\x00\x15<\x15<\x15\xd8\xf1\x92\x8a\
    \x0c\x1c\x15\x06\x15\x00\x15\x06\x15\x06\x1c\x00\x00\x00\x02\x00\x00\x00\x06\x01\x00\x00\x00\x00\x00\x00\xf8\
    ?\x00\x00\x00\x00\x00\x00\x04@\x00\x00\x00\x00\x00\x00\x0c@\x15\x04\x19L5\x00\x18\x06schema\x15\x06\x00\x15\
    \x0c%\x02\x18\x06signal%\x00L\x1c\x00\x00\x00\x15\x04%\x02\x18\x04time%\x14L\x8c\x11\x1c,\x00\x00\x00\x00\
    \x00\x15\x0a%\x02\x18\x05value\x00\x16\x06\x19\x1c\x19<&\x00\x1c\x15\x0c\x19%\x06\x00\x19\x18\x06signal\x15\
    \x00\x16\x06\x16\\\x16\\&\x08I\x1c\x15\x00\x15\x00\x15\x02\x00<\x16\x06\x19\x06\x19&\x00\x06\x00\x00\x00&\
    \x00\x1c\x15\x04\x19%\x06\x00\x19\x18\x04time\x15\x00\x16\x06\x16n\x16n&dI\x1c\x15\x00\x15\x00\x15\x02\x00<)\
    \x06\x19&\x00\x06\x00\x00\x00&\x00\x1c\x15\x0a\x19%\x06\x00\x19\x18\x05value\x15\x00\x16\x06\x16n\x16n&\xd2\
    \x01I\x1c\x15\x00\x15\x00\x15\x02\x00<)\x06\x19&\x00\x06\x00\x00\x00\x16\xb8\x02\x16\x06&\x08\x16\xb8\x02\
    \x00( parquet-cpp-arrow version 26.0.1\x19<\x1c\x00\x00\x1c\x00\x00\x1c\x00\x00\x00\x12\x01\x00\x00PAR1";

/// Where the bytes of the pages of the three columns stand.
const PAGES: [(&str, std::ops::Range<usize>); 3] =
    [("signal", 29..50), ("time", 75..105), ("value", 130..160)];

/// Reads as an import does.
fn imported(body: &[u8]) -> Result<usize, Problem> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, body).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut columns = ColumnFile::open(file, Naming::default())?;
    let mut rows = 0;
    while let Some(part) = columns.next_part()? {
        rows += part.len();
    }
    Ok(rows)
}

#[test]
fn no_flipped_bit_of_a_page_with_a_checksum_becomes_a_value() {
    let shown = show(Format::Parquet, FILE.into());
    assert_eq!(shown, "a 1000 Float(1.5) Good\nb 2000 Float(2.5) Good\na 3000 Float(3.5) Good");
    assert_eq!(imported(FILE).unwrap(), 3);
    for (column, page) in PAGES {
        for at in page {
            let mut body = FILE.to_vec();
            body[at] ^= 1 << (at % 8);
            let expected = format!(
                "bad-arrow: the data cannot be read: page 1 of the column '{column}' in row group 1: Parquet argument error: \
                 Parquet error: Page CRC checksum mismatch. Fetch or send it again, whole; if it stays so, write it anew"
            );
            assert_eq!(show(Format::Parquet, body.clone().into()), expected, "byte {at}");
            assert_eq!(imported(&body).unwrap_err().to_string(), expected, "byte {at}");
        }
    }
}
