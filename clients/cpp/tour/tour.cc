// The tour of `clients/README.md`: the same calls in every language, the same JSON.
#include "tour.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

using nlohmann::json;

namespace {

std::string hexadecimal(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", value);
  return text;
}

// To four decimals, as printing rounds: by the exact value.
double rounded(double value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.4f", value);
  return std::stod(text);
}

json models(hooke::Client& client) {
  json ids = json::array();
  for (const auto& model : client.models()) ids.push_back(hooke::model_id(model.name()));
  return ids;
}

// Sizes, and names of those dimensions that are dynamic.
json shape(const hooke::v1::Layer& layer) {
  json extents = json::array();
  for (const auto& each : layer.output().shape()) {
    extents.push_back(each.has_size() ? json(each.size()) : json(each.name()));
  }
  return extents;
}

json layers(hooke::Client& client) {
  hooke::v1::LayerFilter filter;
  filter.add_globs("blocks.2.*");
  filter.add_ops("conv2d");
  json found = json::array();
  for (const auto& layer : client.layers(kModel, filter)) {
    found.push_back({{"id", layer.id()},
                     {"op", layer.op()},
                     {"shape", shape(layer)},
                     {"units", layer.unit_count()}});
  }
  return found;
}

json means(hooke::Client& client) {
  std::ifstream file(PICTURE, std::ios::binary);
  const std::string picture((std::istreambuf_iterator<char>(file)), {});
  const auto mean = hooke::reduced(hooke::v1::STATISTIC_MEAN, {"blocks.0.0", kLayer});
  json found;
  for (const auto& tensor : client.activations(kModel, hooke::pictures({picture}), {mean})) {
    auto values = tensor.values();
    values.resize(4);
    std::transform(values.begin(), values.end(), values.begin(), rounded);
    found[tensor.layer()] = values;
  }
  return found;
}

json tensor(hooke::Client& client) {
  const std::vector<float> zeros(4 * 3 * 224 * 224);
  const auto input = hooke::tensor(zeros, {4, 3, 224, 224});
  const auto answer = client.activations(kModel, input, {hooke::values_of({"conv_stem"})});
  const hooke::Tensor& value = answer.at(0);
  return {{"layer", value.layer()},
          {"dtype", value.element_type()},
          {"shape", value.shape()},
          {"axes", value.axes()},
          {"crc32c", hexadecimal(hooke::crc32c(value.bytes))}};
}

json visualization(hooke::Client& client) {
  json seen;
  for (const hooke::Frame& frame : client.visualize(request(4))) {
    seen["ends_with_result"] = frame.message.has_result();
    if (frame.message.has_progress()) seen["steps"] = frame.message.progress().step();
    if (frame.message.has_picture()) {
      const auto& picture = frame.message.picture();
      seen["picture"] = {hooke::layer_id(picture.layer()), picture.location().unit(),
                         picture.mime_type(), picture.width(), picture.height()};
    }
  }
  return seen;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string address = argc > 1 ? argv[1] : "localhost:50051";
  hooke::Client client(address);
  const json answers = {{"models", models(client)},
                        {"layers", layers(client)},
                        {"activations", means(client)},
                        {"tensor", tensor(client)},
                        {"visualization", visualization(client)},
                        {"error", error(client)},
                        {"invalid", invalid(client)},
                        {"cancelled", cancelled(client)},
                        {"deadline", deadline(address)}};
  std::cout << answers.dump() << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
