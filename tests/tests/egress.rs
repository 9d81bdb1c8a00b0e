//! The egress policy through the whole instance: what the proxy never connects to, by any name, and what a line changes.

use merlon_tests::instance::{Instance, Options};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::stdout;

fn status_and_page(instance: &Instance, url: &str) -> String {
    stdout(&instance.curl(&["--write-out", " %{http_code}", url]))
}

#[test]
fn the_instance_never_connects_to_its_own_listeners() {
    let instance = Instance::new();
    let api = instance.ready.api.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let proxy = instance.ready.proxy.port();
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let hosts =
        ["127.0.0.1", "127.0.0.2", "127.1.2.3", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", &host];
    for port in [api, proxy] {
        for host in hosts {
            let page = status_and_page(&instance, &format!("http://{host}:{port}/"));
            // A host name that does not resolve here cannot be connected either.
            assert!(page.ends_with(" 403") || page.contains("does not resolve"), "{host}:{port}: {page}");
        }
        let page = status_and_page(&instance, &format!("http://127.0.0.1:{port}/"));
        assert!(page.contains("egress policy") && page.contains(&port.to_string()), "{page}");
    }
}

#[test]
fn a_cloud_metadata_address_is_refused_in_every_spelling() {
    let instance = Instance::new();
    for host in
        ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200"]
    {
        let page = status_and_page(&instance, &format!("http://{host}/latest/meta-data/"));
        assert!(page.ends_with(" 403") && page.contains("allow_metadata"), "{host}: {page}");
        // Inside a tunnel, too.
        let page = status_and_page(&instance, &format!("https://{host}/"));
        assert!(page.contains("403") || page.contains("000"), "{host}: {page}");
    }
    assert!(instance.flow("host:169.254.169.254")["error"].as_str().unwrap().contains("egress policy"));
}

#[test]
fn one_line_denies_private_addresses_and_one_makes_an_exception() {
    let origin = Origin::http(echo);
    let url = format!("http://127.0.0.1:{}/", origin.port());
    let allowed = Instance::new();
    assert!(status_and_page(&allowed, &url).ends_with(" 200"));
    let denied =
        Instance::with(&Options { config: "[egress]\ndeny_private = true\n".to_owned(), ..Options::default() });
    let page = status_and_page(&denied, &url);
    assert!(page.ends_with(" 403") && page.contains("deny_private"), "{page}");
    let config = "[egress]\ndeny_private = true\nallow = ['127.0.0.1']\n".to_owned();
    let excepted = Instance::with(&Options { config, ..Options::default() });
    assert!(status_and_page(&excepted, &url).ends_with(" 200"));
}

#[test]
fn what_cannot_be_reached_is_told_apart() {
    let instance = Instance::new();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let page = status_and_page(&instance, &format!("http://127.0.0.1:{closed}/"));
    assert!(page.ends_with(" 502") && page.contains("refused the connection"), "{page}");
    let page = status_and_page(&instance, "http://no-such-name.invalid/");
    assert!(page.ends_with(" 502") && page.contains("does not resolve"), "{page}");
}

#[test]
fn a_host_that_opts_out_is_relayed_unread() {
    use merlon_tests::pki::self_signed;
    let instance =
        Instance::with(&Options { config: "[proxy]\npassthrough = ['localhost']\n".to_owned(), ..Options::default() });
    let origin = Origin::https(self_signed(&["localhost"]), echo);
    let port = origin.port();
    // The origin's own certificate reaches the client, which would not take it for ours.
    let page = status_and_page(&instance, &format!("https://localhost:{port}/"));
    assert!(page.ends_with(" 000"), "{page}");
    let done = instance.curl(&["--insecure", &format!("https://localhost:{port}/unread")]);
    assert!(stdout(&done).starts_with("GET /unread"));
    let flow = instance.flow("scheme:tunnel");
    assert_eq!((&flow["method"], &flow["port"], &flow["path"]), (&"CONNECT".into(), &port.into(), &"".into()));
    assert!(flow["response_bytes"].as_u64().unwrap() > 0);
}
