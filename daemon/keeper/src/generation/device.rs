//! The counter in the TPM's NV memory, through `merlon-seal`.

use std::sync::Arc;

use merlon_wire::seal::{self, Request, Response};

use super::{CounterDevice, CounterError};
use crate::door::Door;
use crate::slots::Counter;

impl CounterDevice for Arc<Door> {
    fn define(&self, auth: &[u8; 32]) -> Result<(u32, u64), CounterError> {
        ask(self, &Request::DefineCounter { auth })
    }

    fn advance(&self, counter: &Counter) -> Result<u64, CounterError> {
        ask(self, &Request::MoveCounter(on_the_wire(counter))).map(|(_, value)| value)
    }

    fn read(&self, counter: &Counter) -> Result<u64, CounterError> {
        ask(self, &Request::ReadCounter(on_the_wire(counter))).map(|(_, value)| value)
    }

    fn remove(&self, counter: &Counter) -> Result<(), CounterError> {
        let done = |response: Response<'_>| matches!(response, Response::Done).then_some(());
        self.expect(&Request::RemoveCounter(on_the_wire(counter)), done).map_err(|e| CounterError(e.to_string()))
    }
}

fn ask(door: &Door, request: &Request<'_>) -> Result<(u32, u64), CounterError> {
    let counted = |response: Response<'_>| match response {
        Response::Counter { index, value } => Some((index, value)),
        _ => None,
    };
    door.expect(request, counted).map_err(|e| CounterError(e.to_string()))
}

fn on_the_wire(counter: &Counter) -> seal::Counter<'_> {
    seal::Counter { index: counter.index, auth: &counter.auth }
}
