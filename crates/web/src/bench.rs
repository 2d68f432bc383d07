//! What the benchmark measures that no caller sees by itself: line protocol to finished batches, names and rights
//! included, without HTTP and without a log. Not part of the room's promise.

use std::sync::Arc;

use tidemill_core::{Bus, Flags, Identity, IdentityKind, Peer, Problem};
use tidemill_ground::{Limit, Metrics, RealClock};

use crate::Settings;
use crate::line::origin::Origin;
use crate::line::parse;
use crate::times::TimeUnit;
use crate::write::collect::{Collector, Desk, Terms, Window};

/// Every batch is kept.
const ALL: Window = Window { from: 0, bytes_max: u64::MAX };

/// A door that fills batches and publishes none.
pub struct Door {
    desk: Desk,
    settings: Settings,
    who: Identity,
    terms: Terms,
}

impl Door {
    /// Over a bus that binds.
    pub fn new(bus: Arc<dyn Bus>) -> Door {
        let (metrics, settings) = (Metrics::new(), Settings::default());
        let limit = Limit::new(&metrics, "http_bindings", settings.bindings_max);
        let peer = Peer { door: "bench", address: None };
        Door {
            desk: Desk::new(bus, Arc::new(RealClock::new()), &metrics, limit),
            settings,
            who: Identity { name: "token:bench".into(), kind: IdentityKind::Token, peer },
            terms: Terms {
                unit: TimeUnit::Nanoseconds,
                flags: Flags::default(),
                partial: false,
                by_agent: false,
                partial_by: "",
                origin: Origin::default(),
            },
        }
    }

    /// Reads a body into batches; how many samples they hold.
    ///
    /// # Errors
    /// The first line that is refused.
    pub fn lines(&self, body: &[u8]) -> Result<u64, Problem> {
        let mut collector =
            Collector::new(&self.desk, &self.settings, &self.who, &self.terms, body.len(), ALL)?;
        parse(body, self.terms.unit, &mut collector);
        let mut collected = collector.finish();
        if let Some(refused) = collected.refused.pop() {
            return Err(refused.into_problem());
        }
        Ok(collected
            .parts
            .iter()
            .filter_map(|part| part.samples.as_ref())
            .map(|batch| batch.len() as u64)
            .sum())
    }
}
