//! SIGHUP: the configuration is read again, what can change does, and no connection notices.

use std::process::Command;

use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, wait_for};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{output, signal, stdout};
use merlon_tests::units::{Service, Units};
use nix::sys::signal::Signal;

/// Has it read its configuration again, and waits until it says that it has.
fn reload(engine: &mut Service) {
    let before = engine.told().len();
    engine.signal(Signal::SIGHUP);
    engine.tells_after(before, "RELOADING=1\nMONOTONIC_USEC=");
    engine.tells_after(before, "READY=1");
}

/// A plain request inside a tunnel that stands.
fn ask(tunnel: &mut Client) -> u16 {
    tunnel.send(b"GET /in-a-tunnel HTTP/1.1\r\nHost: x\r\n\r\n");
    tunnel.answer().status
}

#[test]
fn tunnels_survive_and_hosts_of_the_new_passthrough_are_relayed_unread() {
    let units = Units::new("");
    let [mut engine, _keeper, _dialer] = units.all();
    engine.tells("STATUS=open");
    let (ca, roots) = (Ca::new(), units.path("origin.pem"));
    ca.write(&roots);
    let secret = Origin::https(ca.leaf(&["localhost"], Validity::Now), echo);
    let url = format!("https://localhost:{}/", secret.port());
    // A client that trusts the origin's CA, and not the instance's: it gets through only unread.
    let unread = || units.curl(&["--cacert", roots.to_str().unwrap(), &url]).status.success();
    assert!(!unread());
    let plain = Origin::http(echo);
    let mut tunnel = Client::tunnel(units.proxy_address(), &format!("127.0.0.1:{}", plain.port()));
    assert_eq!(ask(&mut tunnel), 200);

    units.configure("proxy.passthrough = ['localhost']\nlimits.connections = 77\nlimits.idle_seconds = 30\n");
    reload(&mut engine);
    assert!(unread());
    assert_eq!(ask(&mut tunnel), 200);
    let log = engine.log();
    assert!(log.contains("what has changed in limits.connections takes effect when"), "{log}");

    for broken in ["proxy.passthrough = 7\n", "proxy.listen = ['0.0.0.0:1']\n", "proxy.upstream_ca = ['/none.pem']\n"] {
        units.write(broken);
        reload(&mut engine);
        assert!(unread());
        assert_eq!(ask(&mut tunnel), 200);
    }
    let refused = engine.log().matches("the configuration was not taken over, everything stays as it was").count();
    assert_eq!(refused, 3, "{}", engine.log());
    assert_eq!(engine.stop().code(), Some(0));
}

#[test]
fn a_renewed_certificate_of_the_api_is_served_and_so_is_its_name() {
    let units = Units::new("");
    let (certificate, key) = (units.path("api.pem"), units.path("api.key"));
    let old = Ca::new();
    old.leaf(&["api.example"], Validity::Now).write(&certificate, &key);
    let configure = |more: &str| {
        let named = format!("api.tls_cert = '{}'\napi.tls_key = '{}'\n", certificate.display(), key.display());
        units.configure(&format!("{named}{more}"));
    };
    configure("");
    let [mut engine, _keeper, _dialer] = units.all();
    let port = units.api.local_addr().unwrap().port();
    let health = |ca: &Ca| {
        let file = units.path("trusted.pem");
        ca.write(&file);
        let to = format!("api.example:{port}:127.0.0.1");
        let url = format!("https://api.example:{port}/health");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--resolve", &to, "--write-out", " %{http_code}", "--cacert"]);
        stdout(&output(curl.arg(file).arg(url)))
    };
    let before = health(&old);
    assert!(!before.ends_with(" 200") && !before.ends_with(" 000"), "its name is not allowed yet: {before}");

    let new = Ca::new();
    new.leaf(&["api.example"], Validity::Now).write(&certificate, &key);
    configure("api.allowed_hosts = ['api.example']\n");
    reload(&mut engine);
    assert!(health(&new).ends_with(" 200"), "{}\n{}", health(&new), engine.log());
    assert!(health(&old).ends_with(" 000"));

    // Half of a renewal: the key is not this certificate's.
    new.leaf(&["api.example"], Validity::Now).write(&certificate, &units.path("other.key"));
    reload(&mut engine);
    assert!(health(&new).ends_with(" 200"));
    assert!(engine.log().contains("api.tls_key"), "{}", engine.log());

    // Without one of the operator's, the keeper signs.
    units.configure("api.allowed_hosts = ['api.example']\n");
    reload(&mut engine);
    wait_for("the keeper's certificate", || health(&new).ends_with(" 000").then_some(()));
}

#[test]
fn under_merlond_run_the_signal_reaches_engine_and_dialer() {
    let instance = Instance::new();
    let origin = Origin::http(echo);
    let url = format!("http://127.0.0.1:{}/", origin.port());
    let get = || stdout(&instance.curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &url]));
    let mut tunnel = Client::tunnel(instance.ready.proxy, &format!("127.0.0.1:{}", origin.port()));
    assert_eq!((ask(&mut tunnel), get().as_str()), (200, "200"));
    let config = instance.dir().with_extension("toml");
    std::fs::write(config, "[egress]\ndeny = ['127.0.0.0/8']\n[limits]\nidle_seconds = 7\n").unwrap();
    signal(instance.pid(), Signal::SIGHUP);
    wait_for("the new rule", || (get() != "200").then_some(()));
    wait_for("the engine's word", || instance.log().contains("the configuration was read again").then_some(()));
    assert_eq!(ask(&mut tunnel), 200);
}
