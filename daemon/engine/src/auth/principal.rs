//! Who asks, and what they may do: never more than their role permits, and less where their token was narrowed.

use merlon_api::{Role, Scope};
use merlon_config::Identity as Config;
use merlon_wire::identity::{Owner, Session};

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// All that a role permits.
    pub(crate) fn of(role: Role) -> Self {
        role.scopes().iter().copied().collect()
    }

    /// Those named in a `scope` claim (RFC 6749, 3.3); what is no scope of the API is passed over.
    pub(crate) fn named(scope: &str) -> Self {
        let known = |name: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
        scope.split(' ').filter_map(known).collect()
    }

    /// What is in both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn holds(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of the API.
    pub(crate) fn to_vec(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.holds(*scope)).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | bit(scope)))
    }
}

fn bit(scope: Scope) -> u8 {
    1 << Scope::ALL.iter().position(|one| *one == scope).unwrap_or_default()
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What they are.
    pub(crate) role: Role,
    /// What they may do with these credentials: at most what the role permits.
    pub(crate) scopes: Scopes,
    /// How they showed it.
    pub(crate) via: Via,
}

/// How an identity was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// By opening the Unix socket.
    UnixSocket,
    /// By a local token.
    Token {
        /// Its public id.
        id: String,
        /// As its maker named it.
        label: String,
    },
    /// By a token of somebody who signed in.
    Session(Box<Session>),
}

impl Principal {
    /// With all that the role permits.
    pub(crate) fn whole(role: Role, via: Via) -> Self {
        Self { role, scopes: Scopes::of(role), via }
    }
}

/// What somebody is here. A hub of ours says it in the token (`roles`), and its word alone counts. Of another server's
/// account the owner is owner, and `[identity] members` names the others. None: the instance is not shared with them.
pub(crate) fn role_of(
    is_hub: bool,
    claimed: &[String],
    (issuer, subject): (&str, &str),
    owner: Option<&Owner>,
    config: &Config,
) -> Option<Role> {
    if is_hub {
        // The highest, should there be several.
        let named = |role: &&Role| claimed.iter().any(|name| name == role.as_str());
        return Role::ALL.iter().rev().find(named).copied();
    }
    if owner.is_some_and(|owner| (owner.issuer.as_str(), owner.subject.as_str()) == (issuer, subject)) {
        return Some(Role::Owner);
    }
    config.members.get(subject)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_by_name_and_cut_to_the_role() {
        let asked = Scopes::named("openid flows:read  secrets:admin FLOWS:WRITE replay");
        assert_eq!(asked.to_vec(), [Scope::FlowsRead, Scope::Replay, Scope::SecretsAdmin]);
        assert_eq!(asked.and(Scopes::of(Role::Viewer)).to_vec(), [Scope::FlowsRead]);
        assert!(Scopes::named("openid offline_access").is_empty());
        for role in Role::ALL {
            assert_eq!(Scopes::of(role).to_vec(), role.scopes());
        }
    }

    #[test]
    fn a_hub_says_the_role_and_elsewhere_owner_and_members_have_one() {
        let owner = Owner { issuer: "https://as".into(), subject: "ada".into(), name: String::new() };
        let members = [("bob", "viewer"), ("eve", "emperor")];
        let config = Config {
            members: members.map(|(subject, role)| (subject.into(), role.into())).into(),
            ..Config::default()
        };
        let foreign =
            |issuer: &str, subject: &str| role_of(false, &["owner".into()], (issuer, subject), Some(&owner), &config);
        assert_eq!(foreign("https://as", "ada"), Some(Role::Owner));
        assert_eq!(foreign("https://as", "bob"), Some(Role::Viewer));
        for (issuer, subject) in [("https://other", "ada"), ("https://as", "eve"), ("https://as", "mallory")] {
            assert_eq!(foreign(issuer, subject), None, "{subject}");
        }
        let hub = |roles: &[&str]| {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            role_of(true, &roles, ("https://as", "ada"), Some(&owner), &config)
        };
        assert_eq!(hub(&["viewer", "operator"]), Some(Role::Operator));
        assert_eq!(hub(&["emperor"]), None);
        assert_eq!(hub(&[]), None, "that the keeper knows the account as owner does not count at a hub");
    }
}
