//! Encoding and decoding of one frame.

use serde::{Deserialize, Serialize};

/// A request or an answer with the id that joins them. The asking side chooses the id; the answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<T> {
    /// Joins an answer to its request; unique among the requests under way on one link.
    pub id: u64,
    /// The message.
    pub body: T,
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// The bytes are not a message of this protocol.
    #[error("the peer sent {0} bytes that are no message of this protocol; it is dropped")]
    Malformed(usize),
    /// The message does not fit into a frame.
    #[error("a message does not fit into a frame of {} bytes", crate::MAX_FRAME)]
    TooLarge,
}

/// Writes `message` into `buffer` and returns the bytes used.
///
/// # Errors
/// [`FrameError::TooLarge`] if the buffer (or [`crate::MAX_FRAME`]) is too small.
pub fn encode<T: Serialize>(message: &T, buffer: &mut [u8]) -> Result<usize, FrameError> {
    let limit = buffer.len().min(crate::MAX_FRAME);
    postcard::to_slice(message, &mut buffer[..limit]).map(|used| used.len()).map_err(|_| FrameError::TooLarge)
}

/// Reads a message that fills `bytes` exactly; a longer or shorter frame is malformed.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed(bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_bytes_left_over_is_malformed() {
        let mut buffer = [0u8; 64];
        let used = encode(&Frame { id: 7, body: "x" }, &mut buffer).unwrap();
        assert_eq!(decode::<Frame<&str>>(&buffer[..used]).unwrap(), Frame { id: 7, body: "x" });
        assert_eq!(decode::<Frame<&str>>(&buffer[..used + 1]), Err(FrameError::Malformed(used + 1)));
        assert_eq!(decode::<Frame<&str>>(&buffer[..used - 1]), Err(FrameError::Malformed(used - 1)));
    }

    #[test]
    fn a_message_larger_than_the_cap_is_refused() {
        let mut buffer = vec![0u8; crate::MAX_FRAME * 2];
        let long = "a".repeat(crate::MAX_FRAME);
        assert_eq!(encode(&long, &mut buffer), Err(FrameError::TooLarge));
    }
}
