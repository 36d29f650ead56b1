#include "hooke/frames.h"

#include <utility>

#include "hooke/errors.h"

namespace hooke {

std::optional<Frame> Frames::next() {
  v1::Frame message;
  while (source_->read(message)) {
    tensors_.step(message.sequence());
    if (auto found = frame(message)) {
      finished_ = std::holds_alternative<v1::Result>(*found);
      return found;
    }
  }
  tensors_.end();
  if (!finished_) throw DataLossError("the stream was cut off before its result");
  return std::nullopt;
}

// None where the message is part of a tensor that goes on, or of an unknown kind.
std::optional<Frame> Frames::frame(v1::Frame& message) {
  switch (message.content_case()) {
    case v1::Frame::kCheckpoint:
      return std::move(*message.mutable_checkpoint());
    case v1::Frame::kProgress:
      return std::move(*message.mutable_progress());
    case v1::Frame::kPicture:
      return std::move(*message.mutable_picture());
    case v1::Frame::kResult:
      return std::move(*message.mutable_result());
    case v1::Frame::kTensorTrailer:
      return tensors_.trailer(message.tensor_trailer());
    case v1::Frame::kTensorHeader:
      tensors_.header(message.tensor_header());
      break;
    case v1::Frame::kTensorChunk:
      tensors_.chunk(message.tensor_chunk());
      break;
    case v1::Frame::CONTENT_NOT_SET:
      break;
  }
  return std::nullopt;
}

}  // namespace hooke
