//! Scopes as the hub knows them (RFC 6749, 3.3): those of an instance's API, and three of the hub's own. Pure.
//!
//! A scope that is not known here is left out, as RFC 6749 permits; the answer then says what was granted.

use std::fmt;

use merlon_api::{Role, Scope};

/// A set of known scopes. Written, they stand in one fixed order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(u16);

/// Why a text is no list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`scope` holds names of printable ASCII, without quotation marks and backslashes, one space between two")]
pub(crate) struct NotScopes;

/// The hub's own, behind those of the API.
const OWN: [&str; 3] = ["instance", "offline_access", "hub"];
const COUNT: usize = Scope::ALL.len() + OWN.len();

impl Scopes {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// All of an instance's API.
    pub(crate) const API: Self = Self((1 << Scope::ALL.len()) - 1);
    /// Client credentials of an instance: its own API at the hub.
    pub(crate) const INSTANCE: Self = Self(1 << Scope::ALL.len());
    /// A refresh token.
    pub(crate) const OFFLINE_ACCESS: Self = Self(1 << (Scope::ALL.len() + 1));
    /// The dashboard.
    pub(crate) const HUB: Self = Self(1 << (Scope::ALL.len() + 2));

    /// Reads a space-separated list; names that are not known are left out.
    ///
    /// # Errors
    /// [`NotScopes`] for what RFC 6749, 3.3 does not permit.
    pub(crate) fn parse(text: &str) -> Result<Self, NotScopes> {
        let mut set = Self::NONE;
        for word in text.split(' ') {
            let fit = |b: u8| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            if word.is_empty() || !word.bytes().all(fit) {
                return Err(NotScopes);
            }
            if let Some(place) = (0..COUNT).find(|place| name(*place) == word) {
                set.0 |= 1 << place;
            }
        }
        Ok(set)
    }

    /// Is every name in this list known?
    pub(crate) fn knows_all(text: &str) -> bool {
        text.split(' ').all(|word| (0..COUNT).any(|place| name(place) == word))
    }

    /// Reads what this program wrote; what it cannot read is nothing.
    pub(crate) fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::NONE)
    }

    /// What a role may do at an instance.
    pub(crate) fn of_role(role: Role) -> Self {
        let bit = |scope: &Scope| Scope::ALL.iter().position(|s| s == scope).map_or(0, |place| 1 << place);
        Self(role.scopes().iter().map(bit).sum())
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Is every one of `other` in it?
    pub(crate) fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, in order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        (0..COUNT).filter(move |place| self.0 & (1 << place) != 0).map(name)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

fn name(place: usize) -> &'static str {
    Scope::ALL.get(place).map_or_else(|| OWN[place - Scope::ALL.len()], |scope| scope.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_in_one_order() {
        let set = Scopes::parse("offline_access replay flows:read replay").unwrap();
        assert_eq!(set.to_string(), "flows:read replay offline_access");
        assert_eq!(Scopes::stored(&set.to_string()), set);
        assert_eq!(Scopes::parse("openid profile"), Ok(Scopes::NONE));
        assert_eq!(Scopes::parse("hub instance").unwrap(), Scopes::HUB.or(Scopes::INSTANCE));
    }

    #[test]
    fn what_is_no_list_is_told() {
        for text in ["", " ", "a  b", " a", "a ", "a\"", "a\\b", "é", "a\tb"] {
            assert_eq!(Scopes::parse(text), Err(NotScopes), "{text:?}");
        }
    }

    #[test]
    fn a_role_has_what_the_api_says() {
        for role in Role::ALL {
            let names: Vec<_> = Scopes::of_role(role).names().collect();
            assert_eq!(names, role.scopes().iter().map(|scope| scope.as_str()).collect::<Vec<_>>());
            assert!(Scopes::API.holds(Scopes::of_role(role)));
        }
        assert!(!Scopes::API.holds(Scopes::INSTANCE) && Scopes::NONE.is_empty());
        assert_eq!(Scopes::API.and(Scopes::of_role(Role::Viewer)).to_string(), "flows:read");
    }
}
