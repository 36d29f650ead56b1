package hooke;

import hooke.v1.ActivationServiceGrpc;
import hooke.v1.GetLayerRequest;
import hooke.v1.GetModelRequest;
import hooke.v1.Layer;
import hooke.v1.LayerFilter;
import hooke.v1.ListModelsRequest;
import hooke.v1.ListModelsResponse;
import hooke.v1.ListTechniquesRequest;
import hooke.v1.ListTechniquesResponse;
import hooke.v1.Model;
import hooke.v1.ModelInput;
import hooke.v1.ModelServiceGrpc;
import hooke.v1.ModelServiceGrpc.ModelServiceBlockingStub;
import hooke.v1.Picture;
import hooke.v1.PictureRole;
import hooke.v1.Readout;
import hooke.v1.StreamActivationsRequest;
import hooke.v1.StreamLayersRequest;
import hooke.v1.Technique;
import hooke.v1.TechniqueServiceGrpc;
import hooke.v1.VisualizationServiceGrpc;
import hooke.v1.VisualizeRequest;
import io.grpc.Channel;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A connection to a Hooke server; every method may throw a {@link HookeException}.
 *
 * <p>Threads may share it. A call is cancelled by interrupting its thread, by cancelling the {@link
 * io.grpc.Context} that it was made in, and, where it gives a {@link Stream}, by closing that:
 * streams are to be opened in a {@code try}, as files are.
 */
public final class HookeClient implements AutoCloseable {

  private final Connection connection;

  private HookeClient(Connection connection) {
    this.connection = connection;
  }

  /** A client of the server at {@code host:port}; nothing is sent before the first call. */
  public static HookeClient connect(String address) {
    return new HookeClient(new Connection(address, null));
  }

  /** A client each of whose calls may take so long. */
  public static HookeClient connect(String address, Duration timeout) {
    return new HookeClient(new Connection(address, timeout));
  }

  /** Closes the connection; what still runs on it is cancelled. */
  @Override
  public void close() {
    connection.close();
  }

  /** A generated stub on this connection, for a call that has no method here. */
  public <S extends AbstractStub<S>> S stub(Function<Channel, S> make) {
    return connection.stub(make);
  }

  /** The frames of any call that computes, made on a generated stub of this connection. */
  public <S extends AbstractStub<S>> Stream<Frame> frames(
      Function<Channel, S> make, Function<S, Iterator<hooke.v1.Frame>> call) {
    return connection.stream(() -> call.apply(stub(make)), FrameIterator::new);
  }

  /** All models that the server knows, loaded or not. */
  public List<Model> models() {
    List<Model> models = new ArrayList<>();
    ListModelsRequest request = ListModelsRequest.getDefaultInstance();
    while (true) {
      ListModelsRequest page = request;
      ListModelsResponse answer = connection.translated(() -> modelStub().listModels(page));
      models.addAll(answer.getModelsList());
      if (answer.getNextPageToken().isEmpty()) {
        return models;
      }
      request = page.toBuilder().setPageToken(answer.getNextPageToken()).build();
    }
  }

  /** One model; this does not load it. */
  public Model model(String model) {
    GetModelRequest request = GetModelRequest.newBuilder().setName(Names.model(model)).build();
    return connection.translated(() -> modelStub().getModel(request));
  }

  /** The layers that fit a filter, in the order in which they run. */
  public List<Layer> layers(String model, LayerFilter filter) {
    StreamLayersRequest request =
        StreamLayersRequest.newBuilder().setParent(Names.model(model)).setFilter(filter).build();
    try (Stream<Layer> layers =
        connection.stream(() -> modelStub().streamLayers(request), Function.identity())) {
      return layers.toList();
    }
  }

  /** One layer. */
  public Layer layer(String model, String layer) {
    GetLayerRequest request =
        GetLayerRequest.newBuilder().setName(Names.layer(model, layer)).build();
    return connection.translated(() -> modelStub().getLayer(request));
  }

  /** All techniques; the request may ask for one kind, or whether each is valid at a place. */
  public List<Technique> techniques(ListTechniquesRequest request) {
    List<Technique> techniques = new ArrayList<>();
    ListTechniquesRequest next = request;
    while (true) {
      ListTechniquesRequest page = next;
      ListTechniquesResponse answer =
          connection.translated(
              () -> stub(TechniqueServiceGrpc::newBlockingStub).listTechniques(page));
      techniques.addAll(answer.getTechniquesList());
      if (answer.getNextPageToken().isEmpty()) {
        return techniques;
      }
      next = page.toBuilder().setPageToken(answer.getNextPageToken()).build();
    }
  }

  /** What layers say to an input, in one forward pass: the tensors, in the order of layers. */
  public List<Tensor> activations(String model, ModelInput input, Readout... readouts) {
    StreamActivationsRequest request =
        StreamActivationsRequest.newBuilder()
            .setModel(Names.model(model))
            .addInputs(input)
            .addAllReadouts(List.of(readouts))
            .build();
    try (Stream<Frame> frames = activations(request)) {
      return frames.flatMap(frame -> frame.tensor().stream()).toList();
    }
  }

  /** The frames that answer a request for activations, pictures among them. */
  public Stream<Frame> activations(StreamActivationsRequest request) {
    return frames(ActivationServiceGrpc::newBlockingStub, stub -> stub.streamActivations(request));
  }

  /** Pictures of what places respond to, as they are made; closing the stream stops the work. */
  public Stream<Frame> visualize(VisualizeRequest request) {
    return frames(VisualizationServiceGrpc::newBlockingStub, stub -> stub.visualize(request));
  }

  /** The finished pictures of a request. */
  public List<Picture> pictures(VisualizeRequest request) {
    try (Stream<Frame> frames = visualize(request)) {
      return frames
          .map(frame -> frame.message().getPicture())
          .filter(picture -> picture.getRole() == PictureRole.PICTURE_ROLE_FINAL)
          .toList();
    }
  }

  private ModelServiceBlockingStub modelStub() {
    return connection.stub(ModelServiceGrpc::newBlockingStub);
  }
}
