// What a call can fail with, as one tree of exceptions.
#pragma once

#include <map>
#include <stdexcept>
#include <string>

namespace hooke {

using Facts = std::map<std::string, std::string>;

// Root of the tree, and the class of what is of no kind below.
class Error : public std::runtime_error {
 public:
  // code: name of the gRPC status code. The rest is empty where the answer is not Hooke's.
  Error(const std::string& message, std::string code, std::string reason = "", Facts metadata = {},
        Facts field_violations = {});

  const std::string& code() const { return code_; }

  // One of the contract's ErrorReasons without its prefix, for programs.
  const std::string& reason() const { return reason_; }

  // The changing parts of the message (`nearest`: ids like the one asked for).
  const Facts& metadata() const { return metadata_; }

  // What is wrong with which field of the request.
  const Facts& field_violations() const { return field_violations_; }

 private:
  std::string code_;
  std::string reason_;
  Facts metadata_;
  Facts field_violations_;
};

// The request is wrong, whatever the state of the server.
class InvalidArgumentError : public Error {
  using Error::Error;
};

// A right kind of value, beyond the end.
class OutOfRangeError : public Error {
  using Error::Error;
};

// The name means nothing on this server.
class NotFoundError : public Error {
  using Error::Error;
};

// The name is taken.
class AlreadyExistsError : public Error {
  using Error::Error;
};

// A right request for a wrong state or a wrong kind of model.
class FailedPreconditionError : public Error {
  using Error::Error;
};

// The server was told not to allow this.
class PermissionDeniedError : public Error {
  using Error::Error;
};

// Too much: memory, work that waits, or size.
class ResourceExhaustedError : public Error {
  using Error::Error;
};

// Nobody answers, or not now.
class UnavailableError : public Error {
  using Error::Error;
};

// The timeout passed.
class DeadlineExceededError : public Error {
  using Error::Error;
};

// The call was cancelled.
class CancelledError : public Error {
  using Error::Error;
};

// A stream was cut off, or its bytes are not those that were sent.
class DataLossError : public Error {
 public:
  using Error::Error;
  explicit DataLossError(const std::string& message) : Error(message, "DATA_LOSS") {}
};

// A defect of the server.
class InternalError : public Error {
  using Error::Error;
};

}  // namespace hooke
