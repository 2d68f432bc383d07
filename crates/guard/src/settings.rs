//! What the plant's configuration says to the guard, as typed values, and what can be wrong with them. The file and its
//! line numbers are the binary's business: each error names the key.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tidemill_core::Verb;

use crate::right::{Right, shown};
use crate::store::is_name;

/// How many zones there may be: they are looked through one by one for a caller without a token.
pub(crate) const ZONES_MAX: usize = 64;
/// How many networks one zone may name.
pub(crate) const ZONE_NETWORKS_MAX: usize = 64;
/// How many rights one zone or token may have.
pub(crate) const RIGHTS_MAX: usize = 256;

/// What the guard is told by the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The named networks.
    pub zones: Vec<Zone>,
    /// Whose word about where a request really came from is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// The system user who owns the plant's folder. Besides the superuser, who can read every file of the plant
    /// anyway, only this one is let in by the control socket.
    pub owner_uid: Option<u32>,
    /// What listeners show of themselves.
    pub tls: crate::tls::Settings,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many tokens there may be.
    pub tokens_max: usize,
    /// An audit file beyond this is closed and the next begun.
    pub audit_file_bytes_max: u64,
    /// How much audit is kept; the oldest whole files go first, and that they went is itself an entry.
    pub audit_bytes_max: u64,
    /// How long audit is kept; none for as long as it fits.
    pub audit_age_max: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            tokens_max: 10_000,
            audit_file_bytes_max: 4 << 20,
            audit_bytes_max: 1 << 30,
            audit_age_max: None,
        }
    }
}

/// A named network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub cidr: Vec<Cidr>,
    /// Whether listeners without encryption may serve it.
    pub plain: bool,
    /// What its addresses may do without a token.
    pub anonymous: Vec<Right>,
}

/// A network: `192.168.1.0/24`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not an address.
    #[error("'{0}' is no network: write an address and the bits that count, e.g. 192.168.1.0/24")]
    Form(String),
    /// More bits than the address has.
    #[error(
        "'{text}' has more bits than the {bits} of such an address: write a smaller number behind the '/'"
    )]
    Bits {
        /// The text.
        text: String,
        /// How many bits an address has.
        bits: u8,
    },
    /// Bits behind the prefix.
    #[error(
        "'{text}' names one address inside a network: write {network} for the network, or leave '/…' away for the one address"
    )]
    Host {
        /// The text.
        text: String,
        /// The network around it.
        network: Cidr,
    },
}

/// One thing that is wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct SettingError {
    /// The key as in the configuration file, e.g. `zone.farm.anonymous[0]`.
    pub key: String,
    /// What is wrong, and the mend.
    pub why: String,
}

