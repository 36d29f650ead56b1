#include "status.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <optional>
#include <utility>

#include "hooke/errors.h"

namespace hooke {

Error::Error(const std::string& message, std::string code, std::string reason, Facts metadata,
             Facts field_violations)
    : std::runtime_error(message),
      code_(std::move(code)),
      reason_(std::move(reason)),
      metadata_(std::move(metadata)),
      field_violations_(std::move(field_violations)) {}

namespace {

constexpr char kDomain[] = "hooke";

// What a status says beside its message. `info` is unset where it is not Hooke's.
struct Details {
  std::optional<google::rpc::ErrorInfo> info;
  Facts field_violations;
};

Details details(const grpc::Status& status) {
  Details found;
  google::rpc::Status packed;
  if (!packed.ParseFromString(status.error_details())) return found;  // not our server's
  for (const auto& detail : packed.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    if (detail.UnpackTo(&info) && info.domain() == kDomain) {
      found.info = std::move(info);
    } else if (detail.UnpackTo(&request)) {
      for (const auto& each : request.field_violations()) {
        found.field_violations[each.field()] = each.description();
      }
    }
  }
  return found;
}

std::string name(grpc::StatusCode code) {
  static const char* const kNames[] = {"OK",
                                       "CANCELLED",
                                       "UNKNOWN",
                                       "INVALID_ARGUMENT",
                                       "DEADLINE_EXCEEDED",
                                       "NOT_FOUND",
                                       "ALREADY_EXISTS",
                                       "PERMISSION_DENIED",
                                       "RESOURCE_EXHAUSTED",
                                       "FAILED_PRECONDITION",
                                       "ABORTED",
                                       "OUT_OF_RANGE",
                                       "UNIMPLEMENTED",
                                       "INTERNAL",
                                       "UNAVAILABLE",
                                       "DATA_LOSS",
                                       "UNAUTHENTICATED"};
  return code >= 0 && code <= grpc::StatusCode::UNAUTHENTICATED ? kNames[code] : "UNKNOWN";
}

// Throws the error of the kind that the code tells, made of the other arguments.
template <class... Arguments>
[[noreturn]] void raise(grpc::StatusCode code, const Arguments&... arguments) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      throw InvalidArgumentError(arguments...);
    case grpc::StatusCode::OUT_OF_RANGE:
      throw OutOfRangeError(arguments...);
    case grpc::StatusCode::NOT_FOUND:
      throw NotFoundError(arguments...);
    case grpc::StatusCode::ALREADY_EXISTS:
      throw AlreadyExistsError(arguments...);
    case grpc::StatusCode::FAILED_PRECONDITION:
      throw FailedPreconditionError(arguments...);
    case grpc::StatusCode::PERMISSION_DENIED:
      throw PermissionDeniedError(arguments...);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      throw ResourceExhaustedError(arguments...);
    case grpc::StatusCode::UNAVAILABLE:
      throw UnavailableError(arguments...);
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      throw DeadlineExceededError(arguments...);
    case grpc::StatusCode::CANCELLED:
      throw CancelledError(arguments...);
    case grpc::StatusCode::DATA_LOSS:
      throw DataLossError(arguments...);
    case grpc::StatusCode::INTERNAL:
      throw InternalError(arguments...);
    default:
      throw Error(arguments...);
  }
}

}  // namespace

void check(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return;
  const auto code = status.error_code();
  const Details found = details(status);
  if (found.info) {
    const Facts metadata(found.info->metadata().begin(), found.info->metadata().end());
    raise(code, status.error_message(), name(code), found.info->reason(), metadata,
          found.field_violations);
  }
  std::string message = status.error_message();
  if (code == grpc::StatusCode::UNAVAILABLE) {
    message = "no Hooke server answers at " + address +
              "; start one with 'hooke serve --demo', or name another address (" + message + ")";
  }
  raise(code, message, name(code));
}

}  // namespace hooke
