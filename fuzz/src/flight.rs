//! Flight SQL: any bytes become commands, tickets, actions, rows that are put, and messages of Arrow; or they are refused.

pub(crate) fn run(data: &[u8]) {
    tidemill_sqldoors::fuzz_flight(data);
}
