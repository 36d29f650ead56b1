package hooke;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import hooke.v1.DataType;
import hooke.v1.Frame;
import hooke.v1.Result;
import hooke.v1.TensorChunk;
import hooke.v1.TensorHeader;
import hooke.v1.TensorTrailer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the reader of a stream accepts, and what it refuses. */
class TensorReaderTest {

  // CRC-32C of 32 bytes 0x00..0x1F, from RFC 3720, B.4.
  private static final int CRC = 0x46dd794e;
  private static final byte[] BYTES = new byte[32];

  static {
    for (int i = 0; i < BYTES.length; i++) {
      BYTES[i] = (byte) i;
    }
  }

  private static Frame header() {
    return Frame.newBuilder()
        .setTensorHeader(
            TensorHeader.newBuilder()
                .setTensorId(5)
                .setLayer("models/m/layers/%2Fconv1%2FConv+x")
                .setDtype(DataType.DATA_TYPE_UINT8)
                .addAllShape(List.of(4L, 8L))
                .addAllAxes(List.of("batch", "unit"))
                .setTotalBytes(32))
        .build();
  }

  private static Frame chunk(int from, int to) {
    return Frame.newBuilder()
        .setTensorChunk(
            TensorChunk.newBuilder()
                .setTensorId(5)
                .setOffset(from)
                .setData(ByteString.copyFrom(BYTES, from, to - from)))
        .build();
  }

  private static Frame trailer(int crc) {
    return Frame.newBuilder()
        .setTensorTrailer(
            TensorTrailer.newBuilder().setTensorId(5).setTotalBytes(32).setCrc32C(crc))
        .build();
  }

  private static Frame result() {
    return Frame.newBuilder().setResult(Result.getDefaultInstance()).build();
  }

  private static List<hooke.Frame> read(Frame... messages) {
    List<Frame> numbered = new ArrayList<>();
    for (Frame each : messages) {
      numbered.add(each.toBuilder().setSequence(numbered.size() + 1L).build());
    }
    List<hooke.Frame> frames = new ArrayList<>();
    new FrameIterator(numbered.iterator()).forEachRemaining(frames::add);
    return frames;
  }

  private static void refused(String because, Frame... messages) {
    HookeException error = assertThrows(HookeException.DataLoss.class, () -> read(messages));
    assertTrue(error.getMessage().contains(because), error.getMessage());
    assertEquals("DATA_LOSS", error.code());
  }

  @Test
  void partsBecomeATensor() {
    List<hooke.Frame> frames = read(header(), chunk(0, 7), chunk(7, 32), trailer(CRC), result());
    assertEquals(2, frames.size());
    Tensor tensor = frames.get(0).tensor().orElseThrow();
    assertTrue(frames.get(1).message().hasResult());
    assertEquals("/conv1/Conv+x", tensor.layer());
    assertEquals(List.of(4L, 8L), tensor.shape());
    assertEquals(List.of("batch", "unit"), tensor.axes());
    byte[] copy = new byte[32];
    tensor.bytes().get(copy);
    assertArrayEquals(BYTES, copy);
    assertEquals(31, tensor.values()[31]);
  }

  @Test
  void wrongChecksum() {
    refused("CRC-32C 46dd794e instead of 46dd794f", header(), chunk(0, 32), trailer(CRC + 1));
  }

  @Test
  void missingTrailer() {
    refused("cut off inside a tensor", header(), chunk(0, 32));
    refused("before the last one had ended", header(), chunk(0, 32), header());
  }

  @Test
  void chunksOutOfOrder() {
    refused("expected bytes of tensor 5 from 0 on", header(), chunk(7, 32), chunk(0, 7));
    refused("expected bytes of tensor 5 from 7 on", header(), chunk(0, 7), chunk(0, 7));
  }

  @Test
  void missingChunk() {
    refused("ended after 7 of 32 bytes", header(), chunk(0, 7), trailer(CRC));
    refused("without its header", chunk(0, 7));
  }

  @Test
  void sizeThatContradictsTheShape() {
    Frame.Builder wrong = header().toBuilder();
    wrong.getTensorHeaderBuilder().setTotalBytes(33);
    refused("cannot have 33 bytes", wrong.build());
  }

  @Test
  void lostMessage() {
    List<Frame> gap = List.of(result().toBuilder().setSequence(2).build());
    FrameIterator frames = new FrameIterator(gap.iterator());
    assertThrows(HookeException.DataLoss.class, frames::hasNext);
  }

  @Test
  void streamWithoutResult() {
    refused("before its result", header(), chunk(0, 32), trailer(CRC));
    refused("before its result");
  }

  @Test
  void unknownFramesAreLeftOut() {
    assertEquals(1, read(Frame.getDefaultInstance(), result()).size());
  }
}
