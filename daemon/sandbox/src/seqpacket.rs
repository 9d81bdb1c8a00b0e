//! Messages with at most one descriptor over `SOCK_SEQPACKET` Unix sockets.
//!
//! Owned here: making these sockets, and sending and receiving one whole message. What a message means, and its
//! largest size, is the caller's. All calls work on blocking and on non-blocking sockets; the latter answer
//! [`io::ErrorKind::WouldBlock`].
#![expect(unsafe_code, reason = "a received descriptor is a bare number until we own it")]

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind,
    getsockopt, listen as listen_on, recvmsg, sendmsg, socket, socketpair,
};
use nix::sys::stat::{Mode, fchmod};

/// The kernel passes at most this many descriptors with one message; with room for all, none is lost unseen.
const MOST_DESCRIPTORS: usize = 253;
const CONTROL_BYTES: usize = nix::sys::socket::cmsg_space::<[RawFd; MOST_DESCRIPTORS]>();
const WAITING_CONNECTIONS: i32 = 64;

/// One message.
#[derive(Debug)]
pub struct Received {
    /// Its bytes, at the start of the buffer; 0 if the peer has hung up.
    pub len: usize,
    /// The descriptor that came with it.
    pub fd: Option<OwnedFd>,
}

/// Who was at the other end when the connection was made. Within a user namespace of our own (`PrivateUsers=yes`)
/// foreign users read 65534.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// Process id.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Two connected sockets, blocking, closed on exec.
///
/// # Errors
/// That of the kernel.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A socket that listens at `path` with exactly this mode; it is never wider open, not even for a moment. A socket
/// left there by an earlier run is replaced, anything else is not.
///
/// # Errors
/// That of the kernel; [`io::ErrorKind::AlreadyExists`] if something other than a socket is at `path`.
pub fn listen(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            let text = format!("{} exists and is no socket; it was left alone", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let address = UnixAddr::new(path)?;
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    // The file takes the mode of the unbound socket, less the umask.
    fchmod(&listener, Mode::from_bits_truncate(mode))?;
    bind(listener.as_raw_fd(), &address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listen_on(&listener, Backlog::new(WAITING_CONNECTIONS)?)?;
    Ok(listener)
}

/// Connects to the socket at `path`.
///
/// # Errors
/// That of the kernel.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let stream = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    retry(|| nix::sys::socket::connect(stream.as_raw_fd(), &address))?;
    Ok(stream)
}

/// Takes the next connection of a listening socket.
///
/// # Errors
/// That of the kernel.
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    let number = retry(|| accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC))?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Switches a socket between blocking and non-blocking.
///
/// # Errors
/// That of the kernel.
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> io::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, nonblocking);
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Sends `message` whole, with `fd` if there is one. The caller keeps its own copy of the descriptor.
///
/// # Errors
/// That of the kernel; [`io::ErrorKind::InvalidInput`] for an empty message, which would read as a hang-up.
pub fn send(socket: impl AsFd, message: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    if message.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty message would read as a hang-up"));
    }
    let passed: [RawFd; 1] = [fd.map_or(-1, |fd| fd.as_raw_fd())];
    let rights = [ControlMessage::ScmRights(&passed)];
    let control: &[ControlMessage<'_>] = if fd.is_some() { &rights } else { &[] };
    let parts = [IoSlice::new(message)];
    let socket = socket.as_fd().as_raw_fd();
    let sent = retry(|| sendmsg::<()>(socket, &parts, control, MsgFlags::MSG_NOSIGNAL, None))?;
    if sent == message.len() { Ok(()) } else { Err(io::Error::other("a message was cut in sending")) }
}

