//! What can go wrong in this room, and how it is told at the edge.

use std::io;
use std::path::{Path, PathBuf};

use tidemill_core::{Problem, codes};

use crate::right::Right;
use crate::settings::SettingError;

/// A failure or refusal of the guard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the guard could not be read or written.
    #[error("{action} {path} failed ({source}): see that the disk is well and that the folder belongs to this user",
            path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file was written by a newer version.
    #[error("{path} has format {found}, and this version reads formats up to {known}", path = path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// What is known here.
        known: u64,
    },
    /// The token file is not what was written.
    #[error("{path} is damaged or was edited ({why}): restore it from a backup. Or move it away: the plant then \
             starts without tokens, and new ones must be made", path = path.display())]
    TokensDamaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The token file is not there, though tokens were made.
    #[error("{path} is missing, and the audit says that tokens were made, so none of them is known: stop the plant and put \
             the file back from a backup, or make them anew with `tidemill token create`", path = path.display())]
    TokensMissing {
        /// Which file.
        path: PathBuf,
    },
    /// The settings have problems; all of them are listed.
    #[error("the access settings have {} problem(s): {}", .0.len(), list(.0))]
    Settings(Vec<SettingError>),
    /// The name of a token is not usable.
    #[error(
        "'{0}' cannot be a token's name: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    )]
    Name(String),
    /// There is already a token of that name.
    #[error(
        "there is already a token '{0}': choose another name, or `tidemill token rotate {0}` for a new secret"
    )]
    Exists(String),
    /// There is no token of that name.
    #[error("there is no token '{0}': `tidemill token list` shows those there are")]
    NoToken(String),
    /// There is nobody of that name.
    #[error(
        "nobody is called '{0}': write token:NAME, zone:NAME, owner:NAME or house:NAME; `tidemill access list` shows everyone with rights"
    )]
    Nobody(String),
    /// A token without rights is worth nothing.
    #[error("token '{0}' would have no rights: give it some, e.g. --allow 'write:line-3/#'")]
    NoRights(String),
    /// A right that no token may have.
    #[error("the right '{0}' is never given: tidemill/# is written by the house alone")]
    Reserved(Right),
    /// The expiry is not in the future.
    #[error("token '{0}' would expire at once: give a time in the future, e.g. --expires 90d")]
    Expired(String),
    /// More than there may be.
    #[error("at most {max} {what} are allowed: remove what is not needed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The one who asks may not.
    #[error("{who} may not give, change or end the right '{right}': that takes the right itself and 'administer:{}'", .right.pattern)]
    Beyond {
        /// Who asked.
        who: String,
        /// The first right that goes beyond theirs.
        right: Box<Right>,
    },
    /// Only tokens and the owner manage tokens.
    #[error("{0} may not manage tokens: use the plant's control socket, or a token with 'administer'")]
    NotAllowed(String),
    /// The audit log cannot be written, so nothing that must be audited is done.
    #[error(
        "the audit log cannot be written ({0}), so the change was not made: mend the disk, then repeat it"
    )]
    AuditUnwritable(String),
    /// The plant is stopping.
    #[error("the plant is stopping: repeat the change when it runs again")]
    Stopping,
    /// The plant's certificate authority is not what was written.
    #[error("{path} cannot be used ({why}): restore it from a backup. Or move ca.key and ca.pem away: the plant then makes a \
             new authority, which clients must be told to trust", path = path.display())]
    AuthorityDamaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The owner's certificate cannot be used.
    #[error("{path} cannot be used ({why}): put a certificate with its chain, and its key without passphrase, both as PEM, where \
             tls.certificate and tls.key say", path = path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be issued ({0}): see that tls.names are names of this machine")]
    Issue(String),
    /// A task could not be started.
    #[error(transparent)]
    Tasks(#[from] tidemill_ground::Error),
}

fn list(problems: &[SettingError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Disk { action, path: path.to_owned(), source }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let code = match &error {
            // Not a mistake of this program, and not one of who asks over the network.
            Error::Disk { action: "reading" | "listing", .. } => &codes::FILE_UNREADABLE,
            Error::Disk { source, .. } => codes::INTERNAL.or_full(source),
            Error::Tasks(_) | Error::Issue(_) => &codes::INTERNAL,
            Error::Newer { .. } => &codes::NEWER_FORMAT,
            Error::TokensDamaged { .. } | Error::TokensMissing { .. } | Error::AuthorityDamaged { .. } => {
                &codes::DAMAGED
            }
            Error::Settings(_) | Error::Certificate { .. } => &codes::BAD_CONFIGURATION,
            Error::Name(_)
            | Error::NoRights(_)
            | Error::Reserved(_)
            | Error::Expired(_)
            | Error::TooMany { .. } => &codes::BAD_PARAMETER,
            Error::Exists(_) => &codes::EXISTS,
            Error::NoToken(_) | Error::Nobody(_) => &codes::NOT_FOUND,
            Error::Beyond { .. } | Error::NotAllowed(_) => &codes::FORBIDDEN,
            Error::AuditUnwritable(_) => &codes::AUDIT_UNWRITABLE,
            Error::Stopping => &codes::STOPPING,
        };
        let (detail, hint) = split(&error.to_string());
        Problem::new(code, detail).hint(hint)
    }
}

/// Our messages end with the mend after the last colon; a problem document has a place of its own for it.
fn split(message: &str) -> (String, String) {
    match message.rsplit_once(": ") {
        Some((detail, mend)) => (detail.to_owned(), mend.to_owned()),
        None => (message.to_owned(), String::new()),
    }
}
