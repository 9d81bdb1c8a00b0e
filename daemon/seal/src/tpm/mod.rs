//! The TPM 2.0: sealing a value to it, and a counter in its memory.
//!
//! Owned here: what is sent to the TPM and in which order. Nothing secret is sent before the storage root key is the
//! one that a keyslot names; then secrets travel encrypted to that key. Every command is answered or the process is
//! ended: there is no second thread, and no retry of an authorisation.
//!
//! | file | part |
//! |---|---|
//! | `connection` | which TPM, and nothing else than this TPM |
//! | `srk` | the storage root key: found, made, checked |
//! | `session` | encrypted sessions |
//! | `policy`, `approval` | what a sealed value asks for |
//! | `seal`, `unseal` | the value itself |
//! | `lockout` | the dictionary attack logic, before and after a PIN |
//! | `counter` | the NV counter |
//! | `report` | the TPM as it stands |

mod approval;
mod connection;
mod counter;
mod failure;
mod lockout;
mod names;
mod pcrs;
mod policy;
mod report;
mod seal;
mod session;
mod srk;
mod unseal;

pub(crate) use connection::{Tpm, confine};

use merlon_wire::seal::{Failure, Request};

use crate::serve::Answer;

/// Does what is asked. What it left in the TPM (sessions, loaded objects) is gone when this returns.
pub(crate) fn run(mut tpm: Tpm, request: &Request<'_>) -> Result<Answer, Failure> {
    tpm.clear_leftovers()?;
    match request {
        Request::Seal(wanted) => seal::seal(&mut tpm, wanted),
        Request::Unseal(wanted) => unseal::unseal(&mut tpm, wanted),
        Request::Describe { pcrs } => report::describe(&mut tpm, pcrs).map(Answer::Report),
        Request::DefineCounter { auth } => counter::define(&mut tpm, auth),
        Request::MoveCounter(counter) => counter::advance(&mut tpm, counter),
        Request::ReadCounter(counter) => {
            counter::read(&mut tpm, counter).map(|value| Answer::Counter { index: counter.index, value })
        }
        Request::RemoveCounter(counter) => counter::remove(&mut tpm, counter).map(|()| Answer::Done),
        Request::Wrap(_) | Request::Unwrap(_) => Err(Failure::Request("a token's request came to the TPM".to_owned())),
    }
}
