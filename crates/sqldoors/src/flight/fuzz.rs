//! Everything that a client of Flight SQL may send, for a fuzzer: bytes become messages or refusals.

use bytes::Bytes;

use super::ipc::Cutter;
use super::messages;

/// Reads bytes as each of the messages, and as a stream of Arrow in pieces.
///
/// # Panics
/// What was read and is sent again is not the same: a finding.
pub fn flight(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let asked = (messages::descriptor(&bytes), messages::ticket(&bytes), messages::action(&bytes));
    drop((asked, messages::basic_auth(&bytes)));
    if let Ok(messages::Put { message: Some(message), .. }) = messages::put(&bytes) {
        let framed = Bytes::from(messages::flight_data(message.clone()).concat());
        let sent = framed.slice(super::grpc::PREFIX_BYTES..);
        let again = messages::put(&sent).ok().and_then(|put| put.message);
        assert_eq!(again, Some(message), "what is sent is read as it was");
    }
    let whole = cut(data.len().max(1), data);
    assert_eq!(cut(7, data), whole, "a stream is the same however it comes");
}

/// The messages of a stream that comes in pieces.
fn cut(piece_bytes: usize, data: &[u8]) -> Vec<super::ipc::Message> {
    let (mut cutter, mut found) = (Cutter::default(), Vec::new());
    for piece in data.chunks(piece_bytes) {
        cutter.feed(Bytes::copy_from_slice(piece));
        while let Ok(Some(message)) = cutter.next() {
            found.push(message);
        }
    }
    found
}
