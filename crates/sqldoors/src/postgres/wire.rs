//! The two ends of a connection: messages as they come in, in a buffer of bounded size, and what goes out, sent in pieces
//! and never waited for without end. What is not here: what messages mean.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::message::{self, Message};
use super::reply::Out;
use crate::Error;

/// What is written is sent once it has grown to this.
const SEND_BYTES: usize = 64 << 10;
/// A message's letter and its length.
const HEAD_BYTES: usize = 5;

/// Anything that bytes come and go by.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The connection ended, or its client does not take what it asked for.
#[derive(Debug)]
pub(crate) struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Gone {
        Gone
    }
}

pub(crate) struct Reader {
    half: ReadHalf<Box<dyn Stream>>,
    buffer: BytesMut,
    message_bytes_max: usize,
}

impl Reader {
    pub(crate) fn new(half: ReadHalf<Box<dyn Stream>>, message_bytes_max: usize) -> Reader {
        Reader { half, buffer: BytesMut::new(), message_bytes_max }
    }

    /// With another bound.
    pub(crate) fn with_max(self, message_bytes_max: usize) -> Reader {
        Reader { message_bytes_max, ..self }
    }

    /// Reads what is there, at least a byte. Cancel safe.
    async fn fill(&mut self) -> Result<(), Gone> {
        match self.half.read_buf(&mut self.buffer).await? {
            0 => Err(Gone),
            _ => Ok(()),
        }
    }

    /// Whether a message has begun to come.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Until something comes that is not there yet.
    pub(crate) async fn begin(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() { self.fill().await } else { Ok(()) }
    }

    /// The next message; waits for all of it.
    pub(crate) async fn next(&mut self) -> Result<Result<Message, Error>, Gone> {
        loop {
            if let Some(read) = self.take() {
                return Ok(read);
            }
            self.fill().await?;
        }
    }

    fn take(&mut self) -> Option<Result<Message, Error>> {
        let length = message::length(self.buffer.get(1..)?)?;
        // The length counts itself.
        if length < 4 {
            return Some(Err(Error::Protocol("a message is shorter than its length")));
        }
        if length > self.message_bytes_max {
            let bytes = u64::try_from(length).unwrap_or(u64::MAX);
            return Some(Err(Error::TooLarge { bytes, bytes_max: self.message_bytes_max as u64 }));
        }
        if self.buffer.len() <= length {
            self.buffer.reserve(length + 1 - self.buffer.len());
            return None;
        }
        let mut whole = self.buffer.split_to(length + 1);
        let tag = whole.first().copied().unwrap_or_default();
        whole.advance(HEAD_BYTES);
        Some(message::message(tag, &whole))
    }

    /// Until the other end is gone: what it sends meanwhile is kept, up to one message.
    pub(crate) async fn until_gone(&mut self) {
        while self.buffer.len() < self.message_bytes_max {
            if self.fill().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }
}

pub(crate) struct Writer {
    half: WriteHalf<Box<dyn Stream>>,
    pub(crate) out: Out,
    /// How long a client may take nothing of what is sent.
    take_max: Duration,
}

impl Writer {
    pub(crate) fn new(half: WriteHalf<Box<dyn Stream>>, take_max: Duration) -> Writer {
        Writer { half, out: Out::default(), take_max }
    }

    /// Sends everything.
    pub(crate) async fn send(&mut self) -> Result<(), Gone> {
        let sending = async {
            self.half.write_all(&self.out.0).await?;
            self.half.flush().await
        };
        tokio::time::timeout(self.take_max, sending).await.map_err(|_| Gone)??;
        self.out.0.clear();
        // A long answer leaves no large buffer behind.
        self.out.0.shrink_to(SEND_BYTES);
        Ok(())
    }

    /// Sends if much has been written.
    pub(crate) async fn send_much(&mut self) -> Result<(), Gone> {
        if self.out.0.len() >= SEND_BYTES { self.send().await } else { Ok(()) }
    }

    /// Passes finished messages on.
    pub(crate) async fn pass(&mut self, messages: &[u8]) -> Result<(), Gone> {
        if messages.len() < SEND_BYTES {
            self.out.0.extend_from_slice(messages);
            return self.send_much().await;
        }
        self.send().await?;
        // A piece at a time, each with its time: who takes slowly takes all the same.
        for piece in messages.chunks(SEND_BYTES) {
            tokio::time::timeout(self.take_max, self.half.write_all(piece)).await.map_err(|_| Gone)??;
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) {
        // Whoever is gone needs no good-bye.
        let _ = tokio::time::timeout(self.take_max, self.half.shutdown()).await;
    }
}
