//! What the egress policy refuses, seen from the engine.

use std::net::UdpSocket;

use merlon_wire::dialer::DialError;
use merlon_wire::link::{ConnectError, DialerClient};
use nix::sys::signal::Signal;

use crate::running::{Running, connect, is_unvisited, origin};

/// The rule that refuses this host.
async fn rule(client: &DialerClient, host: &str, port: u16) -> String {
    match client.connect(host, port).await {
        Err(ConnectError::Dial(DialError::Refused { rule, .. })) => rule,
        Err(other) => panic!("{host}: {other}"),
        Ok(connected) => panic!("{host} was connected at {}", connected.address),
    }
}

/// An address of this host that is not loopback, if it has one. Nothing is sent.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

#[tokio::test]
async fn own_listeners_are_refused_by_any_name_and_any_address_of_this_host() {
    let (listener, port) = origin("0.0.0.0:0");
    let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let hosts = format!("127.0.1.1 {name} myself.test\n");
    let dialer = Running::start("[egress]\nallow = ['0.0.0.0/0', '::/0']\n", &hosts, &[listener.local_addr().unwrap()]);
    let (client, _) = dialer.client().await;
    let forms = [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:2",
        "::127.0.0.1",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "64:ff9b::127.0.0.1",
        "localhost",
        "a.localhost",
        "myself.test",
        &name,
    ];
    for host in forms.into_iter().map(str::to_owned).chain(own_address()) {
        let rule = rule(&client, &host, port).await;
        assert!(rule.contains("listener of this instance"), "{host}: {rule}");
    }
    assert!(is_unvisited(&listener));
}

#[tokio::test]
async fn without_arguments_the_own_listeners_are_those_of_the_configuration() {
    let (proxy, port) = origin("127.0.0.1:0");
    let (api, api_port) = origin("127.0.0.1:0");
    let config = format!("[proxy]\nlisten = ['127.0.0.1:{port}']\n[api]\nlisten = ['127.0.0.1:{api_port}']\n");
    let dialer = Running::start(&config, "", &[]);
    let (client, _) = dialer.client().await;
    assert!(rule(&client, "127.0.0.2", port).await.contains("listener of this instance"));
    assert!(rule(&client, "127.0.0.1", api_port).await.contains("listener of this instance"));
    assert!(is_unvisited(&proxy) && is_unvisited(&api));
}

#[tokio::test]
async fn cloud_metadata_is_refused_by_name_and_address() {
    let hosts = "169.254.169.254 metadata.test\nfd00:ec2::254 metadata6.test\n";
    let dialer = Running::start("", hosts, &[]);
    let (client, _) = dialer.client().await;
    for host in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "metadata.test",
        "metadata6.test",
    ] {
        assert!(rule(&client, host, 80).await.contains("egress.allow_metadata"), "{host}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_after_one_line_and_a_reload_changes_that() {
    let (listener, port) = origin("127.0.0.1:0");
    let dialer = Running::start("[egress]\ndeny_private = true\n", "127.0.0.1 app.test\n", &[]);
    let (client, _) = dialer.client().await;
    for host in ["127.0.0.1", "app.test", "localhost", "10.0.0.1", "192.168.1.1", "fd00::1", "0.0.0.0"] {
        assert!(rule(&client, host, port).await.contains("egress.deny_private"), "{host}");
    }
    assert!(is_unvisited(&listener));

    dialer.files.configure("[egress]\ndeny_private = true\nallow = ['127.0.0.1']\n");
    dialer.signal(Signal::SIGHUP);
    // Each answer is a round trip in which the signal may arrive.
    let mut tries = 0;
    while connect(&client, "app.test", port).await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the new rules never came");
    }
    assert!(rule(&client, "127.0.0.2", port).await.contains("egress.deny_private"));

    // A configuration that cannot be used changes nothing.
    dialer.files.configure("[egress]\ndeny_privat = true\n");
    dialer.signal(Signal::SIGHUP);
    for _ in 0..100 {
        connect(&client, "app.test", port).await.unwrap();
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_permitted_ones_are_connected() {
    let (permitted, port) = origin("127.0.0.1:0");
    let (denied, _) = origin(&format!("127.0.0.2:{port}"));
    let hosts = "127.0.0.2 first.test\n127.0.0.1 first.test\n127.0.0.1 last.test\n127.0.0.2 last.test\n\
                 169.254.169.254 mixed.test\n127.0.0.1 mixed.test\n127.0.0.2 none.test\n169.254.169.254 none.test\n";
    let dialer = Running::start("[egress]\ndeny = ['127.0.0.2/32']\n", hosts, &[]);
    let (client, _) = dialer.client().await;
    for host in ["first.test", "last.test", "mixed.test"] {
        for _ in 0..20 {
            let (_, address) = connect(&client, host, port).await.unwrap();
            assert_eq!(address, permitted.local_addr().unwrap(), "{host}");
        }
    }
    rule(&client, "none.test", port).await;
    assert!(is_unvisited(&denied));
}

#[tokio::test]
async fn a_name_is_judged_anew_each_time_that_it_resolves() {
    let (_permitted, port) = origin("127.0.0.1:0");
    let (denied, _) = origin(&format!("127.0.0.2:{port}"));
    let dialer = Running::start("[egress]\ndeny = ['127.0.0.2/32']\n", "127.0.0.1 rebinding.test\n", &[]);
    let (client, _) = dialer.client().await;
    connect(&client, "rebinding.test", port).await.unwrap();
    std::fs::write(dialer.files.hosts(), "127.0.0.2  rebinding.test\n").unwrap();
    assert!(rule(&client, "rebinding.test", port).await.contains("egress.deny"));
    assert!(is_unvisited(&denied));
}
