//! The programs under test: how each is started, where it listens, which certificate authority its clients must trust,
//! and how it is stopped. Only processes started here are ever ended here.

pub(crate) mod child;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

pub(crate) use child::Child;

/// The longest time that any of them may take to get ready.
const START: Duration = Duration::from_secs(30);

/// Who carries the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Nobody: what client and origin can do on their core.
    Direct,
    /// Merlon, recording and encrypting.
    Merlon,
    /// hudsucker, recording nothing.
    Hudsucker,
    /// mitmdump, recording nothing.
    Mitmdump,
}

impl Subject {
    /// As in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Merlon => "merlon",
            Self::Hudsucker => "hudsucker",
            Self::Mitmdump => "mitmdump",
        }
    }
}

/// Where the programs are; none is left out.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// `merlond`, with `merlon-keeper` and `merlon-dialer` beside it.
    pub(crate) merlond: Option<PathBuf>,
    /// A `merlond` that can measure its recorder alone.
    pub(crate) recorder: Option<PathBuf>,
    /// `hudsucker-noop` of `bench/peers`.
    pub(crate) hudsucker: Option<PathBuf>,
    /// `mitmdump`.
    pub(crate) mitmdump: Option<PathBuf>,
    /// The core that they get.
    pub(crate) core: usize,
}

impl Programs {
    /// Is there a program for the subject?
    pub(crate) fn has(&self, subject: Subject) -> bool {
        match subject {
            Subject::Direct => true,
            Subject::Merlon => self.merlond.is_some(),
            Subject::Hudsucker => self.hudsucker.is_some(),
            Subject::Mitmdump => self.mitmdump.is_some(),
        }
    }
}

/// A proxy that is ready.
pub(crate) struct Proxy {
    /// Its process, whose descendants belong to it.
    pub(crate) child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The certificate that its clients must trust.
    pub(crate) authority: PathBuf,
    /// The Unix socket of its API, if it has one.
    pub(crate) api: Option<PathBuf>,
}

/// Starts the subject with its files in `directory`. None for [`Subject::Direct`] and for programs that are not there.
pub(crate) fn start(
    subject: Subject,
    programs: &Programs,
    directory: &Path,
    origin_authority: &Path,
) -> Result<Option<Proxy>> {
    std::fs::create_dir_all(directory)?;
    let log = directory.with_extension("log");
    match (subject, programs) {
        (Subject::Merlon, Programs { merlond: Some(merlond), core, .. }) => {
            merlon(merlond, *core, directory, origin_authority, &log).map(Some)
        }
        (Subject::Hudsucker, Programs { hudsucker: Some(program), core, .. }) => {
            let own = directory.join("ca.pem");
            let arguments = [origin_authority.as_os_str().to_owned(), own.as_os_str().to_owned()];
            let (child, ready) = Child::start_until_ready(program, &arguments, Some(*core), &log, START)?;
            Ok(Some(Proxy { child, address: ready.get("proxy")?.parse()?, authority: own, api: None }))
        }
        (Subject::Mitmdump, Programs { mitmdump: Some(program), core, .. }) => {
            mitmdump(program, *core, directory, origin_authority, &log).map(Some)
        }
        _ => Ok(None),
    }
}

/// Starts Merlon on `directory`, which may hold an instance already.
pub(crate) fn merlon(
    merlond: &Path,
    core: usize,
    directory: &Path,
    origin_authority: &Path,
    log: &Path,
) -> Result<Proxy> {
    let config = directory.with_extension("toml");
    // Paths of our own making hold no quotes.
    let text = format!("[proxy]\nupstream_ca = ['{}']\n", origin_authority.display());
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let arguments: Vec<OsString> = [
        "run".into(),
        "--data-dir".into(),
        directory.into(),
        "--config".into(),
        config.into(),
        "--proxy-listen".into(),
        "127.0.0.1:0".into(),
        "--api-listen".into(),
        "127.0.0.1:0".into(),
    ]
    .into();
    let (child, ready) = Child::start_until_ready(merlond, &arguments, Some(core), log, START)?;
    Ok(Proxy {
        child,
        address: ready.get("proxy")?.parse()?,
        authority: ready.get("ca")?.into(),
        api: Some(ready.get("socket")?.into()),
    })
}

/// It tells nobody when it is ready: its port and its certificate are waited for.
fn mitmdump(program: &Path, core: usize, directory: &Path, origin_authority: &Path, log: &Path) -> Result<Proxy> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let arguments: Vec<OsString> = [
        "--quiet".into(),
        "--listen-host".into(),
        "127.0.0.1".into(),
        "--listen-port".into(),
        address.port().to_string().into(),
        "--set".into(),
        format!("confdir={}", directory.display()).into(),
        "--set".into(),
        format!("ssl_verify_upstream_trusted_ca={}", origin_authority.display()).into(),
    ]
    .into();
    let mut child = Child::start(program, &arguments, Some(core), log)?;
    let authority = directory.join("mitmproxy-ca-cert.pem");
    let began = Instant::now();
    while !authority.exists() || TcpStream::connect(address).is_err() {
        ensure!(child.lives(), "mitmdump ended while starting; see {}", log.display());
        ensure!(began.elapsed() < START, "mitmdump was not ready after {} s", START.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Proxy { child, address, authority, api: None })
}
