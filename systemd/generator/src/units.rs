//! Drop-ins as text, for instances and for the hub alike. No IO.
//!
//! Owned here: how an address and a time are written for systemd, and that a unit gets all of its addresses or none.

use std::fmt::Write as _;
use std::net::SocketAddr;

use merlon_config::{Config, ConfigError, Layer, Layers};

/// A file below the directory that systemd gives to generators.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DropIn {
    /// `UNIT.d/NAME.conf`
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

/// What one configuration makes of its units.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Units {
    /// To be written.
    pub(crate) drop_ins: Vec<DropIn>,
    /// What is not written, and why: one message each.
    pub(crate) refused: Vec<String>,
}

/// How long a stop may take besides `limits.drain_seconds`: links, threads and the store are closed.
const STOP_MARGIN_SECONDS: u32 = 20;

/// What a file says, with the defaults.
pub(crate) fn configuration(file: &str, text: &str) -> Result<Config, ConfigError> {
    let mut layers = Layers::default();
    layers.push(Layer::file(file, text)?);
    Ok(layers.resolve()?.config)
}

impl Units {
    /// The addresses of the socket unit `unit` of `who`, which `key` of `file` has: all of them or, if one is refused,
    /// none.
    pub(crate) fn listen(
        &mut self,
        unit: &str,
        who: &str,
        file: &str,
        key: &str,
        streams: Result<Vec<String>, String>,
    ) {
        let streams = match streams {
            Ok(streams) if streams.is_empty() => return,
            Ok(streams) => streams,
            Err(why) => {
                self.refused.push(format!("{file}: {key}: {why}\n{who} gets no address of {key}"));
                return;
            }
        };
        let mut text = format!("# {key} of {file}.\n[Socket]\n");
        for stream in streams {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "ListenStream={stream}");
        }
        self.drop_ins.push(DropIn { path: format!("{unit}.socket.d/50-listen.conf"), text });
    }

    /// How long a stop of the service unit `unit` may take.
    pub(crate) fn stop(&mut self, unit: &str, file: &str, config: &Config) {
        let seconds = config.limits.drain_seconds.saturating_add(STOP_MARGIN_SECONDS);
        self.drop_ins.push(DropIn {
            path: format!("{unit}.service.d/50-stop.conf"),
            text: format!(
                "# limits.drain_seconds of {file}, and {STOP_MARGIN_SECONDS} seconds to close the store.\n[Service]\nTimeoutStopSec={seconds}s\n"
            ),
        });
    }
}

/// A TCP address as `ListenStream=` takes it. `by_hand` is the command that could have chosen a port itself.
pub(crate) fn tcp(address: SocketAddr, by_hand: &str) -> Result<String, String> {
    match address {
        _ if address.port() == 0 => Err(format!(
            "{address} has no port of its own; `port 0` is for `{by_hand}`, systemd needs to know the port: write one"
        )),
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Ok(format!("[{}]:{}%%{}", v6.ip(), v6.port(), v6.scope_id())),
        _ => Ok(address.to_string()),
    }
}
