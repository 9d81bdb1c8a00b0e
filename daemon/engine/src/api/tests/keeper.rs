//! A keeper that follows a script, behind the real protocol: its frames are the keeper's, its answers the test's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use merlon_sandbox::seqpacket;
use merlon_wire::keeper::{LockState, Project, Refusal, Rekey, Request, Response, Status, TokenIdentity};
use merlon_wire::link::AsyncLink;
use merlon_wire::parent::ToChild;
use merlon_wire::{Frame, Hello, MAX_FRAME, Role, SandboxReport, VERSION};

use crate::links::{LinkSource, Links, links};

/// What the keeper would say.
pub(super) struct Script {
    pub(super) state: LockState,
    pub(super) rate_limited: bool,
    /// Token and role.
    pub(super) tokens: BTreeMap<Vec<u8>, String>,
    pub(super) projects: Vec<Project>,
    /// Projects that wait for another key: it was 7, 7, … and is to be 8, 8, …
    pub(super) waiting: Vec<u64>,
    /// Those that have it.
    pub(super) rekeyed: Vec<u64>,
    /// Requests seen, by name.
    pub(super) verified: usize,
}

/// Handle of a running fake.
pub(super) struct FakeKeeper {
    script: Arc<Mutex<Script>>,
    parent: OwnedFd,
    link: Mutex<Option<OwnedFd>>,
}

impl FakeKeeper {
    pub(super) async fn start() -> (Self, Links) {
        let tokens = [("viewer", "viewer"), ("operator", "operator"), ("owner", "owner"), ("odd", "emperor")];
        let script = Script {
            state: LockState::Unlocked,
            rate_limited: false,
            tokens: tokens.map(|(token, role)| (token.as_bytes().to_vec(), role.to_owned())).into(),
            projects: vec![Project { id: 1, name: "p1".into(), created_us: 0 }],
            waiting: Vec::new(),
            rekeyed: Vec::new(),
            verified: 0,
        };
        let (parent, child) = seqpacket::pair().unwrap();
        let (links, keeping) = links(Duration::from_secs(1));
        tokio::spawn(keeping.run(LinkSource::parent(child).unwrap()));
        let fake = Self { script: Arc::new(Mutex::new(script)), parent, link: Mutex::default() };
        fake.connect();
        links.keeper().await.unwrap();
        (fake, links)
    }

    pub(super) fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// A new link, as after a restart.
    pub(super) fn connect(&self) {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let mut buffer = [0; 64];
        let used = merlon_wire::encode(&ToChild::Link { peer: Role::Keeper }, &mut buffer).unwrap();
        seqpacket::send(&self.parent, &buffer[..used], Some(theirs.as_fd())).unwrap();
        let hello = Hello { role: Role::Keeper, version: VERSION, pid: 77, sandbox: SandboxReport::default() };
        let mut buffer = [0; 1024];
        let used = merlon_wire::encode(&hello, &mut buffer).unwrap();
        seqpacket::send(&ours, &buffer[..used], None).unwrap();
        *self.link.lock().unwrap() = Some(ours.try_clone().unwrap());
        let script = Arc::clone(&self.script);
        std::thread::spawn(move || run(&ours, &script));
    }

    /// Dies, as by a signal.
    pub(super) async fn die(&self, links: &Links) {
        let link = AsyncLink::new(self.link.lock().unwrap().take().unwrap()).unwrap();
        link.hang_up();
        while links.peers()[0].1.is_some() {
            tokio::task::yield_now().await;
        }
    }
}

fn run(link: &OwnedFd, script: &Mutex<Script>) {
    let mut buffer = vec![0; MAX_FRAME];
    loop {
        seqpacket::set_nonblocking(link, false).unwrap();
        let Ok(received) = seqpacket::recv(link, &mut buffer) else {
            continue;
        };
        if received.len == 0 {
            return;
        }
        let Frame { id, body } = merlon_wire::decode::<Frame<Request<'_>>>(&buffer[..received.len]).unwrap();
        let answer = answer(&mut script.lock().unwrap(), body);
        let mut out = vec![0; MAX_FRAME];
        let used = merlon_wire::encode(&Frame { id, body: answer }, &mut out).unwrap();
        if seqpacket::send(link, &out[..used], None).is_err() {
            return;
        }
    }
}

fn answer(script: &mut Script, request: Request<'_>) -> Response<'static> {
    let open = script.state == LockState::Unlocked;
    if !open && request != Request::Status {
        return Response::Refused(Refusal::Locked);
    }
    match request {
        Request::Status => Response::Status(Status {
            state: script.state,
            opened_by: open.then(|| "file".to_owned()),
            slots: vec!["file".into()],
            recovery_confirmed: false,
            secret_memory: "locked".into(),
            warnings: vec!["A copy of the keyslots was damaged and mended.".into()],
            last_project: None,
            instance: "00".repeat(16),
        }),
        Request::CaCertificate => Response::CaCertificate(&[0x30; 100]),
        Request::ListProjects => Response::Projects(script.projects.clone()),
        Request::CreateProject { name } if script.projects.iter().any(|project| project.name == name) => {
            Response::Refused(Refusal::BadProjectName("the name is taken".into()))
        }
        Request::CreateProject { name } => {
            let id = script.projects.iter().map(|project| project.id).max().unwrap_or(0) + 1;
            let project = Project { id, name: name.into(), created_us: 5 };
            script.projects.push(project.clone());
            Response::Project(project)
        }
        Request::ProjectKey { id } if script.rekeyed.contains(&id) => Response::ProjectKey(&[8; 32]),
        Request::ProjectKey { .. } => Response::ProjectKey(&[7; 32]),
        Request::DeleteProject { id } if script.projects.iter().any(|project| project.id == id) => {
            script.projects.retain(|project| project.id != id);
            Response::Done
        }
        Request::DeleteProject { .. } => Response::Refused(Refusal::NoSuchProject),
        Request::NextRekey { after } => {
            let next = script.waiting.iter().find(|id| **id > after);
            let project = next.map(|id| Rekey { id: *id, key: &[7; 32], next: &[8; 32] });
            Response::Rekey { waiting: u32::try_from(script.waiting.len()).unwrap(), project }
        }
        Request::Rekeyed { id } => {
            script.waiting.retain(|waiting| *waiting != id);
            script.rekeyed.push(id);
            Response::Done
        }
        Request::Override { .. } => Response::Done,
        Request::VerifyToken { token } => {
            script.verified += 1;
            if script.rate_limited {
                return Response::Refused(Refusal::RateLimited);
            }
            let role = script.tokens.get(token);
            Response::Token(role.map(|role| TokenIdentity {
                id: "t1".into(),
                role: role.clone(),
                label: "laptop".into(),
            }))
        }
        Request::IssueLeaf { .. } | Request::IssueApiLeaf { .. } | Request::VerifyProxyUser { .. } => {
            Response::Refused(Refusal::Storage("as a test".into()))
        }
        _ => Response::Refused(Refusal::NotRegistered),
    }
}
