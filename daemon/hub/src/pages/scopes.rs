//! Scopes in words, for people who are to approve them. Pure.

use crate::oauth::scope::Scopes;

/// A scope with a check box.
pub(super) struct ScopeRow {
    pub(super) value: &'static str,
    pub(super) words: &'static str,
}

/// Rows for these scopes.
pub(super) fn rows(scopes: Scopes) -> Vec<ScopeRow> {
    scopes.names().map(|value| ScopeRow { value, words: words(value) }).collect()
}

/// Scopes of the API in a table.
pub(super) fn brief(scopes: Scopes) -> String {
    if scopes.holds(Scopes::API) { "everything".to_owned() } else { scopes.and(Scopes::API).to_string() }
}

fn words(scope: &str) -> &'static str {
    match scope {
        "flows:read" => "read the recorded traffic, secrets that passed included",
        "flows:write" => "change and delete recorded traffic",
        "intercept" => "hold traffic, edit it and let it go on",
        "replay" => "send requests from the instance",
        "config" => "change how the instance works: projects, rules, scope",
        "secrets:admin" => "manage stored secrets and tokens",
        "instance:admin" => "manage the instance as a whole; some of it cannot be undone",
        "offline_access" => "stay signed in without asking again",
        "instance" => "act as the instance itself",
        _ => "use this hub's dashboard",
    }
}
