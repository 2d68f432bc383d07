//! Bodies that are fine, wrong, and hostile.
