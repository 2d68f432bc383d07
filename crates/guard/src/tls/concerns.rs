//! What is told of certificates before it hurts: for `tidemill check` and for metrics.

use std::path::Path;
use std::sync::Arc;

use tidemill_ground::Ground;

use super::about::About;
use super::authority::{CERTIFICATE, KEY};
use super::{DAY_S, State, Tls};

/// Of a certificate that its owner renews: warned of when less is left, or a third of its life if that is shorter.
const OWN_WARNED_S: i64 = 30 * DAY_S;
/// Of the authority: its clients must be given the next one, and that takes long.
const AUTHORITY_WARNED_S: i64 = 365 * DAY_S;

/// Something about a certificate that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// The file.
    pub on: String,
    /// What is the matter.
    pub problem: String,
    /// What to do.
    pub mend: String,
    /// Whether all still works.
    pub warning: bool,
}

impl Tls {
    /// What the owner should know of the certificates now.
    pub fn concerns(&self) -> Vec<Concern> {
        let (state, now_s) = (self.lock(), self.now_s());
        let mut concerns: Vec<Concern> = state.failure.iter().map(|why| of_failure(&state, why)).collect();
        concerns.extend(state.about.as_ref().and_then(|about| ending(&state, about, now_s)));
        let authority = state.authority.as_ref().map(|authority| &authority.about);
        concerns.extend(authority.and_then(|about| authority_ending(&self.dir, about, now_s)));
        concerns.extend(self.key_missing());
        concerns
    }

    /// The plant that runs has the key of its authority in memory; the next start needs it on disk.
    fn key_missing(&self) -> Option<Concern> {
        let (certificate, key) = (self.dir.join(CERTIFICATE), self.dir.join(KEY));
        let stands = |path: &Path| self.disk.exists(path).ok();
        (stands(&certificate)? && !stands(&key)?).then(|| Concern {
            on: key.display().to_string(),
            problem: "the key of the plant's certificate authority is missing: the next start is refused".to_owned(),
            mend: "Restore it from a backup. Or move ca.pem away too: the plant then makes a new authority, which clients must \
                   be told to trust"
                .to_owned(),
            warning: true,
        })
    }

    /// Shows how long the certificates hold, where a listener shows any.
    pub(super) fn watch(self: &Arc<Self>, ground: &Ground) {
        if self.lock().settings.listeners.is_empty() {
            return;
        }
        type Ask = fn(&State) -> Option<i64>;
        let all: [(&str, &str, Ask); 2] = [
            (
                "tidemill_tls_certificate_days",
                "Days until the certificate ends that listeners show. The plant's own is renewed by itself.",
                |state| Some(state.about.as_ref()?.until_s),
            ),
            (
                "tidemill_tls_authority_days",
                "Days until the plant's own certificate authority ends; NaN while there is none.",
                |state| Some(state.authority.as_ref()?.about.until_s),
            ),
        ];
        for (name, help, ask) in all {
            let tls = Arc::downgrade(self);
            ground.metrics.watch(name, help, &[], move || {
                let left_s = tls.upgrade().and_then(|tls| Some(ask(&tls.lock())? - tls.now_s()));
                left_s.map_or(f64::NAN, |left_s| left_s as f64 / DAY_S as f64)
            });
        }
    }
}

fn of_failure(state: &State, why: &str) -> Concern {
    let (problem, mend) = why.rsplit_once(": ").unwrap_or((why, ""));
    let shown = match state.taken {
        Some(_) => "the certificate before it is still shown",
        None => "a certificate of the plant's own authority is shown instead",
    };
    Concern { on: file(state), problem: format!("{problem}; {shown}"), mend: mend.to_owned(), warning: false }
}

/// The file behind what is shown.
fn file(state: &State) -> String {
    let own = state.settings.own.as_ref();
    own.map_or_else(|| "the plant's certificate".to_owned(), |own| own.certificate.display().to_string())
}

fn ending(state: &State, about: &About, now_s: i64) -> Option<Concern> {
    let left_s = about.until_s - now_s;
    let life_s = about.until_s - about.from_s;
    let (on, warned_s, mend) = match state.taken {
        Some(_) => (
            file(state),
            OWN_WARNED_S.min(life_s / 3),
            "Put the renewed certificate and its key in their places; they are taken up by themselves",
        ),
        None => (
            "the plant's certificate".to_owned(),
            // It is renewed long before, unless it cannot be.
            super::RENEW_S.min(life_s / 3) / 2,
            "See in the log why it is not renewed, and whether the clock is right",
        ),
    };
    let begins = (now_s < about.from_s)
        .then(|| "the certificate does not hold yet, by this machine's clock".to_owned());
    let problem = begins.or_else(|| (left_s < warned_s).then(|| ends("the certificate", left_s)))?;
    Some(Concern { on, problem, mend: mend.to_owned(), warning: now_s >= about.from_s && left_s > 0 })
}

fn authority_ending(dir: &Path, about: &About, now_s: i64) -> Option<Concern> {
    let left_s = about.until_s - now_s;
    let mend = "Move ca.pem away and start the plant again: the same key gets another certificate. Give that to the machines that \
                trust the plant (`tidemill trust`)";
    (left_s < AUTHORITY_WARNED_S).then(|| Concern {
        on: dir.join(CERTIFICATE).display().to_string(),
        problem: ends("the plant's certificate authority", left_s),
        mend: mend.to_owned(),
        warning: left_s > 0,
    })
}

fn ends(what: &str, left_s: i64) -> String {
    let days = left_s.abs() / DAY_S;
    match left_s > 0 {
        true => format!("{what} ends in {days} day(s): clients refuse it then"),
        false => format!("{what} ended {days} day(s) ago: clients refuse it"),
    }
}
