//! How many connections each peer address has: none may hold so many that there is no room for others. The sockets are the
//! faces'; here they are only counted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::{Counter, Labels, Metrics};

/// The host's part of an IPv6 address: who has one has all of them.
const HOST_BITS: u128 = (1 << 64) - 1;

/// Connections by address. There are never more entries than connections.
#[derive(Clone, Debug)]
pub struct Peers {
    held: Arc<Mutex<HashMap<IpAddr, u64>>>,
    refused: Counter,
}

/// One connection of a peer, given back when dropped.
#[derive(Debug)]
pub struct Share {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// What goes over a share is counted under this name.
    pub fn new(metrics: &Metrics, counter: &str, labels: Labels<'_>) -> Peers {
        let help = "Connections closed because their address had its share already.";
        Peers { held: Arc::default(), refused: metrics.counter_with(counter, help, labels) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of this address, of which there may be `max`.
    pub fn try_take(&self, address: IpAddr, max: u64) -> Option<Share> {
        let address = key(address);
        let mut held = self.lock();
        let count = held.get(&address).copied().unwrap_or_default();
        if count >= max {
            self.refused.add(1);
            return None;
        }
        held.insert(address, count + 1);
        Some(Share { peers: self.clone(), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.peers.lock();
        match held.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.address)),
        }
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !HOST_BITS)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_and_gives_it_back() {
        let peers = Peers::new(&Metrics::new(), "refused", &[]);
        let take = |address: &str| peers.try_take(address.parse().unwrap(), 2);
        let (first, second) = (take("10.0.0.1"), take("::ffff:10.0.0.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take("10.0.0.1").is_none());
        let other = take("10.0.0.2");
        let network = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(other.is_some() && network.0.is_some() && network.1.is_some());
        assert!(take("2001:db8::3").is_none(), "one network");
        assert!(take("2001:db8:0:1::3").is_some());
        assert_eq!(peers.refused.get(), 2);
        drop(first);
        assert!(take("10.0.0.1").is_some());
        drop((second, other, network));
        assert!(peers.lock().is_empty());
    }
}
