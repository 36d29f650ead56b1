use std::pin::pin;

use async_stream::try_stream;
use tokio_stream::{Stream, StreamExt};

use crate::v1::frame::Content;
use crate::{Assembler, Error, Frames, Tensor, v1};

/// What a call that computes yields; `Content::Result` is last.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A tensor, whole and checked.
    Tensor(Tensor),
    /// Any other content: progress, a picture, a checkpoint, ...
    Message(Content),
}

/// Checks a stream and joins the chunks of its tensors.
///
/// Sequence numbers have no gap, tensors come whole and unchanged, and a `Result` is
/// last; what breaks this is an [`Error`] of code `DataLoss`. Kinds of frames that this client
/// does not know are left out.
pub fn frames(messages: impl Stream<Item = Result<v1::Frame, Error>> + Send + 'static) -> Frames {
    Box::pin(try_stream! {
        let mut reader = Reader::default();
        let mut messages = pin!(messages);
        while let Some(message) = messages.next().await {
            if let Some(frame) = reader.read(message?)? {
                yield frame;
            }
        }
        reader.end()?;
    })
}

#[derive(Default)]
struct Reader {
    sequence: i64,
    tensor: Option<Assembler>,
    finished: bool,
}

impl Reader {
    /// The frame that a message completes, if it does.
    fn read(&mut self, message: v1::Frame) -> Result<Option<Frame>, Error> {
        self.sequence += 1;
        if message.sequence != self.sequence {
            let (expected, got) = (self.sequence, message.sequence);
            return Err(Error::lost(format!(
                "message {expected} of the stream is lost: got {got}"
            )));
        }
        Ok(match message.content {
            Some(Content::TensorHeader(header)) => {
                self.begin(header)?;
                None
            }
            Some(Content::TensorChunk(chunk)) => {
                self.tensor.as_mut().ok_or_else(headless)?.add(&chunk)?;
                None
            }
            Some(Content::TensorTrailer(trailer)) => {
                let tensor = self.tensor.take().ok_or_else(headless)?;
                Some(Frame::Tensor(tensor.finish(&trailer)?))
            }
            Some(content) => {
                self.finished = matches!(content, Content::Result(_));
                Some(Frame::Message(content))
            }
            None => None,
        })
    }

    fn begin(&mut self, header: v1::TensorHeader) -> Result<(), Error> {
        if self.tensor.is_some() {
            return Err(Error::lost("a tensor began before the last one had ended".into()));
        }
        self.tensor = Some(Assembler::new(header)?);
        Ok(())
    }

    fn end(&self) -> Result<(), Error> {
        if self.tensor.is_some() {
            return Err(Error::lost("the stream was cut off inside a tensor".into()));
        }
        if !self.finished {
            return Err(Error::lost("the stream was cut off before its result".into()));
        }
        Ok(())
    }
}

fn headless() -> Error {
    Error::lost("bytes of a tensor came without its header".into())
}
