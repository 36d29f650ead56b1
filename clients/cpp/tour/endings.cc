#include <chrono>
#include <stdexcept>

#include "tour.h"

namespace {

hooke::v1::Progress first_progress(hooke::Frames& frames) {
  for (const hooke::Frame& frame : frames) {
    if (frame.message.has_progress()) return frame.message.progress();
  }
  throw std::logic_error("work of 4096 steps tells its progress");
}

}  // namespace

hooke::v1::VisualizeRequest request(int steps) {
  hooke::v1::VisualizeRequest request;
  *request.add_items()->mutable_location() = hooke::unit_of(kModel, kLayer, 7);
  auto& ascent = *request.mutable_feature_visualization()->mutable_ascent();
  ascent.set_steps(steps);
  ascent.set_size(64);
  request.set_seed(1);
  return request;
}

nlohmann::json error(hooke::Client& client) {
  try {
    client.layer(kModel, "blocks.9.9");
  } catch (const hooke::NotFoundError& error) {
    return {{"code", error.code()}, {"reason", error.reason()}, {"metadata", error.metadata()}};
  }
  throw std::logic_error("the demo model has no layer blocks.9.9");
}

nlohmann::json invalid(hooke::Client& client) {
  try {
    client.pictures(request(0));
  } catch (const hooke::InvalidArgumentError& error) {
    return {
        {"code", error.code()}, {"reason", error.reason()}, {"fields", error.field_violations()}};
  }
  throw std::logic_error("no steps make no picture");
}

bool cancelled(hooke::Client& client) {
  hooke::Frames frames = client.visualize(request(4096));
  const auto progress = first_progress(frames);
  frames.cancel();
  try {
    while (frames.next()) {
    }
  } catch (const hooke::CancelledError&) {
    return progress.step() < progress.total_steps();
  }
  return false;
}

std::string deadline(const std::string& address) {
  hooke::Client client(address, std::chrono::milliseconds(250));
  try {
    client.pictures(request(4096));
  } catch (const hooke::DeadlineExceededError& error) {
    return error.code();
  }
  throw std::logic_error("4096 steps take longer");
}
