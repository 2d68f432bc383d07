//! Files that are passed on as they are: line protocol, in pieces that end with a line, each from one database.

use std::io;

use tidemill_core::SignalPath;

use super::super::lineprotocol::{self, Stamp};
use super::super::rejected::Originals;
use super::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, Input, Piece, Reader};

impl Reader {
    /// The next lines of line protocol that carry a time.
    pub(super) fn piece(&mut self, query: String, prefix: Option<&SignalPath>) -> io::Result<Option<Piece>> {
        let prefix =
            prefix.map(|path| format!("{}/", lineprotocol::escaped(path.as_str()))).unwrap_or_default();
        let content_type = "text/plain; charset=utf-8";
        let mut piece = Piece {
            body: Vec::new(),
            content_type,
            query,
            rows: Vec::new(),
            samples: 0,
            rejects: Vec::new(),
            originals: Originals::of(self.context.clone()),
        };
        while piece.body.len() < BATCH_BYTES_MAX && piece.rejects.len() < BATCH_ROWS_MAX {
            let Input::Lines(lines) = &mut self.input else { break };
            let Some(line) = lineprotocol::next_line(lines)? else {
                self.ended = true;
                break;
            };
            let text = line.text.trim();
            if line.fault.is_none() && lineprotocol::is_aside(text) {
                if self.context.take(text) {
                    if !piece.body.is_empty() || !piece.rejects.is_empty() {
                        break;
                    }
                    piece.originals.context = self.context.clone();
                }
                continue;
            }
            self.summary.rows += 1;
            let reason = match (line.fault, lineprotocol::counted(text)) {
                (Some(fault), _) => fault.to_string(),
                (None, None) => "it is no line protocol".to_owned(),
                (None, Some((Stamp::None, _))) => "there is no time".to_owned(),
                (None, Some((Stamp::Time(_), fields))) => {
                    self.summary.samples += fields;
                    piece.samples += fields;
                    piece.body.extend_from_slice(prefix.as_bytes());
                    piece.body.extend_from_slice(text.as_bytes());
                    piece.body.push(b'\n');
                    let rows = text.matches('\n').count() + 1;
                    piece.rows.extend(std::iter::repeat_n(piece.originals.next_row(), rows));
                    piece.originals.add(line.number, &line.text);
                    continue;
                }
            };
            self.reject(&mut piece.rejects, line.number, &line.text, (None, reason));
            // A remark that a text without an end has taken in says yet where the rows behind it are from.
            if lineprotocol::is_aside(text) && self.context.take(text) {
                break;
            }
        }
        Ok((!piece.body.is_empty() || !piece.rejects.is_empty()).then_some(piece))
    }
}
