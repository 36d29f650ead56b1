package hooke;

import hooke.v1.DataType;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.function.IntToDoubleFunction;

/** Element types: how wide each is, and how it is read. */
final class Elements {

  private Elements() {}

  /** What NumPy calls it. */
  static String name(DataType type) {
    return switch (type) {
      case DATA_TYPE_FP16 -> "float16";
      case DATA_TYPE_FP32 -> "float32";
      case DATA_TYPE_FP64 -> "float64";
      case DATA_TYPE_BF16 -> "bfloat16";
      default -> type.name().replace("DATA_TYPE_", "").toLowerCase(Locale.ROOT);
    };
  }

  /** Bytes of an element. */
  static int width(DataType type) {
    return switch (type) {
      case DATA_TYPE_BOOL, DATA_TYPE_UINT8, DATA_TYPE_INT8 -> 1;
      case DATA_TYPE_UINT16, DATA_TYPE_INT16, DATA_TYPE_FP16, DATA_TYPE_BF16 -> 2;
      case DATA_TYPE_UINT32, DATA_TYPE_INT32, DATA_TYPE_FP32 -> 4;
      case DATA_TYPE_UINT64, DATA_TYPE_INT64, DATA_TYPE_FP64 -> 8;
      case DATA_TYPE_UNSPECIFIED, UNRECOGNIZED ->
          throw new HookeException.DataLoss("a tensor of an element type unknown here: " + type);
    };
  }

  /** A function from an offset in the bytes to the number there; 64 bits may be rounded. */
  static IntToDoubleFunction reader(DataType type, ByteBuffer bytes) {
    return switch (type) {
      case DATA_TYPE_BOOL, DATA_TYPE_UINT8 -> at -> bytes.get(at) & 0xFF;
      case DATA_TYPE_INT8 -> bytes::get;
      case DATA_TYPE_UINT16 -> bytes::getChar;
      case DATA_TYPE_INT16 -> bytes::getShort;
      case DATA_TYPE_UINT32 -> at -> Integer.toUnsignedLong(bytes.getInt(at));
      case DATA_TYPE_INT32 -> bytes::getInt;
      case DATA_TYPE_UINT64 -> at -> unsigned(bytes.getLong(at));
      case DATA_TYPE_INT64 -> bytes::getLong;
      case DATA_TYPE_FP16 -> at -> half(bytes.getShort(at));
      case DATA_TYPE_BF16 -> at -> Float.intBitsToFloat(bytes.getShort(at) << 16);
      case DATA_TYPE_FP32 -> bytes::getFloat;
      case DATA_TYPE_FP64 -> bytes::getDouble;
      case DATA_TYPE_UNSPECIFIED, UNRECOGNIZED -> throw new IllegalArgumentException(type.name());
    };
  }

  private static double unsigned(long bits) {
    // Halved with its last bit kept, so that rounding sees it, then doubled.
    return bits >= 0 ? bits : 2.0 * (bits >>> 1 | bits & 1);
  }

  /** IEEE 754 half precision: sign, five bits of exponent, ten of fraction. */
  private static double half(short bits) {
    int exponent = bits >> 10 & 0x1F;
    int fraction = bits & 0x3FF;
    double size =
        switch (exponent) {
          case 0 -> Math.scalb((double) fraction, -24);
          case 0x1F -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
          default -> Math.scalb(1 + fraction / 1024.0, exponent - 15);
        };
    return bits < 0 ? -size : size;
  }
}
