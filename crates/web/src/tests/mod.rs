//! The doors from outside: requests in, answers and published samples out, over rooms of paper.

mod fakes;
mod hostile;
mod identity;
mod influx;
mod live;
mod names;
mod reading;
mod refusing;
mod remote;
mod serving;
mod tls;
mod writing;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use self::fakes::{Plant, from};
use crate::Connection;

/// A plant, and its door.
struct House {
    plant: Arc<Plant>,
    router: Router,
    described: Description,
}

/// The description of the API: every answer that a test gets is looked up in it.
struct Description(serde_json::Value);

impl Description {
    fn check(&self, method: &str, uri: &str, answer: &Answered) {
        let path = uri.split('?').next().unwrap();
        let named = path.strip_prefix("/api/v1/tokens/").map(|rest| match rest.ends_with("/rotate") {
            true => "/api/v1/tokens/{name}/rotate",
            false => "/api/v1/tokens/{name}",
        });
        let operation = &self.0["paths"][named.unwrap_or(path)][method.to_ascii_lowercase()];
        let responses = &operation["responses"];
        let status = answer.status.as_str();
        assert!(
            operation.is_null() || !responses[status].is_null(),
            "{method} {uri} answered {status}, which its description does not list: {responses}"
        );
        let content = responses[status].get("content").and_then(|content| content.as_object());
        let media_type = answer.header("content-type");
        if operation.is_null() || media_type.is_empty() {
            assert!(content.is_none(), "{method} {uri}: {status} came without a body");
            return;
        }
        let listed = content.and_then(|content| content.get(media_type));
        assert!(listed.is_some(), "{method} {uri}: {status} has no {media_type}");
        if media_type == "application/problem+json" {
            let codes = known_codes(&responses[status]);
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            assert!(
                codes.is_empty() || codes.contains(&code),
                "{method} {uri}: {status} has no {code} among {codes:?}"
            );
        }
    }
}

/// The codes that a described answer may have as a problem document; none where any may stand there.
fn known_codes(answer: &serde_json::Value) -> Vec<String> {
    let parts = &answer["content"]["application/problem+json"]["schema"]["allOf"];
    serde_json::from_value(parts[1]["properties"]["code"]["enum"].clone()).unwrap_or_default()
}

impl House {
    fn new() -> House {
        House::with(crate::Settings::default())
    }

    fn with(settings: crate::Settings) -> House {
        let plant = Plant::new();
        let router = plant.web_with(settings).router();
        House::of(plant, router)
    }

    fn of(plant: Arc<Plant>, router: Router) -> House {
        let described = Description(serde_json::to_value(crate::openapi::described("0.0.0")).unwrap());
        House { plant, router, described }
    }

    /// Sends a request: method and address, headers, body.
    async fn send_by(
        &self,
        connection: Connection,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri).extension(connection);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "127.0.0.1");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.map(|body| body.to_bytes().to_vec());
        let answered =
            Answered { status: parts.status, headers: parts.headers, body: collected.map_err(|_| ()) };
        self.described.check(method, uri, &answered);
        answered
    }

    /// As someone who may do everything.
    async fn send(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answered {
        let mut all = vec![("authorization", "Bearer all")];
        all.extend(headers);
        self.send_by(from("10.0.0.9:50000", "10.0.0.1:8443"), line, &all, body).await
    }

    async fn get(&self, uri: &str) -> Answered {
        self.send(&format!("GET {uri}"), &[], "").await
    }

    /// Writes line protocol; what was published and the answer, as text.
    async fn write(&self, uri: &str, body: impl Into<Body>) -> String {
        self.send(&format!("POST {uri}"), &[], body).await.brief()
    }
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Vec<u8>, ()>,
}

impl Answered {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone().unwrap()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, and for problems code, place and detail.
    fn brief(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return format!("{} {}", self.status.as_u16(), self.text());
        }
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let place = match (&problem["line"], &problem["column"]) {
            (serde_json::Value::Null, _) => String::new(),
            (line, column) => format!(" {line}:{column}"),
        };
        let text = |name: &str| problem[name].as_str().unwrap().to_owned();
        format!("{} {}{place} {}", self.status.as_u16(), text("code"), text("detail"))
    }
}
