package hooke.tour;

import com.google.gson.GsonBuilder;
import hooke.Frame;
import hooke.HookeClient;
import hooke.Inputs;
import hooke.Names;
import hooke.Readouts;
import hooke.Tensor;
import hooke.v1.Ascent;
import hooke.v1.FeatureVisualization;
import hooke.v1.Layer;
import hooke.v1.LayerFilter;
import hooke.v1.Picture;
import hooke.v1.Statistic;
import hooke.v1.VisualizationItem;
import hooke.v1.VisualizeRequest;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/** The tour of {@code clients/README.md}: the same calls in every language, the same JSON. */
public final class Tour {

  static final String MODEL = "demo";
  static final String LAYER = "blocks.2.1";

  private final String address;
  private final HookeClient client;

  private Tour(String address, HookeClient client) {
    this.address = address;
    this.client = client;
  }

  /** Prints the answers of the server at an address. */
  public static void main(String... arguments) throws IOException {
    String address = arguments.length > 0 ? arguments[0] : "localhost:50051";
    try (HookeClient client = HookeClient.connect(address)) {
      Map<String, Object> answers = new Tour(address, client).answers();
      String json = new GsonBuilder().disableHtmlEscaping().create().toJson(answers);
      new PrintStream(System.out, true, StandardCharsets.UTF_8).println(json);
    }
  }

  private Map<String, Object> answers() throws IOException {
    Map<String, Object> answers = new TreeMap<>();
    answers.put(
        "models", client.models().stream().map(each -> Names.modelId(each.getName())).toList());
    answers.put("layers", layers());
    answers.put("activations", means());
    answers.put("tensor", tensor());
    answers.put("visualization", visualization());
    answers.putAll(new Endings(address, client).answers());
    return answers;
  }

  private List<Map<String, Object>> layers() {
    LayerFilter filter = LayerFilter.newBuilder().addGlobs("blocks.2.*").addOps("conv2d").build();
    return client.layers(MODEL, filter).stream()
        .map(
            each ->
                sorted(
                    Map.of(
                        "id", each.getId(),
                        "op", each.getOp(),
                        "shape", shape(each),
                        "units", each.getUnitCount())))
        .toList();
  }

  /** Sizes, and names of those dimensions that are dynamic. */
  private static List<Object> shape(Layer layer) {
    return layer.getOutput().getShapeList().stream()
        .map(each -> each.hasSize() ? (Object) each.getSize() : each.getName())
        .toList();
  }

  private Map<String, List<BigDecimal>> means() throws IOException {
    Map<String, List<BigDecimal>> means = new TreeMap<>();
    try (InputStream picture = Tour.class.getResourceAsStream("/tour.png")) {
      for (Tensor each :
          client.activations(
              MODEL,
              Inputs.pictures(picture.readAllBytes()),
              Readouts.reduced(Statistic.STATISTIC_MEAN, "blocks.0.0", LAYER))) {
        means.put(
            each.layer(), Arrays.stream(each.values()).limit(4).mapToObj(Tour::rounded).toList());
      }
    }
    return means;
  }

  private Map<String, Object> tensor() {
    float[] zeros = new float[4 * 3 * 224 * 224];
    Tensor tensor =
        client
            .activations(MODEL, Inputs.tensor(zeros, 4, 3, 224, 224), Readouts.values("conv_stem"))
            .get(0);
    CRC32C crc = new CRC32C();
    crc.update(tensor.bytes());
    return sorted(
        Map.of(
            "layer", tensor.layer(),
            "dtype", tensor.elementType(),
            "shape", tensor.shape(),
            "axes", tensor.axes(),
            "crc32c", "%08x".formatted(crc.getValue())));
  }

  /** A visualization of unit 7. */
  static VisualizeRequest request(int steps) {
    Ascent ascent = Ascent.newBuilder().setSteps(steps).setSize(64).build();
    return VisualizeRequest.newBuilder()
        .addItems(VisualizationItem.newBuilder().setLocation(Names.unit(MODEL, LAYER, 7)))
        .setFeatureVisualization(FeatureVisualization.newBuilder().setAscent(ascent))
        .setSeed(1)
        .build();
  }

  private Map<String, Object> visualization() {
    Map<String, Object> seen = new TreeMap<>();
    try (Stream<Frame> frames = client.visualize(request(4))) {
      frames.forEachOrdered(
          frame -> {
            seen.put("ends_with_result", frame.message().hasResult());
            if (frame.message().hasProgress()) {
              seen.put("steps", frame.message().getProgress().getStep());
            } else if (frame.message().hasPicture()) {
              seen.put("picture", described(frame.message().getPicture()));
            }
          });
    }
    return seen;
  }

  private static List<Object> described(Picture picture) {
    return List.of(
        Names.layerId(picture.getLayer()),
        picture.getLocation().getUnit(),
        picture.getMimeType(),
        picture.getWidth(),
        picture.getHeight());
  }

  static <V> Map<String, V> sorted(Map<String, V> values) {
    return new TreeMap<>(values);
  }

  /** Four decimals, without the zeros at their end but one. */
  private static BigDecimal rounded(double value) {
    BigDecimal exact = new BigDecimal(value).setScale(4, RoundingMode.HALF_EVEN);
    BigDecimal stripped = exact.stripTrailingZeros();
    return stripped.scale() < 1 ? stripped.setScale(1) : stripped;
  }
}
