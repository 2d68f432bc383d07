//! What the house says of itself in SQL: counters and limits, and what runs.

use std::sync::Arc;

use tidemill_core::{ColumnKind, Facts, TableSpec, Value, column};
use tidemill_ground::{Ground, Metrics, Tasks};

static METRICS: TableSpec = TableSpec {
    name: "metrics",
    description: "Every counter and gauge of the house, as /metrics shows them.",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "The metric's name"),
        column("labels", ColumnKind::Text, "Its labels"),
        column("value", ColumnKind::Float, "Its value now"),
        column("help", ColumnKind::Text, "What it counts"),
    ],
    path_columns: &[],
};

static TASKS: TableSpec = TableSpec {
    name: "tasks",
    description: "What runs, in the order in which it stops.",
    stream: None,
    columns: &[
        column("phase", ColumnKind::Text, "doors, engines or log"),
        column("task", ColumnKind::Text, "Its name"),
    ],
    path_columns: &[],
};

/// The tables, with who fills them.
pub(crate) fn tables(ground: &Ground) -> Vec<(&'static TableSpec, Arc<dyn Facts>)> {
    vec![
        (&METRICS, Arc::new(Measured(ground.metrics.clone()))),
        (&TASKS, Arc::new(Running(ground.tasks.clone()))),
    ]
}

struct Measured(Metrics);

impl Facts for Measured {
    fn rows(&self) -> Vec<Vec<Value>> {
        let text = |text: &str| Value::Text(text.into());
        self.0
            .snapshot()
            .into_iter()
            .map(|reading| {
                let labels: Vec<String> =
                    reading.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                vec![
                    text(&reading.name),
                    text(&labels.join(",")),
                    Value::Float(reading.value),
                    text(&reading.help),
                ]
            })
            .collect()
    }
}

struct Running(Tasks);

impl Facts for Running {
    fn rows(&self) -> Vec<Vec<Value>> {
        let text = |text: String| Value::Text(text.into());
        self.0
            .running()
            .into_iter()
            .map(|(phase, task)| vec![text(format!("{phase:?}").to_lowercase()), text(task)])
            .collect()
    }
}
