//! Chunked bodies: payload, trailers and end do not depend on how the bytes were cut.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the codec is included as source; a target uses a part of it"
)]

#[path = "../../daemon/engine/src/http/mod.rs"]
mod http;

use http::{ChunkedDecoder, ChunkedError, ChunkedLimits, Piece};
use libfuzzer_sys::fuzz_target;

fn decode<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Vec<u8>, Option<usize>), ChunkedError> {
    let limits = ChunkedLimits {
        max_extension: 16,
        max_trailers: 64,
        max_trailer_fields: 3,
    };
    let mut decoder = ChunkedDecoder::new(limits);
    let (mut data, mut trailers, mut before) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        let progress = decoder.feed(part, |piece| match piece {
            Piece::Data(range) => data.extend_from_slice(&part[range]),
            Piece::Trailers(range) => trailers.extend_from_slice(&part[range]),
        })?;
        before += progress.consumed;
        if progress.done {
            return Ok((data, trailers, Some(before)));
        }
    }
    Ok((data, trailers, None))
}

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, text) = data;
    let (first, second) = text.split_at(usize::from(cut).min(text.len()));
    let whole = decode([text]);
    assert_eq!(whole, decode([first, second]));
    assert_eq!(whole, decode(text.chunks(1)));
});
