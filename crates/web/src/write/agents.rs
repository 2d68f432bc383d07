//! What agents are told: programs that read nothing but the status, repeat what a 5xx refused and drop what a 4xx did. So
//! only what can never be kept is a 4xx to them. How each protocol words it is the doors' own matter.

use axum::body::Body;
use axum::http::Response;
use tidemill_core::{Problem, codes};

use super::Written;
use crate::answer::nothing;

/// How long an agent waits where nobody knows better.
const RETRY_AFTER_S: u32 = 1;

/// A refusal that holds for this moment only is `busy`: as 408, 409 or 429 it would be dropped by Telegraf's output for
/// InfluxDB 1, and by Prometheus unless it is told otherwise.
pub(crate) fn later(problem: Problem) -> Problem {
    if ![&codes::SHARE_EXCEEDED, &codes::CONFLICT, &codes::TOO_SLOW].contains(&problem.code) {
        return problem;
    }
    let seconds = problem.retry_after_s.unwrap_or(RETRY_AFTER_S);
    Problem { code: &codes::BUSY, ..problem }.retry_after(seconds)
}

/// Remote write: what was refused of a request is a 400 that says how much, and the rest is durable. A 429, which a limit
/// on names has elsewhere, would have some senders repeat the same request for ever.
pub(crate) fn remote_written(written: Written) -> Result<Response<Body>, Problem> {
    let Written { kept, refused, refused_count } = written;
    let Some(first) = refused.into_iter().next() else { return Ok(nothing()) };
    let series = first.line;
    let problem = first.error.into_problem();
    let detail = format!("series {series}: {}; refused={refused_count} kept={kept}", problem.detail);
    let code = match problem.code.status {
        400 | 403 if kept == 0 => problem.code,
        _ => &codes::PARTIAL_WRITE,
    };
    let hint = problem.mend().to_owned();
    Err(Problem::new(code, detail).hint(hint))
}
