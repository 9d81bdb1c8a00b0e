//! The module itself: loading it, and what it cannot do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use merlon_tests::softhsm::SoftHsm;
use merlon_wire::seal::{Failure, Mechanism, Pkcs11Object, Pkcs11Unwrap, Request};

use crate::ask::{AAD, AES, LABEL, PIN, Seal, write};

/// Builds a module of `modules/`, into a directory of its own.
fn build(name: &str, dir: &Path) -> PathBuf {
    fs::create_dir(dir.join("module")).unwrap();
    let module = dir.join("module").join(name);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pkcs11/modules");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-o"]).arg(&module);
    let built = rustc.arg(Path::new(source).join(name).with_extension("rs")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    module
}

#[test]
fn a_module_that_is_missing_or_none_is_named() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    fs::write(&seal.config, "").unwrap();
    assert_eq!(seal.wrap(AES, PIN).failure(), Failure::NoModule);
    let text = seal.hsm.dir().join("text.so");
    fs::write(&text, "no library").unwrap();
    let library = fs::canonicalize(SoftHsm::module()).unwrap();
    let missing = seal.hsm.dir().join("missing.so");
    for (module, more, said) in [
        (missing.as_path(), "", "missing.so: No such file"),
        (text.as_path(), "", "text.so"),
        (Path::new("/lib64/ld-linux-x86-64.so.2"), "", "no C_GetFunctionList"),
        (library.as_path(), "read = ['/nonexistent']", "pkcs11.read: /nonexistent: No such file"),
        (library.as_path(), "write = ['/nonexistent']", "pkcs11.write: /nonexistent: No such file"),
        (library.as_path(), "environment = { 'A=B' = 'x' }", "`A=B` cannot be set"),
    ] {
        fs::write(&seal.config, format!("[pkcs11]\nmodule = '{}'\n{more}\n", module.display())).unwrap();
        let failure = seal.wrap(AES, PIN).failure();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::Module(_)) && text.contains(said), "{said}: {text}");
    }
}

#[test]
fn the_module_sees_its_own_files_only() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let config = seal.hsm.config().replace(&format!("read = ['{}']\n", seal.hsm.settings().display()), "");
    fs::write(&seal.config, config).unwrap();
    // SoftHSM cannot read its settings then, and has no token.
    let failure = seal.wrap(AES, PIN).failure();
    assert!(matches!(failure, Failure::Module(_) | Failure::NoToken(_)), "{failure}");
}

#[test]
fn a_hostile_module_gets_no_file_no_program_and_no_network() {
    let seal = Seal::new(SoftHsm::new());
    let dir = seal.hsm.dir();
    let module = build("hostile", dir);
    let [pin, granted] = ["pin", "granted"].map(|name| dir.join(name));
    fs::create_dir(&granted).unwrap();
    write(&pin, SoftHsm::PIN, 0o600);

    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = std::os::unix::net::UnixListener::bind(dir.join("sock")).unwrap();
    let text = |path: &Path| path.display().to_string();
    let environment = [
        ("PIN_FILE", text(&pin)),
        ("BESIDE", text(&dir.join("module/more"))),
        ("LISTENER", tcp.local_addr().unwrap().to_string()),
        ("UNIX", text(unix.local_addr().unwrap().as_pathname().unwrap())),
        ("SAID", text(&granted.join("said"))),
    ];
    let environment = environment.map(|(name, value)| format!("{name} = '{value}'")).join(", ");
    let tries = |write: &[&Path]| {
        let config = format!(
            "[pkcs11]\nmodule = '{}'\nwrite = {write:?}\npin_file = '{}'\nenvironment = {{ {environment} }}\n",
            module.display(),
            pin.display()
        );
        fs::write(&seal.config, config).unwrap();
        let failure = seal.wrap(AES, None).failure();
        assert_eq!(failure, Failure::Module("CKR_FUNCTION_FAILED from C_GetFunctionList".into()));
        fs::read_to_string(granted.join("said")).unwrap()
    };
    let expected = "read /etc/shadow: denied\nread the PIN file: denied\nread the process's memory: denied\n\
                    write beside itself: denied\nrun a program: denied\nconnect by TCP: denied\n\
                    listen on TCP: denied\nsend by UDP: denied\nconnect to a Unix socket: denied\n\
                    start a thread: done\n";
    assert_eq!(tries(&[&granted]), expected);
    // Where the configuration names a Unix socket, that is the one thing more.
    let attached = expected.replace("a Unix socket: denied", "a Unix socket: done");
    assert_eq!(tries(&[&granted, &dir.join("sock")]), attached);
}

