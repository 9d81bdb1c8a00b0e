//! The addresses that mean something, as data.

use std::net::IpAddr;
use std::sync::LazyLock;

use merlon_config::Cidr;

/// A block of addresses and what people call it.
pub(super) struct Named {
    block: Cidr,
    pub(super) name: &'static str,
}

/// The entry that holds this address.
pub(super) fn find(table: &'static [Named], address: IpAddr) -> Option<&'static Named> {
    table.iter().find(|entry| entry.block.contains(address))
}

fn table(rows: &[(&str, &'static str)]) -> Vec<Named> {
    let parse = |&(block, name): &(&str, &'static str)| Named {
        block: block.parse().expect("the blocks below are constants, and a test reads them all"),
        name,
    };
    rows.iter().map(parse).collect()
}

/// Where a cloud hands credentials to whoever asks from the machine itself.
pub(super) static METADATA: LazyLock<Vec<Named>> = LazyLock::new(|| {
    table(&[
        ("169.254.169.254", "the metadata service of AWS, Azure, Google Cloud, Oracle, OpenStack and others"),
        ("169.254.170.2", "the credentials of AWS ECS tasks"),
        ("169.254.170.23", "the credentials of AWS EKS pods"),
        ("169.254.42.42", "the metadata service of Scaleway"),
        ("169.254.0.23", "the metadata service of Tencent Cloud"),
        ("100.100.100.200", "the metadata service of Alibaba Cloud"),
        ("168.63.129.16", "the host service of Azure"),
        ("192.0.0.192", "the metadata service of Oracle Cloud Classic"),
        ("fd00:ec2::254", "the metadata service of AWS"),
        ("fd00:ec2::23", "the credentials of AWS EKS pods"),
        ("fd20:ce::254", "the metadata service of Google Cloud"),
        ("fd00:c1::a9fe:a9fe", "the metadata service of Oracle Cloud"),
        ("fd00:a9fe:a9fe::1", "the metadata service of Akamai (Linode)"),
        ("fd00:42::42", "the metadata service of Scaleway"),
        ("fe80::a9fe:a9fe", "the metadata service of OpenStack"),
    ])
});

/// What no TCP connection can be made to.
pub(super) static NEVER: LazyLock<Vec<Named>> = LazyLock::new(|| {
    table(&[
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255", "the broadcast address"),
        ("ff00::/8", "a multicast address"),
    ])
});

/// What `egress.deny_private` refuses: every block that is not the public internet.
pub(super) static PRIVATE: LazyLock<Vec<Named>> = LazyLock::new(|| {
    table(&[
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared (CGNAT) address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an address for protocols"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("240.0.0.0/4", "a reserved address"),
        ("::", "this host"),
        ("::1", "a loopback address"),
        ("64:ff9b:1::/48", "an address of a local NAT64"),
        ("fc00::/7", "a unique local address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
    ])
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_parses() {
        assert!(METADATA.len() + NEVER.len() + PRIVATE.len() > 30);
    }
}
