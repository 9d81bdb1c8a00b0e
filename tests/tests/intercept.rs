//! Interception: what a client gets through the proxy, what an origin gets, and what is recorded.

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity, self_signed, signed_with_sha1};
use merlon_tests::process::{stderr, stdout};

/// An instance that trusts a CA of ours for origins.
fn instance_with_ca() -> (Instance, Ca, TempDir) {
    let ca = Ca::new();
    let dir = TempDir::new("roots");
    let file = dir.path().join("roots.pem");
    ca.write(&file);
    let config = format!("[proxy]\nupstream_ca = ['{}']\n", file.display());
    (Instance::with(&Options { config, ..Options::default() }), ca, dir)
}

#[test]
fn curl_goes_through_over_https_and_the_flow_is_shown() {
    let (instance, ca, _dir) = instance_with_ca();
    let origin = Origin::https(ca.leaf(&["localhost"], Validity::Now), echo);
    let url = format!("https://localhost:{}/a/path?x=1", origin.port());
    let done = instance.curl(&["-X", "POST", "--data", "hello", &url]);
    assert!(done.status.success(), "{}\n{}", stderr(&done), instance.log());
    assert_eq!(stdout(&done), "POST /a/path?x=1 HTTP/1.1 5 bytes");
    let flow = instance.flow("path:/a/path");
    assert_eq!(flow["method"], "POST");
    assert_eq!(flow["scheme"], "https");
    assert_eq!(flow["host"], "localhost");
    assert_eq!(flow["port"], origin.port());
    assert_eq!(flow["path"], "/a/path?x=1");
    assert_eq!(flow["status"], 200);
    assert_eq!(flow["request_bytes"], 5);
    assert_eq!(flow["response_bytes"], 33);
    assert!(flow["error"].is_null(), "{flow}");
}

#[test]
fn an_origin_gets_the_very_bytes_that_the_client_sent() {
    let (instance, ca, _dir) = instance_with_ca();
    let (told, heads) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::https(ca.leaf(&["localhost"], Validity::Now), move |mut stream| {
        while let Some(request) = stream.request() {
            told.lock().unwrap().send(request.head).unwrap();
            stream.send(b"HTTP/1.1 200 Fine  \r\nX-ODD-case:  v \r\ncontent-LENGTH:2\r\n\r\nok");
        }
    });
    let authority = format!("localhost:{}", origin.port());
    let mut client = Client::tls(instance.ready.proxy, &authority, "localhost", &instance.ready.ca);
    let head = b"GET /%7e?q=|x\" HTTP/1.1\r\nhOsT: localhost\r\nZ-last: 1\r\nA-first:\t2 \r\nCookie: a=b\r\ncookie: c=d\r\n\r\n";
    client.send(head);
    let answer = client.answer();
    assert_eq!(answer.head, "HTTP/1.1 200 Fine  \r\nX-ODD-case:  v \r\ncontent-LENGTH:2\r\n\r\n");
    assert_eq!(heads.recv().unwrap(), head);
    let id = instance.flow("method:GET")["id"].to_string();
    let raw = instance.cli(&["show", &id, "--raw", "request"]);
    assert_eq!(raw.stdout, head, "{}", stderr(&raw));
    let raw = instance.cli(&["show", &id, "--raw", "response"]);
    assert!(
        raw.stdout.starts_with(b"HTTP/1.1 200 Fine  \r\nX-ODD-case:  v \r\ncontent-LENGTH:2\r\n\r\n"),
        "{}",
        stdout(&raw)
    );
}

#[test]
fn plain_http_is_forwarded_in_origin_form_and_recorded() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream| {
        while let Some(request) = stream.request() {
            stream.ok(&request.head);
        }
    });
    let done = instance.curl(&[&format!("http://127.0.0.1:{}/x", origin.port())]);
    let seen = stdout(&done);
    assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}{}", stderr(&done));
    assert!(!seen.to_ascii_lowercase().contains("proxy-connection"), "{seen}");
    assert_eq!(instance.flow("scheme:http path:/x")["status"], 200);
}

#[test]
fn an_untrusted_origin_is_answered_inside_the_tunnel_by_a_page_that_says_why() {
    let (instance, ca, _dir) = instance_with_ca();
    let cases = [
        (ca.leaf(&["localhost"], Validity::Expired), "has expired"),
        (ca.leaf(&["localhost"], Validity::NotYet), "not valid yet"),
        (ca.leaf(&["other.test"], Validity::Now), "for another host"),
        (self_signed(&["localhost"]), "self-signed or from an issuer that is not trusted"),
    ];
    for (leaf, why) in cases {
        let origin = Origin::https(leaf, echo);
        let url = format!("https://localhost:{}/", origin.port());
        let done = instance.curl(&["--write-out", "%{http_code}", &url]);
        let page = stdout(&done);
        assert!(page.ends_with("502"), "{page}{}", stderr(&done));
        assert!(page.contains(why) && page.contains("proxy.upstream_ca"), "{why}: {page}");
        let flow = instance.flow(&format!("port:{}", origin.port()));
        assert!(flow["error"].as_str().unwrap().contains(why), "{flow}");
    }
}

#[test]
fn a_certificate_signed_with_sha_1_is_refused_though_its_ca_is_trusted() {
    let dir = TempDir::new("sha1");
    let roots = dir.path().join("roots.pem");
    let leaf = signed_with_sha1(dir.path(), &roots);
    let config = format!("[proxy]\nupstream_ca = ['{}']\n", roots.display());
    let instance = Instance::with(&Options { config, ..Options::default() });
    let origin = Origin::https(leaf, echo);
    let page =
        stdout(&instance.curl(&["--write-out", "%{http_code}", &format!("https://localhost:{}/", origin.port())]));
    assert!(page.ends_with("502") && page.contains("SHA-1"), "{page}");
}
