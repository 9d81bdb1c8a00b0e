//! From a host to its addresses: literals, `localhost`, the hosts file, then DNS.
//!
//! The one place where foreign bytes are parsed in this process: DNS answers, by hickory-resolver, which loads no NSS
//! modules. It judges nothing and connects to nothing but name servers.

use std::net::IpAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::parse_resolv_conf;
use tokio::time::timeout;

use crate::hosts::HostsFile;
use crate::target::{LOCALHOST, Name, Target};
use crate::watched::Watched;

/// The longest time that a name may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a host with IPv4 addresses may be silent about IPv6 (RFC 8305, 3, "Resolution Delay").
const GRACE: Duration = Duration::from_millis(50);
/// Names that are remembered, for as long as their name servers say.
const CACHED_NAMES: u64 = 4096;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// No usable `/etc/resolv.conf`.
    #[error("no name server can be asked ({0}); names in the hosts file and addresses still work")]
    NoServers(String),
    /// NXDOMAIN.
    #[error("there is no such name")]
    NoSuchName,
    /// The name is there and has neither A nor AAAA.
    #[error("the name has no address")]
    NoAddress,
    /// Silence.
    #[error("the name servers gave no answer within {} s", LIMIT.as_secs())]
    TimedOut,
    /// SERVFAIL and the like.
    #[error("the name servers failed: {0}")]
    Servers(NetError),
}

/// The host's own ways of resolving; its files are read again when they have changed.
pub(crate) struct Resolver {
    hosts: HostsFile,
    dns: Watched<Result<TokioResolver, String>>,
}

impl Resolver {
    /// Reads both files, if they are there. Needs a tokio runtime.
    pub(crate) fn open(hosts: &Path, resolv_conf: &Path) -> Self {
        Self { hosts: HostsFile::open(hosts), dns: Watched::open(resolv_conf, dns_from) }
    }

    /// At least one address, each once, in the order of preference of their source.
    pub(crate) async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, ResolveError> {
        match target {
            Target::Address(address) => Ok(vec![*address]),
            Target::Localhost => Ok(LOCALHOST.to_vec()),
            Target::Name(name) => match self.hosts.find(name.as_str()) {
                Some(addresses) => Ok(addresses),
                None => self.ask(name).await,
            },
        }
    }

    /// Completes once one of the files was replaced by one that this process may not read; its path.
    pub(crate) async fn out_of_reach(&self) -> String {
        tokio::select! {
            path = self.hosts.out_of_reach() => path,
            path = self.dns.out_of_reach() => path,
        }
    }

    async fn ask(&self, name: &Name) -> Result<Vec<IpAddr>, ResolveError> {
        let dns = self.dns.get().ok_or_else(|| ResolveError::NoServers("there is no resolv.conf".into()))?;
        let dns = dns.as_ref().as_ref().map_err(|reason| ResolveError::NoServers(reason.clone()))?;
        // A complete name gets its dot back: no search list then.
        let name = format!("{}{}", name.as_str(), if name.is_complete() { "." } else { "" });
        let four = dns.ipv4_lookup(name.as_str());
        let six = dns.ipv6_lookup(name.as_str());
        timeout(LIMIT, both(addresses(four), addresses(six))).await.unwrap_or(Err(ResolveError::TimedOut))
    }
}

fn dns_from(resolv_conf: &[u8]) -> Result<TokioResolver, String> {
    let (config, mut options) = parse_resolv_conf(resolv_conf).map_err(|error| error.to_string())?;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED_NAMES;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| error.to_string())
}

async fn addresses(lookup: impl Future<Output = Result<Lookup, NetError>>) -> Result<Vec<IpAddr>, ResolveError> {
    let found: Vec<IpAddr> = match lookup.await {
        Ok(lookup) => lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect(),
        Err(error) if error.is_nx_domain() => return Err(ResolveError::NoSuchName),
        Err(error) if error.is_no_records_found() => Vec::new(),
        Err(NetError::Timeout) => return Err(ResolveError::TimedOut),
        Err(error) => return Err(ResolveError::Servers(error)),
    };
    if found.is_empty() { Err(ResolveError::NoAddress) } else { Ok(found) }
}

/// The answers of both families. A host with IPv4 addresses does not wait for a slow answer about IPv6; one with IPv6
/// addresses does wait for IPv4, because IPv6 may lead nowhere from here.
async fn both<F, S>(four: F, six: S) -> Result<Vec<IpAddr>, ResolveError>
where
    F: Future<Output = Result<Vec<IpAddr>, ResolveError>>,
    S: Future<Output = Result<Vec<IpAddr>, ResolveError>>,
{
    let (mut four, mut six) = (pin!(four), pin!(six));
    let (four, six) = tokio::select! {
        four = &mut four => {
            let six = if four.is_ok() { timeout(GRACE, six).await.unwrap_or(Err(ResolveError::TimedOut)) } else { six.await };
            (four, six)
        }
        six = &mut six => (four.await, six),
    };
    match (four, six) {
        (Ok(four), Ok(mut six)) => {
            six.extend(four);
            Ok(six)
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(reason), Err(ResolveError::NoAddress)) | (Err(_), Err(reason)) => Err(reason),
    }
}

#[cfg(test)]
mod tests;
