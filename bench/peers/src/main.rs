//! The peer that Merlon is measured against: hudsucker 0.25 intercepting HTTPS and doing nothing else, on one thread,
//! with `TCP_NODELAY` on both sides (without it, it stalls on large bodies). It records nothing.
//!
//! `hudsucker-noop UPSTREAM_CA CA_OUT`: trusts the PEM roots in the first file for upstream certificates, writes its own
//! authority's certificate to the second, prints `ready proxy=ADDR ca=FILE`, and runs until SIGTERM or SIGINT.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hudsucker::Proxy;
use hudsucker::certificate_authority::RcgenAuthority;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(upstream), Some(own)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: hudsucker-noop UPSTREAM_CA CA_OUT");
    };

    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "hudsucker bench CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    std::fs::write(&own, authority.self_signed(&key)?.pem()).context("cannot write the authority's certificate")?;
    let authority = RcgenAuthority::new(Issuer::new(authority, key), 1_000, default_provider());

    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(&upstream).context("cannot read the upstream roots")? {
        roots.add(root?)?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);

    // Linux hands the option on from the listening socket to those it accepts.
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(1024)?;
    writeln!(
        std::io::stdout().lock(),
        "ready proxy={} ca={}",
        listener.local_addr()?,
        std::path::Path::new(&own).display()
    )?;

    let mut terminate = signal(SignalKind::terminate())?;
    let proxy = Proxy::builder()
        .with_listener(listener)
        .with_ca(authority)
        .with_http_connector(connector)
        .build()
        .context("cannot build the proxy")?;
    tokio::select! {
        result = proxy.start() => result.context("the proxy stopped"),
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