/// Receives one message into `buffer`. More than one descriptor with it is an error, and all of them are closed.
///
/// # Errors
/// That of the kernel; [`io::ErrorKind::InvalidData`] for a message that does not fit or brings too much. The stream
/// then has lost a message: the caller drops the peer.
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut fds: Vec<OwnedFd> = Vec::new();
    let socket = socket.as_fd().as_raw_fd();
    let (len, flags) = loop {
        let mut parts = [IoSliceMut::new(&mut *buffer)];
        match recvmsg::<()>(socket, &mut parts, Some(&mut control.0), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(message) => {
                // Truncated control data would make `cmsgs` fail; with room for all there is none.
                for part in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(numbers) = part {
                        // SAFETY: the kernel has opened these descriptors for us in this very call.
                        fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
                    }
                }
                break (message.bytes, message.flags);
            }
        }
    };
    if flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(invalid("the peer sent a message larger than this protocol allows"));
    }
    if fds.len() > 1 {
        return Err(invalid("the peer sent more than one descriptor with a message"));
    }
    Ok(Received { len, fd: fds.pop() })
}

/// Who is at the other end.
///
/// # Errors
/// That of the kernel.
pub fn peer_cred(socket: impl AsFd) -> io::Result<PeerCred> {
    let found = getsockopt(&socket.as_fd(), PeerCredentials)?;
    Ok(PeerCred { pid: found.pid(), uid: found.uid(), gid: found.gid() })
}

/// Control data has to begin where a `cmsghdr` may.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn kind(result: io::Result<Received>) -> io::ErrorKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn a_message_keeps_its_bounds_and_brings_its_descriptor() {
        let (left, right) = pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        send(&left, b"first", Some(listener.as_fd())).unwrap();
        send(&left, b"second", None).unwrap();
        let mut buffer = [0; 64];
        let first = recv(&right, &mut buffer).unwrap();
        assert_eq!(&buffer[..first.len], b"first");
        let received = TcpListener::from(first.fd.unwrap());
        assert_eq!(received.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_ne!(fcntl(&received, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC, 0);
        let second = recv(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..second.len], second.fd.is_none()), (&b"second"[..], true));
        drop(left);
        assert_eq!(recv(&right, &mut buffer).unwrap().len, 0);
    }

    #[test]
    fn an_oversized_message_is_an_error_and_not_cut() {
        let (left, right) = pair().unwrap();
        send(&left, &[1; 65], None).unwrap();
        assert_eq!(kind(recv(&right, &mut [0; 64])), io::ErrorKind::InvalidData);
    }

    #[test]
    fn more_than_one_descriptor_is_an_error_and_none_stays_open() {
        let (left, right) = pair().unwrap();
        let (mut writer, reader) = std::os::unix::net::UnixStream::pair().unwrap();
        let numbers = [reader.as_raw_fd(); 5];
        sendmsg::<()>(
            left.as_raw_fd(),
            &[IoSlice::new(b"x")],
            &[ControlMessage::ScmRights(&numbers)],
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        assert_eq!(kind(recv(&right, &mut [0; 8])), io::ErrorKind::InvalidData);
        drop(reader);
        // Were a copy left open, this would succeed.
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_nonblocking_socket_says_would_block_both_ways() {
        let (left, right) = pair().unwrap();
        set_nonblocking(&left, true).unwrap();
        set_nonblocking(&right, true).unwrap();
        assert_eq!(kind(recv(&right, &mut [0; 8])), io::ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = send(&left, &[0; 4096], None) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(send(&left, &[], None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_listener_has_its_mode_and_replaces_only_sockets() {
        let dir = crate::files::tests::scratch("seqpacket");
        let path = dir.join("a.sock");
        drop(listen(&path, 0o600).unwrap());
        let listener = listen(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let client = connect(&path).unwrap();
        let server = accept(&listener).unwrap();
        let peer = peer_cred(&server).unwrap();
        assert_eq!(peer.pid.unsigned_abs(), std::process::id());
        send(&client, b"hello", None).unwrap();
        assert_eq!(recv(&server, &mut [0; 8]).unwrap().len, 5);
        fs::write(dir.join("file"), "kept").unwrap();
        assert_eq!(listen(&dir.join("file"), 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_dir_all(dir).unwrap();
    }
}
