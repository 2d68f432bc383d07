//! What a certificate of the plant is for: the names and addresses by which clients reach this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rustls::pki_types::ServerName;

use super::Settings;

/// How many names and addresses one certificate may be for.
pub(super) const NAMES_MAX: usize = 128;

/// A name or an address of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// As it stands in DNS, in lower case.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

/// What a text that is no name of a machine is answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no name of a machine: write it like tidemill.example.org or 192.168.1.5, without port")]
pub struct NameError(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        match ServerName::try_from(text) {
            Ok(ServerName::DnsName(name)) => Ok(Name::Dns(name.as_ref().to_ascii_lowercase())),
            Ok(ServerName::IpAddress(address)) => Ok(Name::Address(IpAddr::from(address).to_canonical())),
            _ => Err(NameError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => out.write_str(name),
            Name::Address(address) => address.fmt(out),
        }
    }
}

/// All that a certificate is to be for, each once: what was named first, then this machine by itself, its listeners, and
/// the addresses that clients reached.
pub(super) fn of(settings: &Settings, reached: &[IpAddr]) -> (Vec<String>, Vec<IpAddr>) {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for name in &settings.names {
        match name {
            Name::Dns(name) => names.push(name.clone()),
            Name::Address(address) => addresses.push(*address),
        }
    }
    names.push("localhost".to_owned());
    addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    addresses.extend(settings.listeners.iter().map(IpAddr::to_canonical));
    addresses.extend(reached);
    // The address that means all of them is none by itself.
    addresses.retain(|address| !address.is_unspecified());
    (once(names), once(addresses))
}

fn once<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for entry in list {
        if kept.len() < NAMES_MAX && !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    kept
}
