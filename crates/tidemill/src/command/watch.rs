//! `tidemill watch`: live values, like `mosquitto_sub` with names, quality and units.

use std::collections::HashMap;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use tidemill_core::{Pattern, Problem, codes, parse_rfc3339};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

use super::{CommandResult, Global, Outcome};
use crate::{client, output, time};

/// Shows values as they come, until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  tidemill watch 'acme/leeds/#'\n  tidemill watch '**' --count 10 --json")]
pub(crate) struct Watch {
    /// Which signals [default: all but the plant's own figures, tidemill/#]
    patterns: Vec<Pattern>,
    /// End after so many samples
    #[arg(long, allow_hyphen_values = true)]
    count: Option<u64>,
}

impl Watch {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let client = global.client()?;
        // As JSON times come in UTC.
        let zone = if global.json { TimeZone::UTC } else { global.zone().await? };
        let mut request = format!("ws://{}/api/v1/live?format=json", client.host())
            .into_client_request()
            .map_err(broken)?;
        if let Some(token) = client.token() {
            let value = format!("Bearer {token}")
                .parse()
                .map_err(|_| Problem::new(&codes::UNAUTHENTICATED, "the token cannot be sent"))?;
            request.headers_mut().insert("authorization", value);
        }
        let (mut live, _) =
            tokio_tungstenite::client_async(request, client.connect().await?).await.map_err(refused)?;
        let patterns: Vec<String> = if self.patterns.is_empty() {
            vec!["#".to_owned()]
        } else {
            self.patterns.iter().map(ToString::to_string).collect()
        };
        live.send(Message::text(json!({ "subscribe": patterns }).to_string())).await.map_err(broken)?;
        let mut seen = 0;
        let mut units = HashMap::new();
        loop {
            let message = tokio::select! {
                message = live.next() => message,
                _ = tokio::signal::ctrl_c() => break,
            };
            let text = match message {
                None => return Err(ended(None)),
                Some(Ok(Message::Close(frame))) => return Err(ended(frame)),
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(broken(error)),
            };
            let frame: Json = serde_json::from_str(&text)
                .map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
            if let Some(missed) = frame.pointer("/lagged/missed").and_then(Json::as_u64) {
                output::note(&format!(
                    "({missed} updates were missed: this reader is slower than the values)"
                ));
            }
            for signal in frame.get("signals").and_then(Json::as_array).into_iter().flatten() {
                units.insert(output::cell(&signal["signal"]), output::cell(&signal["unit"]));
            }
            for sample in frame.get("samples").and_then(Json::as_array).into_iter().flatten() {
                if self.patterns.is_empty() && super::is_own(&sample["signal"]) {
                    continue;
                }
                if global.json {
                    output::json(sample)?;
                } else {
                    output::line(&show(sample, &units, &zone))?;
                }
                seen += 1;
                if self.count.is_some_and(|count| seen >= count) {
                    return Ok(Outcome::Done);
                }
            }
        }
        Ok(Outcome::Done)
    }
}

/// Why the connection was not taken.
fn refused(error: Error) -> Problem {
    match error {
        Error::Http(answer) => {
            let document = answer.body().as_deref().and_then(|body| serde_json::from_slice(body).ok());
            client::problem_of(&document.unwrap_or_default(), &answer.status().to_string())
        }
        error => broken(error),
    }
}

fn broken(error: Error) -> Problem {
    Problem::new(&codes::NOT_RUNNING, format!("the live connection broke: {error}"))
        .hint("Repeat the command")
}

/// Why the plant ended it (RFC 6455, 7.4.1).
fn ended(frame: Option<CloseFrame>) -> Problem {
    let said = frame.as_ref().map(|frame| frame.reason.as_str()).filter(|reason| !reason.is_empty());
    let detail = format!("the plant ended the live connection: {}", said.unwrap_or("it did not say why"));
    match frame.map(|frame| frame.code) {
        Some(CloseCode::Restart | CloseCode::Away) => {
            Problem::new(&codes::STOPPING, detail).hint("Repeat the command when it runs again")
        }
        Some(CloseCode::Policy) => Problem::new(&codes::FORBIDDEN, detail)
            .hint("Repeat the command with a token that stands, from an address that is served"),
        _ => Problem::new(&codes::NOT_RUNNING, detail).hint("Repeat the command"),
    }
}

fn show(sample: &Json, units: &HashMap<String, String>, zone: &TimeZone) -> String {
    let text = |name: &str| output::cell(sample.get(name).unwrap_or(&Json::Null));
    let at = parse_rfc3339(&text("time")).map_or_else(|_| text("time"), |at| time::show(at, zone));
    let quality = text("quality");
    let quality =
        if quality.is_empty() || quality == "Good" { String::new() } else { format!("  {quality}") };
    let signal = text("signal");
    let unit = units.get(&signal).filter(|unit| !unit.is_empty()).map(|unit| format!(" {unit}"));
    format!("{at}  {signal}  {}{}{quality}", text("value"), unit.unwrap_or_default())
}
