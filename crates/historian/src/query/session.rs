//! What DataFusion is given for one query: functions, tables within the scope, memory, and nothing that reaches a file
//! or the network. What is not here: the tables themselves.

use std::sync::Arc;

use arrow::array::temporal_conversions;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableFunctionImpl,
};
use datafusion::common::Result;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;

use super::columns::UTC;
use super::meter::{Meter, Metered};
use super::relation::{Relation, Table};
use super::{bounds, functions, planning, sum, syntax};

pub(crate) const CATALOG: &str = "tidemill";
pub(crate) const PUBLIC: &str = "public";
pub(crate) const SYSTEM: &str = "sys";

/// What all sessions begin with; made once.
pub(crate) fn base(partitions: usize) -> SessionState {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_target_partitions(partitions);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some(UTC.to_owned());
    let mut scalar = bounds::bounded(SessionStateDefaults::default_scalar_functions());
    scalar.extend(bounds::bounded(functions::all()));
    SessionStateBuilder::new()
        .with_config(config)
        .with_analyzer_rules(planning::analyzers())
        .with_optimizer_rules(planning::optimizers())
        .with_physical_optimizer_rules(planning::physical_optimizers())
        .with_expr_planners(syntax::planners())
        .with_scalar_functions(scalar)
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(sum::among(SessionStateDefaults::default_aggregate_functions()))
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(SessionStateDefaults::default_table_functions())
        .build()
}

/// What one query sees.
pub(crate) struct Given {
    pub(crate) public: Vec<(&'static str, Arc<dyn Relation>)>,
    pub(crate) system: Vec<(String, Arc<dyn Relation>)>,
    pub(crate) functions: Vec<(&'static str, Arc<dyn TableFunctionImpl>)>,
    pub(crate) pool: Arc<dyn MemoryPool>,
    pub(crate) meter: Arc<Meter>,
    /// What `now()` is, ns UTC.
    pub(crate) now: i64,
}

/// A session for one query.
pub(crate) fn session(base: &SessionState, given: Given) -> Result<SessionState> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let environment =
        RuntimeEnvBuilder::new().with_memory_pool(given.pool).with_disk_manager_builder(disk).build_arc()?;
    environment.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    let public = MemorySchemaProvider::new();
    for (name, relation) in given.public {
        public.register_table(name.to_owned(), Arc::new(Table(relation)))?;
    }
    let system = MemorySchemaProvider::new();
    for (name, relation) in given.system {
        system.register_table(name, Arc::new(Table(relation)))?;
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(PUBLIC, Arc::new(public))?;
    catalog.register_schema(SYSTEM, Arc::new(system))?;
    let catalogs = MemoryCatalogProviderList::new();
    datafusion::catalog::CatalogProviderList::register_catalog(
        &catalogs,
        CATALOG.to_owned(),
        Arc::new(catalog),
    );
    let mut state = SessionStateBuilder::new_from_existing(base.clone())
        .with_runtime_env(environment)
        .with_catalog_list(Arc::new(catalogs))
        .build();
    for (name, function) in given.functions {
        state.register_udtf(name, function);
    }
    state.config_mut().options_mut().extensions.insert(Metered(given.meter));
    let config = state.config_options().clone();
    let execution = state.execution_props_mut();
    execution.mark_start_execution(config);
    execution.query_execution_start_time =
        temporal_conversions::timestamp_ns_to_datetime(given.now).map(|time| time.and_utc());
    Ok(state)
}
