//! How the instance is: what it holds, where it listens, what is enforced on its processes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IdentityState;

/// What anybody may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `merlon`.
    pub name: String,
    /// The version of the engine.
    pub version: String,
    /// The instance is unlocked and records into an open project. False until `merlon unlock` has opened a locked one.
    pub ready: bool,
}

/// The whole state of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// `merlon`.
    pub name: String,
    /// The version of the engine.
    pub version: String,
    /// 16 random bytes in hex that name the instance for ever; none while the keeper is away.
    pub instance: Option<String>,
    /// As in [`Health`].
    pub ready: bool,
    /// No keyslot has opened: `merlon unlock` is waited for.
    pub locked: bool,
    /// How the keys are held; none while the keeper is away.
    pub keys: Option<Keys>,
    /// What needs the operator's attention; whole sentences.
    pub warnings: Vec<String>,
    /// The open project.
    pub project: Option<OpenProject>,
    /// What the recorder has done since the start.
    pub recorder: Recorder,
    /// Every listener of proxy and API.
    pub listeners: Vec<Listener>,
    /// The processes of the instance.
    pub processes: Vec<Process>,
    /// How far the instance is with its authorization server; none while it is locked.
    #[serde(default)]
    pub identity: Option<IdentityStatus>,
}

/// How far the instance is with its authorization server, for those who are signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityStatus {
    /// How far it is.
    pub state: IdentityState,
    /// The authorization server; null for `local`.
    pub issuer: Option<String>,
    /// The client that is registered there.
    pub client_id: Option<String>,
    /// The account that owns the instance: its name, or where there is none its subject.
    pub owner: Option<String>,
    /// Why signing in does not work at present, and what to do; null if it does.
    pub problem: Option<String>,
}

/// The project into which flows are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenProject {
    /// As in a list of projects.
    pub id: u64,
    /// As the user named it.
    pub name: String,
}

/// How the keys are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keys {
    /// The kind of the keyslot that opened the instance.
    pub opened_by: Option<String>,
    /// The kinds of all keyslots, in the order in which they are tried.
    pub keyslots: Vec<String>,
    /// A recovery key was typed back.
    pub recovery_confirmed: bool,
    /// Where the keeper holds keys: `memfd_secret` or `locked`.
    pub secret_memory: String,
}

/// How [`Recorder::last_error`] begins once the failure is over.
pub const RECOVERED: &str = "recording works again";

/// What the recorder has done since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorder {
    /// Flows committed.
    pub recorded: u64,
    /// Flows that passed and were not recorded.
    pub unrecorded: u64,
    /// Bodies of which not every byte was kept.
    pub truncated_bodies: u64,
    /// Bytes that wait for their commit.
    pub waiting_bytes: u64,
    /// The last failure to record, if there was one.
    pub last_error: Option<String>,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The intercepting proxy.
    Proxy,
    /// This API.
    Api,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// Whoever the mode of the socket lets in.
    Unix,
    /// This host.
    Loopback,
    /// Whoever can reach the address.
    Public,
}

/// What a listener asks of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Nothing.
    None,
    /// The mode of the socket decides.
    Socket,
    /// User name and password (RFC 7617).
    Basic,
    /// An access token (RFC 6750).
    Bearer,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// What it serves.
    pub service: Service,
    /// `ADDRESS:PORT` or `unix:/path`, of the socket that exists.
    pub address: String,
    /// Who can reach it.
    pub exposure: Exposure,
    /// It speaks TLS.
    pub tls: bool,
    /// What it asks of those who come.
    pub authentication: Authentication,
}

/// A process of the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// `merlond`, `merlon-keeper` or `merlon-dialer`.
    pub name: String,
    /// The engine has a link to it. Of the engine itself always true.
    pub connected: bool,
    /// Its process id, if it was ever connected.
    pub pid: Option<u32>,
    /// What is enforced on it, as it measured itself at its start.
    pub sandbox: Option<Sandbox>,
}

/// What is enforced on a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sandbox {
    /// Landlock ABI of the kernel; 0 where there is none.
    pub landlock_abi: u32,
    /// `full`, `partial` or `none`.
    pub landlock: String,
    /// Rules that the profile asks for and this kernel lacks.
    pub missing: Vec<String>,
    /// A seccomp filter is loaded.
    pub seccomp: bool,
    /// The process and its children can gain no privileges.
    pub no_new_privs: bool,
    /// The process leaves no core dump and cannot be read by others of its user.
    pub core_dumps_off: bool,
    /// Where it holds keys: `memfd_secret` or `locked`.
    pub secret_memory: String,
}
