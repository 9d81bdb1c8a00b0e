//! The table. Reading it is reading what the keeper does.

use merlon_wire::{admin as admin_wire, keeper as link_wire};

use super::reply::Reply;
use super::{Socket, Violation, admin, backup, evidence, link, rotate, sealed};
use crate::keeper::{Keeper, Open};

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

/// One request.
pub(super) struct Row {
    /// As in the protocol.
    pub(super) request: &'static str,
    pub(super) times: Times,
    pub(super) run: Run,
}

const fn row(request: &'static str, times: Times, run: Run) -> Row {
    Row { request, times, run }
}

use Run::{Admin, AdminAlone, AdminUnlocked, Link, LinkUnlocked};
use Times::{AtMost, Many};

/// All of it.
#[rustfmt::skip]
pub(super) const TABLE: [Row; 38] = [
    //  request             times       socket, state, handler
    row("Status",           Many,       Link(link::status)),
    row("CaCertificate",    Many,       LinkUnlocked(link::ca_certificate)),
    row("IssueLeaf",        Many,       LinkUnlocked(link::issue_leaf)),
    row("IssueApiLeaf",     AtMost(16), LinkUnlocked(link::issue_api_leaf)),
    row("ListProjects",     Many,       LinkUnlocked(link::list_projects)),
    row("CreateProject",    Many,       LinkUnlocked(link::create_project)),
    row("ProjectKey",       Many,       LinkUnlocked(link::project_key)),
    row("DeleteProject",    Many,       LinkUnlocked(link::delete_project)),
    row("NextRekey",        Many,       LinkUnlocked(link::next_rekey)),
    row("Rekeyed",          Many,       LinkUnlocked(link::rekeyed)),
    row("VerifyProxyUser",  Many,       LinkUnlocked(link::verify_proxy_user)),
    row("VerifyToken",      Many,       LinkUnlocked(link::verify_token)),
    row("Override",         AtMost(16), Link(link::bind_override)),

    row("Status",           Many,       Admin(admin::status)),
    row("ListKeyslots",     Many,       Admin(admin::list_keyslots)),
    row("Unlock",           AtMost(16), Admin(admin::unlock)),
    row("AddKeyslot",       Many,       AdminUnlocked(admin::add_keyslot)),
    row("ConfirmRecovery",  AtMost(16), AdminUnlocked(admin::confirm_recovery)),
    row("RemoveKeyslot",    Many,       AdminUnlocked(admin::remove_keyslot)),
    row("TestKeyslot",      AtMost(16), AdminUnlocked(admin::test_keyslot)),
    row("Reseal",           AtMost(16), AdminUnlocked(sealed::reseal)),
    row("Policy",           AtMost(16), Admin(sealed::policy)),
    row("Authorize",        AtMost(16), Admin(sealed::authorize)),
    row("KeyReport",        AtMost(16), Admin(sealed::key_report)),
    row("PlanRotation",     AtMost(16), AdminUnlocked(rotate::plan)),
    row("Rotate",           AtMost(16), AdminAlone(rotate::rotate)),
    row("CreateToken",      Many,       AdminUnlocked(admin::create_token)),
    row("ListTokens",       Many,       AdminUnlocked(admin::list_tokens)),
    row("RevokeToken",      Many,       AdminUnlocked(admin::revoke_token)),
    row("CreateProxyUser",  Many,       AdminUnlocked(admin::create_proxy_user)),
    row("ListProxyUsers",   Many,       AdminUnlocked(admin::list_proxy_users)),
    row("RemoveProxyUser",  Many,       AdminUnlocked(admin::remove_proxy_user)),
    row("Backup",           AtMost(4),  AdminUnlocked(backup::backup)),
    row("SealBackup",       AtMost(4),  AdminUnlocked(backup::seal)),
    row("AuditList",        Many,       AdminUnlocked(evidence::audit_list)),
    row("AuditVerify",      Many,       AdminUnlocked(evidence::audit_verify)),
    row("AcceptRollback",   AtMost(16), Admin(evidence::accept_rollback)),
    row("CounterReset",     AtMost(16), Admin(evidence::counter_reset)),
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
}
