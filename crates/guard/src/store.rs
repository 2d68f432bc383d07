//! `tokens.json`: what is known of each token, and of its secret the SHA-256 alone. Replaced as a whole at each
//! change; with a version, and with a checksum so that damage is not taken for a grant.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidemill_ground::Disk;

use crate::audit::{hex, unhex};
use crate::error::Error;
use crate::right::Right;
use crate::token::TokenHash;

/// The file, inside the data folder.
pub(crate) const FILE: &str = "tokens.json";
const FORMAT: &str = "tidemill-tokens";
const VERSION: u64 = 1;
const NAME_CHARS_MAX: usize = 64;

/// All tokens by name.
pub(crate) type Tokens = BTreeMap<Arc<str>, Arc<Token>>;

/// A token as it is kept. Times are nanoseconds UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) name: Arc<str>,
    pub(crate) allow: Vec<Right>,
    pub(crate) created_ns: i64,
    pub(crate) created_by: Arc<str>,
    pub(crate) expires_ns: Option<i64>,
    pub(crate) last_used_ns: Option<i64>,
    pub(crate) last_address: Option<IpAddr>,
    /// The newest last; two while one replaces the other.
    pub(crate) secrets: Vec<SecretHash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretHash {
    #[serde(with = "as_hex")]
    pub(crate) sha256: TokenHash,
    pub(crate) created_ns: i64,
    /// Until when it is taken; none for as long as the token.
    pub(crate) until_ns: Option<i64>,
}

impl Token {
    /// Whether it had expired at that time.
    pub(crate) fn expired(&self, now: i64) -> bool {
        self.expires_ns.is_some_and(|expires| now >= expires)
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A hash opens nothing; its beginning is enough to tell two apart.
        write!(out, "{}…", hex(self.0.get(..4).unwrap_or_default()))
    }
}

mod as_hex {
    use super::{TokenHash, hex, unhex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &TokenHash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(&hash.0))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<TokenHash, D::Error> {
        let text = String::deserialize(from)?;
        unhex(text.as_bytes())
            .map(TokenHash)
            .ok_or_else(|| D::Error::custom("a hash has 64 lower-case digits"))
    }
}

/// Whether a text can be the name of a token or a zone.
pub(crate) fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= NAME_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(legal)
        // A secret pasted as a name would be shown wherever the name is.
        && !text.starts_with(crate::token::PREFIX)
}

#[derive(Serialize)]
struct Whole<'a> {
    format: &'a str,
    version: u64,
    sha256: String,
    tokens: &'a [&'a Token],
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u64,
    sha256: String,
    tokens: Vec<Token>,
}

/// Reads the file; no file is no tokens.
pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Tokens, Error> {
    if !disk.exists(path).map_err(Error::disk("reading", path))? {
        return Ok(Tokens::new());
    }
    let bytes = tidemill_ground::read(disk, path).map_err(Error::disk("reading", path))?;
    let damaged = |why: String| Error::TokensDamaged { path: path.to_owned(), why };
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(place(&error)))?;
    if head.format != FORMAT || head.version == 0 {
        return Err(damaged("its format is another".to_owned()));
    }
    if head.version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: head.version, known: VERSION });
    }
    let whole: Read = serde_json::from_slice(&bytes).map_err(|error| damaged(place(&error)))?;
    let all: Vec<&Token> = whole.tokens.iter().collect();
    if checksum(&all) != whole.sha256 {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    Ok(whole.tokens.into_iter().map(|token| (token.name.clone(), Arc::new(token))).collect())
}

/// Where reading failed; not the words of the error, which may repeat what stands there.
fn place(error: &serde_json::Error) -> String {
    format!("it cannot be read at line {}, column {}", error.line(), error.column())
}

/// Replaces the file.
pub(crate) fn save(disk: &dyn Disk, path: &Path, tokens: &Tokens) -> Result<(), Error> {
    let all: Vec<&Token> = tokens.values().map(Arc::as_ref).collect();
    let whole = Whole { format: FORMAT, version: VERSION, sha256: checksum(&all), tokens: &all };
    let mut text = serde_json::to_vec_pretty(&whole)
        .map_err(|error| Error::TokensDamaged { path: path.to_owned(), why: place(&error) })?;
    text.push(b'\n');
    tidemill_ground::replace(disk, path, &text).map_err(Error::disk("writing", path))
}

/// Over the tokens as compact JSON, which is the same however the file is indented.
fn checksum(tokens: &[&Token]) -> String {
    // Strings, numbers and lists always serialise.
    let bytes = serde_json::to_vec(tokens).unwrap_or_default();
    let sum: [u8; 32] = Sha256::digest(&bytes).into();
    hex(&sum)
}
