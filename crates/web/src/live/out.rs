//! The client's end of a live socket: what it is sent, and by which numbers and names it knows signals. What is not here:
//! what it is to be sent.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tidemill_core::{
    BatchBuilder, Bus, Flags, ReadScope, Row, SampleBatch, Seq, Signal, SignalId, SourceId, Stamp,
};
use tokio::time::timeout;

use super::frame::Frame;
use super::{CLOSE_MAX, End, FRAME_ROWS_MAX, SEND_MAX};
use crate::samples::encode;
use crate::times::TimeStyle;

/// Rows for one frame.
pub(super) struct Gathered {
    batch: BatchBuilder,
    /// Whether these are last values rather than news.
    last: bool,
}

impl Gathered {
    pub(super) fn new(last: bool) -> Gathered {
        Gathered { batch: BatchBuilder::new(SourceId(0), Flags::default()), last }
    }

    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    /// False when there is no room; a first row always has.
    pub(super) fn push(&mut self, row: &Row<'_>) -> bool {
        self.len() < FRAME_ROWS_MAX
            && self.batch.push(row.signal, Stamp::At(row.time), row.value, row.quality).is_ok()
    }

    /// What was gathered so far; it is empty again.
    pub(super) fn take(&mut self) -> Gathered {
        std::mem::replace(self, Gathered::new(self.last))
    }
}

/// The client's end.
pub(super) struct Out {
    sink: SplitSink<WebSocket, Message>,
    json: bool,
    style: TimeStyle,
    /// What this client knows signals by: ids never leave the plant.
    names: HashMap<SignalId, Known>,
}

/// How a client knows a signal.
struct Known {
    number: u32,
    name: Arc<str>,
    unit: Arc<str>,
    /// The epoch of the bus under which it was asked for: another name or unit begins another.
    epoch: u64,
}

impl Known {
    fn new(number: u32, signal: &Signal, epoch: u64) -> Known {
        Known { number, name: signal.path.shared().clone(), unit: signal.meta.unit.clone(), epoch }
    }

    /// Whether the client was told of the signal what there is to tell now.
    fn holds(&self, signal: &Signal) -> bool {
        *self.name == *signal.path.as_str() && self.unit == signal.meta.unit
    }

    /// Tells the client.
    fn spell(&self, out: &mut String) {
        out.push_str(if out.is_empty() { "{\"n\":" } else { ",{\"n\":" });
        out.push_str(itoa::Buffer::new().format(self.number));
        out.push_str(",\"signal\":");
        encode::write_text(&self.name, out);
        out.push_str(",\"unit\":");
        encode::write_text(&self.unit, out);
        out.push('}');
    }
}

impl Out {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>, json: bool, style: TimeStyle) -> Out {
        Out { sink, json, style, names: HashMap::new() }
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_MAX, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    /// Ends our side, with an answer where the client ended its own.
    pub(super) async fn close(&mut self) -> Result<(), End> {
        match timeout(CLOSE_MAX, self.sink.close()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    /// Sends rows, and before them the names that are new to the client.
    pub(super) async fn send_rows(
        &mut self,
        bus: &dyn Bus,
        scope: &ReadScope,
        seq: Seq,
        gathered: Gathered,
    ) -> Result<(), End> {
        if gathered.len() == 0 {
            return Ok(());
        }
        let last = gathered.last;
        let batch = gathered.batch.finish(0, Flags::default());
        let defined = self.define(bus, scope, &batch);
        if !defined.is_empty() {
            self.send(Message::text(format!("{{\"signals\":[{defined}]}}"))).await?;
        }
        if self.json {
            let text = self.json_of(&batch, seq, last);
            return self.send(Message::text(text)).await;
        }
        let number = |signal: SignalId| self.names.get(&signal).map(|known| known.number);
        let bytes = Frame { seq, last, batch: &batch }.bytes(number);
        self.send(Message::binary(bytes)).await
    }

    /// Learns signals that are new or have another name or unit since, and spells them.
    fn define(&mut self, bus: &dyn Bus, scope: &ReadScope, batch: &SampleBatch) -> String {
        let mut defined = String::new();
        // Before what it covers: what changes in between is asked for again next time.
        let epoch = bus.epoch();
        for id in &batch.signal {
            if self.names.get(id).is_some_and(|known| known.epoch == epoch) {
                continue;
            }
            // What was under way when its signal was renamed out of the scope keeps the name that the client knows.
            let signal = bus.signal(*id).filter(|signal| scope.allows(&signal.path));
            let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            match (self.names.get_mut(id), signal) {
                (Some(known), Some(signal)) if !known.holds(&signal) => {
                    *known = Known::new(known.number, &signal, epoch);
                    known.spell(&mut defined);
                }
                (Some(known), _) => known.epoch = epoch,
                (None, Some(signal)) => {
                    let known = Known::new(next, &signal, epoch);
                    known.spell(&mut defined);
                    self.names.insert(*id, known);
                }
                (None, None) => {}
            }
        }
        defined
    }

    fn json_of(&self, batch: &SampleBatch, seq: Seq, last: bool) -> String {
        let mut text = format!("{{\"seq\":{},\"last\":{last},\"samples\":[", seq.0);
        let named = batch.rows().filter_map(|row| Some((&self.names.get(&row.signal)?.name, row)));
        for (index, (name, row)) in named.enumerate() {
            text.push_str(if index > 0 { "," } else { "" });
            encode::write_sample(name, &row, self.style, &mut text);
        }
        text.push_str("]}");
        text
    }
}
