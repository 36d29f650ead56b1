package hooke.tour;

import hooke.Frame;
import hooke.HookeClient;
import hooke.HookeException;
import hooke.Names;
import hooke.v1.Ascent;
import hooke.v1.FeatureVisualization;
import hooke.v1.LayerFilter;
import hooke.v1.LayerKind;
import hooke.v1.VisualizationItem;
import hooke.v1.VisualizeRequest;
import java.time.Duration;
import java.util.stream.Stream;

/** The example of {@code README.md}. */
final class Example {

  private Example() {}

  public static void main(String... arguments) {
    String address = arguments.length > 0 ? arguments[0] : "localhost:50051";
    LayerFilter blocks =
        LayerFilter.newBuilder()
            .addGlobs("blocks.4.*")
            .addKinds(LayerKind.LAYER_KIND_BLOCK)
            .build();
    Ascent ascent = Ascent.newBuilder().setSteps(16).setSize(64).build();
    VisualizeRequest request =
        VisualizeRequest.newBuilder()
            .addItems(
                VisualizationItem.newBuilder().setLocation(Names.unit("demo", "blocks.4.2", 7)))
            .setFeatureVisualization(FeatureVisualization.newBuilder().setAscent(ascent))
            .build();
    try (HookeClient client = HookeClient.connect(address, Duration.ofMinutes(1));
        Stream<Frame> frames = client.visualize(request)) {
      client.layers("demo", blocks).forEach(layer -> System.out.println(layer.getId()));
      frames
          .filter(frame -> frame.message().hasProgress())
          .forEachOrdered(
              frame -> System.out.println("step " + frame.message().getProgress().getStep()));
    } catch (HookeException error) {
      System.err.println(error.code() + ": " + error.getMessage());
    }
  }
}
