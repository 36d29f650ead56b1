package hooke;

import hooke.v1.TensorChunk;
import hooke.v1.TensorHeader;
import hooke.v1.TensorTrailer;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/** A tensor that is arriving: bytes go to their place and are checked on the way. */
final class Assembly {

  private final TensorHeader header;
  private final ByteBuffer bytes;
  private final CRC32C crc = new CRC32C();

  /** Begins a tensor whose size must be what its shape and element type say. */
  Assembly(TensorHeader header) {
    long size = Elements.width(header.getDtype());
    for (long extent : header.getShapeList()) {
      size = Math.multiplyExact(size, extent);
    }
    if (size != header.getTotalBytes()) {
      throw new HookeException.DataLoss(
          "a tensor %s of %s cannot have %d bytes"
              .formatted(header.getShapeList(), header.getDtype(), header.getTotalBytes()));
    }
    if (size > Integer.MAX_VALUE) {
      throw new HookeException.OutOfRange(
          "a tensor of %d bytes is larger than a Java array; ask for fewer layers, units or slices"
              .formatted(size));
    }
    this.header = header;
    this.bytes = ByteBuffer.allocate((int) size);
  }

  /** Puts the next bytes in place. */
  void add(TensorChunk chunk) {
    int size = chunk.getData().size();
    if (chunk.getTensorId() != header.getTensorId()
        || chunk.getOffset() != bytes.position()
        || size > bytes.remaining()) {
      throw new HookeException.DataLoss(
          "expected bytes of tensor %d from %d on, at most to %d; got tensor %d from %d to %d"
              .formatted(
                  header.getTensorId(),
                  bytes.position(),
                  bytes.limit(),
                  chunk.getTensorId(),
                  chunk.getOffset(),
                  chunk.getOffset() + size));
    }
    int from = bytes.position();
    chunk.getData().copyTo(bytes);
    crc.update(bytes.array(), from, size);
  }

  /** The tensor, if all that was sent has arrived as it was sent. */
  Tensor finish(TensorTrailer trailer) {
    if (trailer.getTensorId() != header.getTensorId()
        || trailer.getTotalBytes() != bytes.position()
        || bytes.hasRemaining()) {
      throw new HookeException.DataLoss(
          "tensor %d ended after %d of %d bytes"
              .formatted(header.getTensorId(), bytes.position(), bytes.limit()));
    }
    int received = (int) crc.getValue();
    if (trailer.getCrc32C() != received) {
      throw new HookeException.DataLoss(
          "the bytes of tensor %d are not those that were sent: CRC-32C %08x instead of %08x"
              .formatted(trailer.getTensorId(), received, trailer.getCrc32C()));
    }
    return new Tensor(header, bytes);
  }
}
