//! Rows without times of their own: what `--start` and `--step` mean for a table.

use super::super::error::Error;
use super::super::names;
use super::super::steps::{Grid, Step};
use super::super::time::{TimeForm, TimeFormat};
use super::super::words::{self, Meaning};
use super::{Look, Times};

impl Look<'_> {
    pub(super) fn is_textual(&self, at: usize) -> bool {
        let column = self.column(at);
        column.is_date_time() || column.is_date() || column.is_digit_date()
    }

    /// Where the times are if a start is given: in a column that counts from there, or nowhere.
    pub(super) fn counting(&self) -> Result<Times, Error> {
        let at = match &self.options.time {
            Some(wanted) => Some(self.wanted(wanted)?),
            None => {
                let named = |at: &usize| self.means(*at, Meaning::Time) && self.column(*at).filled > 0;
                let counts = |at: &usize| self.unit_of(*at).is_some() && self.column(*at).is_number();
                let all = || 0..self.sheet.width();
                all()
                    .find(named)
                    .or_else(|| all().find(|at| counts(at) && words::is_elapsed(self.sheet.header(*at))))
            }
        };
        let own = at.or_else(|| (0..self.sheet.width()).find(|at| self.column(*at).is_date_time()));
        if let Some(at) = own.filter(|at| self.is_textual(*at)) {
            let hint = "Leave --start away: it is for rows without times";
            return Err(self.column_problem(at, "times of its own".to_owned(), hint));
        }
        Ok(Times { at, of_day: None, textual: false })
    }

    /// The step that the unit of a header means.
    fn unit_of(&self, at: usize) -> Option<Step> {
        let (_, unit) = names::name_and_unit(self.sheet.header(at));
        let below = self.sheet.units.as_ref().and_then(|units| units.get(at));
        Step::of_unit(unit).or_else(|| Step::of_unit(below?))
    }

    /// What counts from a start.
    pub(super) fn counted(&self, start: i64, at: Option<usize>) -> Result<TimeForm, Error> {
        let Some(at) = at else {
            let step = self.options.step.ok_or_else(|| Error::NoStep(self.file.to_owned()))?;
            return Ok(TimeForm::Rows(Grid { start, step }));
        };
        if !self.column(at).is_number() {
            let hint = "Name a column of numbers with --time COLUMN, or say --step alone";
            return Err(self.column_problem(at, "no numbers that could count from a start".to_owned(), hint));
        }
        let said = match (self.options.time_format, self.options.step) {
            (Some(TimeFormat::Epoch(unit)), _) => Some(Step::from(unit)),
            (_, step) => step,
        };
        match (said, self.unit_of(at)) {
            (Some(said), Some(unit)) if said != unit => {
                let what =
                    format!("the unit {} in its header, and {} is asked for", unit.name(), said.name());
                Err(self.column_problem(at, what, "Leave --step away: the header says it"))
            }
            (Some(step), _) | (None, Some(step)) => Ok(TimeForm::Elapsed(Grid { start, step })),
            (None, None) => {
                let what = "numbers, and nothing says of what".to_owned();
                Err(self.column_problem(at, what, "Say what one is with --step, such as 1s, 1h or 1d"))
            }
        }
    }
}
