//! Offers to open the browser, at a terminal with a screen. Signing in works without it.

use std::convert::Infallible;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use hyper::Uri;
use merlon_api::SignInStarted;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::args::LoginArgs;
use crate::env::Env;
use crate::output::Printer;

const OPENER: &str = "xdg-open";
/// Between two looks at the terminal.
const GLANCE: Duration = Duration::from_millis(100);

/// Never ends, so that what is waited for beside it decides.
pub(super) async fn offer(started: &SignInStarted, args: &LoginArgs, env: &Env, printer: &Printer) -> Infallible {
    let address = started.verification_uri_complete.as_deref().unwrap_or(&started.verification_uri);
    let usable = !args.no_browser
        && !printer.is_json()
        && env.screen
        // A browser of root's is no place to sign in.
        && !nix::unistd::geteuid().is_root()
        && io::stdin().is_terminal()
        && io::stderr().is_terminal()
        && is_web_address(address);
    if usable {
        printer.tell("Or press Enter to open it in your browser here; the code must be the same.");
        if enter().await {
            open(address, printer);
        }
    }
    std::future::pending().await
}

/// Waits for a line. It is read only once it is there, so that no thread is left behind in a read.
async fn enter() -> bool {
    loop {
        let stdin = io::stdin();
        let mut asked = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut asked, PollTimeout::ZERO) {
            Ok(0) => tokio::time::sleep(GLANCE).await,
            Ok(_) => {
                let mut line = [0; 256];
                return nix::unistd::read(stdin.as_fd(), &mut line).is_ok_and(|len| len > 0);
            }
            Err(_) => return false,
        }
    }
}

fn open(address: &str, printer: &Printer) {
    let opened =
        Command::new(OPENER).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = opened {
        printer.say(&format!("the browser could not be opened ({OPENER}: {error}); open the address yourself"));
    }
}

/// What is handed to a program that opens anything: https, or http on this very host, and nothing that could be an option.
fn is_web_address(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => loopback,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_opened() {
        for good in ["https://hub.example/device?user_code=AB-CD", "http://127.0.0.1:8444/device", "http://[::1]/x"] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in
            ["--help", "file:///etc/passwd", "http://hub.example/", "javascript:alert(1)", "/device", "", "https://"]
        {
            assert!(!is_web_address(bad), "{bad}");
        }
    }
}
