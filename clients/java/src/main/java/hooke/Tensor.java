package hooke;

import hooke.v1.TensorHeader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * A tensor that arrived whole.
 *
 * @param header what the server says of it: element type, shape, axes, scale
 * @param bytes its elements, little-endian, the last dimension running fastest; read only
 */
public record Tensor(TensorHeader header, ByteBuffer bytes) {

  /** Keeps the bytes as a view that nobody can write through. */
  public Tensor {
    bytes = view(bytes);
  }

  /** A view of the bytes from their beginning, with a position of its own. */
  @Override
  public ByteBuffer bytes() {
    return view(bytes);
  }

  /** What it holds, in one word: {@code activations}, {@code mean}, the name of a weight. */
  public String name() {
    return header.getName();
  }

  /** Id of the layer that it belongs to. */
  public String layer() {
    return Names.layerId(header.getLayer());
  }

  /** Extents, outermost first; empty for a scalar. */
  public List<Long> shape() {
    return header.getShapeList();
  }

  /** A name for each dimension. */
  public List<String> axes() {
    return header.getAxesList();
  }

  /** Element type, as NumPy says it: {@code float32}. */
  public String elementType() {
    return Elements.name(header.getDtype());
  }

  /** The elements as the real values that they stand for, whatever their type is. */
  public double[] values() {
    int width = Elements.width(header.getDtype());
    IntToDoubleFunction element = Elements.reader(header.getDtype(), bytes);
    double scale = header.hasQuantization() ? header.getQuantization().getScale() : 1;
    double offset = header.getQuantization().getOffset();
    return IntStream.range(0, bytes.limit() / width)
        .mapToDouble(index -> scale * element.applyAsDouble(index * width) + offset)
        .toArray();
  }

  private static ByteBuffer view(ByteBuffer bytes) {
    return bytes.asReadOnlyBuffer().rewind().order(ByteOrder.LITTLE_ENDIAN);
  }
}
