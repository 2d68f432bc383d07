//! The owner's certificate instead of the plant's: a chain and its key, read from the files that the configuration names,
//! and read again when they were changed.

use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tidemill_ground::Disk;

use super::about::{About, about};
use super::read_small;
use crate::error::Error;

/// How many certificates a chain may have.
const CHAIN_MAX: usize = 16;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// PEM: the certificate, and behind it those that lead to the authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// The bytes of both files, to be told from others without keeping a key.
pub(super) type Mark = [u8; 32];

pub(super) struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
    pub(super) mark: Mark,
}

impl Own {
    /// The files as they are now.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn read(&self, disk: &dyn Disk) -> Result<Bytes, Error> {
        let one = |path: &Path| {
            read_small(disk, path).map_err(|error| bad(path, format!("it cannot be read ({error})")))
        };
        let (certificate, key) = (one(&self.certificate)?, one(&self.key)?);
        let mut digest = Sha256::new();
        digest.update((certificate.len() as u64).to_le_bytes());
        digest.update(&certificate);
        digest.update(&key);
        Ok(Bytes { certificate, key, mark: digest.finalize().into() })
    }

    /// What is served with them.
    ///
    /// # Errors
    /// They are no certificate and key, or do not belong together.
    pub(super) fn take(
        &self,
        bytes: &Bytes,
        provider: &CryptoProvider,
    ) -> Result<(CertifiedKey, About), Error> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes.certificate)
            .take(CHAIN_MAX)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(&self.certificate, format!("it is no PEM ({error})")))?;
        let first = chain.first().and_then(about);
        let about = first.ok_or_else(|| bad(&self.certificate, "there is no certificate in it"))?;
        // The words of the error are left out: they may repeat what stands in the file.
        let key = PrivateKeyDer::from_pem_slice(&bytes.key)
            .map_err(|_| bad(&self.key, "there is no private key in it, or one with a passphrase"))?;
        let pair = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                bad(&self.key, format!("it is not the key of {}", self.certificate.display()))
            }
            error => bad(&self.key, error.to_string()),
        })?;
        Ok((pair, about))
    }
}

fn bad(path: &Path, why: impl Into<String>) -> Error {
    Error::Certificate { path: path.to_owned(), why: why.into() }
}
