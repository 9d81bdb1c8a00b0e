//! The hub's own TLS: by the certificate of its configuration, and by the next one after a reload.

use std::process::{Command, Output};

use merlon_tests::TempDir;
use merlon_tests::hub::{Hub, Options};
use merlon_tests::instance::wait_for;
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{output, signal, stdout};
use nix::sys::signal::Signal;

#[test]
fn a1_a_hub_speaks_tls_with_its_certificate_and_takes_the_next_one_at_a_reload() {
    let dir = TempDir::new("hub-tls");
    let file = |name: &str| dir.path().join(name);
    let (first, second) = (Ca::new(), Ca::new());
    first.write(&file("first.pem"));
    second.write(&file("second.pem"));
    let write = |ca: &Ca| ca.leaf(&["localhost"], Validity::Now).write(&file("hub.crt"), &file("hub.key"));
    write(&first);
    let text = |name| file(name).display().to_string();
    let arguments = ["--issuer", "https://localhost", "--tls-cert", &text("hub.crt"), "--tls-key", &text("hub.key")];
    let hub = Hub::with(&Options { arguments: arguments.map(str::to_owned).to_vec(), ..Options::default() });
    assert_eq!(hub.issuer, "https://localhost");
    let get = |roots: &str| -> Output {
        let url = format!("https://localhost:{}/.well-known/oauth-authorization-server", hub.address.port());
        output(
            Command::new("curl")
                .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
                .arg(file(roots))
                .arg(url),
        )
    };
    let said: serde_json::Value = serde_json::from_str(&stdout(&get("first.pem"))).unwrap();
    assert_eq!(said["token_endpoint"], "https://localhost/token");
    assert!(!get("second.pem").status.success(), "not yet");
    let plain = format!("http://localhost:{}/health", hub.address.port());
    assert!(!output(Command::new("curl").args(["--silent", "--fail", "--max-time", "20"]).arg(plain)).status.success());

    // What cannot be used changes nothing.
    std::fs::write(file("hub.crt"), "no certificate").unwrap();
    signal(hub.pid(), Signal::SIGHUP);
    wait_for("the log to say so", || hub.log().contains("hub.crt").then_some(()));
    assert!(get("first.pem").status.success());
    write(&second);
    signal(hub.pid(), Signal::SIGHUP);
    wait_for("the next certificate", || get("second.pem").status.success().then_some(()));
    assert!(!get("first.pem").status.success(), "the first one has gone");
}
