//! What the bus holds right now, for SQL: who is subscribed and how far behind, and which names look alike.

use std::sync::Arc;

use tidemill_core::{ColumnKind, Facts, TableSpec, Value, column};

use crate::shared::Shared;

static SUBSCRIPTIONS: TableSpec = TableSpec {
    name: "subscriptions",
    description: "Who listens to which signals now, and how far behind they are.",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "A number of this run"),
        column("patterns", ColumnKind::Text, "What it listens to, joined by spaces"),
        column("waiting", ColumnKind::Int, "Parcels that wait for it"),
        column("waiting_bytes", ColumnKind::Int, "Their bytes"),
        column("dropped", ColumnKind::Int, "Parcels it lost because it was too slow"),
        column("lag", ColumnKind::Int, "Durable parcels after the last one it took, matching or not"),
    ],
    path_columns: &[],
};

static NEAR_TWINS: TableSpec = TableSpec {
    name: "near_twins",
    description: "New names of this run that differ from an older one in upper and lower case only.",
    stream: None,
    columns: &[
        column("signal", ColumnKind::Text, "The later name"),
        column("similar", ColumnKind::Text, "The older name"),
        column("source", ColumnKind::Text, "Who brought the later name"),
    ],
    path_columns: &["signal", "similar"],
};

struct Of(Arc<Shared>, fn(&Shared) -> Vec<Vec<Value>>);

impl Facts for Of {
    fn rows(&self) -> Vec<Vec<Value>> {
        self.1(&self.0)
    }
}

pub(crate) fn facts(shared: &Arc<Shared>) -> Vec<(&'static TableSpec, Arc<dyn Facts>)> {
    vec![
        (&SUBSCRIPTIONS, Arc::new(Of(shared.clone(), subscriptions))),
        (&NEAR_TWINS, Arc::new(Of(shared.clone(), near_twins))),
    ]
}

fn subscriptions(shared: &Shared) -> Vec<Vec<Value>> {
    let durable = shared.journal.durable();
    let row = |subscriber: Arc<crate::route::Subscriber>| {
        let mailbox = &subscriber.mailbox;
        let (waiting, waiting_bytes) = mailbox.waiting();
        let patterns: Vec<&str> = subscriber.patterns.iter().map(|pattern| pattern.as_str()).collect();
        let lag = durable.0.saturating_sub(mailbox.delivered().0);
        let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        vec![
            Value::Text(subscriber.number.to_string().into()),
            Value::Text(patterns.join(" ").into()),
            count(waiting as u64),
            count(waiting_bytes),
            count(mailbox.dropped()),
            count(lag),
        ]
    };
    shared.router.all().into_iter().map(row).collect()
}

fn near_twins(shared: &Shared) -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.into());
    shared
        .near_twins()
        .iter()
        .map(|twin| vec![text(twin.path.as_str()), text(twin.like.as_str()), text(&twin.by)])
        .collect()
}
