//! `merlon proxy-user`: who may use the proxy where it asks for a password, by the keeper's admin socket.

use merlon_wire::admin::{Request, Response};
use serde_json::json;

use crate::admin::{Admin, unexpected};
use crate::args::ProxyUserCommand;
use crate::error::CliError;
use crate::output::Printer;
use crate::target::Target;

pub(super) fn run(command: &ProxyUserCommand, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let mut admin = Admin::connect(target.local("users of the proxy are managed")?)?;
    match command {
        ProxyUserCommand::Add(args) => match admin.ask(&Request::CreateProxyUser(&args.name))? {
            Response::ProxyPassword(password) if printer.is_json() => {
                printer.secret_json(&json!({ "name": args.name }), "password", password)
            }
            Response::ProxyPassword(password) => {
                printer.secret_line(password)?;
                printer.say(&format!("this is the password of `{}`; it is shown this once", args.name));
                Ok(())
            }
            _ => Err(unexpected()),
        },
        ProxyUserCommand::List => match admin.ask(&Request::ListProxyUsers)? {
            Response::ProxyUsers(names) => names.iter().try_for_each(|name| match printer.is_json() {
                true => printer.json(&json!({ "name": name })),
                false => printer.line(name),
            }),
            _ => Err(unexpected()),
        },
        ProxyUserCommand::Remove(args) => match admin.ask(&Request::RemoveProxyUser(&args.name))? {
            Response::Done => {
                printer.say(&format!("removed `{}`; connections that are open already may go on", args.name));
                Ok(())
            }
            _ => Err(unexpected()),
        },
    }
}
