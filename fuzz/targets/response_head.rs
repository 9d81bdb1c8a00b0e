//! Response heads: the outcome does not depend on how the bytes were cut, and framing always has an answer.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the codec is included as source; a target uses a part of it"
)]

#[path = "../../daemon/engine/src/http/mod.rs"]
mod http;

use http::{HeadLimits, Method, ResponseHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, text) = data;
    let limits = HeadLimits {
        max_bytes: 4096,
        max_fields: 60,
    };
    let whole = ResponseHead::parse(text, &limits);
    let part = ResponseHead::parse(&text[..usize::from(cut).min(text.len())], &limits);
    if part != Ok(None) {
        assert_eq!(part, whole);
    }
    let Ok(Some(head)) = whole else { return };
    assert!(text[..head.head_len].ends_with(b"\r\n\r\n"));
    for method in [Method::Get, Method::Head, Method::Connect] {
        assert!(head.framing(method, true).is_ok());
    }
});
