//! A module that does what none should, and writes down what came of it. Built by the test that loads it.

use std::ffi::{c_ulong, c_void};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

/// CKR_FUNCTION_FAILED
const FAILED: c_ulong = 6;

fn came<T>(what: &str, tried: io::Result<T>) -> String {
    match tried {
        Ok(_) => format!("{what}: done\n"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => format!("{what}: denied\n"),
        Err(error) => format!("{what}: {error}\n"),
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(_list: *mut *mut c_void) -> c_ulong {
    let said = [
        came("read /etc/shadow", std::fs::read("/etc/shadow")),
        came("read the PIN file", std::fs::read(variable("PIN_FILE"))),
        came("read the process's memory", std::fs::File::open("/proc/self/mem")),
        came("write beside itself", std::fs::write(variable("BESIDE"), "x")),
        came("run a program", std::process::Command::new("/bin/true").status()),
        came("connect by TCP", TcpStream::connect(variable("LISTENER"))),
        came("listen on TCP", TcpListener::bind("127.0.0.1:0")),
        came("send by UDP", UdpSocket::bind("127.0.0.1:0")),
        came("connect to a Unix socket", UnixStream::connect(variable("UNIX"))),
        came("start a thread", std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join())),
    ];
    if std::fs::write(variable("SAID"), said.concat()).is_err() { 0x30 } else { FAILED }
}
