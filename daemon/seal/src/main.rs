//! `merlon-seal`: the one program that speaks to a TPM or loads a PKCS#11 module. It does one operation and ends.

mod pkcs11;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use merlon_config::{Config, Layer, Layers};
use merlon_sandbox::inherit::Inherited;
use merlon_sandbox::secret::SecretBuf;
use merlon_sandbox::{process, seqpacket};
use merlon_wire::MAX_FRAME;
use merlon_wire::seal::{Failure, Request, Response};

/// Seals to this machine's TPM, or encrypts by a key in a PKCS#11 token. Started by `merlond run` or by its systemd unit.
#[derive(Debug, clap::Parser)]
#[command(name = "merlon-seal", version)]
struct Arguments {
    /// The instance's configuration; defaults stand if the file is missing
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An inherited descriptor: `seal`
    #[arg(long, value_name = "NAME=N")]
    fd: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(70),
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut inherited = Inherited::take(&arguments.fd)?;
    process::harden()?;
    let mut layers = Layers::default();
    if let Some(path) = &arguments.config {
        layers.push(Layer::file(&path.to_string_lossy(), &std::fs::read_to_string(path)?)?);
    }
    let config = layers.resolve()?.config;
    let socket = inherited.one("seal")?;
    drop(inherited);
    let mut frame = SecretBuf::with_capacity(MAX_FRAME)?;
    let received = seqpacket::recv(&socket, frame.as_full_mut_slice())?;
    frame.set_len(received.len);
    let mut answer = SecretBuf::with_capacity(MAX_FRAME)?;
    let len = respond(&config, frame.as_slice(), answer.as_full_mut_slice())?;
    answer.set_len(len);
    seqpacket::send(&socket, answer.as_slice(), None)?;
    Ok(())
}

fn respond(config: &Config, frame: &[u8], answer: &mut [u8]) -> Result<usize, merlon_wire::FrameError> {
    let operation = match merlon_wire::decode(frame)? {
        Request::Wrap(wrap) => pkcs11::Operation::Wrap(wrap),
        Request::Unwrap(unwrap) => pkcs11::Operation::Unwrap(unwrap),
        _ => return merlon_wire::encode(&Response::Failed(Failure::Request("another operation".into())), answer),
    };
    match pkcs11::run(&config.pkcs11, &config.sandbox, &operation) {
        Ok(pkcs11::Outcome::Wrapped(object)) => merlon_wire::encode(&Response::Wrapped(object), answer),
        Ok(pkcs11::Outcome::Secret(secret)) => {
            merlon_wire::encode(&Response::Secret { secret: secret.expose(), counter: None }, answer)
        }
        Err(failure) => merlon_wire::encode(&Response::Failed(failure), answer),
    }
}
