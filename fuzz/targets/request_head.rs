//! Request heads: the outcome does not depend on how the bytes were cut, positions lie within the head, and what is
//! sent upstream is a head again, of the same framing and without the proxy's password.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the codec is included as source; a target uses a part of it"
)]

#[path = "../../daemon/engine/src/http/mod.rs"]
mod http;

use http::{HeadLimits, RequestHead, Target, redacted, upstream_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, text) = data;
    let limits = HeadLimits {
        max_bytes: 4096,
        max_fields: 60,
    };
    let whole = RequestHead::parse(text, &limits);
    let part = RequestHead::parse(&text[..usize::from(cut).min(text.len())], &limits);
    if part != Ok(None) {
        assert_eq!(part, whole);
    }
    let Ok(Some(head)) = whole else { return };
    assert!(head.head_len <= text.len() && head.bytes(text).ends_with(b"\r\n\r\n"));
    let sent = upstream_head(text, &head);
    let again = RequestHead::parse(&sent, &HeadLimits::default());
    let again = again
        .expect("what we send is well formed")
        .expect("what we send is complete");
    assert_eq!((again.start, again.head_len), (0, sent.len()));
    assert_eq!(
        (again.framing, again.method, again.keep_alive),
        (head.framing, head.method, head.keep_alive)
    );
    assert!(again.proxy_authorization.is_none() && !again.proxy_connection);
    assert!(!matches!(again.target, Target::Absolute { .. }));
    let kept = redacted(text, &head);
    let kept = RequestHead::parse(&kept, &HeadLimits::default());
    assert!(
        kept.expect("well formed")
            .expect("complete")
            .proxy_authorization
            .is_none()
    );
});
