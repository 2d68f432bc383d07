//! Files of others: CSV in every dialect, JSON lines, line protocol. Recognised, read, and written as a request.

pub(crate) fn run(data: &[u8]) {
    tidemill_connect::import::exercise(data);
}
