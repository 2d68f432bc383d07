//! Whom the command line trusts when it talks to a plant over TLS: the authorities of a file that was named; else those of this
//! machine, and those of the plants in reach of it.

use std::path::Path;
use std::sync::Arc;

use tidemill_core::{Problem, codes};
use tidemill_ground::{Disk, RealDisk};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::plant::{self, Plant};

/// The longest file of certificates; those of a whole system have a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How a client speaks TLS, and the name that it asks a certificate for.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Trust {
    /// For a host with its port: by the authorities in `ca` alone, or where none is named by all that are known here.
    pub(crate) fn new(host: &str, ca: Option<&Path>, named: Option<&Path>) -> Result<Trust, Problem> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(file) => {
                let (found, _) = roots.add_parsable_certificates(certificates(file)?);
                if found == 0 {
                    return Err(unusable(file, "there is no certificate in it"));
                }
            }
            None => {
                // Where the machine has none, the plants' own may be enough.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                for plant in plant::meant(named).into_iter().chain(plant::running()) {
                    roots.add_parsable_certificates(certificates(&authority(&plant)).unwrap_or_default());
                }
            }
        }
        let internal = |error: tokio_rustls::rustls::Error| Problem::new(&codes::INTERNAL, error.to_string());
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
        let bare = bare.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            Problem::new(&codes::BAD_PARAMETER, format!("'{bare}' is no name of a machine"))
                .hint("Write the address like https://tidemill.example.org:8443")
        })?;
        Ok(Trust { config: Arc::new(config), name })
    }
}

/// Where a plant keeps the certificate of its own authority.
pub(crate) fn authority(plant: &Plant) -> std::path::PathBuf {
    plant.data().join("guard").join(tidemill_guard::tls::AUTHORITY_FILE)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read = |error: std::io::Error| unusable(file, &error.to_string());
    let len = RealDisk.len(file).map_err(read)?;
    if len > FILE_BYTES_MAX {
        return Err(unusable(file, &format!("it has {len} bytes")));
    }
    let bytes = tidemill_ground::read(&RealDisk, file).map_err(read)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    all.map_err(|error| unusable(file, &error.to_string()))
}

fn unusable(file: &Path, why: &str) -> Problem {
    Problem::new(&codes::FILE_UNREADABLE, format!("{} cannot be used: {why}", file.display()))
        .hint("Name a file with the certificate of the authority, as PEM")
}
