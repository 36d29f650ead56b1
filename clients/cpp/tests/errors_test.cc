// What a status with details becomes.
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

#include "hooke/client.h"
#include "status.h"

namespace hooke {
namespace {

constexpr char kAddress[] = "here:1";

grpc::Status refused(const std::string& domain) {
  google::rpc::BadRequest request;
  auto& wrong = *request.add_field_violations();
  wrong.set_field("a.b");
  wrong.set_description("no");
  google::rpc::ErrorInfo info;
  info.set_domain(domain);
  info.set_reason("INVALID_FIELD");
  (*info.mutable_metadata())["field"] = "a.b";
  google::rpc::Status packed;
  packed.add_details()->PackFrom(request);
  packed.add_details()->PackFrom(info);
  return {grpc::StatusCode::INVALID_ARGUMENT, "wrong", packed.SerializeAsString()};
}

TEST(Errors, DetailsAreRead) {
  try {
    check(refused("hooke"), kAddress);
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_STREQ(error.what(), "wrong");
    EXPECT_EQ(error.code(), "INVALID_ARGUMENT");
    EXPECT_EQ(error.reason(), "INVALID_FIELD");
    EXPECT_EQ(error.metadata(), (Facts{{"field", "a.b"}}));
    EXPECT_EQ(error.field_violations(), (Facts{{"a.b", "no"}}));
  }
}

TEST(Errors, DetailsOfOthersAreNotOurs) {
  try {
    check(refused("elsewhere"), kAddress);
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_EQ(error.reason(), "");
    EXPECT_TRUE(error.metadata().empty());
    EXPECT_TRUE(error.field_violations().empty());
  }
}

TEST(Errors, BrokenDetailsLeaveTheStatus) {
  const grpc::Status broken(grpc::StatusCode::NOT_FOUND, "gone", "\xff\xff");
  EXPECT_THROW(check(broken, kAddress), NotFoundError);
}

template <class Kind>
void expect_kind(grpc::StatusCode code, const std::string& name) {
  try {
    check({code, "why"}, kAddress);
    FAIL() << name;
  } catch (const Kind& error) {
    EXPECT_EQ(error.code(), name);
  }
}

TEST(Errors, EveryCodeHasItsKind) {
  EXPECT_NO_THROW(check(grpc::Status::OK, kAddress));
  expect_kind<InvalidArgumentError>(grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT");
  expect_kind<OutOfRangeError>(grpc::StatusCode::OUT_OF_RANGE, "OUT_OF_RANGE");
  expect_kind<NotFoundError>(grpc::StatusCode::NOT_FOUND, "NOT_FOUND");
  expect_kind<AlreadyExistsError>(grpc::StatusCode::ALREADY_EXISTS, "ALREADY_EXISTS");
  expect_kind<FailedPreconditionError>(grpc::StatusCode::FAILED_PRECONDITION,
                                       "FAILED_PRECONDITION");
  expect_kind<PermissionDeniedError>(grpc::StatusCode::PERMISSION_DENIED, "PERMISSION_DENIED");
  expect_kind<ResourceExhaustedError>(grpc::StatusCode::RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED");
  expect_kind<UnavailableError>(grpc::StatusCode::UNAVAILABLE, "UNAVAILABLE");
  expect_kind<DeadlineExceededError>(grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
  expect_kind<CancelledError>(grpc::StatusCode::CANCELLED, "CANCELLED");
  expect_kind<DataLossError>(grpc::StatusCode::DATA_LOSS, "DATA_LOSS");
  expect_kind<InternalError>(grpc::StatusCode::INTERNAL, "INTERNAL");
  expect_kind<Error>(grpc::StatusCode::ABORTED, "ABORTED");
  expect_kind<Error>(grpc::StatusCode::UNIMPLEMENTED, "UNIMPLEMENTED");
  expect_kind<Error>(grpc::StatusCode::UNAUTHENTICATED, "UNAUTHENTICATED");
}

TEST(Errors, NobodyAnswers) {
  Client client("localhost:1");
  try {
    client.models();
    FAIL();
  } catch (const UnavailableError& error) {
    EXPECT_NE(std::string(error.what()).find("no Hooke server answers at localhost:1"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace hooke
