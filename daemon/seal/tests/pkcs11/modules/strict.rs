//! A module with one token whose flags, and whose answer to a PIN, are what the test says in the environment. It writes
//! down when it is given a PIN; it knows no keys.

use std::ffi::{c_ulong, c_void};
use std::io::Write as _;
use std::ptr::null;

const UNSUPPORTED: c_ulong = 0x54;
/// CKF_LOGIN_REQUIRED, CKF_USER_PIN_INITIALIZED, CKF_TOKEN_INITIALIZED
const FLAGS: c_ulong = 0x4 | 0x8 | 0x400;

/// CK_FUNCTION_LIST of PKCS#11 2.40: the version, then 68 functions.
#[repr(C)]
pub struct List {
    version: [u8; 2],
    functions: [*const c_void; 68],
}

/// CK_TOKEN_INFO
#[repr(C)]
pub struct Info {
    label: [u8; 32],
    manufacturer: [u8; 32],
    model: [u8; 16],
    serial: [u8; 16],
    flags: c_ulong,
    counts: [c_ulong; 10],
    versions: [u8; 4],
    time: [u8; 16],
}

fn number(name: &str) -> c_ulong {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
}

extern "C" fn unsupported() -> c_ulong {
    UNSUPPORTED
}

extern "C" fn fine() -> c_ulong {
    0
}

extern "C" fn slots(_with_token: u8, list: Option<&mut c_ulong>, count: &mut c_ulong) -> c_ulong {
    *count = 1;
    if let Some(first) = list {
        *first = 7;
    }
    0
}

extern "C" fn token(_slot: c_ulong, info: &mut Info) -> c_ulong {
    let mut label = [b' '; 32];
    label[..6].copy_from_slice(b"strict");
    let (manufacturer, model, serial, time) = ([b' '; 32], [b' '; 16], [b' '; 16], [b'0'; 16]);
    let flags = FLAGS | number("FLAGS");
    *info = Info { label, manufacturer, model, serial, flags, counts: [0; 10], versions: [0; 4], time };
    0
}

extern "C" fn open(_slot: c_ulong, _flags: c_ulong, _own: usize, _notify: usize, session: &mut c_ulong) -> c_ulong {
    *session = 1;
    0
}

extern "C" fn login(_session: c_ulong, _user: c_ulong, pin: *const u8, _len: c_ulong) -> c_ulong {
    let what = if pin.is_null() { "the keys of the reader\n" } else { "a PIN\n" };
    let said = std::env::var_os("SAID").unwrap_or_default();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(said);
    // CKR_HOST_MEMORY is what no test expects.
    file.and_then(|mut file| file.write_all(what.as_bytes())).map_or(0x2, |()| number("LOGIN"))
}

#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(list: &mut *mut List) -> c_ulong {
    let mut functions = [unsupported as *const c_void; 68];
    for (index, function) in [
        (0, fine as *const c_void),
        (1, fine as *const c_void),
        (4, slots as *const c_void),
        (6, token as *const c_void),
        (12, open as *const c_void),
        (13, fine as *const c_void),
        (18, login as *const c_void),
    ] {
        functions[index] = function;
    }
    functions[3] = null();
    *list = Box::leak(Box::new(List { version: [2, 40], functions }));
    0
}
