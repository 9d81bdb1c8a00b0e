//! `merlon whoami`: who the instance takes this request for.

use merlon_api::{IdentityKind, WhoAmI};

use super::flows::time;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Cell, Printer};

pub(super) async fn run(client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let me = client.who_am_i().await?;
    if printer.is_json() {
        return printer.json(&me);
    }
    let WhoAmI { kind, role, scopes, name, session, issuer } = me;
    let how = match kind {
        IdentityKind::UnixSocket => "by opening the Unix socket of this host",
        IdentityKind::LocalToken => "by a local token",
        IdentityKind::Session => "by signing in",
    };
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    let mut fields: Vec<(&str, Cell)> = vec![
        ("instance", client.target().to_string().into()),
        ("who", name.filter(|name| !name.is_empty()).unwrap_or_else(|| "-".to_owned()).into()),
        ("shown", how.into()),
        ("role", role.to_string().into()),
        ("scopes", scopes.join(" ").into()),
    ];
    if let Some(issuer) = issuer {
        fields.push(("issuer", issuer.into()));
    }
    if let Some(session) = session {
        let bound = if session.bound { ", bound to a key of this client" } else { "" };
        fields.push(("session", format!("{} ({}){bound}", session.id, session.label).into()));
        fields.push(("ends", format!("{} UTC unless it is used", time(&session.expires.to_string())).into()));
    }
    printer.fields(fields)
}
