//! SQL as it is written: from a text to one statement that the planner takes, in the house's own spelling and in
//! PostgreSQL's, with the catalogue that PostgreSQL's clients look things up in and rows as they read them.
//!
//! What does not live here: planning and running, what there is to be read (the historian, the only room that knows this
//! one), and the conversation with a client (its door).
//!
//! Invariants
//! - A text becomes one statement that only reads, of bounded length and depth, or a refusal.
//! - A parameter becomes a literal in the tree, never syntax.
//! - The catalogue tells of nothing but what it was given for this caller.

pub mod apart; //     casts that the planner would confuse
mod error; //         problems on their way through DataFusion
mod exists; //        EXISTS as a column
pub mod members; //   IN (SELECT …) where something is not known
mod outline; //       the shape of a statement, without its literals
pub mod postgres; //  its clients: spelling, catalogue, rows
mod similar; //       SIMILAR TO
pub mod spans; //     what becomes an interval
pub mod statement; // one statement that only reads
mod walk; //         one walk through a statement
mod weight; //        how much its expressions mean

pub use error::{bad, does_not_fit, from_problem};
pub use outline::outline;
