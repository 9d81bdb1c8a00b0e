//! Which TPM is spoken to: the one of the configuration, and no other.
//!
//! libtss2 has its own ideas of a default and tss-esapi's parser passes over what it does not know, so neither sees any
//! text but the one that is written here out of checked parts. The environment is not asked.

use std::fs::OpenOptions;
use std::path::Path;

use merlon_config::{Tcti, Tpm as Settings};
use merlon_sandbox::profiles::{SEAL_EMULATOR, SEAL_TPM};
use merlon_sandbox::{Paths, SandboxError, enforce};
use merlon_wire::seal::Failure;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::TpmHandle;
use tss_esapi::structures::CapabilityData;
use tss_esapi::tcti_ldr::{DeviceConfig, NetworkTPMConfig, TctiNameConf};
use tss_esapi::{Context, Error};

use super::failure::{kind, while_doing};
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;

/// First handle of transient objects (TPM 2.0 part 2, 7.4).
const TRANSIENT_FIRST: u32 = 0x8000_0000;
/// First handle of loaded sessions.
const SESSION_FIRST: u32 = 0x0200_0000;
/// No TPM has more of either loaded.
const MOST_LOADED: u32 = 64;

/// A connection to the TPM. What was loaded over it is flushed when it is dropped.
pub(crate) struct Tpm {
    pub(super) context: Context,
    pub(super) tcti: Tcti,
}

impl Tpm {
    /// Opens the TPM. libtss2 loads its half for this kind of TPM now, before the sandbox forbids it.
    pub(crate) fn connect(settings: &Settings) -> Result<Self, Failure> {
        let tcti = &settings.tcti;
        if tcti.is_emulator() && !settings.allow_emulator {
            return Err(Failure::Tcti(tcti.to_string()));
        }
        let refused = |_: Error| Failure::Tcti(tcti.to_string());
        let name = match tcti {
            Tcti::Device(path) => {
                let path = path.to_str().ok_or_else(|| Failure::Tcti(tcti.to_string()))?;
                TctiNameConf::Device(path.parse::<DeviceConfig>().map_err(refused)?)
            }
            Tcti::Swtpm(address) => {
                let text = format!("host={},port={}", address.ip(), address.port());
                TctiNameConf::Swtpm(text.parse::<NetworkTPMConfig>().map_err(refused)?)
            }
        };
        let context = Context::new(name).map_err(|error| absent(tcti, &error))?;
        Ok(Self { context, tcti: tcti.clone() })
    }

    /// The kernel's resource manager stands in between; what a process leaves behind, it flushes.
    pub(super) fn resource_manager(&self) -> bool {
        matches!(self.tcti, Tcti::Device(_))
    }

    /// Flushes what an earlier process left behind, when it was killed at an emulator, which has no resource manager.
    pub(super) fn clear_leftovers(&mut self) -> Result<(), Failure> {
        if self.resource_manager() {
            return Ok(());
        }
        for first in [TRANSIENT_FIRST, SESSION_FIRST] {
            for handle in self.handles(first)? {
                let object =
                    self.context.tr_from_tpm_public(handle).map_err(while_doing("looking at what is loaded"))?;
                // tss-esapi counts a policy session among what is closed only, and says so after the TPM has flushed it.
                match self.context.flush_context(object) {
                    Ok(()) | Err(Error::WrapperError(_)) => {}
                    Err(error) => return Err(while_doing("flushing what an earlier run left")(error)),
                }
            }
        }
        Ok(())
    }

    /// Handles that are in use, from `first` on, of its kind.
    pub(super) fn handles(&mut self, first: u32) -> Result<Vec<TpmHandle>, Failure> {
        match self.context.get_capability(CapabilityType::Handles, first, MOST_LOADED) {
            Ok((CapabilityData::Handles(handles), _)) => Ok(handles.into_inner()),
            Ok(_) => Ok(Vec::new()),
            // The first command of a run: an emulator that is not there is noticed only now.
            Err(error) if kind(&error).is_none() => Err(absent(&self.tcti, &error)),
            Err(error) if kind(&error) == Some(Kind::Initialize) => Err(absent(&self.tcti, &error)),
            Err(error) => Err(while_doing("looking at what is loaded")(error)),
        }
    }
}

/// Gives everything up but the TPM that is open.
pub(crate) fn confine(settings: &Settings, required: bool) -> Result<(), SandboxError> {
    let paths = Paths::new().landlock_required(required);
    let (profile, paths) = match &settings.tcti {
        Tcti::Device(_) => (&SEAL_TPM, paths),
        // Commands go to the port itself, control goes to the next one.
        Tcti::Swtpm(address) => {
            (&SEAL_EMULATOR, paths.tcp_port(address.port()).tcp_port(address.port().saturating_add(1)))
        }
    };
    enforce(profile, &paths).map(drop)
}

fn absent(tcti: &Tcti, error: &Error) -> Failure {
    let (device, why) = match tcti {
        Tcti::Device(path) => (path.display().to_string(), why_not(path)),
        Tcti::Swtpm(address) => (address.to_string(), None),
    };
    Failure::NoDevice { device, why: why.unwrap_or_else(|| format!("no TPM answers: {error}")) }
}

/// The system's words, which say more than libtss2's.
fn why_not(path: &Path) -> Option<String> {
    OpenOptions::new().read(true).write(true).open(path).err().map(|error| error.to_string())
}
