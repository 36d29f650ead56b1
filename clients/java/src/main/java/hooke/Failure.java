package hooke;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What is known of a failed call: its status, with the details that only Hooke sends. */
record Failure(
    Code code,
    String message,
    String reason,
    Map<String, String> metadata,
    Map<String, String> fieldViolations,
    StatusRuntimeException cause) {

  private static final String DOMAIN = "hooke";

  /** A failure that this side of the connection saw. */
  static Failure seenHere(Code code, String message) {
    return new Failure(code, message, "", Map.of(), Map.of(), null);
  }

  /** What a failed call to `address` tells. */
  static Failure of(StatusRuntimeException error, String address) {
    Code code = error.getStatus().getCode();
    String message = Objects.requireNonNullElse(error.getStatus().getDescription(), code.name());
    try {
      for (Any detail : details(error)) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            Map<String, String> metadata = Map.copyOf(info.getMetadataMap());
            return new Failure(code, message, info.getReason(), metadata, violations(error), error);
          }
        }
      }
    } catch (InvalidProtocolBufferException broken) {
      error.addSuppressed(broken); // not our server's; its status still counts
    }
    if (code == Code.UNAVAILABLE) {
      // gRPC's own words are about sockets; the cause keeps them.
      message =
          "no Hooke server answers at %s; start one with 'hooke serve --demo', or name another address"
              .formatted(address);
    }
    return new Failure(code, message, "", Map.of(), Map.of(), error);
  }

  private static Map<String, String> violations(StatusRuntimeException error)
      throws InvalidProtocolBufferException {
    Map<String, String> found = new HashMap<>();
    for (Any detail : details(error)) {
      if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation each :
            detail.unpack(BadRequest.class).getFieldViolationsList()) {
          found.put(each.getField(), each.getDescription());
        }
      }
    }
    return Map.copyOf(found);
  }

  private static List<Any> details(StatusRuntimeException error) {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    return status == null ? List.of() : status.getDetailsList();
  }
}
