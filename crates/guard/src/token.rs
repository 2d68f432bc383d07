//! What a token looks like: `tm_`, 22 random characters and 6 of a checksum, 31 in all, letters and digits. The prefix
//! lets secret scanners find one that leaked; the checksum tells a slip in copying from a token that is not known.
//! Where tokens are kept stands in `store`.

use std::fmt;

use sha2::{Digest, Sha256};
use tidemill_ground::Entropy;

/// What every token begins with.
pub(crate) const PREFIX: &str = "tm_";
/// 62^22 is 2^130.99: more than the 128 bits that OWASP ASVS 5.0 (7.2.3) asks for.
const RANDOM_CHARS: usize = 22;
/// 62^6 is more than 2^32, so six digits hold 32 bits.
const CHECK_CHARS: usize = 6;
/// Characters of a token. surface.md promises at most 32, because some devices take no more.
pub(crate) const TOKEN_CHARS: usize = PREFIX.len() + RANDOM_CHARS + CHECK_CHARS;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A secret that is shown once. It is never printed by accident: its Debug says nothing and it has no Display.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(not shown)")
    }
}

/// Why a text cannot be a token. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form at all.
    #[error("this is not a token of Tidemill: one has {TOKEN_CHARS} characters and begins with '{PREFIX}'")]
    Form,
    /// Of the form, but its checksum is wrong.
    #[error("the token has a typing error: copy it again, whole and without spaces")]
    Typo,
}

/// Whether a text has the form of a token and its checksum is right. It says nothing about whether the token is known.
///
/// # Errors
/// See [`TokenError`].
pub fn check_token(text: &str) -> Result<(), TokenError> {
    let body = text.strip_prefix(PREFIX).ok_or(TokenError::Form)?;
    if text.len() != TOKEN_CHARS || !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(TokenError::Form);
    }
    let (random, check) = body.split_at(RANDOM_CHARS);
    if checksum(random) == check { Ok(()) } else { Err(TokenError::Typo) }
}

/// A new secret.
pub(crate) fn generate(entropy: &dyn Entropy) -> Secret {
    let mut random = String::with_capacity(RANDOM_CHARS);
    while random.len() < RANDOM_CHARS {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first digits.
        for byte in bytes.into_iter().filter(|byte| *byte < 248) {
            if random.len() < RANDOM_CHARS {
                random.push(digit(usize::from(byte)));
            }
        }
    }
    let check = checksum(&random);
    Secret(format!("{PREFIX}{random}{check}"))
}

/// The first 32 bits of the SHA-256 of prefix and random part, as six digits to the base 62.
fn checksum(random: &str) -> String {
    let sum: [u8; 32] = Sha256::new().chain_update(PREFIX).chain_update(random).finalize().into();
    let [a, b, c, d, ..] = sum;
    let mut rest = u32::from_be_bytes([a, b, c, d]) as usize;
    let mut digits = [0 as char; CHECK_CHARS];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= DIGITS.len();
    }
    digits.iter().collect()
}

fn digit(number: usize) -> char {
    DIGITS.get(number % DIGITS.len()).map_or('0', |digit| char::from(*digit))
}

/// The SHA-256 of a token: all that is kept of it. A slow hash would protect nothing here, for nobody guesses 131 random
/// bits; it would only cost time at each connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    pub(crate) fn of(text: &str) -> TokenHash {
        TokenHash(Sha256::digest(text.as_bytes()).into())
    }

    /// What hashes are looked up by. Whoever measures the time of the look-up learns about bits of a hash, and a hash
    /// cannot be steered.
    pub(crate) fn key(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    pub(crate) fn same(&self, other: &TokenHash) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |sum, (one, other)| sum | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidemill_ground::SeededEntropy;

    #[test]
    fn a_token_is_short_random_and_checked() {
        let entropy = SeededEntropy::new(7);
        let mut seen = std::collections::HashSet::new();
        let mut used = std::collections::HashMap::<char, u32>::new();
        for _ in 0..2_000 {
            let secret = generate(&entropy);
            let text = secret.reveal();
            assert_eq!(text.len(), TOKEN_CHARS);
            assert!(text.len() <= 32);
            assert_eq!(check_token(text), Ok(()));
            text.chars().skip(3).take(RANDOM_CHARS).for_each(|c| *used.entry(c).or_default() += 1);
            assert!(seen.insert(text.to_owned()));
        }
        // 44,000 draws of 62 digits: 710 each, give or take six standard deviations.
        assert!(used.len() == 62 && used.values().all(|count| (550..870).contains(count)), "{used:?}");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = generate(&SeededEntropy::new(1));
        let random = &secret.reveal()[3..];
        assert!(!format!("{secret:?}").contains(random));
        assert!(!format!("{:?}", Some((&secret,))).contains(random));
    }

    #[test]
    fn slips_are_told_from_strangers() {
        let text = generate(&SeededEntropy::new(3)).reveal().to_owned();
        for at in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(check_token(&String::from_utf8(bytes).unwrap()), Err(TokenError::Typo), "byte {at}");
        }
        for other in [
            "",
            "tm_",
            "password",
            &text[1..],
            &format!("{text}0"),
            &format!(" {text}"),
            &text.replace("tm_", "TM_"),
        ] {
            assert_eq!(check_token(other), Err(TokenError::Form), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(tm_)?\\PC{0,32}") {
            let _ = check_token(&text);
        }
    }
}
