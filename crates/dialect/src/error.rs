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
