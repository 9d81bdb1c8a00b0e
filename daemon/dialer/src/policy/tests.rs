//! The policy as a table: configuration, address, verdict.

use super::*;

/// A host with two addresses of its own, besides loopback.
struct TestHost;

impl Host for TestHost {
    fn is_local(&self, address: IpAddr) -> bool {
        ["192.0.2.5", "2001:db8::5", "10.1.1.1"].contains(&address.to_string().as_str())
    }
}

fn policy(edit: impl FnOnce(&mut Egress)) -> Policy {
    let mut egress = Egress::default();
    edit(&mut egress);
    Policy::new(egress, &["127.0.0.1:8080".parse().unwrap(), "[::1]:8443".parse().unwrap()])
}

/// The rule that refused, or nothing.
fn verdict(policy: &Policy, address: &str) -> Option<String> {
    policy.judge(address.parse().unwrap(), &TestHost).err().map(|refusal| refusal.rule)
}

fn refused_for(policy: &Policy, addresses: &[&str], reason: &str) {
    for address in addresses {
        let rule = verdict(policy, address).unwrap_or_else(|| panic!("{address} was allowed"));
        assert!(rule.contains(reason), "{address}: {rule}");
    }
}

fn allowed(policy: &Policy, addresses: &[&str]) {
    for address in addresses {
        assert_eq!(verdict(policy, address), None, "{address}");
    }
}

#[test]
fn own_listeners_are_refused_by_every_address_of_the_host() {
    let all = policy(|egress| {
        egress.allow_metadata = true;
        egress.allow = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    });
    for policy in [policy(|_| {}), all] {
        refused_for(
            &policy,
            &[
                "127.0.0.1:8080",
                "127.0.0.2:8080",
                "127.255.255.254:8080",
                "[::1]:8080",
                "127.0.0.1:8443",
                "0.0.0.0:8080",
                "0.1.2.3:8080",
                "[::]:8080",
                "[::ffff:127.0.0.1]:8080",
                "[::ffff:0.0.0.0]:8080",
                "[::127.0.0.1]:8080",
                "[64:ff9b::127.0.0.1]:8443",
                "[2002:7f00:1::]:8080",
                "192.0.2.5:8080",
                "[::ffff:192.0.2.5]:8080",
                "[2001:db8::5]:8443",
                "[64:ff9b::192.0.2.5]:8080",
            ],
            "listener of this instance",
        );
        allowed(
            &policy,
            &["127.0.0.1:8081", "[::1]:80", "0.0.0.0:3000", "192.0.2.5:443", "192.0.2.6:8080", "[2001:db8::6]:8443"],
        );
    }
}

#[test]
fn metadata_is_refused_in_every_form_and_on_every_port() {
    let standard = policy(|_| {});
    let addresses = [
        "169.254.169.254:80",
        "169.254.169.254:8775",
        "[::ffff:169.254.169.254]:80",
        "[::169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[64:ff9b:1::a9fe:a9fe]:80",
        "[2002:a9fe:a9fe::1]:80",
        "[2001:0:102:304:0:0:5601:5601]:80",
        "[::ffff:0:169.254.169.254]:80",
        "169.254.170.2:80",
        "169.254.170.23:80",
        "169.254.42.42:80",
        "169.254.0.23:80",
        "100.100.100.200:80",
        "168.63.129.16:32526",
        "192.0.0.192:80",
        "[fd00:ec2::254]:80",
        "[fd00:ec2::23]:80",
        "[fd20:ce::254]:80",
        "[fd00:c1::a9fe:a9fe]:80",
        "[fd00:a9fe:a9fe::1]:80",
        "[fd00:42::42]:80",
        "[fe80::a9fe:a9fe]:80",
    ];
    refused_for(&standard, &addresses, "egress.allow_metadata = true");
    allowed(&policy(|egress| egress.allow_metadata = true), &addresses);
    allowed(&standard, &["169.254.169.253:80", "169.254.1.1:80", "[fd00:ec2::255]:80", "100.100.100.201:80"]);
}

