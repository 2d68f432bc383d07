//! The binary frame of live samples, version 1: a header and columns, little-endian, each column aligned to its size
//! so that a browser reads them in place. docs/reference/http.md shows it to those who write clients.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version: 1 |
//! | 1 | flags: bit 0 set: last values, sent once at the beginning, not news |
//! | 2..4 | 0 |
//! | 4..8 | n: number of samples, u32 |
//! | 8..16 | seq: the place up to which the client is served now, u64 |
//! | 16..20 | h: bytes of the heap, u32 |
//! | 20..24 | 0 |
//! | n × 8 | times, i64, nanoseconds UTC |
//! | n × 8 | bits, u64: f64, i64, u64, 0 or 1; for text, JSON and bytes the offset in the heap << 32 \| the length |
//! | n × 4 | numbers of signals, u32, as told in a text frame before |
//! | n × 4 | qualities, u32, OPC UA status codes |
//! | n × 1 | kinds, u8: 0 none, 1 float, 2 integer, 3 unsigned, 4 boolean, 5 text, 6 JSON, 7 bytes |
//! | h | heap |

use tidemill_core::{Kind, Quality, SampleBatch, Seq, SignalId};

const VERSION: u8 = 1;
const FLAG_LAST: u8 = 1;

/// Samples to be sent.
pub(super) struct Frame<'a> {
    pub(super) seq: Seq,
    pub(super) last: bool,
    pub(super) batch: &'a SampleBatch,
}

impl Frame<'_> {
    /// The frame; samples of signals without a number are left out.
    pub(super) fn bytes(&self, number: impl Fn(SignalId) -> Option<u32>) -> Vec<u8> {
        let batch = self.batch;
        let numbered = (0..batch.len()).filter_map(|row| Some((row, number(*batch.signal.get(row)?)?)));
        let rows: Vec<(usize, u32)> = numbered.collect();
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let heap = u32::try_from(batch.heap.len()).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(24 + rows.len() * 25 + batch.heap.len());
        out.extend([VERSION, if self.last { FLAG_LAST } else { 0 }, 0, 0]);
        out.extend(count.to_le_bytes());
        out.extend(self.seq.0.to_le_bytes());
        out.extend(heap.to_le_bytes());
        out.extend([0; 4]);
        let rows = || rows.iter();
        out.extend(rows().flat_map(|(row, _)| batch.time.get(*row).copied().unwrap_or(0).to_le_bytes()));
        out.extend(rows().flat_map(|(row, _)| batch.bits.get(*row).copied().unwrap_or(0).to_le_bytes()));
        out.extend(rows().flat_map(|(_, number)| number.to_le_bytes()));
        out.extend(
            rows().flat_map(|(row, _)| batch.quality.at(*row).unwrap_or(Quality::BAD).0.to_le_bytes()),
        );
        out.extend(rows().map(|(row, _)| batch.kind.at(*row).unwrap_or(Kind::None) as u8));
        out.extend_from_slice(&batch.heap);
        out
    }
}
