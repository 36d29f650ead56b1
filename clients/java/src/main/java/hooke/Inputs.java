package hooke;

import com.google.protobuf.ByteString;
import hooke.v1.DataType;
import hooke.v1.EncodedImage;
import hooke.v1.ImageBatch;
import hooke.v1.ModelInput;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Inputs of a model that fit into a request (4 MiB). */
public final class Inputs {

  private Inputs() {}

  /** Pictures' files (PNG, JPEG or WebP) as one batch, which the server prepares. */
  public static ModelInput pictures(byte[]... files) {
    ImageBatch.Builder batch = ImageBatch.newBuilder();
    for (byte[] file : files) {
      batch.addImages(EncodedImage.newBuilder().setData(ByteString.copyFrom(file)));
    }
    return ModelInput.newBuilder().setImages(batch).build();
  }

  /**
   * Numbers exactly as the model takes them.
   *
   * @param values the elements, the last dimension running fastest
   * @param shape extents, the batch's first
   */
  public static ModelInput tensor(float[] values, long... shape) {
    if (Arrays.stream(shape).reduce(1, Math::multiplyExact) != values.length) {
      throw new IllegalArgumentException(
          values.length + " numbers do not fill the shape " + Arrays.toString(shape));
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    hooke.v1.Tensor.Builder tensor =
        hooke.v1.Tensor.newBuilder()
            .setDtype(DataType.DATA_TYPE_FP32)
            .setData(ByteString.copyFrom(bytes));
    Arrays.stream(shape).forEach(tensor::addShape);
    return ModelInput.newBuilder().setTensor(tensor).build();
  }
}
