//! Planning that can be stopped and cannot grow without end. Planning takes more than linear time, and a text of a few
//! kilobytes may mean a plan of any size: names for subqueries that double at each step, conditions that are pushed
//! through expressions which double. So the size of what was read is bounded, and between any two steps of the planner
//! the query is asked whether it may go on, and how large it has become. What is not here: running.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, TryCast};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer, OptimizerConfig};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use tidemill_core::{Bus, Problem, ReadScope, codes};
use tidemill_dialect::{apart, from_problem, statement};

use super::aliases::resolved;
use super::bounds::measured_type;
use super::gate;
use super::guard::guarded;
use super::meanings::Meanings;
use super::meter::Meter;

/// How many steps (scans, joins, conditions, columns made) a plan may have.
pub(crate) const STEPS_MAX: usize = 4_096;
/// How many subqueries behind ANY and ALL a plan may mean. Each is asked twice, with all that is in it: the planner says
/// `x > ANY (SELECT …)` as two conditions, and takes long where those nest.
pub(crate) const QUANTIFIED_MAX: usize = 128;
/// How many parts the expressions of one step may have.
pub(crate) const PARTS_MAX: usize = 50_000;

/// What can be run, and the columns that it gives. Steps of planning may lose what a statement's columns say beyond their
/// types (where a condition leaves a table empty, for one): it is given back here, so that a shape does not depend on values.
pub(crate) struct Planned {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) columns: SchemaRef,
}

impl Planned {
    fn of(plan: Arc<dyn ExecutionPlan>, meant: &Schema) -> Planned {
        let given = plan.schema();
        let kept = |(place, field): (usize, &FieldRef)| match meant.fields().get(place) {
            Some(meant) if field.metadata().is_empty() && field.data_type() == meant.data_type() => {
                Arc::new(field.as_ref().clone().with_metadata(meant.metadata().clone()))
            }
            _ => Arc::clone(field),
        };
        let fields: Fields = given.fields().iter().enumerate().map(kept).collect();
        Planned { plan, columns: Arc::new(Schema::new_with_metadata(fields, given.metadata().clone())) }
    }
}

/// From a statement that only reads to what can be run. Blocking, for as long as the query may go on.
///
/// # Errors
/// What is wrong with the statement; `bad-sql` where its plan would be too large; `query-time`.
pub(crate) async fn plan(
    state: &SessionState,
    statement: Statement,
    meter: &Arc<Meter>,
    (bus, scope): (&dyn Bus, &ReadScope),
) -> Result<Planned> {
    let plan = read(state, statement, meter).await?;
    let plan = resolved(plan, bus, scope)?;
    let meant = Arc::clone(plan.schema().inner());
    let plan = guarded(state.optimize(&plan)?)?;
    meter.go_on()?;
    let plan = state.query_planner().create_physical_plan(&plan, state).await?;
    let plan = gate::gated(plan, meter)?;
    meter.planned();
    Ok(Planned::of(plan, &meant))
}

/// What a statement means, looked at and not yet made fit to run. Blocking.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn read(
    state: &SessionState,
    mut statement: Statement,
    meter: &Arc<Meter>,
) -> Result<LogicalPlan> {
    let plan = match apart::tell(&mut statement) {
        false => state.statement_to_plan(statement).await?,
        true => {
            let mut state = state.clone();
            state.register_udf(apart::function())?;
            state.statement_to_plan(statement).await?
        }
    };
    meter.go_on()?;
    verify(&plan)?;
    Ok(plan)
}

