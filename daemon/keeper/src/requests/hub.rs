//! What a hub may ask besides its database: signed access tokens, and its signing keys.

use merlon_wire::MAX_FRAME;
use merlon_wire::hub::{MAX_TOKENS, SigningKey};
use merlon_wire::keeper::{Refusal, Request, Response};

use super::link::{Answered, misrouted, refuse};
use super::reply::Reply;
use crate::jws::claims;
use crate::keeper::{Keeper, Open};
use crate::signing::SigningError;
use crate::{clock, log};

/// What of a frame is left for tokens.
const ROOM: usize = MAX_FRAME - 256;

pub(super) fn sign_access_tokens(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::SignAccessTokens(all) = request else { return misrouted(request) };
    if !(1..=MAX_TOKENS).contains(&all.len()) {
        return refuse(Refusal::OutOfBounds(format!("1 to {MAX_TOKENS} tokens are signed at once")), reply);
    }
    let now = u64::try_from(clock::now_us() / 1_000_000).unwrap_or(0);
    if let Err(why) = all.iter().try_for_each(|one| claims::check_access(one, now)) {
        return refuse(Refusal::OutOfBounds(why), reply);
    }
    match open.signing.sign(open, all) {
        Ok(tokens) if tokens.iter().map(|token| token.len()).sum::<usize>() > ROOM => refuse(
            Refusal::OutOfBounds("the tokens are longer than an answer; ask for fewer at once".to_owned()),
            reply,
        ),
        Ok(tokens) => reply.link(&Response::AccessTokens(tokens.iter().map(|token| token.as_str()).collect())),
        Err(error) => failed(&error, reply),
    }
}

pub(super) fn signing_keys(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    answer(open.signing.keys(open), reply)
}

pub(super) fn rotate_signing_keys(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    answer(open.signing.rotate(open), reply)
}

fn answer(keys: Result<Vec<SigningKey>, SigningError>, reply: &mut Reply<'_>) -> Answered {
    match keys {
        Ok(keys) => reply.link(&Response::SigningKeys(keys)),
        Err(error) => failed(&error, reply),
    }
}

fn failed(error: &SigningError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("{error}"));
    refuse(Refusal::Storage(error.to_string()), reply)
}
