//! JSON objects to samples: one object a sample, or one member a signal.

use std::borrow::Cow;
use std::io;

use tidemill_core::{Escape, Kind, Quality, SignalPath, Value};

use super::super::SIGNALS_MAX;
use super::super::cell::{self, CellKind, Decimal};
use super::super::json::{JsonPlan, JsonShape};
use super::super::layout::StatusNumbers;
use super::super::members::{self, Member, Scalar};
use super::super::names;
use super::super::rejected;
use super::super::time::Run;
use super::super::words::{self, Meaning};
use super::{Batch, Fault, Input, NO_END, Reader, Sample, one, short, with_ends, with_quality};

impl Reader {
    pub(super) fn objects(&mut self, plan: &JsonPlan) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        let whole: Vec<&str> = match &plan.shape {
            JsonShape::Narrow { value, quality, .. } => {
                [Some(value), quality.as_ref()].into_iter().flatten().map(String::as_str).collect()
            }
            JsonShape::Wide { no_qualities, .. } => no_qualities.iter().map(String::as_str).collect(),
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
                None => members::members(&line.text, &whole).map_err(|reason| (None, reason)),
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
        members: &[Member<'_>],
        batch: &mut Batch,
    ) -> Result<Vec<Fault>, Fault> {
        let key = key_of(plan, members)?;
        let outer = |name: &str| members.iter().find(|member| member.is_outer(name));
        let text = |name: &str| outer(name).map_or("", |member| member.value.text());
        let ends = || plan.time_ends.iter().map(|name| (name.as_str(), text(name)));
        let time = with_ends(
            plan.time.as_deref().map_or("", text).trim(),
            plan.time_of_day.as_deref().map(text),
            ends(),
        );
        let (time, day) = time.map_err(|name| (Some(name.to_owned()), NO_END.to_owned()))?;
        let (run, known) = match &plan.shape {
            JsonShape::Narrow { prefix, signal, unit, .. } => {
                let unit = unit.as_deref().map_or("", text);
                let name = match &key {
                    Some(key) => Cow::Owned(format!("{key}/{}", text(signal))),
                    None => Cow::Borrowed(text(signal)),
                };
                let number = self.signal(prefix.as_ref(), &name, unit);
                (
                    number.clone().unwrap_or_default() as usize,
                    number.map_err(|reason| (Some(signal.clone()), reason)),
                )
            }
            JsonShape::Wide { .. } => (self.run_of(key.as_deref()), Ok(0)),
        };
        let signal = known?;
        if let JsonShape::Narrow { unit: Some(unit), .. } = &plan.shape {
            self.judge_unit(signal, text(unit)).map_err(|reason| (Some(unit.clone()), reason))?;
        }
        while self.runs.len() <= run {
            self.runs.push(Run::default());
        }
        let mut spare = Run::default();
        let time = self.clock.read(&time, day.as_deref(), self.runs.get_mut(run).unwrap_or(&mut spare));
        let time = time.map_err(|fault| (plan.time.clone(), fault.to_string()))?;
        match &plan.shape {
            JsonShape::Narrow { .. } => self.narrow_object(plan, members, (signal, time), batch),
            JsonShape::Wide { .. } => self.wide_object(plan, members, (key.as_deref(), time), batch),
        }
    }

    fn narrow_object(
        &mut self,
        plan: &JsonPlan,
        members: &[Member<'_>],
        (signal, time): (u32, i64),
        batch: &mut Batch,
    ) -> Result<Vec<Fault>, Fault> {
        let JsonShape::Narrow { value, quality: at, kind, .. } = &plan.shape else { return Ok(Vec::new()) };
        let outer = |name: &str| members.iter().find(|member| member.is_outer(name));
        let text = |name: &str| outer(name).map_or("", |member| member.value.text());
        let stated = self.stated(at.as_deref(), plan.numbers, members)?;
        let kind = kind.as_deref().map(text).filter(|kind| !kind.is_empty());
        let blame = |reason: String| (Some(value.clone()), reason);
        let member = outer(value).ok_or_else(|| blame("there is no value".to_owned()))?;
        if words::is_payload(value) && kind.is_none() {
            let path = self.signals.get(signal as usize).map(|signal| signal.path.clone());
            let path = path.ok_or_else(|| blame("there is no name".to_owned()))?;
            return self.payload(&path, &member.value, (time, stated), batch).map_err(|(_, why)| blame(why));
        }
        let read = scalar(&member.value, kind).map_err(blame)?;
        self.count_whole(Some(&read).filter(|_| kind.is_none()));
        let (value, quality) = judged(read, stated);
        self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
        Ok(Vec::new())
    }

    fn wide_object(
        &mut self,
        plan: &JsonPlan,
        members: &[Member<'_>],
        (key, time): (Option<&str>, i64),
        batch: &mut Batch,
    ) -> Result<Vec<Fault>, Fault> {
        let JsonShape::Wide { prefix, only, qualities, quality, within, no_qualities, left_out } =
            &plan.shape
        else {
            return Ok(Vec::new());
        };
        let outer = |name: &str| members.iter().any(|member| member.is_outer(name));
        if let Some(odd) = members.iter().find(|member| {
            matches!(member.value, Scalar::Document(_)) && no_qualities.iter().any(|name| member.is(name))
        }) {
            return Err((Some(odd.full_name().into_owned()), no_quality(&odd.value)));
        }
        let keyed = match key {
            Some(key) => Some(
                names::narrow(Some(prefix), key).map_err(|reason| (plan.keys.first().cloned(), reason))?,
            ),
            None => None,
        };
        let prefix = keyed.as_ref().unwrap_or(prefix);
        let path = only.as_ref().and_then(|(name, path)| match &keyed {
            None => Some(path),
            // What is only called `value` adds nothing to the name.
            Some(keyed) => Some(keyed).filter(|_| words::meaning(name) == Some(Meaning::Value)),
        });
        let mut faults = Vec::new();
        for member in members {
            let name = member.full_name();
            if left_out.contains(&*name) || only.as_ref().is_some_and(|(wanted, _)| *wanted != *name) {
                continue;
            }
            let own = qualities.get(&*name).filter(|at| outer(at));
            let is_there = |at: &str| members.iter().any(|member| member.is(at));
            let (at, numbers) = match within.quality_of(member, is_there) {
                Some(at) => (Some(at), within.numbers),
                None => (own.or(quality.as_ref()).map(String::as_str), plan.numbers),
            };
            let added = self
                .stated(at, numbers, members)
                .and_then(|stated| self.member(prefix, path, member, time, stated, batch));
            faults.extend(
                added.err().map(|(column, reason)| (column.or_else(|| Some(name.into_owned())), reason)),
            );
        }
        Ok(faults)
    }

    /// Rows without times are counted for each key by itself.
    fn run_of(&mut self, key: Option<&str>) -> usize {
        let Some(key) = key else { return 0 };
        if let Some((run, _)) = self.by_key.get(key) {
            return *run;
        }
        let run = self.by_key.len();
        if run < SIGNALS_MAX {
            self.by_key.insert(key.to_owned(), (run, [].into()));
        }
        run
    }

    /// What a message held, in a log of messages: a text that is JSON or a number is that, and of an object each scalar is a
    /// signal below the topic, as at the MQTT door.
    fn payload(
        &mut self,
        topic: &SignalPath,
        value: &Scalar<'_>,
        (time, stated): (i64, Option<Quality>),
        batch: &mut Batch,
    ) -> Result<Vec<Fault>, Fault> {
        let shown = value.shown().trim();
        let text = if shown.starts_with('{') { shown } else { "" };
        if let Ok(members) = members::members(text, &[]) {
            let added = |member: &Member<'_>| self.member(topic, None, member, time, stated, batch).err();
            return Ok(members.iter().filter_map(added).collect());
        }
        let read = match value {
            Scalar::Text(text) => cell::read(text, CellKind::Any(Decimal::Point)),
            other => scalar(other, None),
        };
        let (value, quality) = judged(read.map_err(|reason| (None, reason))?, stated);
        let signal = self.signal(None, topic.as_str(), "").map_err(|reason| (None, reason))?;
        self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
        Ok(Vec::new())
    }

    /// The quality that a member of the object states.
    fn stated(
        &mut self,
        at: Option<&str>,
        numbers: StatusNumbers,
        members: &[Member<'_>],
    ) -> Result<Option<Quality>, Fault> {
        let member = at.and_then(|at| members.iter().find(|member| member.is(at)));
        let Some(value) = member.map(|member| &member.value).filter(|value| **value != Scalar::Null) else {
            return Ok(None);
        };
        let unknown = || (at.map(str::to_owned), no_quality(value));
        self.quality(value.text(), numbers).map(Some).ok_or_else(unknown)
    }

    fn member(
        &mut self,
        prefix: &SignalPath,
        only: Option<&SignalPath>,
        member: &Member<'_>,
        time: i64,
        stated: Option<Quality>,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let read = scalar(&member.value, None).map_err(|reason| (None, reason))?;
        self.count_whole(Some(&read));
        let (value, quality) = judged(read, stated);
        if member.names().any(str::is_empty) {
            return Err((None, "there is no name".to_owned()));
        }
        let signal = match only {
            Some(path) => self.signal(None, path.as_str(), ""),
            None => {
                // A member's own slash is no separator.
                let name: Vec<_> = member.names().map(Escape::segment).collect();
                self.signal_below(prefix, &name.join("/"))
            }
        };
        let signal = signal.map_err(|reason| (None, reason))?;
        self.push(batch, Sample { signal, time, value, quality, row: batch.originals.next_row() });
        Ok(())
    }
}

/// The cells of the keys as segments.
fn key_of(plan: &JsonPlan, members: &[Member<'_>]) -> Result<Option<String>, Fault> {
    let segment = |name: &String| {
        let member = members.iter().find(|member| member.is(name)).map(|member| member.value.text());
        let cell = member.filter(|text| !text.is_empty());
        cell.map(|cell| Escape::segment(cell).into_owned())
            .ok_or_else(|| (Some(name.clone()), "there is no name".to_owned()))
    };
    let segments: Vec<String> = plan.keys.iter().map(segment).collect::<Result<_, _>>()?;
    Ok((!segments.is_empty()).then(|| segments.join("/")))
}

fn no_quality(value: &Scalar<'_>) -> String {
    format!("'{}' is no quality", short(value.shown()))
}

/// What was read, with the quality that stands beside it. `null` is no word that could say more than that.
fn judged(read: cell::Read, stated: Option<Quality>) -> cell::Read {
    match (read, stated) {
        ((Value::None, _), Some(stated)) if !stated.is_good() => (Value::None, stated),
        (read, stated) => with_quality(read, stated),
    }
}

fn scalar(scalar: &Scalar<'_>, kind: Option<&str>) -> Result<cell::Read, String> {
    if let Some(name) = kind {
        let kind = Kind::from_name(name).ok_or_else(|| format!("'{}' is no kind", short(name)))?;
        let text = match scalar {
            Scalar::Null => "",
            Scalar::Document(json) => json,
            other => other.text(),
        };
        let without = if kind == Kind::None { Quality::BAD } else { Quality::GOOD };
        return cell::read_stated(text, kind).map(|value| (value, without));
    }
    let good = |value| Ok((value, Quality::GOOD));
    match scalar {
        // As at the door for JSON.
        Scalar::Null => Ok((Value::None, Quality::BAD)),
        Scalar::Bool(value) => good(Value::Bool(*value)),
        Scalar::Number(text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => good(cell::float_or_whole(text, number)),
            _ => Err(format!("'{}' is no finite number", short(text))),
        },
        // JSON says what is text and what is not: no word stands for absence here.
        Scalar::Text(text) => good(Value::Text(text.as_ref().into())),
        Scalar::Document(json) => {
            members::judge_document(json)?;
            good(Value::Json((*json).into()))
        }
    }
}
