//! Frames between the processes: no panic, and what decodes is encoded again to the same bytes or shorter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use merlon_wire::{Frame, Hello, MAX_FRAME, admin, decode, dialer, encode, keeper, parent};

fn round_trip<'a, T: serde::Serialize + serde::Deserialize<'a>>(bytes: &'a [u8]) {
    if let Ok(message) = decode::<T>(bytes) {
        let mut buffer = vec![0; MAX_FRAME];
        if let Ok(used) = encode(&message, &mut buffer) {
            assert!(
                used <= bytes.len(),
                "a canonical frame is never longer than what was read"
            );
        }
    }
}

fuzz_target!(|data: (u8, &[u8])| {
    let (kind, bytes) = data;
    match kind % 9 {
        0 => round_trip::<Hello>(bytes),
        1 => round_trip::<Frame<keeper::Request<'_>>>(bytes),
        2 => round_trip::<Frame<keeper::Response<'_>>>(bytes),
        3 => round_trip::<admin::Request<'_>>(bytes),
        4 => round_trip::<admin::Response<'_>>(bytes),
        5 => round_trip::<Frame<dialer::Request<'_>>>(bytes),
        6 => round_trip::<Frame<dialer::Response>>(bytes),
        7 => round_trip::<parent::ToChild>(bytes),
        _ => round_trip::<parent::FromChild>(bytes),
    }
});
