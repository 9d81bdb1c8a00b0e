//! `merlon identity` and `merlon claim-code`: the instance's registration at its authorization server.

use merlon_api::{IdentityInfo, IdentityReset, IdentityState};
use merlon_wire::admin::{Request, Response};

use crate::admin::{Admin, unexpected};
use crate::args::{IdentityCommand, ResetArgs};
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::output::{Cell, Printer, Tone};
use crate::secret;
use crate::target::Target;

pub(super) async fn run(command: &IdentityCommand, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    match command {
        IdentityCommand::Show => show(&client.identity().await?, client.target(), printer),
        IdentityCommand::Reset(args) => reset(args, client, printer).await,
    }
}

fn show(info: &IdentityInfo, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(info);
    }
    let (state, tone) = match info.state {
        IdentityState::Local => ("no authorization server is configured: local tokens only", Tone::Plain),
        IdentityState::Unregistered => ("not registered yet; the instance tries again by itself", Tone::Warn),
        IdentityState::Unclaimed => {
            ("registered, and nobody owns it: merlon login with the code of merlon claim-code", Tone::Warn)
        }
        IdentityState::Claimed => ("registered, and owned", Tone::Good),
        IdentityState::Deleted => ("deleted at the authorization server: merlon identity reset", Tone::Bad),
    };
    let mut fields: Vec<(&str, Cell)> = vec![
        ("instance", target.to_string().into()),
        ("state", Cell::toned(state, tone)),
        ("issuer", info.issuer.as_deref().unwrap_or("-").into()),
    ];
    if info.token_endpoint.is_some() {
        let bound = if info.dpop_algorithms.is_empty() {
            "bearer tokens; the server offers no proof of possession".to_owned()
        } else {
            format!("bound to a key of the client (DPoP: {})", info.dpop_algorithms.join(", "))
        };
        fields.push(("tokens", bound.into()));
    }
    if let Some(problem) = &info.problem {
        fields.push(("problem", Cell::toned(problem, Tone::Bad)));
    }
    printer.fields(fields)
}

async fn reset(args: &ResetArgs, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let name = client.target().short_name();
    if !args.yes {
        let prompt = format!(
            "Owner, sessions and registration of `{name}` are forgotten; data and keys stay. Type its name to reset it: "
        );
        let typed = secret::ask(&prompt, true, "merlon identity reset --yes", printer)?;
        if typed.as_slice() != name.as_bytes() {
            return Err(CliError::failed("nothing was reset").because("what was typed is not the instance's name"));
        }
    }
    let answer = client.reset_identity().await?;
    if printer.is_json() {
        printer.json(&answer)?;
    }
    let IdentityReset { deleted_at_issuer, problem } = answer;
    printer.say("the identity was reset; the instance registers anew. Then: merlon claim-code, merlon login");
    if let Some(problem) = problem.filter(|_| !deleted_at_issuer) {
        printer.warn(&format!("the old registration may still stand at the authorization server: {problem}"));
    }
    Ok(())
}

/// Only whoever may open the keeper's socket sees it.
pub(super) fn claim_code(target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let mut admin = Admin::connect(target.local("the claim code is shown")?)?;
    match admin.ask(&Request::ClaimCode)? {
        Response::ClaimCode(Some(code)) if printer.is_json() => {
            printer.secret_json(&serde_json::json!({ "instance": target.short_name() }), "claim_code", code)
        }
        Response::ClaimCode(Some(code)) => printer.secret_line(code),
        Response::ClaimCode(None) => Err(CliError::new(Exit::NothingFound, "there is no claim code")
            .because("the instance has an owner already, or signs nobody in")
            .hint("merlon identity show")),
        _ => Err(unexpected()),
    }
}
