//! The table. Reading it is reading what the keeper does.

use merlon_wire::{admin as admin_wire, keeper as link_wire};

use super::reply::Reply;
use super::{Socket, Violation, admin, backup, evidence, hub, identity, link, rotate, sealed, sessions};
use crate::keeper::{Keeper, Open};
use crate::slots::Serving;

/// How often one connection may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// No limit.
    Many,
    /// A row asked more often drops the peer.
    AtMost(u32),
}

/// Socket, state and handler of a row. Requests that need an unlocked keeper get its keys handed in; the others cannot
/// reach them by mistake.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// On the link, locked or not.
    Link(fn(&Keeper, &link_wire::Request<'_>, &mut Reply<'_>) -> Result<(), Violation>),
    /// On the link, unlocked.
    LinkUnlocked(fn(&Keeper, &Open, &link_wire::Request<'_>, &mut Reply<'_>) -> Result<(), Violation>),
    /// On the admin socket, locked or not.
    Admin(fn(&Keeper, &admin_wire::Request<'_>, &mut Reply<'_>) -> Result<(), Violation>),
    /// On the admin socket, unlocked.
    AdminUnlocked(fn(&Keeper, &Open, &admin_wire::Request<'_>, &mut Reply<'_>) -> Result<(), Violation>),
    /// The same, while no other request of any socket is under way.
    AdminAlone(fn(&Keeper, &Open, &admin_wire::Request<'_>, &mut Reply<'_>) -> Result<(), Violation>),
}

impl Run {
    pub(super) fn socket(&self) -> Socket {
        match self {
            Self::Link(_) | Self::LinkUnlocked(_) => Socket::Link,
            Self::Admin(_) | Self::AdminUnlocked(_) | Self::AdminAlone(_) => Socket::Admin,
        }
    }
}

/// Whose keeper serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// An instance's.
    Instance,
    /// A hub's (`--hub`).
    Hub,
    /// Either.
    Both,
}

impl Of {
    pub(super) fn includes(self, serving: Serving) -> bool {
        match self {
            Self::Instance => serving == Serving::Instance,
            Self::Hub => serving == Serving::Hub,
            Self::Both => true,
        }
    }
}

/// One request.
pub(super) struct Row {
    /// As in the protocol.
    pub(super) request: &'static str,
    pub(super) of: Of,
    pub(super) times: Times,
    pub(super) run: Run,
}

const fn row(request: &'static str, of: Of, times: Times, run: Run) -> Row {
    Row { request, of, times, run }
}

use Of::{Both, Hub, Instance};
use Run::{Admin, AdminAlone, AdminUnlocked, Link, LinkUnlocked};
use Times::{AtMost, Many};

