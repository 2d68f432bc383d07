//! What a service manager is told: that the plant is ready, lives, and stops. The protocol is `sd_notify(3)`: one datagram of
//! `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. Without that variable nothing is sent. What does not live
//! here: what `run` refuses under one.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Whoever started this process and wants to hear from it.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    socket: Option<OsString>,
    /// So often it wants to hear that the plant lives.
    alive_every: Option<Duration>,
}

impl Manager {
    /// As the environment names it.
    pub(crate) fn from_environment() -> Manager {
        Manager::named(|name| std::env::var_os(name), std::process::id())
    }

    /// `process` is ours: a watchdog may be meant for another.
    fn named(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> Manager {
        let number = |name: &str| variable(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let ours = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process.into());
        // Twice within its patience, as sd_watchdog_enabled(3) advises.
        let patience = number("WATCHDOG_USEC").filter(|&microseconds| ours && microseconds > 1);
        Manager {
            socket: variable("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            alive_every: patience.map(|microseconds| Duration::from_micros(microseconds / 2)),
        }
    }

    /// Everything listens on these addresses.
    pub(crate) fn ready(&self, addresses: &[String]) {
        self.tell(&format!("READY=1\nSTATUS=ready: {}", addresses.join(" ")));
    }

    /// The plant was told to stop, and does.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping: what is acknowledged is on disk");
    }

    /// Says that the plant lives as often as is asked for. It is awaited where signals and saved settings are: a plant that
    /// hears neither any more is one to be started anew.
    pub(crate) async fn keep_told(&self) -> Infallible {
        let Some(every) = self.alive_every.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut beat = tokio::time::interval(every);
        loop {
            beat.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = send(socket, text.as_bytes()) {
            tracing::warn!(event = "service.untold", %error, "the service manager cannot be told; the plant goes on");
        }
    }
}

/// Whether systemd started this very process. A shell in a terminal that it started has inherited `INVOCATION_ID`, but not
/// the process that is named beside it (systemd.exec(5), since version 248).
pub(crate) fn is_manager_above() -> bool {
    is_started_by_one(|name| std::env::var_os(name), std::process::id())
}

fn is_started_by_one(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> bool {
    let meant = variable("SYSTEMD_EXEC_PID");
    variable("INVOCATION_ID").is_some() && meant.is_none_or(|meant| *meant == *process.to_string())
}

/// A name that begins with `@` stands in Linux's abstract namespace.
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let from = UnixDatagram::unbound()?;
    // One that does not read must not hold the plant.
    from.set_nonblocking(true)?;
    let sent = match socket.as_encoded_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            from.send_to_addr(text, &address)?
        }
        _ => from.send_to(text, socket)?,
    };
    if sent == text.len() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    }

    fn manager(variables: &[(&str, &str)]) -> Manager {
        Manager::named(find(variables), 4711)
    }

    #[test]
    fn a_service_is_told_from_a_shell_below_one() {
        let managed = |variables: &[(&str, &str)]| is_started_by_one(find(variables), 4711);
        assert!(!managed(&[]));
        assert!(managed(&[("INVOCATION_ID", "0123")]));
        assert!(managed(&[("INVOCATION_ID", "0123"), ("SYSTEMD_EXEC_PID", "4711")]));
        assert!(!managed(&[("INVOCATION_ID", "0123"), ("SYSTEMD_EXEC_PID", "1")]), "a shell in a terminal");
    }

    #[test]
    fn a_watchdog_is_heeded_where_it_is_ours() {
        let every = |variables: &[(&str, &str)]| manager(variables).alive_every;
        let minute = Some(Duration::from_secs(30));
        assert_eq!(every(&[]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "60000000")]), minute);
        assert_eq!(every(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "4711")]), minute);
        assert_eq!(every(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "1")]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "0")]), None);
    }

    fn heard(by: &UnixDatagram) -> String {
        let mut text = [0; 512];
        let length = by.recv(&mut text).expect("a datagram");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[test]
    fn what_is_told_arrives_at_a_file_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let told = manager(&[("NOTIFY_SOCKET", path.to_str().expect("text"))]);
        told.ready(&["http://127.0.0.1:8440".into(), "http://[::1]:8440".into()]);
        assert_eq!(heard(&listener), "READY=1\nSTATUS=ready: http://127.0.0.1:8440 http://[::1]:8440");
        told.stopping();
        assert!(heard(&listener).starts_with("STOPPING=1\n"));
        #[cfg(target_os = "linux")]
        {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("tidemill-test-{}", std::process::id());
            let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
            let listener = UnixDatagram::bind_addr(&address).expect("bound");
            manager(&[("NOTIFY_SOCKET", &format!("@{name}"))]).tell("WATCHDOG=1");
            assert_eq!(heard(&listener), "WATCHDOG=1");
        }
    }

    #[test]
    fn nobody_is_told_where_nobody_asked_and_a_deaf_one_does_no_harm() {
        assert!(manager(&[("NOTIFY_SOCKET", "")]).socket.is_none());
        manager(&[("NOTIFY_SOCKET", "/there/is/no/such/socket")]).ready(&[]);
        assert!(send(OsStr::new("/there/is/no/such/socket"), b"READY=1").is_err());
    }

    #[test]
    fn a_beat_is_sent_while_it_is_awaited() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let named = [("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "2000")];
        let manager = manager(&named);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let beats = async {
                let listener = tokio::net::UnixDatagram::from_std({
                    listener.set_nonblocking(true).expect("set");
                    listener
                })
                .expect("within a runtime");
                for _ in 0..2 {
                    let mut text = [0; 64];
                    let length = listener.recv(&mut text).await.expect("a datagram");
                    assert_eq!(&text[..length], b"WATCHDOG=1");
                }
            };
            tokio::select! {
                never = manager.keep_told() => match never {},
                () = beats => {}
            }
        });
    }
}
