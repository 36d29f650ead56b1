// From gRPC's statuses to exceptions.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

namespace hooke {

// Throws the error that a failed call to `address` stands for; returns where it did not fail.
void check(const grpc::Status& status, const std::string& address);

}  // namespace hooke
