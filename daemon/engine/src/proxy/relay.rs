//! Moving bodies: piece by piece from one side to the other, exactly as they came, with the payload teed to the
//! recorder. Nothing is held whole.

use std::io;

use tokio::sync::Mutex;

use super::conn::{Reader, Writer};
use crate::flow::Side;
use crate::http::{ChunkedDecoder, ChunkedError, ChunkedLimits, Framing, Piece};
use crate::store::FlowRecord;

/// A record that both directions of one exchange add to.
pub(crate) type SharedRecord = Mutex<FlowRecord>;

/// Where the bytes of one direction come from and go to.
pub(crate) struct Direction<'a> {
    /// Which body this is.
    pub(crate) side: Side,
    /// Source.
    pub(crate) reader: &'a mut Reader,
    /// Sink.
    pub(crate) writer: &'a mut Writer,
    /// The flow.
    pub(crate) record: &'a SharedRecord,
}

/// Why a body was not relayed to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Reading failed.
    Read(io::Error),
    /// Writing failed.
    Write(io::Error),
    /// The source ended early.
    Short,
    /// The chunked coding is malformed.
    Chunked(ChunkedError),
}

impl Direction<'_> {
    /// Relays one body. After an error neither side can be used for another message.
    pub(crate) async fn body(&mut self, framing: Framing) -> Result<(), BodyError> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.length(length).await,
            Framing::Chunked => self.chunked().await,
            Framing::UntilClose | Framing::Tunnel => self.until_close().await,
        }
    }

    async fn length(&mut self, mut left: u64) -> Result<(), BodyError> {
        while left > 0 {
            let piece = self.reader.piece(left).await.map_err(BodyError::Read)?.freeze();
            if piece.is_empty() {
                return Err(BodyError::Short);
            }
            left -= piece.len() as u64;
            self.record.lock().await.body(self.side, piece.clone()).await;
            self.writer.send(&piece).await.map_err(BodyError::Write)?;
        }
        Ok(())
    }

    /// All bytes until the source ends; then the sink is told that nothing more comes.
    pub(crate) async fn until_close(&mut self) -> Result<(), BodyError> {
        loop {
            let piece = self.reader.piece(u64::MAX).await.map_err(BodyError::Read)?.freeze();
            if piece.is_empty() {
                self.writer.finish().await;
                return Ok(());
            }
            self.record.lock().await.body(self.side, piece.clone()).await;
            self.writer.send(&piece).await.map_err(BodyError::Write)?;
        }
    }

    /// The raw bytes go on as they came; the record gets the payload.
    async fn chunked(&mut self) -> Result<(), BodyError> {
        let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
        let mut pieces = Vec::new();
        loop {
            let piece = self.reader.peek_piece().await.map_err(BodyError::Read)?;
            if piece.is_empty() {
                return Err(BodyError::Short);
            }
            pieces.clear();
            let progress = decoder.feed(piece, |found| pieces.push(found)).map_err(BodyError::Chunked)?;
            let raw = self.reader.take_mut(progress.consumed).freeze();
            {
                let mut record = self.record.lock().await;
                for found in pieces.drain(..) {
                    if let Piece::Data(range) = found {
                        record.body(self.side, raw.slice(range)).await;
                    }
                }
            }
            self.writer.send(&raw).await.map_err(BodyError::Write)?;
            if progress.done {
                return Ok(());
            }
        }
    }
}
