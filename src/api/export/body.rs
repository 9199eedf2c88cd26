//! The body of an export: pieces as they come, and an error where it breaks off.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use crate::store::StoreError;

/// What a producer hands over.
#[derive(Debug)]
pub(in crate::api) enum Piece {
    Data(Bytes),
    /// The last one of a whole export.
    End(HeaderMap),
    /// The export cannot go on.
    Broken(StoreError),
}

/// A body that ends well only after [`Piece::End`].
#[derive(Debug)]
pub(in crate::api) struct ExportBody {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

impl ExportBody {
    pub(in crate::api) const fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, ended: false }
    }
}

impl Body for ExportBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        self.ended = !matches!(piece, Some(Piece::Data(_)));
        Poll::Ready(Some(match piece {
            Some(Piece::Data(data)) => Ok(Frame::data(data)),
            Some(Piece::End(trailers)) => Ok(Frame::trailers(trailers)),
            Some(Piece::Broken(error)) => Err(Box::new(error)),
            // A producer that vanished said nothing of an end.
            None => Err("the export broke off".into()),
        }))
    }
}
