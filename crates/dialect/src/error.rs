//! Problems on their way through DataFusion. What is not here: how they are told in the end, and what becomes of errors of
//! DataFusion itself; both are the historian's.

use datafusion::common::DataFusionError;
use tidemill_core::{Problem, codes};

/// A problem on its way through DataFusion.
pub fn from_problem(problem: Problem) -> DataFusionError {
    DataFusionError::External(Box::new(problem))
}

/// `bad-sql` on its way through DataFusion.
pub fn bad(detail: impl Into<String>) -> DataFusionError {
    from_problem(Problem::new(&codes::BAD_SQL, detail))
}

/// A number that leaves its type, on its way through DataFusion.
pub fn does_not_fit(what: impl std::fmt::Display) -> DataFusionError {
    let problem = Problem::new(&codes::BAD_SQL, format!("a number does not fit: {what}"));
    from_problem(problem.hint("Compute with CAST(… AS DECIMAL(38, 0)), or with value, which is a float; CASE WHEN keeps rows out, AND does not"))
}
