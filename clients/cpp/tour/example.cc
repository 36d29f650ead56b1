// The example of README.md.
#include <hooke/client.h>

#include <iostream>

int main(int argc, char** argv) try {
  hooke::Client client(argc > 1 ? argv[1] : "localhost:50051", std::chrono::minutes(1));
  hooke::v1::LayerFilter blocks;
  blocks.add_globs("blocks.4.*");
  blocks.add_kinds(hooke::v1::LAYER_KIND_BLOCK);
  for (const auto& layer : client.layers("demo", blocks)) std::cout << layer.id() << '\n';

  hooke::v1::VisualizeRequest request;
  *request.add_items()->mutable_location() = hooke::unit_of("demo", "blocks.4.2", 7);
  auto& ascent = *request.mutable_feature_visualization()->mutable_ascent();
  ascent.set_steps(16);
  ascent.set_size(64);
  for (const hooke::Frame& frame : client.visualize(request)) {
    if (frame.message.has_progress()) {
      std::cout << "step " << frame.message.progress().step() << '\n';
    }
  }
} catch (const hooke::Error& error) {
  std::cerr << error.code() << ": " << error.what() << '\n';
  return 1;
}
