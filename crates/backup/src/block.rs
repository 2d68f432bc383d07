//! Heads of tar members (POSIX.1-2017, pax, "ustar Interchange Format"), as this crate writes them and nothing else: a plain
//! file, owner only, of one time. They are made here and compared when they are read; nobody parses one.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

/// The unit of a tar archive.
pub(crate) const BLOCK_BYTES: u64 = 512;
/// An archive ends with two blocks of zeros.
pub(crate) const ZEROS_BYTES: u64 = 2 * BLOCK_BYTES;
/// The largest member: eleven octal digits. A longer file is several members.
pub(crate) const MEMBER_BYTES_MAX: u64 = 4 << 30;

const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

/// Zeros behind so many bytes, up to a whole block.
pub(crate) fn padding(bytes: u64) -> u64 {
    bytes.wrapping_neg() % BLOCK_BYTES
}

/// The head of a member: one block, or three and more where the name is too long for one.
pub(crate) fn head(name: &str, bytes: u64, time_s: u64) -> Vec<u8> {
    if let Some((prefix, rest)) = split(name) {
        return block(prefix, rest, b'0', bytes, time_s);
    }
    let record = pax_record("path", name);
    let mut out = block("", "pax", b'x', record.len() as u64, time_s);
    out.extend_from_slice(record.as_bytes());
    let whole = out.len() as u64;
    out.resize(out.len().saturating_add(padding(whole) as usize), 0);
    out.extend(block("", "long-name", b'0', bytes, time_s));
    out
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    loop {
        let text = format!("{length}{rest}");
        if text.len() <= length {
            return text;
        }
        length = text.len();
    }
}

/// Prefix and name, where the name fits.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_BYTES {
        return Some(("", name));
    }
    let cuts = name.match_indices('/').map(|(at, _)| at);
    let parts = cuts.filter_map(|at| Some((name.get(..at)?, name.get(at.checked_add(1)?..)?)));
    parts
        .rev()
        .find(|(prefix, rest)| prefix.len() <= PREFIX_BYTES && rest.len() <= NAME_BYTES && !rest.is_empty())
}

fn block(prefix: &str, name: &str, kind: u8, bytes: u64, time_s: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK_BYTES as usize);
    let mut field = |text: &[u8], width: usize| {
        let end = out.len() + width;
        out.extend(text.iter().take(width));
        out.resize(end, 0);
    };
    field(name.as_bytes(), NAME_BYTES);
    field(b"0000600", 8);
    field(b"0000000", 8);
    field(b"0000000", 8);
    field(format!("{bytes:011o}").as_bytes(), 12);
    field(format!("{time_s:011o}").as_bytes(), 12);
    // The sum counts its own field as spaces.
    field(b"        ", 8);
    field(&[kind], 1);
    field(b"", 100);
    field(b"ustar\x0000", 8);
    field(b"", 32);
    field(b"", 32);
    field(b"0000000", 8);
    field(b"0000000", 8);
    field(prefix.as_bytes(), PREFIX_BYTES);
    field(b"", 12);
    let sum: u32 = out.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    out.splice(148..156, sum.into_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_whole_blocks_whatever_the_name() {
        let long = "n".repeat(200);
        for (name, blocks) in [
            ("tidemill.toml".to_owned(), 1),
            (format!("{}/{}", "d".repeat(150), "f".repeat(90)), 1),
            (format!("{}/{}", "d".repeat(160), "f".repeat(90)), 3),
            (long.clone(), 3),
            (format!("connections/{long}/{long}/{long}"), 4),
        ] {
            assert_eq!(head(&name, 3, 1).len() as u64, blocks * BLOCK_BYTES, "{name}");
        }
    }

    #[test]
    fn the_length_of_a_pax_record_counts_itself() {
        for count in [1, 85, 86, 87, 88, 980, 985, 990, 995] {
            let record = pax_record("path", &"x".repeat(count));
            let (length, _) = record.split_once(' ').unwrap_or_default();
            assert_eq!(length.parse(), Ok(record.len()), "{record}");
        }
    }
}