/// All of it.
#[rustfmt::skip]
pub(super) const TABLE: [Row; 56] = [
    //  request               keeper of  times       socket, state, handler
    row("Status",             Both,      Many,       Link(link::status)),
    row("CaCertificate",      Instance,  Many,       LinkUnlocked(link::ca_certificate)),
    row("IssueLeaf",          Instance,  Many,       LinkUnlocked(link::issue_leaf)),
    row("IssueApiLeaf",       Instance,  AtMost(16), LinkUnlocked(link::issue_api_leaf)),
    row("ListProjects",       Both,      Many,       LinkUnlocked(link::list_projects)),
    row("CreateProject",      Both,      Many,       LinkUnlocked(link::create_project)),
    row("ProjectKey",         Both,      Many,       LinkUnlocked(link::project_key)),
    row("DeleteProject",      Instance,  Many,       LinkUnlocked(link::delete_project)),
    row("NextRekey",          Both,      Many,       LinkUnlocked(link::next_rekey)),
    row("Rekeyed",            Both,      Many,       LinkUnlocked(link::rekeyed)),
    row("VerifyProxyUser",    Instance,  Many,       LinkUnlocked(link::verify_proxy_user)),
    row("VerifyToken",        Instance,  Many,       LinkUnlocked(link::verify_token)),
    row("Override",           Instance,  AtMost(16), Link(link::bind_override)),
    row("Identity",           Instance,  Many,       LinkUnlocked(identity::identity)),
    row("SignAssertion",      Instance,  Many,       LinkUnlocked(identity::sign_assertion)),
    row("SignProof",          Instance,  Many,       LinkUnlocked(identity::sign_proof)),
    row("StoreRegistration",  Instance,  Many,       LinkUnlocked(identity::store_registration)),
    row("Credential",         Instance,  Many,       LinkUnlocked(identity::credential)),
    row("StoreAccessToken",   Instance,  Many,       LinkUnlocked(identity::store_access_token)),
    row("CheckClaimCode",     Instance,  Many,       LinkUnlocked(identity::check_claim_code)),
    row("Claim",              Instance,  Many,       LinkUnlocked(identity::claim)),
    row("ResetIdentity",      Instance,  AtMost(16), LinkUnlocked(identity::reset)),
    row("BeginSession",       Instance,  Many,       LinkUnlocked(sessions::begin)),
    row("RefreshSession",     Instance,  Many,       LinkUnlocked(sessions::refresh)),
    row("CheckSession",       Instance,  Many,       LinkUnlocked(sessions::check)),
    row("ListSessions",       Instance,  Many,       LinkUnlocked(sessions::list)),
    row("EndSession",         Instance,  Many,       LinkUnlocked(sessions::end)),
    row("SignAccessTokens",   Hub,       Many,       LinkUnlocked(hub::sign_access_tokens)),
    row("SigningKeys",        Hub,       Many,       LinkUnlocked(hub::signing_keys)),
    row("RotateSigningKeys",  Hub,       AtMost(16), LinkUnlocked(hub::rotate_signing_keys)),

    row("Status",             Both,      Many,       Admin(admin::status)),
    row("ListKeyslots",       Both,      Many,       Admin(admin::list_keyslots)),
    row("Unlock",             Both,      AtMost(16), Admin(admin::unlock)),
    row("AddKeyslot",         Both,      Many,       AdminUnlocked(admin::add_keyslot)),
    row("ConfirmRecovery",    Both,      AtMost(16), AdminUnlocked(admin::confirm_recovery)),
    row("RemoveKeyslot",      Both,      Many,       AdminUnlocked(admin::remove_keyslot)),
    row("TestKeyslot",        Both,      AtMost(16), AdminUnlocked(admin::test_keyslot)),
    row("Reseal",             Both,      AtMost(16), AdminUnlocked(sealed::reseal)),
    row("Policy",             Both,      AtMost(16), Admin(sealed::policy)),
    row("Authorize",          Both,      AtMost(16), Admin(sealed::authorize)),
    row("KeyReport",          Both,      AtMost(16), Admin(sealed::key_report)),
    row("PlanRotation",       Both,      AtMost(16), AdminUnlocked(rotate::plan)),
    row("Rotate",             Both,      AtMost(16), AdminAlone(rotate::rotate)),
    row("CreateToken",        Instance,  Many,       AdminUnlocked(admin::create_token)),
    row("ListTokens",         Instance,  Many,       AdminUnlocked(admin::list_tokens)),
    row("RevokeToken",        Instance,  Many,       AdminUnlocked(admin::revoke_token)),
    row("CreateProxyUser",    Instance,  Many,       AdminUnlocked(admin::create_proxy_user)),
    row("ListProxyUsers",     Instance,  Many,       AdminUnlocked(admin::list_proxy_users)),
    row("RemoveProxyUser",    Instance,  Many,       AdminUnlocked(admin::remove_proxy_user)),
    row("Backup",             Both,      AtMost(4),  AdminUnlocked(backup::backup)),
    row("SealBackup",         Both,      AtMost(4),  AdminUnlocked(backup::seal)),
    row("AuditList",          Both,      Many,       AdminUnlocked(evidence::audit_list)),
    row("AuditVerify",        Both,      Many,       AdminUnlocked(evidence::audit_verify)),
    row("AcceptRollback",     Both,      AtMost(16), Admin(evidence::accept_rollback)),
    row("CounterReset",       Both,      AtMost(16), Admin(evidence::counter_reset)),
    row("ClaimCode",          Instance,  Many,       AdminUnlocked(admin::claim_code)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_has_two_rows_and_few_are_served_while_locked() {
        for (at, row) in TABLE.iter().enumerate() {
            let twin = TABLE[at + 1..]
                .iter()
                .find(|other| other.request == row.request && other.run.socket() == row.run.socket());
            assert!(twin.is_none(), "{}", row.request);
        }
        let locked: Vec<_> = TABLE.iter().filter(|row| matches!(row.run, Link(_))).map(|row| row.request).collect();
        assert_eq!(locked, ["Status", "Override"]);
        let locked: Vec<_> = TABLE.iter().filter(|row| matches!(row.run, Admin(_))).map(|row| row.request).collect();
        assert_eq!(
            locked,
            ["Status", "ListKeyslots", "Unlock", "Policy", "Authorize", "KeyReport", "AcceptRollback", "CounterReset"]
        );
    }
    #[test]
    fn a_hub_gets_no_certificate_and_an_instance_signs_no_access_token() {
        let only = |of| TABLE.iter().filter(move |row| row.of == of).map(|row| row.request).collect::<Vec<_>>();
        assert_eq!(only(Hub), ["SignAccessTokens", "SigningKeys", "RotateSigningKeys"]);
        let of_hub = |row: &&Row| row.run.socket() == Socket::Link && row.of.includes(Serving::Hub);
        let of_hub: Vec<_> = TABLE.iter().filter(of_hub).map(|row| row.request).collect();
        let shared = ["Status", "ListProjects", "CreateProject", "ProjectKey", "NextRekey", "Rekeyed"];
        assert_eq!(of_hub, [&shared[..], &only(Hub)[..]].concat());
    }
}
