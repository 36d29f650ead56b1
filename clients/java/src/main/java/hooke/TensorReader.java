package hooke;

import hooke.v1.TensorChunk;
import hooke.v1.TensorHeader;
import hooke.v1.TensorTrailer;

/** Joins the parts of one tensor after another, as they arrive on a stream without a gap. */
final class TensorReader {

  private Assembly open;
  private long sequence;

  /** Checks that this is the message after the last one. */
  void step(long number) {
    sequence++;
    if (number != sequence) {
      throw new HookeException.DataLoss(
          "message %d of the stream is lost: got %d".formatted(sequence, number));
    }
  }

  void header(TensorHeader header) {
    if (open != null) {
      throw new HookeException.DataLoss("a tensor began before the last one had ended");
    }
    open = new Assembly(header);
  }

  void chunk(TensorChunk chunk) {
    current().add(chunk);
  }

  Tensor trailer(TensorTrailer trailer) {
    Tensor tensor = current().finish(trailer);
    open = null;
    return tensor;
  }

  /** Checks that the stream may end here. */
  void end() {
    if (open != null) {
      throw new HookeException.DataLoss("the stream was cut off inside a tensor");
    }
  }

  private Assembly current() {
    if (open == null) {
      throw new HookeException.DataLoss("bytes of a tensor came without its header");
    }
    return open;
  }
}
