//! What the engine may ask. The engine is assumed hostile: every handler checks what it is given, and none returns the
//! master key or the CA key or signs bytes that the engine chose.

use merlon_wire::admin::MAX_LABEL;
use merlon_wire::keeper::{MAX_PROJECT_NAME, Refusal, Rekey, Request, Response};

use super::Violation;
use super::reply::Reply;
use crate::ca::{Host, LeafError};
use crate::keeper::{Keeper, Open, unpoisoned};
use crate::log;
use crate::secrets_db::{SecretsError, Waiting};

pub(super) type Answered = Result<(), Violation>;

/// The name of a request in the table.
pub(super) fn name(request: &Request<'_>) -> &'static str {
    match request {
        Request::Status => "Status",
        Request::CaCertificate => "CaCertificate",
        Request::IssueLeaf { .. } => "IssueLeaf",
        Request::IssueApiLeaf { .. } => "IssueApiLeaf",
        Request::ListProjects => "ListProjects",
        Request::CreateProject { .. } => "CreateProject",
        Request::ProjectKey { .. } => "ProjectKey",
        Request::DeleteProject { .. } => "DeleteProject",
        Request::NextRekey { .. } => "NextRekey",
        Request::Rekeyed { .. } => "Rekeyed",
        Request::VerifyProxyUser { .. } => "VerifyProxyUser",
        Request::VerifyToken { .. } => "VerifyToken",
        Request::Override { .. } => "Override",
        Request::Identity => "Identity",
        Request::SignAssertion => "SignAssertion",
        Request::SignProof { .. } => "SignProof",
        Request::StoreRegistration(_) => "StoreRegistration",
        Request::Credential(_) => "Credential",
        Request::StoreAccessToken { .. } => "StoreAccessToken",
        Request::CheckClaimCode { .. } => "CheckClaimCode",
        Request::Claim { .. } => "Claim",
        Request::ResetIdentity => "ResetIdentity",
        Request::BeginSession(_) => "BeginSession",
        Request::RefreshSession { .. } => "RefreshSession",
        Request::CheckSession(_) => "CheckSession",
        Request::ListSessions { .. } => "ListSessions",
        Request::EndSession(_) => "EndSession",
        Request::SignAccessTokens(_) => "SignAccessTokens",
        Request::SigningKeys => "SigningKeys",
        Request::RotateSigningKeys => "RotateSigningKeys",
    }
}

pub(super) fn status(keeper: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    reply.link(&Response::Status(keeper.status()))
}

/// The event itself is made where all are: in [`super::events`].
pub(super) fn bind_override(_: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    reply.link(&Response::Done)
}

pub(super) fn ca_certificate(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Some(ca) = &open.ca else { return Err(Violation::NotPermitted("the CA of a hub")) };
    reply.link(&Response::CaCertificate(ca.certificate()))
}

pub(super) fn issue_leaf(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::IssueLeaf { host, public_key } = request else { return misrouted(request) };
    match Host::parse(host) {
        Ok(host) => issue(open, &[host], public_key, reply),
        Err(why) => refuse(Refusal::BadHost(why.to_owned()), reply),
    }
}

pub(super) fn issue_api_leaf(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::IssueApiLeaf { public_key } = request else { return misrouted(request) };
    let mut hosts = Host::loopback();
    hosts.extend(keeper.host_name().cloned().filter(|host| !hosts.contains(host)));
    issue(open, &hosts, public_key, reply)
}

fn issue(open: &Open, hosts: &[Host], public_key: &[u8], reply: &mut Reply<'_>) -> Answered {
    let Some(ca) = &open.ca else { return Err(Violation::NotPermitted("a leaf of a hub")) };
    match ca.issue(hosts, public_key) {
        Ok(leaf) => reply.link(&Response::Leaf(&leaf)),
        Err(LeafError::BadPublicKey) => refuse(Refusal::BadPublicKey, reply),
        Err(LeafError::Ca(error)) => {
            log::error(format_args!("a leaf was not issued: {error}"));
            refuse(Refusal::Storage(error.to_string()), reply)
        }
    }
}

pub(super) fn list_projects(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    match open.db().projects() {
        Ok(projects) => reply.link(&Response::Projects(projects)),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn create_project(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::CreateProject { name } = request else { return misrouted(request) };
    if let Err(why) = check_project_name(name) {
        return refuse(Refusal::BadProjectName(why.to_owned()), reply);
    }
    let created = open.db().create_project(name);
    match created {
        Ok(project) => reply.link(&Response::Project(project)),
        Err(SecretsError::Taken) => refuse(Refusal::BadProjectName("it is taken".to_owned()), reply),
        Err(SecretsError::TooMany) => refuse(Refusal::TooManyProjects, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn project_key(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::ProjectKey { id } = request else { return misrouted(request) };
    let key = open.db().project_key(*id);
    match key {
        Ok(Some(key)) => reply.link(&Response::ProjectKey(key.expose())),
        Ok(None) => refuse(Refusal::NoSuchProject, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn delete_project(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::DeleteProject { id } = request else { return misrouted(request) };
    let deleted = open.db().delete_project(*id);
    match deleted {
        Ok(true) => reply.link(&Response::Done),
        Ok(false) => refuse(Refusal::NoSuchProject, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn next_rekey(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::NextRekey { after } = request else { return misrouted(request) };
    let db = open.db();
    match db.waiting().and_then(|waiting| Ok((waiting, db.next_waiting(*after)?))) {
        Ok((waiting, project)) => {
            let project = project.as_ref().map(|Waiting { id, key, next }| Rekey {
                id: *id,
                key: key.expose(),
                next: next.expose(),
            });
            reply.link(&Response::Rekey { waiting, project })
        }
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn rekeyed(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Rekeyed { id } = request else { return misrouted(request) };
    let done = open.db().rekeyed(*id);
    match done {
        Ok(true) => {
            log::info(format_args!("project {id} has its new key"));
            reply.link(&Response::Done)
        }
        Ok(false) => refuse(Refusal::NoSuchProject, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn verify_proxy_user(
    keeper: &Keeper,
    open: &Open,
    request: &Request<'_>,
    reply: &mut Reply<'_>,
) -> Answered {
    let Request::VerifyProxyUser { user, password } = request else { return misrouted(request) };
    if user.len() > MAX_LABEL {
        return reply.link(&Response::Verified(false));
    }
    let user = (*user).to_owned();
    let now = keeper.uptime.now();
    if !unpoisoned(keeper.users.lock()).permits(&user, now) {
        return refuse(Refusal::RateLimited, reply);
    }
    let verified = open.db().verify_proxy_user(&user, password);
    match verified {
        Ok(verified) => {
            if !verified {
                unpoisoned(keeper.users.lock()).failed(&user, now);
            }
            reply.link(&Response::Verified(verified))
        }
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn verify_token(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::VerifyToken { token } = request else { return misrouted(request) };
    let identity = open.db().token_identity(token);
    match identity {
        Ok(None) => {
            let mut limiter = unpoisoned(keeper.tokens.lock());
            let now = keeper.uptime.now();
            if !limiter.permits(&(), now) {
                return refuse(Refusal::RateLimited, reply);
            }
            limiter.failed(&(), now);
            reply.link(&Response::Token(None))
        }
        Ok(identity) => reply.link(&Response::Token(identity)),
        Err(error) => storage(&error, reply),
    }
}

fn check_project_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_PROJECT_NAME {
        return Err("it must have 1 to 100 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("it must not have control characters");
    }
    if name.trim() != name {
        return Err("it must not begin or end with a blank");
    }
    Ok(())
}

pub(super) fn refuse(refusal: Refusal, reply: &mut Reply<'_>) -> Answered {
    reply.link(&Response::Refused(refusal))
}

pub(super) fn storage(error: &SecretsError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("{error}"));
    refuse(Refusal::Storage(error.to_string()), reply)
}

/// The table led a request to the wrong handler: a fault of this program, and nothing is answered.
pub(super) fn misrouted(request: &Request<'_>) -> Answered {
    Err(Violation::NotPermitted(name(request)))
}
