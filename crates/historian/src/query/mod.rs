//! From scans to answers: retrieval modes, SQL, formats.
