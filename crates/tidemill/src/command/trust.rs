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

/// How it is given to others. HOST stands for the plant's machine.
const WAYS: &[(&str, &str)] = &[
    ("fetch it", "curl -k https://HOST:8443/api/v1/ca.pem -o tidemill-ca.pem"),
    ("compare", "openssl x509 -in tidemill-ca.pem -noout -fingerprint -sha256"),
    ("tidemill", "tidemill signals --url https://HOST:8443 --token TOKEN --ca tidemill-ca.pem"),
    ("curl", "curl --cacert tidemill-ca.pem https://HOST:8443/health/live"),
    ("psql", "psql 'host=HOST port=5432 user=me sslmode=verify-full sslrootcert=tidemill-ca.pem'"),
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
        let (pem, place, other) = match &global.url {
            Some(_) => {
                let client = global.client()?;
                let answer = client.send(Method::GET, "/api/v1/ca.pem", &[], Body::empty()).await?;
                let text = String::from_utf8_lossy(&answer.bytes().await?).into_owned();
                (text, format!("{}/api/v1/ca.pem", client.url()), None)
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
        for (name, way) in WAYS {
            let _ = writeln!(text, "  {name:<11}  {way}");
        }
        output::line(text.trim_end())?;
        Ok(Outcome::Done)
    }
}

/// Of a plant whose folder is here: the certificate, where it is, and the owner's that is shown instead.
fn here(global: &Global) -> Result<(String, String, Option<String>), Problem> {
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
    let own = house::load(&plant).ok().and_then(|config| config.tls_own);
    let own = own.map(|(certificate, _)| plant.folder.join(certificate).display().to_string());
    Ok((String::from_utf8_lossy(&bytes).into_owned(), file.display().to_string(), own))
}
