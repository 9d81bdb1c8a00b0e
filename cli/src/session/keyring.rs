//! The user's keyring, by `secret-tool` of libsecret, where it is installed and a session bus answers.
//!
//! Secrets go through pipes, never through arguments. A keyring may ask the user to open it, so an answer may take a
//! while; it is bounded all the same.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::document::MAX;

const TOOL: &str = "secret-tool";
/// Time to type the keyring's password.
const LIMIT: Duration = Duration::from_secs(90);

/// Why the keyring did not do it: in its own words.
pub(super) type Failure = String;

/// Keeps a secret for one instance. `Ok(false)`: there is no such program.
pub(super) async fn store(url: &str, secret: &[u8]) -> Result<bool, Failure> {
    let label = format!("Merlon: {url}");
    let arguments = ["store", "--label", &label, "application", "merlon", "instance", url];
    match spawn(&arguments, Some(secret)).await {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e.to_string()),
        Ok(child) => match end(child).await? {
            Some(_) => Ok(true),
            None => Err("it did not say why".to_owned()),
        },
    }
}

/// What is kept for one instance.
pub(super) async fn lookup(url: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let child = spawn(&["lookup", "application", "merlon", "instance", url], None).await.map_err(|e| e.to_string())?;
    Ok(end(child).await?.filter(|secret| !secret.is_empty()))
}

/// Forgets what is kept for one instance; nothing kept is no error.
pub(super) async fn clear(url: &str) -> Result<(), Failure> {
    let child = spawn(&["clear", "application", "merlon", "instance", url], None).await.map_err(|e| e.to_string())?;
    end(child).await.map(drop)
}

async fn spawn(arguments: &[&str], input: Option<&[u8]>) -> std::io::Result<Child> {
    let mut child = Command::new(TOOL)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // A document is longer than some pipes are deep; but the program reads all of it before it does anything.
        let written = timeout(LIMIT, pipe.write_all(input)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
        // One that has ended early says why by its end.
        if let Err(e) = written
            && e.kind() != ErrorKind::BrokenPipe
        {
            return Err(e);
        }
    }
    Ok(child)
}

/// What the program wrote; none if it ended with 1 and said nothing, as it does where it has found nothing.
async fn end(mut child: Child) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let run = async {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX + 1));
        let mut said = Vec::new();
        let most = u64::try_from(MAX).unwrap_or(u64::MAX);
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            let (mut stdout, mut stderr) = (stdout.take(most), stderr.take(4096));
            tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut said))?;
        }
        let status = child.wait().await?;
        std::io::Result::Ok((out, said, status))
    };
    let (out, said, status) = timeout(LIMIT, run)
        .await
        .map_err(|_| format!("it did not answer within {} s", LIMIT.as_secs()))?
        .map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match status.code() {
        Some(0) => Ok(Some(out)),
        Some(1) if said.is_empty() => Ok(None),
        _ if said.is_empty() => Err(status.to_string()),
        _ => Err(said),
    }
}
