package hooke;

import java.util.Iterator;
import java.util.NoSuchElementException;

/** The frames in a stream's messages; those of kinds that are unknown here are left out. */
final class FrameIterator implements Iterator<Frame> {

  private final Iterator<hooke.v1.Frame> messages;
  private final TensorReader tensors = new TensorReader();
  private boolean finished;
  private Frame next;

  FrameIterator(Iterator<hooke.v1.Frame> messages) {
    this.messages = messages;
  }

  @Override
  public boolean hasNext() {
    while (next == null && messages.hasNext()) {
      next = read(messages.next());
    }
    if (next != null) {
      return true;
    }
    tensors.end();
    if (!finished) {
      throw new HookeException.DataLoss("the stream was cut off before its result");
    }
    return false;
  }

  @Override
  public Frame next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the result was the last frame");
    }
    Frame frame = next;
    next = null;
    finished = frame instanceof Frame.Result;
    return frame;
  }

  /** A frame, or null where the message is a part of one or unknown. */
  private Frame read(hooke.v1.Frame message) {
    tensors.step(message.getSequence());
    switch (message.getContentCase()) {
      case CHECKPOINT -> {
        return new Frame.Checkpoint(message.getCheckpoint());
      }
      case PROGRESS -> {
        return new Frame.Progress(message.getProgress());
      }
      case PICTURE -> {
        return new Frame.Picture(message.getPicture());
      }
      case RESULT -> {
        return new Frame.Result(message.getResult());
      }
      case TENSOR_TRAILER -> {
        return new Frame.Numbers(tensors.trailer(message.getTensorTrailer()));
      }
      case TENSOR_HEADER -> tensors.header(message.getTensorHeader());
      case TENSOR_CHUNK -> tensors.chunk(message.getTensorChunk());
      case CONTENT_NOT_SET -> {}
    }
    return null;
  }
}
