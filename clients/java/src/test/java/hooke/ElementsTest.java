package hooke;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import hooke.v1.AffineQuantization;
import hooke.v1.DataType;
import hooke.v1.TensorHeader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Numbers of each element type; the bytes are NumPy's. */
class ElementsTest {

  @ParameterizedTest
  @CsvSource({
    "DATA_TYPE_BOOL, bool, 01, 1",
    "DATA_TYPE_UINT8, uint8, ff, 255",
    "DATA_TYPE_INT8, int8, ff, -1",
    "DATA_TYPE_UINT16, uint16, ffff, 65535",
    "DATA_TYPE_INT16, int16, feff, -2",
    "DATA_TYPE_UINT32, uint32, ffffffff, 4294967295",
    "DATA_TYPE_INT32, int32, feffffff, -2",
    "DATA_TYPE_UINT64, uint64, ffffffffffffffff, 18446744073709551615",
    "DATA_TYPE_INT64, int64, feffffffffffffff, -2",
    "DATA_TYPE_FP16, float16, 00be, -1.5",
    "DATA_TYPE_FP16, float16, 0100, 5.960464477539063e-08",
    "DATA_TYPE_FP16, float16, ff7b, 65504",
    "DATA_TYPE_FP16, float16, 007c, Infinity",
    "DATA_TYPE_BF16, bfloat16, c0bf, -1.5",
    "DATA_TYPE_FP32, float32, 0000c0bf, -1.5",
    "DATA_TYPE_FP64, float64, 000000000000f8bf, -1.5",
  })
  void isRead(DataType type, String name, String bytes, double value) {
    byte[] raw = HexFormat.of().parseHex(bytes);
    TensorHeader header = TensorHeader.newBuilder().setDtype(type).build();
    Tensor tensor = new Tensor(header, ByteBuffer.wrap(raw));
    assertEquals(name, tensor.elementType());
    assertArrayEquals(new double[] {value}, tensor.values());
  }

  @Test
  void quantizedNumbersAreMappedBack() {
    TensorHeader header =
        TensorHeader.newBuilder()
            .setDtype(DataType.DATA_TYPE_UINT8)
            .setQuantization(AffineQuantization.newBuilder().setScale(0.5).setOffset(-1))
            .build();
    Tensor tensor = new Tensor(header, ByteBuffer.wrap(new byte[] {0, 4, (byte) 255}));
    assertArrayEquals(new double[] {-1, 1, 126.5}, tensor.values());
  }

  @Test
  void unknownTypeIsRefused() {
    assertThrows(HookeException.DataLoss.class, () -> Elements.width(DataType.UNRECOGNIZED));
  }
}
