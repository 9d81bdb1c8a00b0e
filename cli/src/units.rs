//! What systemd says of an instance's units, asked on the system's bus.
//!
//! Reads properties only; starts, stops and changes nothing, so that anybody may ask.

use systemd::bus::Bus;
use systemd::bus::types::{FromSdBusMessage, SdBusType, Variant};

use crate::error::CliError;

/// The sockets of each instance, without `@NAME.socket`.
pub(crate) const SOCKETS: [&str; 6] =
    ["merlon-api", "merlon-proxy", "merlon-link-keeper", "merlon-link-dialer", "merlon-admin", "merlon-seal"];
/// There if and only if systemd runs this machine.
const RUNS: &str = "/run/systemd/system";
/// How long the manager may take for an answer, in microseconds.
const ANSWER_LIMIT: u64 = 10_000_000;

const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const SOCKET: &str = "org.freedesktop.systemd1.Socket";

/// A connection to the service manager.
pub(crate) struct Units {
    bus: Bus,
}

/// How one unit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// `loaded`, or `not-found` where the package is not installed.
    pub(crate) load: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub(crate) active: String,
    /// In more detail: `running`, `dead`, `auto-restart`, ...
    pub(crate) sub: String,
    /// `enabled`, `disabled`, `static`, ...
    pub(crate) file: String,
    /// The files on disk are newer than what the manager has read.
    pub(crate) needs_reload: bool,
}

impl State {
    /// Neither at work nor about to be.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }
}

/// Is this machine run by systemd? In a container or chroot it may not be.
pub(crate) fn systemd_runs() -> bool {
    std::path::Path::new(RUNS).is_dir()
}

impl Units {
    /// # Errors
    /// systemd does not run here, or its bus cannot be reached.
    pub(crate) fn connect() -> Result<Self, CliError> {
        let unknown = || CliError::failed("systemd cannot be asked how the units are");
        if !systemd_runs() {
            return Err(unknown().because("it does not run on this machine"));
        }
        let bus = Bus::open_system().map_err(|e| {
            unknown()
                .because(format!("the system's bus cannot be reached: {e}"))
                .hint("install the package dbus, or ask: systemctl status 'merlon*'")
        })?;
        Ok(Self { bus })
    }

    /// # Errors
    /// The manager did not answer.
    pub(crate) fn state(&mut self, unit: &str) -> Result<State, CliError> {
        Ok(State {
            load: self.property(unit, UNIT, "LoadState")?,
            active: self.property(unit, UNIT, "ActiveState")?,
            sub: self.property(unit, UNIT, "SubState")?,
            file: self.property(unit, UNIT, "UnitFileState")?,
            needs_reload: self.property(unit, UNIT, "NeedDaemonReload")?,
        })
    }

    /// What a service says of itself; empty if nothing.
    ///
    /// # Errors
    /// The manager did not answer.
    pub(crate) fn status_text(&mut self, service: &str) -> Result<String, CliError> {
        self.property(service, SERVICE, "StatusText")
    }

    /// The service's process; 0 if there is none.
    ///
    /// # Errors
    /// The manager did not answer.
    pub(crate) fn main_pid(&mut self, service: &str) -> Result<u32, CliError> {
        self.property(service, SERVICE, "MainPID")
    }

    /// Addresses of a socket unit, as `ADDR:PORT` or paths.
    ///
    /// # Errors
    /// The manager did not answer.
    pub(crate) fn listens(&mut self, socket: &str) -> Result<Vec<String>, CliError> {
        let listens: Vec<(String, String)> = self.property(socket, SOCKET, "Listen")?;
        Ok(listens.into_iter().map(|(_, address)| address).collect())
    }

    fn property<T>(&mut self, unit: &str, interface: &str, name: &str) -> Result<T, CliError>
    where
        T: SdBusType + for<'a> FromSdBusMessage<'a>,
    {
        let mut asked = || -> Result<Option<T>, String> {
            let mut question = self
                .bus
                .new_method_call(
                    "org.freedesktop.systemd1",
                    object_path(unit).as_str(),
                    "org.freedesktop.DBus.Properties",
                    "Get",
                )
                .map_err(|e| e.to_string())?;
            question.append(interface).map_err(|e| e.to_string())?;
            question.append(name).map_err(|e| e.to_string())?;
            let mut answer = question.call(ANSWER_LIMIT).map_err(|e| e.to_string())?;
            let mut values = answer.iter().map_err(|e| e.to_string())?;
            Ok(values.next::<Variant<T>>().map_err(|e| e.to_string())?.map(|value| value.0))
        };
        let failed = || CliError::failed(format!("systemd does not say how {unit} is"));
        asked().map_err(|e| failed().because(e))?.ok_or_else(|| failed().because(format!("its answer has no {name}")))
    }
}

/// The unit's object on the bus: what is neither letter nor digit becomes `_` and two hexadecimal digits.
fn object_path(unit: &str) -> String {
    let escaped = unit.bytes().map(|byte| match byte {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("_{b:02x}"),
    });
    format!("/org/freedesktop/systemd1/unit/{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_by_its_escaped_name() {
        let expected = "/org/freedesktop/systemd1/unit/merlon_2dkeeper_40a_5f1_2eservice";
        assert_eq!(object_path("merlon-keeper@a_1.service"), expected);
    }
}
