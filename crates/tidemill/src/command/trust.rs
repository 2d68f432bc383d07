//! `tidemill trust`: the plant's own certificate authority, and how machines come to trust it.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::json;
use tidemill_core::{Problem, codes, rfc3339};
use tidemill_ground::{RealDisk, replace};
use tidemill_guard::tls::Certificate;

use super::{CommandResult, Global, Outcome};
use crate::client::Body;
use crate::config::{Config, Listener};
use crate::{house, output, plant, trusted};

/// Shows the plant's certificate authority, its fingerprint, and how systems, browsers and programs come to trust it.
#[derive(Args, Debug)]
#[command(
    after_help = "Listeners beyond loopback speak TLS, with a certificate of this authority unless tidemill.toml names another. Give its certificate to the machines that are to trust the plant, and compare the fingerprint there.\n\nExamples:\n  tidemill trust\n  tidemill trust --output tidemill-ca.pem"
)]
pub(crate) struct Trust {
    /// Write the authority's certificate (PEM) to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Where TLS is spoken, as it is typed: a port, or [`PORT`] where it cannot be seen from here. None where nothing listens so.
struct Doors {
    http: Option<String>,
    postgres: Option<String>,
}

/// Stands for a port, as HOST does for the plant's machine.
const PORT: &str = "PORT";

impl Doors {
    /// Those of a plant whose folder is here.
    fn of(config: &Config) -> Doors {
        let port = |listeners: &[Listener]| {
            let mut encrypted: Vec<&Listener> =
                listeners.iter().filter(|listener| config.encrypts(listener)).collect();
            // Other machines reach those beyond loopback.
            encrypted.sort_by_key(|listener| listener.address.ip().is_loopback());
            encrypted.first().map(|listener| match listener.address.port() {
                0 => PORT.to_owned(),
                port => port.to_string(),
            })
        };
        Doors { http: port(&config.http_listen), postgres: port(&config.postgres_listen) }
    }

    /// Of a plant elsewhere no more is known than where it was asked.
    fn at(url: &str) -> Doors {
        let port = url.strip_prefix("https://").and_then(|host| host.rsplit_once(':'));
        let http = port.map_or(PORT, |(_, port)| port);
        Doors { http: Some(http.to_owned()), postgres: Some(PORT.to_owned()) }
    }

    /// How the certificate is given to others, and what they do with it.
    fn ways(&self) -> Vec<(&'static str, String)> {
        let http = self.http.as_ref().map(|port| {
            [
                ("fetch it", format!("curl -k https://HOST:{port}/api/v1/ca.pem -o tidemill-ca.pem")),
                (
                    "tidemill",
                    format!("tidemill signals --url https://HOST:{port} --token TOKEN --ca tidemill-ca.pem"),
                ),
                ("curl", format!("curl --cacert tidemill-ca.pem https://HOST:{port}/health/live")),
            ]
        });
        let postgres = self.postgres.as_ref().map(|port| {
            (
                "psql",
                format!(
                    "psql 'host=HOST port={port} user=me sslmode=verify-full sslrootcert=tidemill-ca.pem'"
                ),
            )
        });
        let mut ways: Vec<(&'static str, String)> = http.into_iter().flatten().chain(postgres).collect();
        // Before it is used.
        ways.insert(usize::from(self.http.is_some()), ("compare", COMPARE.to_owned()));
        ways.extend(SYSTEMS.iter().map(|(name, way)| (*name, (*way).to_owned())));
        ways
    }
}

const COMPARE: &str = "openssl x509 -in tidemill-ca.pem -noout -fingerprint -sha256";

/// What knows no address.
const SYSTEMS: &[(&str, &str)] = &[
    ("Python", "requests.get(url, verify=\"tidemill-ca.pem\")"),
    ("Grafana", "data source, TLS/SSL settings: the file as CA certificate"),
    ("Firefox", "Settings, Certificates, View Certificates, Authorities, Import"),
    ("Debian", "copy it to /usr/local/share/ca-certificates/tidemill.crt, then update-ca-certificates"),
    ("Fedora", "copy it to /etc/pki/ca-trust/source/anchors/, then update-ca-trust"),
    ("Windows", "certutil -addstore -f Root tidemill-ca.pem"),
    (
        "macOS",
        "security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain tidemill-ca.pem",
    ),
];

impl Trust {
    pub(crate) async fn execute(self, global: &Global) -> CommandResult {
        let (pem, place, other, doors) = match &global.url {
            Some(_) => {
                let client = global.client()?;
                let answer = client.send(Method::GET, "/api/v1/ca.pem", &[], Body::empty()).await?;
                let text = String::from_utf8_lossy(&answer.bytes().await?).into_owned();
                (text, format!("{}/api/v1/ca.pem", client.url()), None, Doors::at(&client.url()))
            }
            None => here(global)?,
        };
        let certificate = Certificate::read(&pem).ok_or_else(|| {
            Problem::new(&codes::DAMAGED, format!("{place} holds no certificate"))
                .hint("Restore it from a backup; `tidemill check` says more")
        })?;
        if let Some(file) = &self.output {
            replace(&RealDisk, file, pem.as_bytes()).map_err(|error| {
                let detail = format!("{} cannot be written: {error}", file.display());
                Problem::new(codes::FILE_UNWRITABLE.or_full(&error), detail).hint("Name another file")
            })?;
        }
        let until = rfc3339(certificate.until_ns);
        if global.json {
            output::json(&json!({
                "name": certificate.name, "place": place, "sha256": certificate.sha256, "until": until, "pem": pem,
                "own": other,
            }))?;
            return Ok(Outcome::Done);
        }
        let mut text = format!(
            "{}, the certificate authority of this plant\n  at           {place}\n  SHA-256      {}\n  valid until  {until}\n",
            certificate.name, certificate.sha256
        );
        if let Some(file) = &self.output {
            let _ = writeln!(text, "  written to   {}", file.display());
        }
        if let Some(other) = other {
            let _ = writeln!(
                text,
                "\nListeners show the certificate in {other} instead: machines trust whoever issued that."
            );
        }
        text.push_str("\nMachines that are to trust the plant get its certificate, never its key, and compare the fingerprint:\n");
        for (name, way) in doors.ways() {
            let _ = writeln!(text, "  {name:<11}  {way}");
        }
        output::line(text.trim_end())?;
        Ok(Outcome::Done)
    }
}

/// Of a plant whose folder is here: the certificate, where it is, the owner's that is shown instead, and where TLS is spoken.
fn here(global: &Global) -> Result<(String, String, Option<String>, Doors), Problem> {
    let plant = plant::meant(global.plant.as_deref())?;
    let file = trusted::authority(&plant);
    let bytes = tidemill_ground::read(&RealDisk, &file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let detail = format!("{} has no certificate authority", plant.folder.display());
            Problem::new(&codes::NOT_FOUND, detail).hint(
                "It makes one at the start when a listener speaks TLS and no certificate of yours is named: see http.listen",
            )
        }
        _ => Problem::new(&codes::FILE_UNREADABLE, format!("{} cannot be read: {error}", file.display()))
            .hint("Run the command as the user whose plant it is, or with --url"),
    })?;
    let config = house::load(&plant).ok();
    let own = config.as_ref().and_then(|config| config.tls_own.as_ref());
    let own = own.map(|(certificate, _)| plant.folder.join(certificate).display().to_string());
    let unknown = || Doors { http: Some(PORT.to_owned()), postgres: Some(PORT.to_owned()) };
    let doors = config.as_ref().map_or_else(unknown, Doors::of);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), file.display().to_string(), own, doors))
}
