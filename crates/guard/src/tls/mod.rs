//! The plant's certificates: what its listeners show to clients over TLS. The plant's own authority issues one for the names
//! and addresses that the plant has, and renews it long before it ends; or the owner brings another. Every door takes an
//! [`Acceptors`] and asks it once a connection; what it shows is changed underneath, and no listener need know.
//!
//! What does not live here: sockets, the bounds of a handshake (they are the doors'), certificates of clients.

mod about; //      what is read of a certificate
mod authority; //  the plant's own authority
mod concerns; //   what is told by `check`, and by metrics
mod names; //      what a certificate is for
mod own; //        the owner's certificate
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tidemill_ground::{Clock, Disk, Entropy, Ground};
use tokio_rustls::TlsAcceptor;

use crate::error::Error;
use about::About;
use authority::Authority;

pub use authority::{CERTIFICATE as AUTHORITY_FILE, Certificate};
pub use concerns::Concern;
pub use names::{Name, NameError};
pub use own::Own;

const DAY_S: i64 = 24 * 60 * 60;
/// A certificate of the plant's own is renewed when less of it is left.
const RENEW_S: i64 = authority::LEAF_S / 3;
/// Files of certificates and keys are small.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Addresses by which clients came and that no setting named; the oldest goes for a newer one.
const REACHED_MAX: usize = 32;

/// What a door asks at each connection, with the address of this machine that was reached: clients check that the
/// certificate is for it.
pub type Acceptors = Arc<dyn Fn(IpAddr) -> TlsAcceptor + Send + Sync>;

/// What the configuration says of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The plant's name, which its authority bears.
    pub plant: String,
    /// The addresses of all listeners that encrypt. While there are none, nothing is made.
    pub listeners: Vec<IpAddr>,
    /// Names and addresses of this machine beside these, `localhost` and loopback.
    pub names: Vec<Name>,
    /// The owner's certificate instead of the plant's.
    pub own: Option<Own>,
}

/// The room of certificates.
pub struct Tls {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    dir: PathBuf,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
    /// The addresses that what is shown is for; none where that is the owner's business.
    addresses: ArcSwap<Option<Vec<IpAddr>>>,
    state: Mutex<State>,
}

