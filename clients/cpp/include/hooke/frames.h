// What a call that computes streams back.
#pragma once

#include <hooke/v1/frame.pb.h>

#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "hooke/tensor.h"

namespace hooke {

// Progress, a picture, a tensor, rows of a table, and last a result.
struct Frame {
  // `content_case()` says what it is; of a tensor it is the message that closed it.
  v1::Frame message;

  // The tensor, joined and checked; none where it is something else.
  std::optional<Tensor> tensor;
};

// A call that streams messages back.
class FrameSource {
 public:
  virtual ~FrameSource() = default;

  // The next message; false at the end. An Error where the call failed.
  virtual bool read(v1::Frame& message) = 0;

  // Stops the call; may be used by another thread while one reads.
  virtual void cancel() = 0;
};

// The frames of a call, in a range-based `for` or one by one. Frames of kinds that are unknown
// here are left out. Leaving it cancels the call, and the server stops the work.
class Frames {
 public:
  explicit Frames(std::unique_ptr<FrameSource> source) : source_(std::move(source)) {}

  // The next frame; none after the last, which is a result. DataLossError where the stream was
  // cut off.
  std::optional<Frame> next();

  // Stops the work; what is read then ends in a CancelledError. Any thread may do it.
  void cancel() { source_->cancel(); }

  // Goes through the frames once.
  class Iterator {
   public:
    using value_type = Frame;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Frames& frames) : frames_(&frames), frame_(frames.next()) {}
    const Frame& operator*() const { return *frame_; }
    const Frame* operator->() const { return &*frame_; }
    Iterator& operator++() {
      frame_ = frames_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !frame_; }

   private:
    Frames* frames_;
    std::optional<Frame> frame_;
  };

  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::optional<Frame> frame(v1::Frame message);

  std::unique_ptr<FrameSource> source_;
  TensorReader tensors_;
  bool finished_ = false;
};

}  // namespace hooke
