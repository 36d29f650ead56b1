package hooke;

import io.grpc.Status.Code;
import java.util.Map;

/** What a call can fail with; the nested classes are its kinds. The cause is gRPC's exception. */
public class HookeException extends RuntimeException {

  private final Failure failure;

  private HookeException(Failure failure) {
    super(failure.message(), failure.cause());
    this.failure = failure;
  }

  /** Name of the gRPC status code. */
  public String code() {
    return failure.code().name();
  }

  /** One of the contract's {@code ErrorReason}s without its prefix; empty if not Hooke's answer. */
  public String reason() {
    return failure.reason();
  }

  /** The changing parts of the message ({@code nearest}: ids like the one asked for). */
  public Map<String, String> metadata() {
    return failure.metadata();
  }

  /** What is wrong with which field of the request. */
  public Map<String, String> fieldViolations() {
    return failure.fieldViolations();
  }

  /** The exception of the kind that a failure's code tells. */
  static HookeException of(Failure failure) {
    return switch (failure.code()) {
      case INVALID_ARGUMENT -> new InvalidArgument(failure);
      case OUT_OF_RANGE -> new OutOfRange(failure);
      case NOT_FOUND -> new NotFound(failure);
      case ALREADY_EXISTS -> new AlreadyExists(failure);
      case FAILED_PRECONDITION -> new FailedPrecondition(failure);
      case PERMISSION_DENIED -> new PermissionDenied(failure);
      case RESOURCE_EXHAUSTED -> new ResourceExhausted(failure);
      case UNAVAILABLE -> new Unavailable(failure);
      case DEADLINE_EXCEEDED -> new DeadlineExceeded(failure);
      case CANCELLED -> new Cancelled(failure);
      case DATA_LOSS -> new DataLoss(failure);
      case INTERNAL -> new Internal(failure);
      default -> new HookeException(failure);
    };
  }

  /** The request is wrong, whatever the state of the server. */
  public static final class InvalidArgument extends HookeException {
    private InvalidArgument(Failure failure) {
      super(failure);
    }
  }

  /** A right kind of value, beyond the end. */
  public static final class OutOfRange extends HookeException {
    private OutOfRange(Failure failure) {
      super(failure);
    }

    OutOfRange(String message) {
      super(Failure.seenHere(Code.OUT_OF_RANGE, message));
    }
  }

  /** The name means nothing on this server. */
  public static final class NotFound extends HookeException {
    private NotFound(Failure failure) {
      super(failure);
    }
  }

  /** The name is taken. */
  public static final class AlreadyExists extends HookeException {
    private AlreadyExists(Failure failure) {
      super(failure);
    }
  }

  /** A right request for a wrong state or a wrong kind of model. */
  public static final class FailedPrecondition extends HookeException {
    private FailedPrecondition(Failure failure) {
      super(failure);
    }
  }

  /** The server was told not to allow this. */
  public static final class PermissionDenied extends HookeException {
    private PermissionDenied(Failure failure) {
      super(failure);
    }
  }

  /** Too much: memory, work that waits, or size. */
  public static final class ResourceExhausted extends HookeException {
    private ResourceExhausted(Failure failure) {
      super(failure);
    }
  }

  /** Nobody answers, or not now. */
  public static final class Unavailable extends HookeException {
    private Unavailable(Failure failure) {
      super(failure);
    }
  }

  /** The timeout passed. */
  public static final class DeadlineExceeded extends HookeException {
    private DeadlineExceeded(Failure failure) {
      super(failure);
    }
  }

  /** The call was cancelled. */
  public static final class Cancelled extends HookeException {
    private Cancelled(Failure failure) {
      super(failure);
    }
  }

  /** A stream was cut off, or its bytes are not those that were sent. */
  public static final class DataLoss extends HookeException {
    private DataLoss(Failure failure) {
      super(failure);
    }

    DataLoss(String message) {
      super(Failure.seenHere(Code.DATA_LOSS, message));
    }
  }

  /** A defect of the server. */
  public static final class Internal extends HookeException {
    private Internal(Failure failure) {
      super(failure);
    }
  }
}
