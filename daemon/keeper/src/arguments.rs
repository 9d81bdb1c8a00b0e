//! What the command line leads to before anything is opened: the configuration, the directory, the sandbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use merlon_config::{Config, InstanceName, Layer, Layers, Paths as InstancePaths, Tcti};
use merlon_sandbox::profiles::{KEEPER, KEEPER_LINKING};
use merlon_sandbox::{Paths, enforce, journal};
use merlon_wire::SandboxReport;

use crate::ca::Host;
use crate::command_line::Arguments;
use crate::door::Door;
use crate::exit::Fatal;
use crate::slots::{Credential, Means, Serving};

impl Arguments {
    /// The configuration, from file and environment.
    pub(crate) fn configuration(&self) -> Result<Config, Fatal> {
        let mut layers = Layers::default();
        if let Some(path) = self.config_path() {
            match std::fs::read_to_string(&path) {
                Ok(text) => layers.push(Layer::file(&path.to_string_lossy(), &text)?),
                Err(source) => return Err(Fatal::Unreadable { path, source }),
            }
        }
        for (name, value) in std::env::vars_os() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && let Some(layer) = Layer::environment(name, value)?
            {
                layers.push(layer);
            }
        }
        Ok(layers.resolve()?.config)
    }

    /// The keeper's directory, absolute; it must exist.
    pub(crate) fn dir(&self) -> Result<PathBuf, Fatal> {
        let path = match (&self.dir, &self.instance) {
            (Some(dir), _) => dir.clone(),
            (None, Some(name)) => InstancePaths::system(name).keeper,
            (None, None) => return Err(Fatal::Usage("give --dir DIR or --instance NAME")),
        };
        path.canonicalize().map_err(|source| Fatal::File { path, source })
    }

    /// The name of the instance, if it is one of the system.
    pub(crate) fn instance_name(&self) -> Option<String> {
        self.instance.as_ref().map(InstanceName::to_string).or_else(|| journal::instance_of(self.config.as_deref()))
    }

    /// What keyslots may use. Reads what is out of reach once the sandbox is closed.
    pub(crate) fn means(&self, dir: PathBuf, config: &Config, door: Arc<Door>) -> Means {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Means {
            serving: if self.hub { Serving::Hub } else { Serving::Instance },
            dir,
            door,
            credential: credentials.as_deref().and_then(Credential::read),
            pkcs11_pin: config.pkcs11.pin_file.is_some(),
            tpm_first: config.tpm.first_slot && may_have_tpm(&config.tpm.tcti),
        }
    }

    /// Enters the sandbox. From here on the directory and the configuration are the only files.
    pub(crate) fn enforce(&self, dir: &Path, config: &Config) -> Result<SandboxReport, Fatal> {
        let mut paths = Paths::new().read_write(dir).landlock_required(config.sandbox.required);
        if let Some(config) = self.config_path() {
            paths = paths.read_only_if_present(config);
        }
        let mut profile = &KEEPER;
        for socket in self.link.iter().chain(&self.seal) {
            paths = paths.unix_socket(socket);
            profile = &KEEPER_LINKING;
        }
        let report = enforce(profile, &paths)?;
        report.warn_if_incomplete();
        Ok(SandboxReport {
            landlock_abi: report.landlock_abi,
            landlock: report.landlock.as_str().to_owned(),
            missing: report.missing,
            seccomp: report.seccomp,
            no_new_privs: report.no_new_privs,
            core_dumps_off: report.core_dumps_off && report.dumpable_off,
            secret_memory: report.secret_memory.as_str().to_owned(),
        })
    }

    fn config_path(&self) -> Option<PathBuf> {
        let of_instance = || self.instance.as_ref().map(|name| InstancePaths::system(name).config);
        self.config.clone().or_else(of_instance)
    }
}

/// Does the machine have the TPM that is configured? A service may not see the device, but the system's list of them.
/// An emulator is only configured where there is one.
fn may_have_tpm(tcti: &Tcti) -> bool {
    match tcti {
        Tcti::Swtpm(_) => true,
        Tcti::Device(path) => {
            let listed = path.file_name().map(|name| Path::new("/sys/class/tpmrm").join(name));
            path.exists() || listed.is_some_and(|listed| listed.exists())
        }
    }
}

/// The host's name, if it can stand in a certificate.
pub(crate) fn host_name() -> Option<Host> {
    Host::parse(nix::unistd::gethostname().ok()?.to_str()?).ok()
}