#[test]
fn an_allowed_block_does_not_permit_metadata() {
    let policy = policy(|egress| egress.allow = vec!["169.254.0.0/16".parse().unwrap()]);
    refused_for(&policy, &["169.254.169.254:80"], "egress.allow_metadata");
}

const PRIVATE: [&str; 24] = [
    "127.0.0.1:80",
    "127.8.8.8:80",
    "[::1]:80",
    "0.0.0.0:80",
    "0.0.0.1:80",
    "[::]:80",
    "10.0.0.1:80",
    "172.16.0.1:80",
    "172.31.255.255:80",
    "192.168.0.1:80",
    "100.64.0.1:80",
    "100.127.255.255:80",
    "169.254.1.1:80",
    "198.18.0.1:80",
    "192.0.0.1:80",
    "240.0.0.1:80",
    "[fc00::1]:80",
    "[fd12::1]:80",
    "[fe80::1]:80",
    "[fec0::1]:80",
    "[::ffff:192.168.0.1]:80",
    "[64:ff9b::10.0.0.1]:80",
    "[2002:c0a8:1::]:80",
    "[64:ff9b:1::1]:80",
];

#[test]
fn private_addresses_are_allowed_unless_denied_in_one_line() {
    allowed(&policy(|_| {}), &PRIVATE);
    let denying = policy(|egress| egress.deny_private = true);
    refused_for(&denying, &PRIVATE, "egress.deny_private");
    refused_for(&denying, &["192.0.2.5:22", "[2001:db8::5]:22"], "address of this host");
    allowed(&denying, &["8.8.8.8:80", "172.32.0.1:80", "172.15.0.1:80", "100.128.0.1:80", "[2606:4700::1]:443"]);
}

#[test]
fn an_allowed_block_is_an_exception_to_deny_private_only() {
    let policy = policy(|egress| {
        egress.deny_private = true;
        egress.allow = vec!["10.2.0.0/16".parse().unwrap()];
        egress.deny = vec!["10.2.3.0/24".parse().unwrap(), "203.0.113.0/24".parse().unwrap()];
    });
    allowed(&policy, &["10.2.0.1:80", "[::ffff:10.2.0.1]:80", "8.8.8.8:80"]);
    refused_for(&policy, &["10.3.0.1:80"], "egress.deny_private");
    refused_for(&policy, &["10.2.3.1:80", "203.0.113.9:80", "[::ffff:203.0.113.9]:80"], "`egress.deny` lists");
    refused_for(&policy, &["[64:ff9b::203.0.113.9]:80"], "203.0.113.9 inside it: `egress.deny` lists 203.0.113.0/24");
}

#[test]
fn multicast_and_broadcast_are_always_refused() {
    let open = policy(|egress| egress.allow = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
    refused_for(
        &open,
        &["224.0.0.1:80", "239.255.255.250:1900", "255.255.255.255:80", "[ff02::1]:80", "[::ffff:224.0.0.1]:80"],
        "takes no connections",
    );
}

#[test]
fn the_verdict_names_the_address_that_will_be_connected() {
    let judged = policy(|_| {}).judge("[::ffff:192.0.2.9]:81".parse().unwrap(), &TestHost).unwrap();
    assert_eq!(judged, "192.0.2.9:81".parse().unwrap());
    let refusal = policy(|_| {}).judge("[::ffff:127.0.0.1]:8080".parse().unwrap(), &TestHost).unwrap_err();
    assert_eq!(refusal.address, "127.0.0.1:8080".parse().unwrap());
}

#[test]
fn a_listener_on_port_zero_stands_for_no_port() {
    let policy = Policy::new(Egress::default(), &["127.0.0.1:0".parse().unwrap()]);
    allowed(&policy, &["127.0.0.1:80"]);
}
