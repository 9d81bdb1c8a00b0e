//! The environment variables that `merlon` reads, all of them, once. No other module asks the environment.
//!
//! None of them holds a secret: a token comes from the file that `MERLON_TOKEN_FILE` names.

use std::ffi::OsString;
use std::path::PathBuf;

/// The variables, for `merlon help environment`.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("MERLON_INSTANCE", "name of the instance, as --instance"),
    ("MERLON_DATA_DIR", "directory of the instance, as --data-dir"),
    ("MERLON_URL", "address of a remote instance, as --url"),
    ("MERLON_TOKEN_FILE", "file with the access token for --url, as --token-file"),
    ("MERLON_CA_FILE", "file with trusted roots for --url, as --ca-file"),
    (
        "MERLON_SECTION_KEY",
        "one key of the configuration, for example MERLON_PROXY_LISTEN; see `merlon config show --origin`",
    ),
    ("XDG_DATA_HOME", "where the instances of a user are; default ~/.local/share"),
    ("XDG_CONFIG_HOME", "where `merlon instance add` and `use` write, in merlon/instances.toml; default ~/.config"),
    ("XDG_STATE_HOME", "where sessions are kept if no keyring is there, in merlon/sessions; default ~/.local/state"),
    ("DBUS_SESSION_BUS_ADDRESS", "if set, and secret-tool is installed, sessions are kept in the keyring"),
    ("DISPLAY, WAYLAND_DISPLAY", "if one is set, `merlon login` offers to open the browser"),
    ("NO_COLOR", "no colours, if set and not empty"),
    ("CLICOLOR_FORCE", "colours even where the output is no terminal, if set and not 0"),
];

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    pub(crate) instance: Option<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) url: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) data_home: Option<PathBuf>,
    pub(crate) config_home: Option<PathBuf>,
    pub(crate) state_home: Option<PathBuf>,
    /// There is a session bus, on which a keyring may answer.
    pub(crate) session_bus: bool,
    /// There is a screen on which a browser can show something.
    pub(crate) screen: bool,
    pub(crate) no_color: bool,
    pub(crate) clicolor_force: bool,
    pub(crate) dumb_terminal: bool,
    /// All variables `MERLON_*` that are text, for the layers of the configuration.
    pub(crate) merlon: Vec<(String, String)>,
}

impl Env {
    pub(crate) fn read() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(PathBuf::from);
        let below_home = |name: &str, default: &str| {
            let home = || path("HOME").map(|home| home.join(default));
            path(name).filter(|path| path.is_absolute()).or_else(home)
        };
        let mut merlon: Vec<_> = std::env::vars_os().filter_map(merlon_variable).collect();
        merlon.sort();
        Self {
            instance: text("MERLON_INSTANCE"),
            data_dir: path("MERLON_DATA_DIR"),
            url: text("MERLON_URL"),
            token_file: path("MERLON_TOKEN_FILE"),
            ca_file: path("MERLON_CA_FILE"),
            data_home: below_home("XDG_DATA_HOME", ".local/share"),
            config_home: below_home("XDG_CONFIG_HOME", ".config"),
            state_home: below_home("XDG_STATE_HOME", ".local/state"),
            session_bus: set("DBUS_SESSION_BUS_ADDRESS").is_some(),
            screen: set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY")).is_some(),
            no_color: set("NO_COLOR").is_some(),
            clicolor_force: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb_terminal: set("TERM").is_some_and(|value| value == "dumb"),
            merlon,
        }
    }
}

fn merlon_variable((name, value): (OsString, OsString)) -> Option<(String, String)> {
    let name = name.into_string().ok().filter(|name| name.starts_with("MERLON_"))?;
    Some((name, value.into_string().ok()?))
}
