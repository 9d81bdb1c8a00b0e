//! Connects to the API: the Unix socket of a local instance, or TCP with TLS. Reads trust roots; sends nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::pinned::Pinned;
use crate::error::{CliError, Exit};
use crate::target::{Remote, Target};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Sends requests on one connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// A fresh connection.
pub(super) async fn connect(target: &Target) -> Result<Sender, CliError> {
    match target {
        Target::Local(local) if local.is_hub() => Err(CliError::usage("a hub is no instance")
            .because(format!("the {local} signs people in and records nothing; its keeper can be asked"))
            .hint("merlon status, merlon keyslot list, merlon unlock, merlon audit list")),
        Target::Local(local) => {
            let socket = local.paths.api_socket();
            let stream = in_time(UnixStream::connect(&socket)).await.map_err(|e| local.unreachable(&socket, &e))?;
            http(stream, target).await
        }
        Target::Remote(remote) => {
            let stream = in_time(TcpStream::connect((remote.host.as_str(), remote.port)))
                .await
                .map_err(|e| unreachable(remote, &e))?;
            // Small requests, each waiting for its answer: nothing is gained by collecting bytes.
            let _ = stream.set_nodelay(true);
            if !remote.tls {
                return http(stream, target).await;
            }
            let name = ServerName::try_from(remote.host.clone())
                .map_err(|e| CliError::usage(format!("`{}` is no host name", remote.host)).because(e))?;
            let connector = TlsConnector::from(Arc::new(tls(remote)?));
            let stream = in_time(connector.connect(name, stream)).await.map_err(|e| untrusted(remote, &e))?;
            http(stream, target).await
        }
    }
}

async fn http<S>(stream: S, target: &Target) -> Result<Sender, CliError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed =
        |e: &dyn ToString| CliError::failed(format!("the {target} ended the connection")).because(e.to_string());
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    // Its errors reach the request or the body that they hit.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

async fn in_time<T>(attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT_LIMIT, attempt).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", CONNECT_LIMIT.as_secs())))
    })
}

fn tls(remote: &Remote) -> Result<ClientConfig, CliError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| CliError::failed("TLS cannot be set up").because(e))?;
    let mut config = match remote.pin {
        Some(pin) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned::new(pin, provider))),
        None => builder.with_root_certificates(roots(remote)?),
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(remote: &Remote) -> Result<RootCertStore, CliError> {
    let roots = match &remote.ca_file {
        Some(file) => roots_of(file)?,
        None => {
            let bundle = merlon_config::SYSTEM_ROOTS.iter().map(Path::new).find(|bundle| bundle.exists());
            bundle.map_or_else(|| Ok(RootCertStore::empty()), roots_of)?
        }
    };
    if roots.is_empty() {
        return Err(CliError::failed("this system has no trusted root certificates")
            .hint("name the instance's own: ssh HOST merlon ca export > merlon-ca.pem, then --ca-file merlon-ca.pem"));
    }
    Ok(roots)
}

fn roots_of(file: &Path) -> Result<RootCertStore, CliError> {
    let failed = |why: &dyn ToString| {
        CliError::failed(format!("no trusted roots could be read from {}", file.display()))
            .because(why.to_string())
            .hint("a PEM file is needed, as `merlon ca export` writes it")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| failed(&e))? {
        roots.add(certificate.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    }
    if roots.is_empty() { Err(failed(&"it holds no certificate")) } else { Ok(roots) }
}

fn unreachable(remote: &Remote, error: &io::Error) -> CliError {
    CliError::new(Exit::Unreachable, format!("the {remote} does not answer"))
        .because(error)
        .hint(format!("check the address, and on its host: ssh {} merlon status", remote.host))
}

fn untrusted(remote: &Remote, error: &io::Error) -> CliError {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if !is_tls {
        return unreachable(remote, error);
    }
    let hint = match remote.pin {
        Some(_) => "compare with its own: ssh HOST merlon ca fingerprint; if it has changed for a reason you know, \
            name the instance again: merlon instance add NAME --url URL --pin SHA256"
            .replace("HOST", &remote.host),
        None => format!(
            "if it uses its own CA: ssh {} merlon ca export > merlon-ca.pem, then --ca-file merlon-ca.pem",
            remote.host
        ),
    };
    CliError::failed(format!("no safe connection to the {remote}")).because(error).hint(hint)
}
