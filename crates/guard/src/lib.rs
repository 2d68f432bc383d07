//! The guard: the one place where it is known who someone is and decided what they may do, and where both are
//! recorded. Tokens, zones and the owner of the folder today; people and devices with certificates find their room
//! here later.
//!
//! What lives here: credentials and their store, rights compiled to tries, read scopes, the audit chain, the plant's own
//! certificates. What does
//! not: any socket, any header of a protocol, any configuration file (the binary reads those and gives typed
//! [`Settings`]), any table file (the historian keeps the rows of [`AUDIT_TABLE`]).
//!
//! Invariants
//! - Deny is the default, and nothing is remembered of a decision: who holds an identity is decided anew, so a
//!   revoked or expired token is worth nothing at once.
//! - No secret is written anywhere: what is kept of a token is its SHA-256, what is logged is its name. The one key in a
//!   file is that of the plant's certificate authority, for its owner's eyes; keys of its certificates stand in no file.
//! - `tidemill/#` is written by the house alone, whatever a right says: nobody else writes there, commands there, or
//!   gives, takes or changes names there, but for the owner, who names what came back as `tidemill/unknown/…`.
//! - A change of rights is on disk as intended before it is made; if that cannot be written, it is not made.
//! - A changed, missing, doubled or moved audit entry is found and named by [`verify`] (docs/spec/audit.md says what
//!   cannot be found).
//! - What strangers can make grow (addresses, refusals, names) has a bound, and what goes over it is counted.

pub mod audit; //    the chain of entries: files, mark, check
mod copy; //         tokens and audit at one moment, for a backup
mod error; //        what can go wrong
mod explain; //      `access why`, `access list`, the facts tables
mod guard; //        the door of the room: open, update, Authority
mod identify; //     a credential and an address become an identity
mod policy; //       rights compiled; decisions and scopes
mod refusals; //     refusals counted, slowed and summed up
mod right; //        `verb:pattern`
mod settings; //     zones, proxies, limits: typed values and what is wrong with them
mod store; //        tokens.json: what is kept of tokens
pub mod tls; //      certificates: the plant's own authority, the owner's, and what listeners show
mod token; //        what a token looks like
mod tokens; //       create, list, revoke, rotate

pub use audit::{AUDIT_TABLE, Finding, Report, verify};
pub use copy::CopiedFile;
pub use error::Error;
pub use explain::{ACCESS_TABLE, Access, Explanation, TOKENS_TABLE};
pub use guard::Guard;
pub use right::{Right, RightError};
pub use settings::{Cidr, CidrError, Limits, SettingError, Settings, Zone};
pub use token::{Secret, TokenError, check_token};
pub use tokens::TokenInfo;

#[cfg(test)]
mod tests;
