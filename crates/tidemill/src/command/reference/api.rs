//! The page of the API: every call of the description, with parameters, bodies and codes. What a call does beyond them is
//! said in docs/reference/http.md by hand.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// How each group of calls is called on the page, in its order.
const GROUPS: [(&str, &str); 5] = [
    ("samples", "Samples"),
    ("signals", "Signals"),
    ("control", "Control"),
    ("influxdb", "InfluxDB's calls"),
    ("health", "Health"),
];

pub(super) fn page() -> String {
    let api = tidemill_web::api_description(env!("CARGO_PKG_VERSION"));
    let mut out = String::from(
        "# The API\n\nEvery call, as `/api/v1/openapi.json` of a running plant describes it for programs, with schemas. Who calls, errors, limits and what else a \
         description\ncannot say stand in [http.md](http.md); what each code means, in [problems.md](problems.md).\n",
    );
    let calls: Vec<(&str, &str, &Json)> = api["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, calls)| {
            calls.as_object().into_iter().flatten().map(move |(method, call)| (path, method, call))
        })
        .map(|(path, method, call)| (path.as_str(), method.as_str(), call))
        .collect();
    let group = |call: &Json| call["tags"][0].as_str().unwrap_or_default().to_owned();
    let known = |tag: &str| GROUPS.iter().any(|(known, _)| *known == tag);
    for (tag, title) in GROUPS.into_iter().chain([("", "Others")]) {
        let mine: Vec<_> = calls
            .iter()
            .filter(|(.., call)| group(call) == tag || (tag.is_empty() && !known(&group(call))))
            .collect();
        if !mine.is_empty() {
            let _ = write!(out, "\n## {title}\n");
        }
        for (path, method, call) in mine {
            one(path, method, call, &mut out);
        }
    }
    out
}

fn one(path: &str, method: &str, call: &Json, out: &mut String) {
    let text =
        |value: &Json| value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(out, "\n### {} {path}\n{}", method.to_uppercase(), text(&call["summary"]));
    let more = text(&call["description"]);
    let _ = writeln!(out, "{}{more}", if more.is_empty() { "" } else { " " });
    let parameters = call["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        out.push_str("\n| parameter | in | |\n|---|---|---|\n");
    }
    for parameter in parameters {
        let needed = if parameter["required"] == true { "Needed. " } else { "" };
        let _ = writeln!(
            out,
            "| `{}` | {} | {needed}{} |",
            text(&parameter["name"]),
            text(&parameter["in"]),
            text(&parameter["description"]).replace('|', "\\|")
        );
    }
    let types = |content: &Json| {
        let names: Vec<String> =
            content.as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    };
    let body = types(&call["requestBody"]["content"]);
    if !body.is_empty() {
        let _ = writeln!(out, "\nTakes {body}.");
    }
    let answers = call["responses"].as_object().into_iter().flatten();
    let (done, refused): (Vec<_>, Vec<_>) = answers.partition(|(status, _)| status.as_str() < "400");
    for (status, answer) in done {
        let given = types(&answer["content"]);
        let given = if given.is_empty() { String::new() } else { format!(" ({given})") };
        let _ = writeln!(out, "\n{status}: {}{given}.", text(&answer["description"]).trim_end_matches('.'));
    }
    let mut codes: Vec<String> = refused.iter().flat_map(|(_, answer)| codes_of(answer)).collect();
    codes.sort();
    codes.dedup();
    if !codes.is_empty() {
        let _ = writeln!(out, "\nRefused with {}.", codes.join(", "));
    }
}

/// The codes stand in the description of an answer as `code`: what it means.
fn codes_of(answer: &Json) -> Vec<String> {
    let told = answer["description"].as_str().unwrap_or_default();
    told.split("; ")
        .filter_map(|part| part.strip_prefix('`')?.split_once("`: "))
        .map(|(code, _)| format!("`{code}`"))
        .collect()
}