/// A run against the token of `modules/strict.rs`.
struct Strict {
    seal: Seal,
    module: PathBuf,
}

impl Strict {
    fn new() -> Self {
        let seal = Seal::new(SoftHsm::new());
        let module = build("strict", seal.hsm.dir());
        Self { seal, module }
    }

    /// With these flags of the token and this answer to a PIN: what comes of it, and what was tried.
    fn unwrap(&self, flags: u32, login: u32, pin: Option<&[u8]>, force: bool) -> (Failure, String) {
        let granted = self.seal.hsm.tokens();
        let said = granted.join("said");
        let environment = format!("FLAGS = '{flags}', LOGIN = '{login}', SAID = '{}'", said.display());
        let config = format!(
            "[pkcs11]\nmodule = '{}'\nwrite = ['{}']\nenvironment = {{ {environment} }}\n",
            self.module.display(),
            granted.display()
        );
        fs::write(&self.seal.config, config).unwrap();
        fs::write(&said, "").unwrap();
        let object = Pkcs11Object { mechanism: Mechanism::AesGcm, nonce: vec![1; 12], ciphertext: vec![0; 48] };
        let uri = "pkcs11:token=strict;id=%01";
        let failure = self.seal.ask(&Request::Unwrap(Pkcs11Unwrap { uri, pin, object, aad: AAD, force })).failure();
        (failure, fs::read_to_string(said).unwrap())
    }
}

#[test]
fn the_last_try_before_a_token_locks_is_not_spent_unasked() {
    const FINAL_TRY: u32 = 0x2_0000;
    const LOCKED: u32 = 0x4_0000;
    let strict = Strict::new();
    assert_eq!(strict.unwrap(FINAL_TRY, 0, PIN, false), (Failure::TokenLastTry, String::new()));
    assert_eq!(strict.unwrap(FINAL_TRY, 0xa0, PIN, true), (Failure::TokenPin, "a PIN\n".into()));
    assert_eq!(strict.unwrap(LOCKED, 0, PIN, true), (Failure::TokenLocked, String::new()));
}

#[test]
fn a_pin_is_given_once_whatever_the_token_answers() {
    let strict = Strict::new();
    let once = "a PIN\n".to_owned();
    for (code, failure) in [(0xa0, Failure::TokenPin), (0xa1, Failure::TokenPin), (0xa4, Failure::TokenLocked)] {
        assert_eq!(strict.unwrap(0, code, PIN, false), (failure, once.clone()), "{code:#x}");
    }
    let (failure, tried) = strict.unwrap(0, 0x30, PIN, false);
    assert_eq!(failure.to_string(), "the token failed while logging in: CKR_DEVICE_ERROR from C_Login");
    assert_eq!(tried, once);
    // Let in, or in already: it goes on to the key, which this token has not.
    for code in [0, 0x100] {
        let (failure, tried) = strict.unwrap(0, code, PIN, false);
        assert!(failure.to_string().contains("looking for the key"), "{code:#x}: {failure}");
        assert_eq!(tried, once);
    }
}

#[test]
fn a_reader_with_keys_of_its_own_asks_by_itself() {
    const PROTECTED_PATH: u32 = 0x100;
    let strict = Strict::new();
    let (failure, tried) = strict.unwrap(PROTECTED_PATH, 0, None, false);
    assert!(failure.to_string().contains("looking for the key"), "{failure}");
    assert_eq!(tried, "the keys of the reader\n");
}
