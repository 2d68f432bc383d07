//! The gate `docs`: the documentation of every crate builds without a warning, private items included, since those who
//! work in a room read them. Whether a public item is documented at all is a lint of the compiler.

use super::{Verdict, tool};

pub(super) fn check() -> Result<Verdict, String> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    Ok(tool(&arguments, Some(("RUSTDOCFLAGS", "-D warnings"))))
}