impl Cidr {
    /// Whether the address lies in this network. An IPv4 address inside IPv6 (`::ffff:…`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, theirs, ours) = match (address.to_canonical(), self.address) {
            (IpAddr::V4(theirs), IpAddr::V4(ours)) => {
                (32, u128::from(theirs.to_bits()), u128::from(ours.to_bits()))
            }
            (IpAddr::V6(theirs), IpAddr::V6(ours)) => (128, theirs.to_bits(), ours.to_bits()),
            _ => return false,
        };
        let free = bits - u32::from(self.prefix);
        theirs.checked_shr(free).unwrap_or(0) == ours.checked_shr(free).unwrap_or(0)
    }

    /// Whether every address of it is this machine itself.
    pub fn is_loopback(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.is_loopback() && self.prefix >= 8,
            IpAddr::V6(address) => address.is_loopback() && self.prefix == 128,
        }
    }

    /// How many bits count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn network(address: IpAddr, prefix: u8) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let form = || CidrError::Form(shown(text));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| form())?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| form())?;
        // A mapped address never meets a caller, whose address is canonical: `::ffff:10.0.0.0/104` is refused as well.
        if address != address.to_canonical() {
            return Err(form());
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(CidrError::Bits { text: shown(text), bits });
        }
        let network = Cidr::network(address, prefix);
        if network != address {
            return Err(CidrError::Host { text: shown(text), network: Cidr { address: network, prefix } });
        }
        Ok(Cidr { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl Settings {
    /// Everything that is wrong, each with its key.
    ///
    /// # Errors
    /// The list, never empty.
    pub fn check(&self) -> Result<(), Vec<SettingError>> {
        let mut wrong = Vec::new();
        if self.zones.len() > ZONES_MAX {
            let why = format!("{} zones stand here; at most {ZONES_MAX} are allowed", self.zones.len());
            wrong.push(SettingError { key: "zone".to_owned(), why });
        }
        let mut networks: HashMap<Cidr, &str> = HashMap::new();
        let mut names = std::collections::HashSet::new();
        for zone in &self.zones {
            if !names.insert(&zone.name) {
                wrong.push(zone.wrong("", "the name stands twice: give each zone its own"));
            }
            zone.check(&mut wrong);
            for cidr in &zone.cidr {
                if let Some(other) = networks.insert(*cidr, &zone.name) {
                    let why = format!(
                        "{cidr} belongs to zone {other} already: which zone an address is in must be one"
                    );
                    wrong.push(zone.wrong(".cidr", why));
                }
            }
        }
        if self.limits.audit_file_bytes_max < 4096
            || self.limits.audit_bytes_max < self.limits.audit_file_bytes_max
        {
            let why = "an audit file takes at least 4096 bytes, and at least one file is kept".to_owned();
            wrong.push(SettingError { key: "limits.audit".to_owned(), why });
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Zone {
    fn wrong(&self, below: &str, why: impl Into<String>) -> SettingError {
        SettingError { key: format!("zone.{}{below}", shown(&self.name)), why: why.into() }
    }

    fn check(&self, wrong: &mut Vec<SettingError>) {
        if !is_name(&self.name) {
            wrong.push(self.wrong("", "a zone's name has 1 to 64 letters, digits, '.', '_' or '-'"));
        }
        if self.cidr.is_empty() {
            wrong.push(self.wrong(
                ".cidr",
                "a zone without a network has no addresses: name one, e.g. [\"192.168.1.0/24\"]",
            ));
        }
        if self.cidr.len() > ZONE_NETWORKS_MAX || self.anonymous.len() > RIGHTS_MAX {
            let why = format!("at most {ZONE_NETWORKS_MAX} networks and {RIGHTS_MAX} rights are allowed");
            wrong.push(self.wrong("", why));
        }
        for (index, right) in self.anonymous.iter().enumerate() {
            if let Some(why) = self.refuses(right) {
                wrong.push(self.wrong(&format!(".anonymous[{index}]"), why));
            }
        }
    }

    fn refuses(&self, right: &Right) -> Option<String> {
        if !matches!(right.verb, Verb::Read | Verb::Write) {
            return Some(format!(
                "'{right}' is never anonymous: only read and write are; make a token for it"
            ));
        }
        if right.is_reserved() {
            return Some(format!("'{right}' is never given: tidemill/# is written by the house alone"));
        }
        // `+/#` and its like mean all just as well as `#` does.
        let means_all = right.pattern.levels().all(|level| level == "+" || level == "#");
        if means_all && !self.cidr.iter().all(Cidr::is_loopback) {
            return Some(format!(
                "'{right}' means everything, and the zone reaches beyond this machine: \
                                 name the paths, e.g. '{}:line-3/#'",
                right.verb
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn zone(name: &str, cidr: &[&str], anonymous: &[&str]) -> Zone {
        Zone {
            name: name.to_owned(),
            cidr: cidr.iter().map(|text| text.parse().unwrap()).collect(),
            plain: false,
            anonymous: anonymous.iter().map(|text| Right::parse(text).unwrap()).collect(),
        }
    }

    fn check(zones: Vec<Zone>, expected: Expect) {
        let settings = Settings { zones, ..Settings::default() };
        let found = settings.check().err().unwrap_or_default();
        expected.assert_eq(&found.iter().map(|error| format!("{error}\n")).collect::<String>());
    }

    #[test]
    fn zones_that_are_fine_and_zones_that_are_not() {
        check(vec![zone("farm", &["192.168.1.0/24"], &["write:farm/sensors/#"])], expect![""]);
        check(vec![zone("here", &["127.0.0.1", "::1"], &["read:#", "write:#"])], expect![""]);
        check(
            vec![zone(
                "farm",
                &["192.168.1.0/24"],
                &["read:#", "write:+/#", "command:a", "write:tidemill/x"],
            )],
            expect![[r#"
            zone.farm.anonymous[0]: 'read:#' means everything, and the zone reaches beyond this machine: name the paths, e.g. 'read:line-3/#'
            zone.farm.anonymous[1]: 'write:+/#' means everything, and the zone reaches beyond this machine: name the paths, e.g. 'write:line-3/#'
            zone.farm.anonymous[2]: 'command:a' is never anonymous: only read and write are; make a token for it
            zone.farm.anonymous[3]: 'write:tidemill/x' is never given: tidemill/# is written by the house alone
        "#]],
        );
        check(
            vec![zone("here", &["127.0.0.1", "10.0.0.1"], &["read:#"])],
            expect![[r#"
            zone.here.anonymous[0]: 'read:#' means everything, and the zone reaches beyond this machine: name the paths, e.g. 'read:line-3/#'
        "#]],
        );
        check(
            vec![zone("here", &["126.0.0.0/7"], &["read:#"]), zone("a b", &[], &[])],
            expect![[r#"
            zone.here.anonymous[0]: 'read:#' means everything, and the zone reaches beyond this machine: name the paths, e.g. 'read:line-3/#'
            zone.a b: a zone's name has 1 to 64 letters, digits, '.', '_' or '-'
            zone.a b.cidr: a zone without a network has no addresses: name one, e.g. ["192.168.1.0/24"]
        "#]],
        );
        check(
            vec![
                zone("a", &["10.0.0.0/8"], &[]),
                zone("b", &["10.0.0.0/8"], &[]),
                zone("b", &["fd00::/8"], &[]),
            ],
            expect![[r#"
            zone.b.cidr: 10.0.0.0/8 belongs to zone a already: which zone an address is in must be one
            zone.b: the name stands twice: give each zone its own
        "#]],
        );
    }

    #[test]
    fn networks() {
        for text in
            ["10.0.0.0/33", "10.0.0.1/8", "farm", "10.0.0.0/", "::/129", "::ffff:10.0.0.1", "10.0.0.0/8/8"]
        {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        let table = [
            ("192.168.1.0/24", "192.168.1.255", true),
            ("192.168.1.0/24", "192.168.2.0", false),
            ("192.168.1.0/24", "::ffff:192.168.1.7", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("::/0", "1.2.3.4", false),
            ("fd00::/8", "fdff::1", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
        ];
        for (network, address, expected) in table {
            assert_eq!(
                network.parse::<Cidr>().unwrap().contains(address.parse().unwrap()),
                expected,
                "{network} {address}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written(text in "[0-9a-f.:/]{0,24}") {
            if let Ok(cidr) = text.parse::<Cidr>() {
                prop_assert_eq!(cidr.to_string().parse::<Cidr>().unwrap(), cidr);
                prop_assert!(cidr.contains(cidr.address));
            }
        }
    }
}
