//! The plant's own certificate authority: a key and a certificate in the guard's folder, made when they are first needed,
//! and the server's certificates that it issues. The keys of those stand in no file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tidemill_ground::{Disk, Entropy, replace};

use super::about::{About, about};
use super::{DAY_S, read_small};
use crate::audit::hex;
use crate::error::Error;

/// The authority's certificate as PEM, inside the guard's folder; beside it stands its key.
pub const CERTIFICATE: &str = "ca.pem";
/// Its key.
pub(super) const KEY: &str = "ca.key";

/// How long an authority holds: its certificate stands in the trust stores of machines that nobody likes to visit.
const AUTHORITY_S: i64 = 3652 * DAY_S;
/// How long a server's certificate holds. It is renewed by itself, so it may be short.
pub(super) const LEAF_S: i64 = 90 * DAY_S;
/// Certificates hold from a day earlier: clocks of machines differ.
const EARLIER_S: i64 = DAY_S;
/// 2026-01-01. A clock that is before it was never set; an authority made by it would be over once the clock is right.
const EARLIEST_S: i64 = 1_767_225_600;
/// The longest common name (X.520), and the most of it that is the plant's name.
const COMMON_NAME_CHARS_MAX: usize = 64;
const PLANT_CHARS_MAX: usize = 40;

/// The authority, as its files say.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
    pub(super) about: About,
    key: KeyPair,
    subject: DistinguishedName,
}

impl Authority {
    /// Reads the authority's files; none where it was never made.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Authority>, Error> {
        let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
        let there = |path: &PathBuf| disk.exists(path).map_err(Error::disk("reading", path));
        if !there(&key)? {
            return match there(&certificate)? {
                false => Ok(None),
                true => Err(damaged(&key, "it is missing")),
            };
        }
        let key_pair = read_key(disk, &key)?;
        if !there(&certificate)? {
            return Ok(None);
        }
        let pem = text(disk, &certificate)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| damaged(&certificate, "there is no certificate in it"))?;
        let about = about(&der).ok_or_else(|| damaged(&certificate, "it is no certificate"))?;
        let subject = subject(about.name.as_deref().unwrap_or_default());
        let authority = Authority { pem, der, about, key: key_pair, subject };
        // What it issues must be what its own certificate verifies.
        authority.matches().map_err(|why| damaged(&certificate, why))?;
        Ok(Some(authority))
    }

    /// Makes an authority for a plant of this name. A key that stands there stays: who trusts it goes on doing so.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn make(
        disk: &dyn Disk,
        entropy: &dyn Entropy,
        dir: &Path,
        plant: &str,
        now_s: i64,
    ) -> Result<Authority, Error> {
        let path = dir.join(KEY);
        let stands = disk.exists(&path).map_err(Error::disk("reading", &path))?;
        let key = if stands {
            read_key(disk, &path)?
        } else {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issuing)?;
            // The key first: a certificate without its key would be damage. The disk makes files for their owner only.
            replace(disk, &path, key.serialize_pem().as_bytes()).map_err(Error::disk("writing", &path))?;
            key
        };
        let id = Sha256::digest(key.public_key_raw());
        let plant: String = plant.chars().take(PLANT_CHARS_MAX).collect();
        let name = format!("{plant} CA {}", hex(id.get(..4).unwrap_or_default()));
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial(entropy));
        let from_s = now_s.max(EARLIEST_S) - EARLIER_S;
        hold(&mut params, from_s, from_s + AUTHORITY_S);
        let certificate = params.self_signed(&key).map_err(issuing)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        let path = dir.join(CERTIFICATE);
        replace(disk, &path, pem.as_bytes()).map_err(Error::disk("writing", &path))?;
        let about = about(&der).ok_or_else(|| Error::Issue("its dates cannot be read".to_owned()))?;
        Ok(Authority { pem, der, about, key, subject: subject(&name) })
    }

    /// A server's certificate for these names, with a fresh key, and what it says of itself. The first name is that of its
    /// subject.
    pub(super) fn issue(
        &self,
        entropy: &dyn Entropy,
        names: &[String],
        addresses: &[IpAddr],
        now_s: i64,
    ) -> Result<(CertifiedKey, About), Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(names.first().map_or("localhost", String::as_str));
        for name in names {
            let name = name.as_str().try_into().map_err(issuing)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial(entropy));
        hold(&mut params, now_s - EARLIER_S, (now_s + LEAF_S).min(self.about.until_s));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issuing)?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name = self.subject.clone();
        let certificate =
            params.signed_by(&key, &Issuer::from_params(&authority, &self.key)).map_err(issuing)?;
        let about =
            about(certificate.der()).ok_or_else(|| Error::Issue("its dates cannot be read".to_owned()))?;
        let chain = vec![certificate.der().clone(), self.der.clone()];
        let key = signing(&key)?;
        Ok((CertifiedKey::new(chain, key), about))
    }

    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    fn matches(&self) -> Result<(), &'static str> {
        let key = signing(&self.key).map_err(|_| "its key cannot be used")?;
        let pair = CertifiedKey::new(vec![self.der.clone()], key);
        pair.keys_match().map_err(|_| "it does not belong to the key beside it")
    }
}

/// What people compare before they trust an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its common name.
    pub name: String,
    /// The SHA-256 of its bytes, in pairs of upper-case digits with colons between, as other programs show it.
    pub sha256: String,
    /// Until when it holds: nanoseconds UTC.
    pub until_ns: i64,
}

impl Certificate {
    /// The first certificate in a PEM text; none where there is none.
    pub fn read(pem: &str) -> Option<Certificate> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let about = about(&der)?;
        Some(Certificate {
            name: about.name.unwrap_or_default(),
            sha256: fingerprint(&der),
            until_ns: about.until_s.saturating_mul(1_000_000_000),
        })
    }
}

fn fingerprint(der: &[u8]) -> String {
    let digits = hex(&Sha256::digest(der)).to_uppercase();
    let pairs: Vec<&str> = (0..digits.len()).step_by(2).filter_map(|at| digits.get(at..at + 2)).collect();
    pairs.join(":")
}

fn signing(key: &KeyPair) -> Result<Arc<dyn rustls::sign::SigningKey>, Error> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    any_ecdsa_type(&der).map_err(|error| Error::Issue(error.to_string()))
}

fn read_key(disk: &dyn Disk, path: &Path) -> Result<KeyPair, Error> {
    // The words of the error are left out: they may repeat what stands there.
    KeyPair::from_pem(&text(disk, path)?).map_err(|_| damaged(path, "it is no private key"))
}

fn text(disk: &dyn Disk, path: &Path) -> Result<String, Error> {
    let bytes = read_small(disk, path).map_err(Error::disk("reading", path))?;
    String::from_utf8(bytes).map_err(|_| damaged(path, "it is no text"))
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::AuthorityDamaged { path: path.to_owned(), why: why.to_owned() }
}

fn issuing(error: rcgen::Error) -> Error {
    Error::Issue(error.to_string())
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Tidemill");
    subject.push(DnType::CommonName, name.chars().take(COMMON_NAME_CHARS_MAX).collect::<String>());
    subject
}

/// Random, positive and not longer than RFC 5280 (4.1.2.2) allows.
fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7F | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn hold(params: &mut CertificateParams, from_s: i64, until_s: i64) {
    let date =
        |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    (params.not_before, params.not_after) = (date(from_s), date(until_s));
}
