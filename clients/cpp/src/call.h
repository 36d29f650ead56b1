// Calls with a deadline; a stream that is left is cancelled.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "hooke/frames.h"
#include "status.h"

namespace hooke {

// The context of one call that may take `timeout` from now on.
inline std::unique_ptr<grpc::ClientContext> begin(std::optional<std::chrono::nanoseconds> timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (timeout) {
    const auto end = std::chrono::system_clock::now() + *timeout;
    context->set_deadline(std::chrono::time_point_cast<std::chrono::system_clock::duration>(end));
  }
  return context;
}

// A call that streams messages back.
template <class Message>
class Stream {
 public:
  Stream(std::unique_ptr<grpc::ClientContext> context,
         std::unique_ptr<grpc::ClientReader<Message>> reader, std::string address)
      : context_(std::move(context)), reader_(std::move(reader)), address_(std::move(address)) {}

  ~Stream() {
    if (ended_) return;
    // gRPC wants a call to be read to its end, which cancelling brings at once.
    context_->TryCancel();
    Message late;
    while (reader_->Read(&late)) {
    }
    reader_->Finish();
  }

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The next message; false at the end. An Error where the call failed.
  bool read(Message& message) {
    if (ended_) return false;
    if (reader_->Read(&message)) return true;
    ended_ = true;
    check(reader_->Finish(), address_);
    return false;
  }

  void cancel() { context_->TryCancel(); }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<Message>> reader_;
  std::string address_;
  bool ended_ = false;
};

// Such a call, for Frames.
class FrameCall : public FrameSource {
 public:
  template <class... Arguments>
  explicit FrameCall(Arguments&&... arguments) : stream_(std::forward<Arguments>(arguments)...) {}
  bool read(v1::Frame& message) override { return stream_.read(message); }
  void cancel() override { stream_.cancel(); }

 private:
  Stream<v1::Frame> stream_;
};

}  // namespace hooke
