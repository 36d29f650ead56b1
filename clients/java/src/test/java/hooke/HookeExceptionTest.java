package hooke;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a status with details becomes. */
class HookeExceptionTest {

  private static StatusRuntimeException refused(String domain) {
    BadRequest.FieldViolation wrong =
        BadRequest.FieldViolation.newBuilder().setField("a.b").setDescription("no").build();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(Status.Code.INVALID_ARGUMENT.value())
            .setMessage("wrong")
            .addDetails(Any.pack(BadRequest.newBuilder().addFieldViolations(wrong).build()))
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain(domain)
                        .setReason("INVALID_FIELD")
                        .putMetadata("field", "a.b")
                        .build()))
            .build());
  }

  private static HookeException translated(StatusRuntimeException error) {
    return HookeException.of(Failure.of(error, "here:1"));
  }

  @Test
  void detailsAreRead() {
    StatusRuntimeException cause = refused("hooke");
    HookeException error = translated(cause);
    assertInstanceOf(HookeException.InvalidArgument.class, error);
    assertEquals("wrong", error.getMessage());
    assertEquals("INVALID_FIELD", error.reason());
    assertEquals(Map.of("field", "a.b"), error.metadata());
    assertEquals(Map.of("a.b", "no"), error.fieldViolations());
    assertSame(cause, error.getCause());
  }

  @Test
  void detailsOfOthersAreNotOurs() {
    HookeException error = translated(refused("elsewhere"));
    assertInstanceOf(HookeException.InvalidArgument.class, error);
    assertEquals("", error.reason());
    assertEquals(Map.of(), error.metadata());
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "OK")
  void everyCodeStays(Status.Code code) {
    HookeException error = translated(code.toStatus().asRuntimeException());
    assertEquals(code.name(), error.code());
    assertFalse(error.getMessage().isEmpty());
  }

  @Test
  void nobodyAnswers() {
    try (HookeClient client = HookeClient.connect("localhost:1")) {
      client.models();
    } catch (HookeException.Unavailable error) {
      assertTrue(error.getMessage().contains("no Hooke server answers at localhost:1"));
      return;
    }
    throw new AssertionError("nobody listens there");
  }
}
