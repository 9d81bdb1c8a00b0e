//! A PKCS#11 token in a directory of the test's own, made by SoftHSM, with keys made by `pkcs11-tool`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TempDir;
use crate::process::{output, stderr};

/// Where Debian and Fedora put the module.
const MODULES: [&str; 2] = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];

/// SoftHSM with its tokens. They go with it.
pub struct SoftHsm {
    dir: TempDir,
}

impl SoftHsm {
    /// The user PIN of each token.
    pub const PIN: &str = "314159";
    /// The security officer's PIN of each token.
    const SO_PIN: &str = "271828182";

    /// No token yet.
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new("softhsm");
        let hsm = Self { dir };
        std::fs::create_dir(hsm.tokens()).unwrap();
        let settings = format!("directories.tokendir = {}\nobjectstore.backend = file\n", hsm.tokens().display());
        std::fs::write(hsm.settings(), settings).unwrap();
        hsm
    }

    /// One token of this label, with an AES-256 key of CKA_ID 01.
    #[must_use]
    pub fn with_aes(label: &str) -> Self {
        let hsm = Self::new();
        hsm.token(label);
        hsm.aes(label, "01");
        hsm
    }

    /// The module.
    ///
    /// # Panics
    /// If SoftHSM is not installed.
    #[must_use]
    pub fn module() -> &'static Path {
        let found = MODULES.iter().map(Path::new).find(|path| path.exists());
        found.expect("SoftHSM is not installed; run `make test`, or scripts/setup-test first")
    }

    /// The test's directory, for more files of its own. The module may not read there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `SOFTHSM2_CONF`.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.dir.path().join("softhsm2.conf")
    }

    /// The directory that the module writes to.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    /// The section `[pkcs11]` of a configuration that uses it, without a PIN file.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "[pkcs11]\nmodule = '{}'\nread = ['{settings}']\nwrite = ['{}']\nenvironment = {{ SOFTHSM2_CONF = '{settings}' }}\n",
            Self::module().display(),
            self.tokens().display(),
            settings = self.settings().display(),
        )
    }

    /// One more token.
    pub fn token(&self, label: &str) {
        let mut command = Command::new("softhsm2-util");
        command.args(["--init-token", "--free", "--label", label]);
        self.run(command.args(["--pin", Self::PIN, "--so-pin", Self::SO_PIN]));
    }

    /// An AES-256 key that stays in the token.
    pub fn aes(&self, token: &str, id: &str) {
        self.tool(token, &["--keygen", "--key-type", "AES:32", "--id", id, "--sensitive", "--usage-decrypt"]);
    }

    /// An RSA pair of 3072 bits.
    pub fn rsa(&self, token: &str, id: &str) {
        self.tool(token, &["--keypairgen", "--key-type", "rsa:3072", "--id", id, "--usage-decrypt"]);
    }

    /// `pkcs11-tool` on a token, logged in.
    pub fn tool(&self, token: &str, arguments: &[&str]) {
        let mut command = Command::new("pkcs11-tool");
        command.arg("--module").arg(Self::module()).args(["--token-label", token, "--login", "--pin", "env:PIN"]);
        self.run(command.args(arguments).env("PIN", Self::PIN));
    }

    fn run(&self, command: &mut Command) {
        let output = output(command.env("SOFTHSM2_CONF", self.settings()));
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    }
}

impl Default for SoftHsm {
    fn default() -> Self {
        Self::new()
    }
}
