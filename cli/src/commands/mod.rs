//! The commands, one file each. Here: which command runs, and with what.

mod audit;
mod backup;
mod ca;
mod config;
mod doctor;
mod flows;
mod follow;
mod help;
mod identity;
mod instance;
mod keyslot;
mod login;
mod logout;
mod logs;
mod machine;
mod project;
mod proxy_user;
mod recovery;
mod restore;
mod rotate;
mod session;
mod show;
mod status;
mod token;
mod unlock;
mod whoami;

use tokio::runtime;

use crate::args::{Cli, Command};
use crate::client::{Client, Credentials};
use crate::env::Env;
use crate::error::CliError;
use crate::output::Printer;
use crate::secret;
use crate::session::{Reach, Store};
use crate::target::Target;

/// Runs what was typed.
///
/// # Errors
/// Whatever the command could not do.
pub(crate) fn run(cli: &Cli, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    // These need no instance, and so no decision which one is meant.
    match &cli.command {
        Command::Completions(args) => return help::completions(args.shell, printer),
        Command::Help(args) if !help::asks_instance(args) => return help::run(args, printer),
        Command::Config(args) if config::needs_no_instance(args) => {
            return config::check(args, printer);
        }
        Command::Instance(command) => return instance::run(command, &cli.global, env, printer),
        Command::Restore(args) => return restore::run(args, cli.global.data_dir.as_deref(), printer),
        _ => {}
    }
    printer.name_instance(cli.global.instance_flags());
    let target = Target::resolve(&cli.global, env)?;
    match &cli.command {
        Command::Token(command) => token::run(command, &target, printer),
        Command::ProxyUser(command) => proxy_user::run(command, &target, printer),
        Command::Keyslot(command) => keyslot::run(command, &target, printer),
        Command::Unlock(args) => unlock::run(args, &target, printer),
        Command::ClaimCode => identity::claim_code(&target, printer),
        Command::Audit(command) => audit::run(command, &target, printer),
        Command::Config(command) => config::run(command, &target, env, printer),
        Command::Logs(args) => logs::run(args, &target, printer),
        Command::Completions(_) | Command::Restore(_) | Command::Instance(_) => Ok(()),
        Command::Status
        | Command::Flows(_)
        | Command::Show(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Whoami
        | Command::Session(_)
        | Command::Identity(_)
        | Command::Ca(_)
        | Command::Project(_)
        | Command::Doctor
        | Command::Backup(_)
        | Command::Help(_) => in_runtime(async {
            // Whoever signs in is nobody yet; whoever signs out shows the tokens that go.
            let credentials = match &cli.command {
                Command::Login(_) | Command::Logout(_) => Credentials::Nobody,
                _ => credentials(&target, env, printer).await?,
            };
            let mut client = Client::new(target, credentials);
            ask(&cli.command, &mut client, env, printer).await
        }),
    }
}

/// Runs what waits for others, until it is done or Ctrl-C.
fn in_runtime<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::failed("the program cannot start").because(e))?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
        }
    })
}

/// The commands that go through the API.
async fn ask(command: &Command, client: &mut Client, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    match command {
        Command::Login(args) => login::run(args, client, env, printer).await,
        Command::Logout(args) => logout::run(args, client, env, printer).await,
        Command::Whoami => whoami::run(client, printer).await,
        Command::Session(command) => session::run(command, client, printer).await,
        Command::Identity(command) => identity::run(command, client, printer).await,
        Command::Status => status::run(client, printer).await,
        Command::Flows(args) if args.follow => follow::run(args, client, printer).await,
        Command::Flows(args) => flows::run(args, client, printer).await,
        Command::Show(args) => show::run(args, client, printer).await,
        Command::Ca(command) => ca::run(command, client, printer).await,
        Command::Project(command) => project::run(command, client, printer).await,
        Command::Doctor => doctor::run(client, printer).await,
        Command::Backup(args) => backup::run(args, client, printer).await,
        Command::Help(_) => help::query(client, printer).await,
        Command::Token(_)
        | Command::ProxyUser(_)
        | Command::Keyslot(_)
        | Command::Unlock(_)
        | Command::ClaimCode
        | Command::Audit(_)
        | Command::Config(_)
        | Command::Instance(_)
        | Command::Logs(_)
        | Command::Restore(_)
        | Command::Completions(_) => Ok(()),
    }
}

/// Who asks: whoever has the token of a file, or else whoever has signed in there.
async fn credentials(target: &Target, env: &Env, printer: &Printer) -> Result<Credentials, CliError> {
    let Target::Remote(remote) = target else { return Ok(Credentials::Nobody) };
    if let Some(file) = &remote.token_file {
        return secret::token(file, printer).map(Credentials::Token);
    }
    let Some(store) = Store::of(env) else { return Ok(Credentials::Nobody) };
    match store.load(&Reach::of(remote).url).await? {
        Some(stored) => Credentials::session(store, stored),
        None => Ok(Credentials::Nobody),
    }
}
