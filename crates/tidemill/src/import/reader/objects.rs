//! JSON objects to samples: one object a sample, or one member a signal.

use std::io;

use tidemill_core::{Escape, Kind, Quality, SignalPath, Value};

use super::super::cell;
use super::super::json::{self, JsonPlan, JsonShape, Member, Scalar};
use super::super::rejected;
use super::super::time::Run;
use super::{Batch, Fault, Input, Reader, Sample, one, short, with_quality};

impl Reader {
    pub(super) fn objects(&mut self, plan: &JsonPlan) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        let value = match &plan.shape {
            JsonShape::Narrow { value, .. } => Some(value.as_str()),
            JsonShape::Wide { .. } => None,
        };
        while !batch.is_full() {
            let Input::Objects(objects) = &mut self.input else { break };
            let Some(line) = objects.next_object()? else {
                self.ended = true;
                break;
            };
            if line.fault.is_none() && (line.text.trim().is_empty() || rejected::is_remark(&line.text)) {
                continue;
            }
            self.summary.rows += 1;
            let read = match line.fault {
                Some(fault) => Err((None, fault.to_string())),
                None => json::members(&line.text, value).map_err(|reason| (None, reason)),
            };
            let faults = match read.and_then(|members| self.object(plan, &members, &mut batch)) {
                Ok(faults) => faults,
                Err(fault) => vec![fault],
            };
            batch.keep_original(line.number, &line.text);
            if let Some(fault) = one(faults) {
                self.reject(&mut batch.rejects, line.number, &line.text, fault);
            }
        }
        Ok(batch.some())
    }

    fn object(
        &mut self,
        plan: &JsonPlan,
        members: &[Member],
        batch: &mut Batch,
    ) -> Result<Vec<Fault>, Fault> {
        let outer = |name: &str| members.iter().find(|member| member.name == [name]);
        let text = |name: &str| outer(name).map_or("", |member| member.value.text());
        let day = plan.time_of_day.as_deref().map(text);
        let (run, known) = match &plan.shape {
            JsonShape::Narrow { prefix, signal, unit, .. } => {
                let unit = unit.as_deref().map_or("", text);
                let number = self.signal(prefix.as_ref(), text(signal), unit);
                (
                    number.clone().unwrap_or_default() as usize,
                    number.map_err(|reason| (Some(signal.clone()), reason)),
                )
            }
            JsonShape::Wide { .. } => (0, Ok(0)),
        };
        let signal = known?;
        while self.runs.len() <= run {
            self.runs.push(Run::default());
        }
        let mut spare = Run::default();
        let time =
            self.clock.read(text(&plan.time).trim(), day, self.runs.get_mut(run).unwrap_or(&mut spare));
        let time = time.map_err(|fault| (Some(plan.time.clone()), fault.to_string()))?;
        match &plan.shape {
            JsonShape::Narrow { value, quality: at, kind, numbers, .. } => {
                let stated = match at.as_deref().and_then(outer).map(|member| &member.value) {
                    None | Some(Scalar::Null) => None,
                    Some(scalar) => {
                        let unknown = || (at.clone(), format!("'{}' is no quality", short(scalar.text())));
                        Some(self.quality(scalar.text(), *numbers).ok_or_else(unknown)?)
                    }
                };
                let kind = kind.as_deref().map(text).filter(|kind| !kind.is_empty());
                let read = scalar(outer(value).map(|member| &member.value), kind);
                let read = read.map_err(|reason| (Some(value.clone()), reason))?;
                self.count_whole(read.as_ref().filter(|_| kind.is_none()));
                let Some(read) = read else {
                    self.summary.empty_cells += 1;
                    return Ok(Vec::new());
                };
                let (value, quality) = match (read, stated) {
                    // `null` is no word that could say more than the quality beside it.
                    ((Value::None, _), Some(stated)) if !stated.is_good() => (Value::None, stated),
                    (read, stated) => with_quality(read, stated),
                };
                self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
                Ok(Vec::new())
            }
            JsonShape::Wide { prefix, only, left_out } => {
                let mut faults = Vec::new();
                for member in members {
                    let name = member.name.join("/");
                    let aside = name == plan.time || left_out.contains(&name);
                    if aside || only.as_ref().is_some_and(|(wanted, _)| *wanted != name) {
                        continue;
                    }
                    if let Err(reason) = self.member(prefix, only.as_ref(), member, time, batch) {
                        faults.push((Some(name), reason));
                    }
                }
                Ok(faults)
            }
        }
    }

    fn member(
        &mut self,
        prefix: &SignalPath,
        only: Option<&(String, SignalPath)>,
        member: &Member,
        time: i64,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let read = scalar(Some(&member.value), None)?;
        self.count_whole(read.as_ref());
        let Some((value, quality)) = read else { return Ok(()) };
        let signal = match only {
            Some((_, path)) => self.signal(None, path.as_str(), "")?,
            None => {
                // A member's own slash is no separator.
                let name: Vec<_> = member.name.iter().map(|part| Escape::segment(part)).collect();
                self.signal(Some(prefix), &name.join("/"), "")?
            }
        };
        self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
        Ok(())
    }
}

fn scalar(scalar: Option<&Scalar>, kind: Option<&str>) -> Result<Option<cell::Read>, String> {
    if let Some(name) = kind {
        let kind = Kind::from_name(name).ok_or_else(|| format!("'{}' is no kind", short(name)))?;
        let text = match scalar {
            None | Some(Scalar::Null) => "",
            Some(Scalar::Document(json)) => json,
            Some(other) => other.text(),
        };
        let without = if kind == Kind::None { Quality::BAD } else { Quality::GOOD };
        return cell::read_stated(text, kind).map(|value| Some((value, without)));
    }
    let good = |value| Ok(Some((value, Quality::GOOD)));
    match scalar {
        None => Ok(None),
        // As at the door for JSON.
        Some(Scalar::Null) => Ok(Some((Value::None, Quality::BAD))),
        Some(Scalar::Bool(value)) => good(Value::Bool(*value)),
        Some(Scalar::Number(text)) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => good(cell::float_or_whole(text, number)),
            _ => Err(format!("'{}' is no finite number", short(text))),
        },
        // JSON says what is text and what is not: no word stands for absence here.
        Some(Scalar::Text(text)) => good(Value::Text(text.as_str().into())),
        Some(Scalar::Document(json)) => good(Value::Json(json.as_str().into())),
    }
}
