package hooke.tour;

import static hooke.tour.Tour.MODEL;
import static hooke.tour.Tour.request;
import static hooke.tour.Tour.sorted;

import hooke.Frame;
import hooke.HookeClient;
import hooke.HookeException;
import hooke.v1.Progress;
import java.time.Duration;
import java.util.Iterator;
import java.util.Map;
import java.util.stream.Stream;

/** The stops of the tour that end otherwise than well. */
record Endings(String address, HookeClient client) {

  Map<String, Object> answers() {
    return Map.of(
        "error", error(),
        "invalid", invalid(),
        "cancelled", cancelled(),
        "deadline", deadline());
  }

  /** What an unknown layer is answered with. */
  private Map<String, Object> error() {
    try {
      client.layer(MODEL, "blocks.9.9");
    } catch (HookeException.NotFound error) {
      return sorted(
          Map.of(
              "code", error.code(),
              "reason", error.reason(),
              "metadata", sorted(error.metadata())));
    }
    throw new AssertionError("the demo model has no layer blocks.9.9");
  }

  /** What a visualization of no steps is answered with, field by field. */
  private Map<String, Object> invalid() {
    try {
      client.pictures(request(0));
    } catch (HookeException.InvalidArgument error) {
      return sorted(
          Map.of(
              "code", error.code(),
              "reason", error.reason(),
              "fields", sorted(error.fieldViolations())));
    }
    throw new AssertionError("no steps make no picture");
  }

  /** Whether a long visualization can be left once it moves. */
  private boolean cancelled() {
    Stream<Frame> stream = client.visualize(request(4096));
    Iterator<Frame> frames = stream.iterator();
    Frame frame = frames.next();
    while (!frame.message().hasProgress()) {
      frame = frames.next();
    }
    Progress first = frame.message().getProgress();
    stream.close();
    try {
      frames.forEachRemaining(late -> {});
    } catch (HookeException.Cancelled error) {
      return first.getStep() < first.getTotalSteps();
    }
    return false;
  }

  /** How a long visualization ends that may take a quarter of a second. */
  private String deadline() {
    try (HookeClient hurried = HookeClient.connect(address, Duration.ofMillis(250))) {
      hurried.pictures(request(4096));
    } catch (HookeException.DeadlineExceeded error) {
      return error.code();
    }
    throw new AssertionError("4096 steps take longer");
  }
}
