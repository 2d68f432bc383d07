//! What strangers may send to the PostgreSQL door before anything is asked of the history.

pub(crate) fn run(data: &[u8]) {
    tidemill_sqldoors::fuzz_postgres(data);
}
