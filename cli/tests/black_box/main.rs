//! `merlon` as scripts and people meet it: the real program against a fake instance whose every byte a test chooses.
#![expect(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]

mod alone;
mod exit_codes;
mod fake;
mod flows;
mod following;
mod hostile;
mod instances;
mod keeper;
mod local_commands;
mod logs;
mod machine;
mod naming;
mod pages;
mod remote;
mod sessions;
mod signing_in;
mod terminal;
