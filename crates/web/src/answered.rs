//! How many requests were answered, how, and how long that took, for `/metrics`. What does not live here: the log of single
//! requests (`middleware.rs`).

use std::time::Duration;

use tidemill_ground::{Counter, Histogram, Metrics, SECONDS};

/// Counts answers.
pub(crate) struct Answered {
    /// By the first digit of the status, 1 to 5.
    requests: [Counter; 5],
    seconds: Histogram,
}

impl Answered {
    pub(crate) fn new(metrics: &Metrics) -> Answered {
        let of = |class| {
            metrics.counter_with(
                "tidemill_http_requests",
                "Requests answered, by status.",
                &[("status", class)],
            )
        };
        Answered {
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(of),
            seconds: metrics.histogram(
                "tidemill_http_request_seconds",
                "How long requests took to the first byte of their answer.",
                SECONDS,
            ),
        }
    }

    pub(crate) fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.requests.get(class)) {
            counter.add(1);
        }
        self.seconds.observe(took.as_secs_f64());
    }
}