/// A look at what was read: its size, its types, and that nothing in it, at any depth, does anything but read.
fn verify(plan: &LogicalPlan) -> Result<()> {
    if steps(plan, &mut HashMap::new())? > STEPS_MAX {
        return Err(too_large());
    }
    if quantified(plan, &mut HashMap::new())? > QUANTIFIED_MAX {
        let detail = format!("the query means more than {QUANTIFIED_MAX} subqueries behind ANY and ALL");
        let hint = "Each counts twice, with those in it: nest them less, as with IN or EXISTS, or ask several questions";
        return Err(from_problem(Problem::new(&codes::BAD_SQL, detail).hint(hint)));
    }
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    // Its own words speak of the plan's insides.
    reading.verify_plan(plan).map_err(|_| statement::refused("something other than reading"))?;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) = part {
                    measured_type(field.data_type())?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// A plan that means no more steps than any may have.
pub(crate) fn bounded(plan: LogicalPlan) -> Result<LogicalPlan> {
    if steps(&plan, &mut HashMap::new())? > STEPS_MAX { Err(too_large()) } else { Ok(plan) }
}

/// How many steps a plan has. What stands once and is named twice counts twice, and is looked at once.
fn steps(plan: &LogicalPlan, known: &mut HashMap<*const LogicalPlan, usize>) -> Result<usize> {
    let place: *const LogicalPlan = plan;
    if let Some(steps) = known.get(&place) {
        return Ok(*steps);
    }
    let mut sum = 1usize;
    for input in plan.inputs() {
        sum = sum.saturating_add(steps(input, known)?);
    }
    plan.apply_subqueries(|inner| {
        if let LogicalPlan::Subquery(subquery) = inner {
            sum = sum.saturating_add(steps(&subquery.subquery, known)?);
        }
        Ok(TreeNodeRecursion::Jump)
    })?;
    known.insert(place, sum);
    Ok(sum)
}

/// How many subqueries ANY and ALL mean, where each is asked twice. What stands once and is named twice counts twice, and is
/// looked at once.
fn quantified(plan: &LogicalPlan, known: &mut HashMap<*const LogicalPlan, usize>) -> Result<usize> {
    let place: *const LogicalPlan = plan;
    if let Some(count) = known.get(&place) {
        return Ok(*count);
    }
    let mut sum = 0usize;
    for input in plan.inputs() {
        sum = sum.saturating_add(quantified(input, known)?);
    }
    plan.apply_expressions(|expr| {
        sum = sum.saturating_add(quantified_in(expr, known)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    known.insert(place, sum);
    Ok(sum)
}

fn quantified_in(expr: &Expr, known: &mut HashMap<*const LogicalPlan, usize>) -> Result<usize> {
    let mut sum = 0usize;
    expr.apply_children(|part| {
        sum = sum.saturating_add(quantified_in(part, known)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let (subquery, times) = match expr {
        Expr::SetComparison(compared) => (&compared.subquery, 2),
        Expr::InSubquery(among) => (&among.subquery, 1),
        Expr::Exists(asked) => (&asked.subquery, 1),
        Expr::ScalarSubquery(subquery) => (subquery, 1),
        _ => return Ok(sum),
    };
    let within = sum.saturating_add(quantified(&subquery.subquery, known)?);
    Ok(within.saturating_add(times - 1).saturating_mul(times))
}

fn too_large() -> DataFusionError {
    let detail =
        format!("the query means more than {STEPS_MAX} steps, or {PARTS_MAX} parts of one expression");
    let problem = Problem::new(&codes::BAD_SQL, detail);
    from_problem(problem.hint("Name fewer things in terms of each other, or ask several questions"))
}

/// The planner's rules, each asking before it begins.
pub(crate) fn analyzers() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let rules = Analyzer::new().rules.into_iter().chain([Arc::new(Meanings) as _]);
    rules.map(|rule| -> Arc<dyn AnalyzerRule + Send + Sync> { Arc::new(Step(rule)) }).collect()
}

/// The same for logical plans.
pub(crate) fn optimizers() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = Optimizer::new().rules.into_iter();
    rules.map(|rule| -> Arc<dyn OptimizerRule + Send + Sync> { Arc::new(Step(rule)) }).collect()
}

/// The same for physical plans.
pub(crate) fn physical_optimizers() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    rules.map(|rule| -> Arc<dyn PhysicalOptimizerRule + Send + Sync> { Arc::new(Step(rule)) }).collect()
}

/// A rule of the planner, which begins only while the query may go on.
#[derive(Debug)]
struct Step<T: ?Sized>(Arc<T>);

fn go_on(config: &ConfigOptions) -> Result<()> {
    Meter::of(config).map_or(Ok(()), |meter| meter.go_on())
}

impl AnalyzerRule for Step<dyn AnalyzerRule + Send + Sync> {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        go_on(config)?;
        self.0.analyze(plan, config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

impl OptimizerRule for Step<dyn OptimizerRule + Send + Sync> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        go_on(&config.options())?;
        let made = self.0.rewrite(plan, config)?;
        if made.transformed {
            // A rule changes the step that it is given, and may put what it took from there into the next.
            measure(&made.data)?;
            made.data.inputs().into_iter().try_for_each(measure)?;
        }
        Ok(made)
    }
}

/// Refuses a step whose expressions have grown too large.
fn measure(step: &LogicalPlan) -> Result<()> {
    let mut parts = 0;
    step.apply_expressions(|expr| {
        expr.apply(|_| {
            parts += 1;
            Ok(if parts > PARTS_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    if parts > PARTS_MAX {
        return Err(too_large());
    }
    Ok(())
}

impl PhysicalOptimizerRule for Step<dyn PhysicalOptimizerRule + Send + Sync> {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        go_on(config)?;
        self.0.optimize(plan, config)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        go_on(context.config_options())?;
        self.0.optimize_with_context(plan, context)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
