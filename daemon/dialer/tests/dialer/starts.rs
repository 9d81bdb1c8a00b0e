//! How the process starts and ends, and with which exit code.

use nix::sys::signal::Signal;

use crate::running::{Files, Running, connect, exit_code, origin, program, replace};

#[tokio::test]
async fn it_ends_with_0_when_its_parent_hangs_up_or_it_is_told_to() {
    let dialer = Running::start("", "", &[]);
    let (_client, _) = dialer.client().await;
    assert_eq!(dialer.abandon().code(), Some(0));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut dialer = Running::start("", "", &[]);
        let (client, _) = dialer.client().await;
        dialer.signal(signal);
        client.closed().await;
        assert_eq!(dialer.wait().code(), Some(0));
    }
}

#[test]
fn wrong_use_ends_with_64_and_a_wrong_configuration_with_78() {
    assert_eq!(exit_code(program().arg("--help")).0, Some(0));
    assert_eq!(exit_code(program().arg("--version")).0, Some(0));
    assert_eq!(exit_code(program().arg("--nonsense")).0, Some(64));
    let (code, text) = exit_code(&mut program());
    assert!(code == Some(64) && text.contains("--link"), "{code:?} {text}");
    assert_eq!(exit_code(program().args(["--fd", "parent=99"])).0, Some(64));

    let files = Files::new("[egress]\ndeny_privat = true\n", "");
    let (code, text) = exit_code(files.program().arg("--link").arg(files.path("link.sock")));
    assert!(code == Some(78) && text.contains("deny_privat") && text.contains("merlon.toml"), "{code:?} {text}");
    let (code, text) =
        exit_code(program().args(["--config", "/nonexistent/merlon.toml", "--link", "/nonexistent/link"]));
    assert!(code == Some(78) && text.contains("/nonexistent/merlon.toml"), "{code:?} {text}");
}

#[tokio::test]
async fn a_replaced_hosts_file_is_followed_by_starting_again() {
    let (_listener, port) = origin("127.0.0.1:0");
    let mut dialer = Running::start("", "127.0.0.1 app.test\n", &[]);
    let (client, hello) = dialer.client().await;
    connect(&client, "app.test", port).await.unwrap();
    replace(&dialer.files.hosts(), "127.0.0.1 other.test\n");
    let other = client.connect("other.test", port).await;
    if hello.sandbox.landlock == "none" {
        other.unwrap();
    } else {
        assert_eq!(dialer.wait().code(), Some(74));
    }
}
