package hooke;

import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.util.Iterator;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** A channel to one server: calls with a deadline, errors translated, streams closed. */
final class Connection implements AutoCloseable {

  private final String address;
  private final Duration timeout;
  private final ManagedChannel channel;

  /** Nothing is sent yet; a timeout of null leaves calls any time. */
  Connection(String address, Duration timeout) {
    this.address = address;
    this.timeout = timeout;
    this.channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
  }

  /** A stub made for one call: a deadline counts from here. */
  <S extends AbstractStub<S>> S stub(Function<Channel, S> make) {
    S stub = make.apply(channel);
    return timeout == null ? stub : stub.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  /** The answer to a call, or the HookeException that its failure stands for. */
  <R> R translated(Supplier<R> call) {
    try {
      return call.get();
    } catch (StatusRuntimeException error) {
      throw HookeException.of(Failure.of(error, address));
    }
  }

  /** What `read` makes of the messages of a call; closing the stream cancels the call. */
  <M, R> Stream<R> stream(Supplier<Iterator<M>> call, Function<Iterator<M>, Iterator<R>> read) {
    Context.CancellableContext context = Context.current().withCancellation();
    Iterator<R> items = read.apply(new Translated<>(within(context, call)));
    int traits = Spliterator.ORDERED | Spliterator.NONNULL;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(items, traits), false)
        .onClose(() -> context.cancel(null));
  }

  private static <T> T within(Context context, Supplier<T> call) {
    Context outer = context.attach();
    try {
      return call.get();
    } finally {
      context.detach(outer);
    }
  }

  /** Closes the channel; what still runs on it is cancelled. */
  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** The messages of a call, whose failure is translated. */
  private final class Translated<M> implements Iterator<M> {

    private final Iterator<M> messages;

    Translated(Iterator<M> messages) {
      this.messages = messages;
    }

    @Override
    public boolean hasNext() {
      return translated(messages::hasNext);
    }

    @Override
    public M next() {
      return translated(messages::next);
    }
  }
}
