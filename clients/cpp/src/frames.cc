#include "hooke/frames.h"

#include <utility>

#include "hooke/errors.h"

namespace hooke {

std::optional<Frame> Frames::next() {
  v1::Frame message;
  while (source_->read(message)) {
    tensors_.step(message.sequence());
    if (auto found = frame(std::move(message))) {
      finished_ = found->message.has_result();
      return found;
    }
  }
  tensors_.end();
  if (!finished_) throw DataLossError("the stream was cut off before its result");
  return std::nullopt;
}

// None where the message is part of a tensor that goes on, or of an unknown kind.
std::optional<Frame> Frames::frame(v1::Frame message) {
  if (message.has_tensor_header()) {
    tensors_.header(message.tensor_header());
    return std::nullopt;
  }
  if (message.has_tensor_chunk()) {
    tensors_.chunk(message.tensor_chunk());
    return std::nullopt;
  }
  if (message.content_case() == v1::Frame::CONTENT_NOT_SET) return std::nullopt;
  Frame frame{std::move(message), std::nullopt};
  if (frame.message.has_tensor_trailer()) {
    frame.tensor = tensors_.trailer(frame.message.tensor_trailer());
  }
  return frame;
}

}  // namespace hooke
