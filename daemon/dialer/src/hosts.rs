//! The hosts file: names that need no name server.
//!
//! Pure but for [`HostsFile`], which reads the file again when it has changed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use crate::watched::Watched;

/// Names, in lower case and without a trailing dot, and their addresses in the order of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads `ADDRESS NAME...` lines. What is not such a line is passed over, as by every resolver.
    pub(crate) fn parse(text: &str) -> Self {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                let addresses = names.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(names)
    }

    /// The addresses of a name in lower case, without a trailing dot.
    pub(crate) fn find(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// `/etc/hosts`, as it is now.
pub(crate) struct HostsFile(Watched<Hosts>);

impl HostsFile {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Watched::open(path, |text| Hosts::parse(&String::from_utf8_lossy(text))))
    }

    /// The addresses of a name, as [`Hosts::find`].
    pub(crate) fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.0.get().as_ref().and_then(|hosts| hosts.find(name).map(<[IpAddr]>::to_vec))
    }

    /// As [`Watched::out_of_reach`].
    pub(crate) async fn out_of_reach(&self) -> String {
        self.0.out_of_reach().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_several_addresses_and_lines() {
        let hosts = Hosts::parse(
            "# comment\n127.0.0.1 localhost\n10.0.0.1\tApp.Test app # the app\n\
             fd00::1 app.test.\n10.0.0.1 app.test\nnonsense app.test\n10.0.0.9\n",
        );
        assert_eq!(
            hosts.find("app.test").unwrap(),
            ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]
        );
        assert_eq!(hosts.find("app").unwrap().len(), 1);
        assert_eq!(hosts.find("the"), None);
        assert_eq!(hosts.find("nonsense"), None);
    }
}
