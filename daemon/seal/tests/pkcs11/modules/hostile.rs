//! A module that does what none should, and says on standard error what came of it. Built by the test that loads it.

use std::ffi::{c_ulong, c_void};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

/// CKR_FUNCTION_FAILED
const FAILED: c_ulong = 6;

fn said<T>(what: &str, tried: io::Result<T>) {
    match tried {
        Ok(_) => eprintln!("{what}: done"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => eprintln!("{what}: denied"),
        Err(error) => eprintln!("{what}: {error}"),
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(_list: *mut *mut c_void) -> c_ulong {
    said("read /etc/shadow", std::fs::read("/etc/shadow"));
    said("read the PIN file", std::fs::read(variable("PIN_FILE")));
    said("read the process's memory", std::fs::File::open("/proc/self/mem"));
    said("write beside itself", std::fs::write(variable("BESIDE"), "x"));
    said("run a program", std::process::Command::new("/bin/true").status());
    said("connect by TCP", TcpStream::connect(variable("LISTENER")));
    said("listen on TCP", TcpListener::bind("127.0.0.1:0"));
    said("send by UDP", UdpSocket::bind("127.0.0.1:0"));
    said("connect to a Unix socket", UnixStream::connect(variable("UNIX")));
    said("start a thread", std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join()));
    said("write where it may", std::fs::write(variable("GRANTED"), "x"));
    FAILED
}
