//! Who may do what: roles are what a person or a token is given, scopes are what an endpoint demands.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A right to one kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Read flows, bodies and live events.
    #[serde(rename = "flows:read")]
    FlowsRead,
    /// Change or delete flows.
    #[serde(rename = "flows:write")]
    FlowsWrite,
    /// Hold, edit and release traffic.
    #[serde(rename = "intercept")]
    Intercept,
    /// Send requests.
    #[serde(rename = "replay")]
    Replay,
    /// Change how the instance works: projects, rules, scope.
    #[serde(rename = "config")]
    Config,
    /// Stored secrets.
    #[serde(rename = "secrets:admin")]
    SecretsAdmin,
    /// The instance as a whole; what cannot be undone.
    #[serde(rename = "instance:admin")]
    InstanceAdmin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::FlowsRead,
        Self::FlowsWrite,
        Self::Intercept,
        Self::Replay,
        Self::Config,
        Self::SecretsAdmin,
        Self::InstanceAdmin,
    ];

    /// As written in tokens and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlowsRead => "flows:read",
            Self::FlowsWrite => "flows:write",
            Self::Intercept => "intercept",
            Self::Replay => "replay",
            Self::Config => "config",
            Self::SecretsAdmin => "secrets:admin",
            Self::InstanceAdmin => "instance:admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Everything but secrets and the instance as a whole.
    Operator,
    /// Everything.
    Owner,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Owner];

    /// What the role may do.
    #[must_use]
    pub fn scopes(self) -> &'static [Scope] {
        const OPERATOR: [Scope; 5] =
            [Scope::FlowsRead, Scope::FlowsWrite, Scope::Intercept, Scope::Replay, Scope::Config];
        match self {
            Self::Viewer => &[Scope::FlowsRead],
            Self::Operator => &OPERATOR,
            Self::Owner => &Scope::ALL,
        }
    }

    /// Does the role hold this scope?
    #[must_use]
    pub fn holds(self, scope: Scope) -> bool {
        self.scopes().contains(&scope)
    }

    /// As written on the command line and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("there is no role `{text}`; use viewer, operator or owner"))
    }
}

/// What an endpoint demands of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// Any identity.
    Authenticated,
    /// An identity whose role holds the scope.
    Scope(Scope),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_holds_all_that_the_one_below_it_holds() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0].scopes().iter().all(|scope| pair[1].holds(*scope)));
            assert!(pair[0].scopes().len() < pair[1].scopes().len());
        }
        assert!(!Role::Operator.holds(Scope::SecretsAdmin) && !Role::Operator.holds(Scope::InstanceAdmin));
        assert_eq!(Role::Viewer.scopes(), [Scope::FlowsRead]);
    }

    #[test]
    fn names_on_the_wire_are_the_names_in_messages() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
