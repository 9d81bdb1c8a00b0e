//! A connection as the exchange sees it: a reader with a bounded buffer, a writer, and time limits on both.

use std::future::{Future as _, poll_fn};
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::stream::Stream;

/// Pieces of a body are relayed and recorded at about this size where they come so fast.
const PIECE: usize = 64 << 10;

/// How much is read at once.
const READ_SIZE: usize = 32 << 10;

/// How much is read at once from a connection that has been quiet: most messages are small, and idle connections many.
const FIRST_READ: usize = 4 << 10;

/// What a client may still send after its connection was ended by an answer of ours.
const LINGER_BYTES: u64 = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The two directions of one connection.
pub(crate) struct Conn {
    /// What comes in.
    pub(crate) reader: Reader,
    /// What goes out.
    pub(crate) writer: Writer,
}

impl Conn {
    /// Takes a stream; `stall` bounds every wait for the peer that has no limit of its own.
    pub(crate) fn new(stream: Stream, stall: Duration) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            reader: Reader { half: read, buffer: BytesMut::new(), stall, next_read: FIRST_READ, failed: None },
            writer: Writer { half: write, stall },
        }
    }

    /// Ends the connection in good order after an answer that the client may not have read, because it is still
    /// sending: closing at once would reset the connection and lose the answer. Bounded in bytes and time.
    pub(crate) async fn linger(&mut self) {
        self.writer.finish().await;
        let drain = async {
            let mut left = LINGER_BYTES;
            while let Ok(piece) = self.reader.piece(left).await {
                left -= piece.len() as u64;
                if piece.is_empty() || left == 0 {
                    return;
                }
            }
        };
        // Either outcome ends the connection.
        drop(timeout(LINGER_TIME, drain).await);
    }

    /// The stream again, with bytes that were read and not used.
    pub(crate) fn into_parts(self) -> (Stream, Bytes) {
        (self.reader.half.unsplit(self.writer.half), self.reader.buffer.freeze())
    }
}

/// The reading side: bytes stay in the buffer until they are consumed.
pub(crate) struct Reader {
    half: ReadHalf<Stream>,
    buffer: BytesMut,
    stall: Duration,
    next_read: usize,
    /// What the last read met after bytes that are still to be taken.
    failed: Option<io::Error>,
}

impl Reader {
    /// Changes the limit of waits for the peer.
    pub(crate) fn set_stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// What has been read and not consumed.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Overwrites bytes that were read and not consumed.
    pub(crate) fn overwrite(&mut self, range: Range<usize>) {
        if let Some(bytes) = self.buffer.get_mut(range) {
            bytes.fill(b'*');
        }
    }

    /// Takes the first `len` bytes, without copying them.
    pub(crate) fn take_mut(&mut self, len: usize) -> BytesMut {
        self.buffer.split_to(len)
    }

    /// Reads more, waiting at most the connection's stall limit. Returns the number of bytes, 0 at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.fill_within(self.stall).await
    }

    /// Reads more, waiting at most `limit`.
    pub(crate) async fn fill_within(&mut self, limit: Duration) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // Where much comes, room for a whole piece at once: to grow is to copy.
        let room = if self.next_read == READ_SIZE { PIECE } else { self.next_read };
        self.buffer.reserve(room);
        match timeout(limit, self.half.read_buf(&mut self.buffer)).await {
            Ok(read) => {
                let read = read?;
                // A full read says that more is waiting; a small one that small reads will do.
                self.next_read = if read >= self.next_read { READ_SIZE } else { FIRST_READ };
                Ok(read)
            }
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The next piece of a body, left in the buffer: what is there, else one read. Empty at the end of the stream.
    pub(crate) async fn peek_piece(&mut self) -> io::Result<&[u8]> {
        if self.buffer.is_empty() && self.fill_within(self.stall).await? >= FIRST_READ {
            self.take_what_is_there().await;
        }
        Ok(&self.buffer)
    }

    /// Reads on, without waiting, up to a piece's size: one large write costs less than several small ones.
    async fn take_what_is_there(&mut self) {
        while self.buffer.len() < PIECE {
            self.buffer.reserve(READ_SIZE);
            let (half, buffer) = (&mut self.half, &mut self.buffer);
            let mut read = pin!(half.read_buf(buffer));
            let ready = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
            match ready {
                Poll::Ready(Ok(1..)) => {}
                // The end is seen again by the next read; an error is kept for it.
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
    }

    /// The next piece of a body, at most `most` bytes of it. Empty at the end of the stream.
    pub(crate) async fn piece(&mut self, most: u64) -> io::Result<BytesMut> {
        let here = self.peek_piece().await?.len();
        let take = usize::try_from(most).map_or(here, |most| most.min(here));
        Ok(self.buffer.split_to(take))
    }

    /// Has the peer already closed, or sent something, without waiting? Used before an idle connection is used again.
    pub(crate) fn is_stale(&mut self) -> bool {
        use std::pin::Pin;
        use std::task::{Context, Waker};
        use tokio::io::{AsyncRead as _, ReadBuf};
        if !self.buffer.is_empty() {
            return true;
        }
        let mut byte = [0u8; 1];
        let mut probe = ReadBuf::new(&mut byte);
        Pin::new(&mut self.half).poll_read(&mut Context::from_waker(Waker::noop()), &mut probe).is_ready()
    }
}

/// The writing side.
pub(crate) struct Writer {
    half: WriteHalf<Stream>,
    stall: Duration,
}

impl Writer {
    /// Writes all of it and flushes, waiting at most the connection's stall limit.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            self.half.write_all(bytes).await?;
            self.half.flush().await
        };
        match timeout(self.stall, write).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Says that nothing more will come (TLS `close_notify`, then FIN). Best effort: the peer may be gone already.
    pub(crate) async fn finish(&mut self) {
        // A peer that is gone needs no goodbye, so the result says nothing of use.
        drop(timeout(Duration::from_secs(1), self.half.shutdown()).await);
    }
}
