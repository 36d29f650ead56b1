package hooke;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;

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
    finished = frame.message().hasResult();
    return frame;
  }

  /** A frame, or null where the message is part of a tensor that goes on, or unknown. */
  private Frame read(hooke.v1.Frame message) {
    tensors.step(message.getSequence());
    return switch (message.getContentCase()) {
      case TENSOR_HEADER -> {
        tensors.header(message.getTensorHeader());
        yield null;
      }
      case TENSOR_CHUNK -> {
        tensors.chunk(message.getTensorChunk());
        yield null;
      }
      case TENSOR_TRAILER ->
          new Frame(message, Optional.of(tensors.trailer(message.getTensorTrailer())));
      case CONTENT_NOT_SET -> null;
      default -> new Frame(message, Optional.empty());
    };
  }
}
