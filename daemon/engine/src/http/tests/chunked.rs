//! The chunked coding: every way to cut it, every way to get it wrong.

use super::Dice;
use crate::http::{ChunkedDecoder, ChunkedError, ChunkedLimits, Piece};

/// Payload, trailer bytes, and bytes consumed.
type Decoded = Result<(Vec<u8>, Vec<u8>, Option<usize>), ChunkedError>;

/// Feeds `parts` one after the other; the last number is where the body ended, if it did.
fn decode<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
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
        assert_eq!(progress.consumed, part.len());
    }
    Ok((data, trailers, None))
}

const BODY: &[u8] =
    b"4\r\nWiki\r\n0006;a=\"b;c\"\r\npedia \r\nA\r\n0123456789\r\n000\r\nX-Sum: 1\r\nY:\r\n\r\nGET /next";

#[test]
fn every_split_gives_the_same() {
    let whole = decode([BODY]).unwrap();
    assert_eq!(whole.0, b"Wikipedia 0123456789");
    assert_eq!(whole.1, b"X-Sum: 1\r\nY:\r\n");
    assert_eq!(whole.2, Some(BODY.len() - 9));
    for first in 0..=BODY.len() {
        for second in first..=BODY.len() {
            let parts = [&BODY[..first], &BODY[first..second], &BODY[second..]];
            assert_eq!(decode(parts), Ok(whole.clone()), "{first} {second}");
        }
    }
    assert_eq!(decode(BODY.chunks(1)), Ok(whole));
}

#[test]
fn without_trailers_and_unfinished() {
    assert_eq!(decode([&b"0\r\n\r\n"[..]]), Ok((vec![], vec![], Some(5))));
    for end in 0..BODY.len() - 9 {
        assert_eq!(decode([&BODY[..end]]).unwrap().2, None, "{end}");
    }
}

#[test]
fn malformed_bodies() {
    let long_extension = format!("1;{}\r\nx\r\n", "e".repeat(5000));
    let long_trailers = format!("0\r\nA: {}\r\n\r\n", "t".repeat(17_000));
    let many_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(65));
    for (body, expected) in [
        ("\r\n", ChunkedError::Size),
        ("g\r\n", ChunkedError::Size),
        (" 5\r\n", ChunkedError::Size),
        ("5 \r\n", ChunkedError::Size),
        ("5 ;a\r\n", ChunkedError::Size),
        ("+5\r\n", ChunkedError::Size),
        ("-1\r\n", ChunkedError::Size),
        ("0x5\r\n", ChunkedError::Size),
        ("5,5\r\n", ChunkedError::Size),
        (";a\r\n", ChunkedError::Size),
        ("\n", ChunkedError::Size),
        ("5\n12345\n", ChunkedError::BareLf),
        ("5\r12345", ChunkedError::BareCr),
        ("5\r\r\n", ChunkedError::BareCr),
        ("5;a\n", ChunkedError::BareLf),
        ("5;a\rb\n", ChunkedError::BareCr),
        ("5;a\0\r\n", ChunkedError::ControlByte),
        ("5;\x7f\r\n", ChunkedError::ControlByte),
        ("00000000000000001\r\n", ChunkedError::SizeTooLong),
        ("fffffffffffffffff\r\n", ChunkedError::SizeTooLong),
        (&long_extension, ChunkedError::ExtensionTooLong),
        ("3\r\nabcd\r\n", ChunkedError::DataEnd),
        ("3\r\nab\r\n0\r\n\r\n", ChunkedError::DataEnd),
        ("3\r\nabc\n", ChunkedError::DataEnd),
        ("3\r\nabc\r0", ChunkedError::DataEnd),
        ("3\r\nabc0\r\n", ChunkedError::DataEnd),
        ("0\r\n\n", ChunkedError::BareLf),
        ("0\r\n\rX", ChunkedError::BareCr),
        ("0\r\nA: b\n", ChunkedError::BareLf),
        ("0\r\nA: b\rc", ChunkedError::BareCr),
        ("0\r\nA: b\0", ChunkedError::ControlByte),
        ("0\r\n A: b", ChunkedError::TrailerFolding),
        ("0\r\nA: b\r\n\tc", ChunkedError::TrailerFolding),
        ("0\r\nA : b", ChunkedError::Trailer),
        ("0\r\n: b", ChunkedError::Trailer),
        ("0\r\nA\r\n", ChunkedError::Trailer),
        ("0\r\nA\n", ChunkedError::BareLf),
        ("0\r\nContent-Length: 5", ChunkedError::ForbiddenTrailer),
        ("0\r\nTRANSFER-ENCODING: x", ChunkedError::ForbiddenTrailer),
        ("0\r\nA: b\r\nhost: x", ChunkedError::ForbiddenTrailer),
        (&long_trailers, ChunkedError::TrailersTooLarge),
        (&many_trailers, ChunkedError::TrailersTooLarge),
    ] {
        assert_eq!(decode([body.as_bytes()]), Err(expected), "{}", body.escape_debug());
        assert_eq!(decode(body.as_bytes().chunks(1)), Err(expected), "{}", body.escape_debug());
    }
    // Longer than a forbidden name is another name.
    assert!(decode([&b"0\r\nTransfer-Encoding-X: y\r\nHosts: z\r\n\r\n"[..]]).is_ok());
}

#[test]
fn the_largest_size_does_not_overflow() {
    let (data, _, end) = decode([&b"ffffffffffffffff\r\nabc"[..]]).unwrap();
    assert_eq!((data, end), (b"abc".to_vec(), None));
}

#[test]
fn random_bytes_decode_the_same_however_they_are_cut() {
    let alphabet = b"0013aAf;x\r\n\r\n\r\n: \t\0";
    let mut dice = Dice(0xc0ffee);
    for _ in 0..5_000 {
        let text: Vec<u8> = (0..dice.roll(40)).map(|_| alphabet[dice.roll(alphabet.len())]).collect();
        let cut = dice.roll(text.len() + 1);
        let (whole, cut) = (decode([&text[..]]), decode([&text[..cut], &text[cut..]]));
        // An error tells nothing of the payload before it; an end is the same end.
        assert_eq!(whole, cut, "{}", text.escape_ascii());
    }
}
