//! Certificates, judged by OpenSSL.

use std::fs;
use std::path::PathBuf;

use merlon_wire::keeper::{Request, Response};

use crate::support::{Running, Scratch, openssl, public_key};

fn ca(running: &Running, scratch: &Scratch) -> PathBuf {
    let answer = running.link().0.ask(&Request::CaCertificate).unwrap();
    let Response::CaCertificate(der) = answer.link() else { panic!("{:?}", answer.link()) };
    let path = scratch.path("ca.der");
    fs::write(&path, der).unwrap();
    let pem = openssl(&["x509", "-inform", "DER", "-in"], &[&path]);
    let path = scratch.path("ca.pem");
    fs::write(&path, pem).unwrap();
    path
}

/// Issues, verifies against the CA, and returns the text of the certificate.
fn leaf(running: &Running, scratch: &Scratch, request: &Request<'_>) -> String {
    let ca = ca(running, scratch);
    let answer = running.link().0.ask(request).unwrap();
    let Response::Leaf(der) = answer.link() else { panic!("{:?}", answer.link()) };
    let path = scratch.path("leaf.der");
    fs::write(&path, der).unwrap();
    let pem = openssl(&["x509", "-inform", "DER", "-in"], &[&path]);
    let path = scratch.path("leaf.pem");
    fs::write(&path, pem).unwrap();
    openssl(&["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"], &[&ca, &path]);
    openssl(&["x509", "-noout", "-text", "-in"], &[&path])
}

fn has(text: &str, needles: &[&str]) {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for needle in needles {
        assert!(plain.contains(needle), "{needle} in {text}");
    }
}

/// Days between the two dates that OpenSSL prints, by asking OpenSSL: not valid at `days` from now, valid just before.
fn ends_within_days(scratch: &Scratch, name: &str, days: u32) {
    let path = scratch.path(name);
    let end = |seconds: u32| {
        std::process::Command::new("openssl")
            .args(["x509", "-noout", "-checkend", &seconds.to_string(), "-in"])
            .arg(&path)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(!end(days * 86_400), "{name} is still valid after {days} days");
    assert!(end((days - 1) * 86_400), "{name} ends more than a day before {days} days");
}

#[test]
fn the_ca_is_what_it_should_be_and_stays_the_same() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let path = ca(&running, &scratch);
    let text = openssl(&["x509", "-noout", "-text", "-in"], &[&path]);
    has(
        &text,
        &[
            "Version: 3",
            "Signature Algorithm: ecdsa-with-SHA256",
            "Issuer: O = Merlon, CN = Merlon CA ",
            "Subject: O = Merlon, CN = Merlon CA ",
            "NIST CURVE: P-256",
            "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
            "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
            "X509v3 Subject Key Identifier:",
        ],
    );
    ends_within_days(&scratch, "ca.pem", 3648);
    let first = fs::read(&path).unwrap();
    running.stop();
    let running = Running::start(&scratch);
    assert_eq!(fs::read(ca(&running, &scratch)).unwrap(), first);
}

#[test]
fn a_leaf_for_a_name_has_the_right_shape() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let key = public_key();
    let text = leaf(&running, &scratch, &Request::IssueLeaf { host: "WWW.Example.COM.", public_key: &key });
    has(
        &text,
        &[
            "Version: 3",
            "Subject: CN = www.example.com",
            "X509v3 Subject Alternative Name: DNS:www.example.com X509v3",
            "X509v3 Key Usage: critical Digital Signature X509v3",
            "X509v3 Extended Key Usage: TLS Web Server Authentication",
            "X509v3 Authority Key Identifier:",
            "X509v3 Subject Key Identifier:",
            "X509v3 Basic Constraints: critical CA:FALSE",
        ],
    );
    assert!(!text.contains("URI:") && !text.contains('*'));
    // 199 days with two of them before now: less than 197 from now, more than 196.
    ends_within_days(&scratch, "leaf.pem", 197);
    let dates = openssl(&["x509", "-noout", "-startdate", "-dateopt", "iso_8601", "-in"], &[&scratch.path("leaf.pem")]);
    assert!(dates.starts_with("notBefore="), "{dates}");
    let matched = openssl(&["x509", "-noout", "-checkhost", "www.example.com", "-in"], &[&scratch.path("leaf.pem")]);
    assert!(matched.contains("does match"), "{matched}");
    let matched = openssl(&["x509", "-noout", "-checkhost", "a.example.com", "-in"], &[&scratch.path("leaf.pem")]);
    assert!(matched.contains("does NOT match"), "{matched}");
}

#[test]
fn addresses_become_address_names() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let key = public_key();
    let text = leaf(&running, &scratch, &Request::IssueLeaf { host: "192.0.2.7", public_key: &key });
    has(&text, &["X509v3 Subject Alternative Name: IP Address:192.0.2.7 X509v3"]);
    assert!(!text.contains("DNS:"));
    let text = leaf(&running, &scratch, &Request::IssueLeaf { host: "2001:DB8::7", public_key: &key });
    has(&text, &["X509v3 Subject Alternative Name: IP Address:2001:DB8:0:0:0:0:0:7 X509v3"]);
}

#[test]
fn a_name_too_long_for_a_common_name_leaves_the_subject_empty() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let host = format!("{}.{}.example", "a".repeat(60), "b".repeat(60));
    let key = public_key();
    let text = leaf(&running, &scratch, &Request::IssueLeaf { host: &host, public_key: &key });
    has(&text, &["Subject: Subject Public Key Info", &format!("X509v3 Subject Alternative Name: critical DNS:{host}")]);
    let host = format!("{}.xn--bcher-kva.example", "a".repeat(40));
    let text = leaf(&running, &scratch, &Request::IssueLeaf { host: &host, public_key: &key });
    has(&text, &[&format!("CN = {host}"), &format!("X509v3 Subject Alternative Name: DNS:{host}")]);
}

#[test]
fn the_api_leaf_names_this_host() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let key = public_key();
    let text = leaf(&running, &scratch, &Request::IssueApiLeaf { public_key: &key });
    has(&text, &["Subject: CN = localhost", "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"]);
    let name = nix::unistd::gethostname().unwrap().into_string().unwrap().to_ascii_lowercase();
    if name != "localhost" && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        has(&text, &[&format!("DNS:{name}")]);
    }
}

#[test]
fn serial_numbers_are_random() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let key = public_key();
    let (mut link, _) = running.link();
    let mut serials = std::collections::HashSet::new();
    for _ in 0..200 {
        let answer = link.ask(&Request::IssueLeaf { host: "example.com", public_key: &key }).unwrap();
        let Response::Leaf(der) = answer.link() else { panic!() };
        // SEQUENCE, SEQUENCE, [0] { INTEGER 2 }, then the serial number.
        let at = der.windows(5).position(|w| w == [0xa0, 3, 2, 1, 2]).unwrap() + 5;
        assert_eq!(der[at], 2);
        let length = usize::from(der[at + 1]);
        assert!((16..=17).contains(&length), "{length}");
        assert!(der[at + 2] < 0x80, "positive");
        assert!(serials.insert(der[at + 2..at + 2 + length].to_vec()));
    }
}
