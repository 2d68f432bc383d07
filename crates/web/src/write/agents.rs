//! What agents are told: programs that read nothing but the status, repeat what a 5xx refused and drop what a 4xx did. So
//! only what can never be kept as it is is a 4xx to them. How each protocol words it is the doors' own matter.

use axum::body::Body;
use axum::http::Response;
use tidemill_core::{Code, Problem, codes};

use super::Written;
use crate::answer::nothing;

/// How long an agent waits where nobody knows better.
const RETRY_AFTER_S: u32 = 1;
/// The longest that an agent is asked to wait: the reason may be mended before it passes by itself.
const RETRY_AFTER_MAX_S: u32 = 60;

/// What passes by itself though its status is below 500. As 408, 409 or 429 it would be dropped by Telegraf's output for
/// InfluxDB 1, and by Prometheus unless it is told otherwise. Everything else below 500 lasts until somebody mends it.
static PASSING: [&Code; 4] =
    [&codes::TOO_SLOW, &codes::CONFLICT, &codes::SHARE_EXCEEDED, &codes::SIGNALS_RATE];

/// Whether what is refused with this code will be taken later as it is.
pub(super) fn passes(code: &'static Code) -> bool {
    code.status >= 500 || PASSING.contains(&code)
}

/// The refusal of a request as agents are told of it.
pub(crate) fn refused(problem: Problem) -> Problem {
    let code = match problem.code.status {
        500.. => return problem,
        _ if passes(problem.code) => &codes::BUSY,
        // Some repeat a 429 for ever, whatever it is for.
        429 => &codes::PARTIAL_WRITE,
        _ => return problem,
    };
    let wait_s = problem.retry_after_s.unwrap_or(RETRY_AFTER_S).min(RETRY_AFTER_MAX_S);
    let retry_after_s = (code == &codes::BUSY).then_some(wait_s);
    let hint = problem.mend().to_owned();
    Problem { code, hint, retry_after_s, ..problem }
}

/// What became of a write: where a part of it is to come again, all of it is, since agents know no parts.
pub(crate) fn settled(written: Result<Written, Problem>) -> Result<Written, Problem> {
    let mut written = written.map_err(refused)?;
    match written.later.take() {
        None => Ok(written),
        Some(problem) => {
            let detail = format!("{}; what could be kept is durable, send all of it again", problem.detail);
            Err(refused(Problem { detail, ..problem }))
        }
    }
}

/// Remote write: what was refused of a request is a 400 that says how much, and the rest is durable.
pub(crate) fn remote_written(written: Written) -> Result<Response<Body>, Problem> {
    let Written { kept, refused, refused_count, .. } = written;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;

    use super::*;

    /// By the status that an agent sees. A new code is put in its place here by whoever adds it.
    #[test]
    fn every_code_passes_or_lasts() {
        let mut told: BTreeMap<(bool, u16), Vec<&str>> = BTreeMap::new();
        for code in codes::ALL {
            let problem = refused(Problem::new(code, "").retry_after(3_600));
            assert_eq!(passes(code), problem.code.status >= 500, "{}", code.id);
            assert!(![408, 425, 429].contains(&problem.code.status), "{}", code.id);
            assert_eq!(problem.mend(), code.mend, "what to do stays");
            assert!(
                problem.code != &codes::BUSY || *code == &codes::BUSY || problem.retry_after_s == Some(60)
            );
            told.entry((passes(code), problem.code.status)).or_default().push(code.id);
        }
        let line = |((passes, status), ids): (&(bool, u16), &Vec<&str>)| {
            format!("{} {status}: {}\n", if *passes { "passes" } else { "lasts" }, ids.join(" "))
        };
        expect![[r#"
            lasts 400: bad-path bad-pattern bad-time bad-value bad-quality bad-unit bad-line bad-series partial-write bad-json bad-arrow bad-parameter bad-sql bad-encoding bad-host bad-configuration bad-import import-cut tls-required signals-limit
            lasts 401: unauthenticated
            lasts 403: forbidden read-only not-owner
            lasts 404: not-found no-plant
            lasts 405: method-not-allowed
            lasts 409: rights-changed exists many-plants plant-locked address-taken not-empty newer-format
            lasts 413: too-large
            lasts 414: address-too-long
            lasts 415: unsupported-format
            lasts 422: query-time query-memory query-rows backup-damaged backup-base
            lasts 431: head-too-large
            passes 500: damaged file-unwritable file-unreadable internal
            passes 502: untrusted
            passes 503: too-slow conflict signals-rate share-exceeded busy not-durable stopping audit-unwritable not-running
            passes 504: unfinished
            passes 507: disk-full
        "#]].assert_eq(&told.iter().map(line).collect::<String>());
    }
}
