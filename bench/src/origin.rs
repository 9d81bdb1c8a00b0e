//! The origin: HTTP/1.1 with keep-alive, in the clear and over TLS, from static buffers, on one thread. It knows the
//! requests that the load client sends and closes on anything else. It ends when its standard input ends, so that it
//! never outlives the run that started it.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::content::Content;
use crate::identity::Identity;

/// The last bytes of 127.0.0.0/24 at which plain HTTP is served besides 127.0.0.1, so that there are many hosts to record.
pub(crate) const MANY: std::ops::RangeInclusive<u8> = 2..=100;
/// One address more, for few requests.
pub(crate) const RARE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// The longest request head that it reads.
const MAX_HEAD: usize = 16 << 10;

/// Serves until standard input ends. `directory` gets `origin-ca.pem`.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    let identity = Identity::new().context("cannot make the origin's certificates")?;
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
    let authority = directory.join("origin-ca.pem");
    std::fs::write(&authority, identity.authority_pem())
        .with_context(|| format!("cannot write {}", authority.display()))?;

    let (gone, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // An error ends the wait as well as an end does.
        drop(std::io::stdin().read_to_end(&mut rest));
        drop(gone);
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = plain.local_addr()?.port();
        for address in MANY.map(|last| Ipv4Addr::new(127, 0, 0, last)).chain([RARE]) {
            let listener = TcpListener::bind((address, port)).await;
            tokio::spawn(accept(listener.with_context(|| format!("cannot listen on {address}:{port}"))?, None));
        }
        writeln!(
            std::io::stdout().lock(),
            "ready http={} https={} ca={}",
            plain.local_addr()?,
            secure.local_addr()?,
            authority.display()
        )?;
        tokio::select! {
            result = accept(plain, None) => result,
            result = accept(secure, Some(acceptor)) => result,
            _ = ended => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("the origin cannot accept")?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            // A connection that breaks is the load client's to report.
            drop(connection(stream, tls).await);
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>) -> Result<()> {
    match tls {
        None => answer(stream).await,
        Some(tls) => answer(tls.accept(stream).await?).await,
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut buffer = vec![0; MAX_HEAD];
    let mut filled = 0;
    loop {
        while let Some(end) = head_end(&buffer[..filled]) {
            let content = match &buffer[..end] {
                head if head.starts_with(b"GET /1k ") => Content::Kilobyte,
                head if head.starts_with(b"GET /1m ") => Content::Megabyte,
                _ => return Ok(()),
            };
            buffer.copy_within(end..filled, 0);
            filled -= end;
            stream.write_all(content.response()).await?;
            stream.flush().await?;
        }
        if filled == MAX_HEAD {
            return Ok(());
        }
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            stream.shutdown().await?;
            return Ok(());
        }
        filled += read;
    }
}

/// Length of the head with its empty line, once it is whole.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
