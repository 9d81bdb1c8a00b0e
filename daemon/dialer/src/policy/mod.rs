//! The egress policy: may this address be connected?
//!
//! Pure: it resolves nothing, connects nothing and reads nothing. It is asked with the very address that will be
//! connected, after the name was resolved, and answers for every form that the address can take.
//!
//! | order | refused | unless |
//! |---|---|---|
//! | 1 | multicast and broadcast | never |
//! | 2 | a listener of this instance, by any address of this host | never |
//! | 3 | cloud metadata | `egress.allow_metadata` |
//! | 4 | `egress.deny` | never |
//! | 5 | private addresses, if `egress.deny_private` | `egress.allow` |

mod faces;
mod tables;

use std::net::{IpAddr, SocketAddr};

use merlon_config::Egress;

/// What the policy must know of the host: is this one of its own addresses?
pub(crate) trait Host {
    /// True for every address that leads back to this host, and in doubt.
    fn is_local(&self, address: IpAddr) -> bool;
}

/// The rules of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    egress: Egress,
    own_ports: Vec<u16>,
}

/// Which rule refused, in words for an error page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) address: SocketAddr,
    pub(crate) rule: String,
}

impl Policy {
    /// Rules from `[egress]` and the addresses of the instance's listeners. Only their ports count: what is bound to
    /// one address today can be reached by another through the host's own routing.
    pub(crate) fn new(egress: Egress, own_listeners: &[SocketAddr]) -> Self {
        let mut own_ports: Vec<u16> = own_listeners.iter().map(SocketAddr::port).filter(|&port| port != 0).collect();
        own_ports.sort_unstable();
        own_ports.dedup();
        Self { egress, own_ports }
    }

    /// The address to connect, in the form that was judged.
    pub(crate) fn judge(&self, address: SocketAddr, host: &dyn Host) -> Result<SocketAddr, Refusal> {
        let address = faces::normalise(address);
        for face in faces::faces(address.ip()) {
            if let Some(rule) = self.objection(face, address.port(), host) {
                let carried = if face == address.ip() { String::new() } else { format!("{face} inside it: ") };
                return Err(Refusal { address, rule: format!("{carried}{rule}") });
            }
        }
        Ok(address)
    }

    fn objection(&self, address: IpAddr, port: u16, host: &dyn Host) -> Option<String> {
        if let Some(entry) = tables::find(&tables::NEVER, address) {
            return Some(format!("{} takes no connections", entry.name));
        }
        let here = |address: IpAddr| address.is_loopback() || is_this_host(address) || host.is_local(address);
        if self.own_ports.contains(&port) && here(address) {
            return Some(format!(
                "port {port} of this host is a listener of this instance, which no connection through the proxy may \
                 reach; to test another program there, let the instance listen on another port (`proxy.listen`, \
                 `api.listen`)"
            ));
        }
        if !self.egress.allow_metadata
            && let Some(entry) = tables::find(&tables::METADATA, address)
        {
            return Some(format!("this is {}; `egress.allow_metadata = true` permits it", entry.name));
        }
        if let Some(block) = self.egress.deny.iter().find(|block| block.contains(address)) {
            return Some(format!("`egress.deny` lists {block}"));
        }
        if self.egress.deny_private && !self.egress.allow.iter().any(|block| block.contains(address)) {
            let name = match tables::find(&tables::PRIVATE, address) {
                Some(entry) => Some(entry.name),
                None => host.is_local(address).then_some("an address of this host"),
            };
            return name.map(|name| {
                format!(
                    "this is {name} and `egress.deny_private` is set; list it in `egress.allow`, or set \
                     `egress.deny_private = false`"
                )
            });
        }
        None
    }
}

/// Linux connects 0.0.0.0 and :: to this host.
fn is_this_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests;