/// What is shown to every client, whatever name it asks for.
#[derive(Debug, Default)]
struct Shown(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

#[derive(Default)]
struct State {
    settings: Settings,
    authority: Option<Authority>,
    /// What is shown says of itself; none where nothing is.
    about: Option<About>,
    /// Of the owner's files: those that are shown, those that were seen last, and those that were tried last.
    taken: Option<own::Mark>,
    seen: Option<own::Mark>,
    judged: Option<own::Mark>,
    /// Why the owner's files as they are now are not in force.
    failure: Option<String>,
    reached: Vec<IpAddr>,
    /// What happened since it was last asked, for the audit.
    events: Vec<Event>,
}

/// Something that the audit keeps.
pub(crate) struct Event {
    pub(crate) action: &'static str,
    pub(crate) target: String,
    pub(crate) detail: serde_json::Value,
}

impl Tls {
    /// Reads the authority, makes it where a listener needs one, and begins to show a certificate. An owner's certificate that
    /// cannot be used keeps no plant from starting: the plant's own is shown, and [`Tls::concerns`] says so.
    ///
    /// # Errors
    /// The authority is damaged, or its files cannot be written.
    pub(crate) fn open(ground: &Ground, dir: &Path, settings: Settings) -> Result<Arc<Tls>, Error> {
        let tls = Arc::new(Tls {
            disk: ground.disk.clone(),
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            dir: dir.to_owned(),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            shown: Arc::default(),
            addresses: ArcSwap::from_pointee(None),
            state: Mutex::default(),
        });
        {
            let mut state = tls.lock();
            state.authority = Authority::load(tls.disk.as_ref(), dir)?;
            state.settings = settings;
            if let Some(own) = tls.wanted(&state) {
                tls.look_now(&mut state, &own);
            }
            tls.issue_if_due(&mut state)?;
        }
        tls.watch(ground);
        Ok(tls)
    }

    /// What the doors ask. Both versions of TLS that are safe, 1.2 and 1.3, and these protocols (ALPN, RFC 7301).
    ///
    /// # Errors
    /// Never, unless the TLS library lacks the versions.
    pub fn acceptors(self: &Arc<Self>, protocols: &[&str]) -> Result<Acceptors, Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Error::Issue(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (tls, acceptor) = (self.clone(), TlsAcceptor::from(Arc::new(config)));
        Ok(Arc::new(move |local| {
            tls.reached(local);
            acceptor.clone()
        }))
    }

    /// Takes other settings over.
    ///
    /// # Errors
    /// The owner's certificate cannot be used, or the plant's not be made; what was shown before still is.
    pub(crate) fn update(&self, settings: Settings) -> Result<(), Error> {
        let mut state = self.lock();
        if settings == state.settings {
            // A reload takes changed files up at once.
            if let Some(own) = self.wanted(&state) {
                self.look_now(&mut state, &own);
            }
            return Ok(());
        }
        let before = std::mem::replace(&mut state.settings, settings);
        let done = match self.wanted(&state) {
            Some(own) => self.take_own(&mut state, &own),
            None => {
                (state.taken, state.failure) = (None, None);
                self.issue(&mut state)
            }
        };
        if done.is_err() {
            state.settings = before;
        }
        done
    }

    /// Looks after what is shown: renews it, and takes changed files of the owner up. Called by the guard's own thread.
    pub(crate) fn tend(&self) {
        let mut state = self.lock();
        if let Some(own) = self.wanted(&state) {
            self.look(&mut state, &own);
        }
        if let Err(error) = self.issue_if_due(&mut state) {
            tracing::error!(event = "tls.not_renewed", %error, "the certificate could not be renewed");
        }
    }

    /// What happened since it was last asked.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// The certificate of the plant's own authority, as PEM, for whoever is to trust it; none while none was needed.
    pub fn authority(&self) -> Option<String> {
        self.lock().authority.as_ref().map(|authority| authority.pem.clone())
    }

    /// The owner's files, where a listener is to show them.
    fn wanted(&self, state: &State) -> Option<Own> {
        state.settings.own.clone().filter(|_| !state.settings.listeners.is_empty())
    }

    fn take_own(&self, state: &mut State, own: &Own) -> Result<(), Error> {
        let bytes = own.read(self.disk.as_ref())?;
        (state.seen, state.judged) = (Some(bytes.mark), Some(bytes.mark));
        if state.taken == Some(bytes.mark) {
            state.failure = None;
            return Ok(());
        }
        let (pair, about) = own.take(&bytes, &self.provider)?;
        self.addresses.store(Arc::new(None));
        self.shown.0.store(Some(Arc::new(pair)));
        tracing::info!(event = "tls.certificate", file = %own.certificate.display(), until_s = about.until_s);
        state.events.push(Event {
            action: "certificate.use",
            target: own.certificate.display().to_string(),
            detail: serde_json::json!({ "until": tidemill_core::rfc3339(about.until_s.saturating_mul(1_000_000_000)) }),
        });
        (state.about, state.taken, state.failure) = (Some(about), Some(bytes.mark), None);
        Ok(())
    }

    /// Takes the owner's files up once they are others and stand still: a chain is written before its key.
    fn look(&self, state: &mut State, own: &Own) {
        match own.read(self.disk.as_ref()) {
            Err(error) => refuse(state, &error),
            Ok(bytes) => {
                let settled = state.seen.replace(bytes.mark) == Some(bytes.mark);
                if state.taken == Some(bytes.mark) {
                    state.failure = None;
                } else if settled && state.judged != Some(bytes.mark) {
                    self.look_now(state, own);
                }
            }
        }
    }

    fn look_now(&self, state: &mut State, own: &Own) {
        if let Err(error) = self.take_own(state, own) {
            refuse(state, &error);
        }
    }

    /// Issues a certificate of the plant's own where one is to be shown and the present one is none, or ends soon.
    fn issue_if_due(&self, state: &mut State) -> Result<(), Error> {
        if state.taken.is_some() || state.settings.listeners.is_empty() {
            return Ok(());
        }
        let now_s = self.now_s();
        match &state.about {
            // Before it begins is where the clock was set back.
            Some(about) if now_s >= about.from_s && now_s + self.renew_s(state) < about.until_s => Ok(()),
            _ => self.issue(state),
        }
    }

    /// An authority that ends itself soon makes certificates that are never long enough.
    fn renew_s(&self, state: &State) -> i64 {
        let until_s = state.authority.as_ref().map_or(i64::MAX, |authority| authority.about.until_s);
        RENEW_S.min((until_s - self.now_s()) / 2).max(0)
    }

    fn issue(&self, state: &mut State) -> Result<(), Error> {
        if state.settings.listeners.is_empty() {
            return Ok(());
        }
        let now_s = self.now_s();
        let authority = match state.authority.take() {
            Some(authority) => authority,
            None => self.make_authority(state, now_s)?,
        };
        let (names, addresses) = names::of(&state.settings, &state.reached);
        let issued = authority.issue(self.entropy.as_ref(), &names, &addresses, now_s);
        state.authority = Some(authority);
        let (pair, about) = issued?;
        tracing::info!(
            event = "tls.certificate",
            names = names.join(" "),
            ?addresses,
            until_s = about.until_s
        );
        self.addresses.store(Arc::new(Some(addresses)));
        self.shown.0.store(Some(Arc::new(pair)));
        state.about = Some(about);
        Ok(())
    }

    fn make_authority(&self, state: &mut State, now_s: i64) -> Result<Authority, Error> {
        let (disk, entropy) = (self.disk.as_ref(), self.entropy.as_ref());
        let authority = Authority::make(disk, entropy, &self.dir, &state.settings.plant, now_s)?;
        let (name, sha256) = (authority.about.name.clone().unwrap_or_default(), authority.fingerprint());
        tracing::info!(
            event = "tls.authority",
            name,
            sha256,
            "the plant's own certificate authority was made"
        );
        state.events.push(Event {
            action: "authority.make",
            target: name,
            detail: serde_json::json!({ "sha256": sha256 }),
        });
        Ok(authority)
    }

    /// A client came by this address of ours: the next handshake's certificate is for it too.
    fn reached(&self, local: IpAddr) {
        let local = local.to_canonical();
        let known = |addresses: &Option<Vec<IpAddr>>| {
            addresses.as_ref().is_none_or(|addresses| addresses.contains(&local))
        };
        // Of the loopback network the two that everyone names stand in every certificate.
        if local.is_loopback() || known(&self.addresses.load()) {
            return;
        }
        let mut state = self.lock();
        if known(&self.addresses.load()) {
            return;
        }
        if state.reached.len() >= REACHED_MAX {
            state.reached.remove(0);
        }
        state.reached.push(local);
        if let Err(error) = self.issue(&mut state) {
            tracing::error!(event = "tls.not_renewed", %error, %local, "the certificate is not for this address");
        }
    }

    fn now_s(&self) -> i64 {
        self.clock.wall() / 1_000_000_000
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shown stays; the reason is told once.
fn refuse(state: &mut State, error: &Error) {
    let why = error.to_string();
    if state.failure.as_ref() != Some(&why) {
        tracing::error!(event = "tls.certificate_refused", "what was shown before still is: {why}");
        state.failure = Some(why);
    }
}

/// A whole small file.
fn read_small(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let len = disk.len(path)?;
    if len > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {len} bytes")));
    }
    tidemill_ground::read(disk, path)
}
