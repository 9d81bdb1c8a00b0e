//! The three small protocols of systemd's service manager, without its library.
//!
//! Owned here: readiness, status and watchdog messages. (Listening sockets are `inherit`'s.) Outside systemd all of it
//! does nothing.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Tells the service manager how this process is. The socket is opened once, so that it works after the sandbox denies
/// opening sockets.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `$NOTIFY_SOCKET`. Without that variable all messages are dropped.
    ///
    /// # Errors
    /// The variable is set but its socket cannot be reached.
    pub fn from_env() -> io::Result<Self> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self { socket: None });
        };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some(socket) })
    }

    /// A service manager listens.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// The service serves.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn ready(&self) -> io::Result<()> {
        self.send("READY=1")
    }

    /// One line for `systemctl status`.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn status(&self, text: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}", text.replace('\n', " ")))
    }

    /// The service is about to end.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// The service needs so long for what is under way (its start, its end), more than the unit may allow.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn extend_timeout(&self, time: Duration) -> io::Result<()> {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()))
    }

    /// The service reads its configuration again; [`Self::ready`] says when that is done.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn reloading(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let micros = Duration::from(now).as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"))
    }

    /// The service is alive.
    ///
    /// # Errors
    /// The message cannot be sent.
    pub fn watchdog(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.send(message.as_bytes()).map(drop))
    }
}

/// How often [`Notify::watchdog`] is to be called: half of what the unit allows. `None` if nobody watches.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    interval(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

fn interval(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    // The variables of a parent are inherited; they are not for us then.
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let micros: u64 = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_per_interval_and_only_if_meant_for_us() {
        assert_eq!(interval(Some("2000000"), None, 7), Some(Duration::from_secs(1)));
        assert_eq!(interval(Some("2000000"), Some("7"), 7), Some(Duration::from_secs(1)));
        assert_eq!(interval(Some("2000000"), Some("8"), 7), None);
        assert_eq!(interval(Some("0"), None, 7), None);
        assert_eq!(interval(None, None, 7), None);
    }

    #[test]
    fn messages_arrive_as_systemd_reads_them() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let notify = Notify { socket: Some(ours) };
        let mut buffer = [0; 256];
        let mut received = || {
            let len = theirs.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        };
        notify.status("two\nlines").unwrap();
        assert_eq!(received(), "STATUS=two lines");
        notify.reloading().unwrap();
        let reloading = received();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        notify.ready().unwrap();
        assert_eq!(received(), "READY=1");
        notify.extend_timeout(Duration::from_secs(2)).unwrap();
        assert_eq!(received(), "EXTEND_TIMEOUT_USEC=2000000");
        Notify { socket: None }.ready().unwrap();
    }
}
