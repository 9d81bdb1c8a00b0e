//! `merlon ca`: the certificate that clients of the proxy must trust.

use serde::Serialize;

use crate::args::CaCommand;
use crate::certificate::{self, Certificate};
use crate::client::Client;
use crate::error::CliError;
use crate::file::Output;
use crate::output::{Cell, Printer};
use crate::target::Target;

#[derive(Serialize)]
struct Shown<'a> {
    subject: Option<&'a str>,
    serial: Option<&'a str>,
    not_before: Option<&'a str>,
    not_after: Option<&'a str>,
    sha256: &'a str,
    file: Option<&'a str>,
}

pub(super) async fn run(command: &CaCommand, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let pem = client.ca_pem().await?;
    let certificate = certificate::read_pem(&pem)
        .ok_or_else(|| CliError::failed("the instance sent no certificate").hint("merlon doctor"))?;
    match command {
        CaCommand::Export(args) => match &args.output {
            Some(path) => {
                let mut file = Output::create(path, 0o644)?;
                file.write(pem.as_bytes())?;
                file.finish()?;
                printer.say(&format!("SHA-256 {}", certificate.fingerprint));
                Ok(())
            }
            None => printer.block(&pem),
        },
        CaCommand::Fingerprint if printer.is_json() => {
            printer.json(&serde_json::json!({ "sha256": certificate.fingerprint }))
        }
        CaCommand::Fingerprint => printer.line(&certificate.fingerprint),
        CaCommand::Show => show(&certificate, client.target(), printer),
    }
}

fn show(certificate: &Certificate, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let file = match target {
        Target::Local(local) => Some(local.paths.ca_file()).filter(|file| file.exists()),
        Target::Remote(_) => None,
    };
    let file = file.map(|file| std::path::absolute(&file).unwrap_or(file).display().to_string());
    let facts = certificate.facts.as_ref();
    let shown = Shown {
        subject: facts.and_then(|facts| facts.subject.as_deref()),
        serial: facts.map(|facts| facts.serial.as_str()),
        not_before: facts.map(|facts| facts.not_before.as_str()),
        not_after: facts.map(|facts| facts.not_after.as_str()),
        sha256: &certificate.fingerprint,
        file: file.as_deref(),
    };
    if printer.is_json() {
        return printer.json(&shown);
    }
    let cell = |text: Option<&str>| Cell::new(text.unwrap_or("-"));
    printer.fields(vec![
        ("subject", cell(shown.subject)),
        ("serial", cell(shown.serial)),
        ("valid from", cell(shown.not_before)),
        ("valid until", cell(shown.not_after)),
        ("SHA-256", cell(Some(shown.sha256))),
        ("file", cell(shown.file)),
    ])
}
