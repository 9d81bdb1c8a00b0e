//! From what the engine knows to what the API says. Domain types are not `Serialize`; this is where they get a shape.

use data_encoding::BASE64;
use merlon_api::status::IdentityStatus;
use merlon_api::{Flow, FlowDetail, Message, ProblemCode, Process, Project, Recorder, Sandbox, Timestamp, Tls};
use merlon_wire::{Hello, SandboxReport};

use super::Refused;
use crate::flow::TlsFacts;
use crate::identity::Snapshot;
use crate::store::{Detail, Stats, StoreError, Summary};

pub(super) fn flow(summary: &Summary) -> Flow {
    Flow {
        id: summary.id.0,
        time: Timestamp(summary.time_us),
        method: summary.method.to_string(),
        scheme: summary.scheme.as_str().to_owned(),
        host: summary.host.to_string(),
        port: summary.port,
        path: summary.path.to_string(),
        status: summary.status,
        request_bytes: summary.request_bytes,
        response_bytes: summary.response_bytes,
        duration_us: summary.duration_us,
        error: summary.error.as_deref().map(str::to_owned),
    }
}

pub(super) fn detail(detail: &Detail) -> FlowDetail {
    let Detail { summary, facts, .. } = detail;
    let response = Message {
        body_bytes: summary.response_bytes,
        body_stored: detail.response_body_stored,
        ..message(&detail.response_head)
    };
    FlowDetail {
        flow: flow(summary),
        request: Message {
            body_bytes: summary.request_bytes,
            body_stored: detail.request_body_stored,
            ..message(&detail.request_head)
        },
        response: (!detail.response_head.is_empty()).then_some(response),
        client_address: detail.client.map(|address| address.to_string()),
        server_address: facts.server.map(|address| address.to_string()),
        client_tls: facts.client_tls.as_ref().map(tls),
        server_tls: facts.server_tls.as_ref().map(tls),
        server_certificate_sha256: facts.server_certificate_sha256.as_deref().map(str::to_owned),
        first_byte_us: facts.first_byte_us,
        connection_reused: facts.connection_reused,
    }
}

fn message(head: &[u8]) -> Message {
    Message {
        head: String::from_utf8_lossy(head).into_owned(),
        head_base64: BASE64.encode(head),
        body_bytes: 0,
        body_stored: 0,
    }
}

fn tls(facts: &TlsFacts) -> Tls {
    Tls {
        version: facts.version.to_string(),
        cipher: facts.cipher.to_string(),
        server_name: facts.server_name.as_deref().map(str::to_owned),
        alpn: facts.alpn.as_deref().map(str::to_owned),
    }
}

pub(super) fn project(project: &merlon_wire::keeper::Project, open: Option<u64>) -> Project {
    Project {
        id: project.id,
        name: project.name.clone(),
        created: Timestamp(project.created_us),
        open: open == Some(project.id),
    }
}

pub(super) fn recorder(stats: &Stats) -> Recorder {
    Recorder {
        recorded: stats.recorded,
        unrecorded: stats.unrecorded,
        truncated_bodies: stats.truncated_bodies,
        waiting_bytes: stats.waiting_bytes,
        last_error: stats.last_error.as_deref().map(str::to_owned),
    }
}

/// How far the instance is with its authorization server.
pub(super) fn identity(snapshot: &Snapshot) -> IdentityStatus {
    let owner = snapshot.owner.as_ref();
    IdentityStatus {
        state: snapshot.state,
        issuer: snapshot.issuer.clone(),
        client_id: snapshot.client.as_ref().map(|client| client.client_id.clone()),
        owner: owner.map(|owner| if owner.name.is_empty() { &owner.subject } else { &owner.name }.clone()),
        problem: snapshot.problem.clone(),
    }
}

pub(super) fn peer(name: &str, hello: Option<Hello>) -> Process {
    Process {
        name: name.to_owned(),
        connected: hello.is_some(),
        pid: hello.as_ref().map(|hello| hello.pid),
        sandbox: hello.as_ref().map(|hello| sandbox(&hello.sandbox)),
    }
}

pub(super) fn sandbox(report: &SandboxReport) -> Sandbox {
    Sandbox {
        landlock_abi: report.landlock_abi,
        landlock: report.landlock.clone(),
        missing: report.missing.clone(),
        seccomp: report.seccomp,
        no_new_privs: report.no_new_privs,
        core_dumps_off: report.core_dumps_off,
        secret_memory: report.secret_memory.clone(),
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoProject | StoreError::Closing => ProblemCode::NoProjectOpen,
            StoreError::BackupBusy(_) => ProblemCode::Busy,
            StoreError::StillOpen(_) => ProblemCode::ProjectIsOpen,
            StoreError::TooLong { .. } => ProblemCode::QueryTooLong,
            StoreError::Unusable { .. }
            | StoreError::OtherProject { .. }
            | StoreError::Read(_)
            | StoreError::DamagedFlow(_)
            | StoreError::NotRekeyed
            | StoreError::Memory(_)
            | StoreError::Files { .. }
            | StoreError::Thread(_) => ProblemCode::StorageFailed,
        };
        Self::new(code, error.to_string())
    }
}
