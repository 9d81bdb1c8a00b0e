//! A body made piece by piece, each when the one before was taken. It starts no task: what makes the pieces lives and
//! dies with the connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;

/// What makes the pieces of a body.
pub(super) trait Source: Sized + Send + 'static {
    /// The next piece and what makes those after it; none at the end. An error breaks the connection off, so that the
    /// client sees that the body is not whole.
    fn next(self) -> impl Future<Output = io::Result<Option<(Bytes, Self)>>> + Send;
}

/// The body that a source makes.
pub(super) fn body(source: impl Source) -> Body {
    Body::new(Pieces { next: Box::pin(source.next()) })
}

type Next<S> = Pin<Box<dyn Future<Output = io::Result<Option<(Bytes, S)>>> + Send>>;

struct Pieces<S> {
    next: Next<S>,
}

impl<S: Source> hyper::body::Body for Pieces<S> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match ready!(self.next.as_mut().poll(context)) {
            Ok(Some((piece, source))) => {
                self.next = Box::pin(source.next());
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Ok(None) => {
                self.next = Box::pin(async { Ok(None) });
                Poll::Ready(None)
            }
            Err(error) => {
                self.next = Box::pin(async { Ok(None) });
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
