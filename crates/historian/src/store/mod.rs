//! The storage half: from the journal through the buffer to files, and consistent scans of all of it.
