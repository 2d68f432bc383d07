//! What is read of a certificate: from when to when it holds, and its subject's common name. Everything else of X.509 is
//! the business of the TLS library, which checks it.

use rustls::pki_types::CertificateDer;
use yasna::{ASN1Result, BERReader, Tag, tags};

/// The common name of a subject (X.520: 2.5.4.3).
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];

/// What a certificate says of itself. Times are seconds UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) from_s: i64,
    pub(super) until_s: i64,
    pub(super) name: Option<String>,
}

/// Reads a certificate (RFC 5280, 4.1); none where it is none.
pub(super) fn about(certificate: &CertificateDer<'_>) -> Option<About> {
    yasna::parse_der(certificate, |whole| {
        whole.read_sequence(|parts| {
            let about = parts.next().read_sequence(|fields| {
                // The version; then serial number, algorithm and issuer.
                fields.read_optional(|field| {
                    field.read_tagged(Tag::context(0), |version| version.read_der())
                })?;
                for _ in 0..3 {
                    fields.next().read_der()?;
                }
                let (from_s, until_s) =
                    fields.next().read_sequence(|times| Ok((time(times.next())?, time(times.next())?)))?;
                let name = common_name(fields.next())?;
                // The key, and what may follow it.
                while fields.read_optional(|field| field.read_der())?.is_some() {}
                Ok(About { from_s, until_s, name })
            })?;
            // The algorithm and the signature.
            parts.next().read_der()?;
            parts.next().read_der()?;
            Ok(about)
        })
    })
    .ok()
}

fn time(field: BERReader<'_, '_>) -> ASN1Result<i64> {
    if field.lookahead_tag()? == tags::TAG_UTCTIME {
        return Ok(field.read_utctime()?.datetime().unix_timestamp());
    }
    Ok(field.read_generalized_time()?.datetime().unix_timestamp())
}

/// The first common name that is UTF-8, as ours are.
fn common_name(subject: BERReader<'_, '_>) -> ASN1Result<Option<String>> {
    let mut found = None;
    subject.read_sequence_of(|set| {
        set.read_set_of(|attribute| {
            attribute.read_sequence(|pair| {
                let kind = pair.next().read_oid()?;
                let text = pair.next().read_der()?;
                if found.is_none() && kind.components().as_slice() == COMMON_NAME {
                    found = yasna::parse_der(&text, |text| text.read_utf8string()).ok();
                }
                Ok(())
            })
        })
    })?;
    Ok(found)
}
