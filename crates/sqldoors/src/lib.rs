//! SQL from outside: the PostgreSQL protocol and Flight SQL. Decodes what clients say, asks the history behind core's trait,
//! and passes its bytes on. What does not live here: any SQL engine, any column of values, any right.
//!
//! Invariants
//! - These doors only read. What would change something is refused before it reaches the history.
//! - No answer without a `ReadGrant`, taken anew for each statement and asked before each piece: a right that was revoked is
//!   gone at the next one.
//! - No byte from outside panics a decoder, and none makes one hold more than a named bound.
//! - Rows pass through as bytes: a slow reader holds up its own query, and nothing is gathered for it.
//! - A token is in no log, no error and no debug print.

mod error;
mod flight;
mod postgres;
mod serve;
mod settings;

pub use error::Error;
pub use flight::fuzz_flight;
pub use postgres::fuzz_postgres;
pub use serve::{Acceptors, Listening, Serves};
pub use settings::Settings;

use std::sync::{Arc, PoisonError, RwLock};

use tidemill_core::{Authority, History};
use tidemill_ground::{Clock, Entropy, Metrics, Stop};

/// Everything the doors need from the house.
#[derive(Clone)]
#[allow(missing_docs, reason = "the rooms by their names")]
pub struct Doors {
    pub history: Arc<dyn History>,
    pub authority: Arc<dyn Authority>,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The version of the program, as it is told to clients.
    pub version: Arc<str>,
    pub settings: Settings,
}

/// Both doors. Clones are the same.
#[derive(Clone)]
pub struct SqlDoors(Arc<House>);

pub(crate) struct House {
    pub(crate) doors: Doors,
    settings: RwLock<Arc<Settings>>,
    postgres: postgres::Held,
    flight: flight::Held,
}

impl House {
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SqlDoors {
    /// The doors over these rooms.
    pub fn new(doors: Doors) -> SqlDoors {
        SqlDoors(Arc::new(House {
            settings: RwLock::new(Arc::new(doors.settings.clone())),
            postgres: postgres::Held::new(&doors),
            flight: flight::Held::new(&doors),
            doors,
        }))
    }

    /// Takes other settings: for statements that come from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.0.postgres.connections.set_max(settings.connections_max);
        self.0.flight.connections.set_max(settings.connections_max);
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Serves the PostgreSQL protocol until `stop`, then drains.
    pub async fn serve_postgres(&self, listening: Listening, stop: Stop) {
        postgres::serve(&self.0, listening, stop).await;
    }

    /// Serves Flight SQL until `stop`, then drains.
    pub async fn serve_flight(&self, listening: Listening, stop: Stop) {
        flight::serve(&self.0, listening, stop).await;
    }
}
