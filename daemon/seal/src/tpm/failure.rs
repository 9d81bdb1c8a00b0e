//! What the TPM's response codes mean (TPM 2.0 part 2, 6.6).

use merlon_wire::seal::Failure;
use tss_esapi::Error;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind};

/// The kind of a response code, if the TPM gave one.
pub(super) fn kind(error: &Error) -> Option<Tss2ResponseCodeKind> {
    match error {
        Error::Tss2Error(code) => code.kind(),
        Error::WrapperError(_) => None,
    }
}

/// An error without a meaning of its own, with its words and its code.
pub(super) fn while_doing(doing: &'static str) -> impl Fn(Error) -> Failure {
    move |error| {
        let what = match &error {
            Error::Tss2Error(Tss2ResponseCode::FormatZero(code)) => format!("{error} ({code})"),
            Error::Tss2Error(Tss2ResponseCode::FormatOne(code)) => format!("{error} ({code})"),
            other => other.to_string(),
        };
        Failure::Tpm { doing: doing.to_owned(), what }
    }
}

/// The TPM said something that it should not have said.
pub(super) fn unexpected(doing: &'static str, what: &str) -> Failure {
    Failure::Tpm { doing: doing.to_owned(), what: what.to_owned() }
}

/// The TPM judged the contents of a request, as opposed to its own state: the code names a parameter, handle or session.
pub(super) fn judged(error: &Error) -> bool {
    matches!(error, Error::Tss2Error(Tss2ResponseCode::FormatOne(_)))
}
