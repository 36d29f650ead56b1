#include "hooke/requests.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace hooke {
namespace {

constexpr std::string_view kLayers = "/layers/";
constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~:@";
constexpr std::string_view kDigits = "0123456789ABCDEF";

std::string escaped(std::string_view text) {
  std::string name;
  for (const char each : text) {
    if (kPlain.find(each) != std::string_view::npos) {
      name += each;
    } else {
      const auto byte = static_cast<unsigned char>(each);
      name += {'%', kDigits[byte >> 4], kDigits[byte & 0xF]};
    }
  }
  return name;
}

std::string unescaped(std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < name.size(); ++at) {
    int byte = 0;
    const char* const code = name.data() + at + 1;
    if (name[at] == '%' && at + 2 < name.size() &&
        std::from_chars(code, code + 2, byte, 16).ptr == code + 2) {
      text += static_cast<char>(byte);
      at += 2;
    } else {
      text += name[at];
    }
  }
  return text;
}

}  // namespace

std::string model_name(const std::string& model) { return "models/" + model; }

std::string model_id(const std::string& name) {
  const auto from = name.find('/') + 1;
  return name.substr(from, name.find('/', from) - from);
}

std::string layer_name(const std::string& model, const std::string& layer) {
  return model_name(model).append(kLayers) + escaped(layer);
}

std::string layer_id(const std::string& name) {
  const auto at = name.find(kLayers);
  return at == std::string::npos ? ""
                                 : unescaped(std::string_view(name).substr(at + kLayers.size()));
}

v1::Location unit_of(const std::string& model, const std::string& layer, std::int32_t unit) {
  v1::Location location;
  location.set_layer(layer_name(model, layer));
  location.set_unit(unit);
  return location;
}

v1::ModelInput pictures(const std::vector<std::string>& files) {
  v1::ModelInput input;
  for (const auto& file : files) input.mutable_images()->add_images()->set_data(file);
  return input;
}

v1::ModelInput tensor(std::span<const float> values, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const auto extent : shape) count *= extent;
  if (count != static_cast<std::int64_t>(values.size())) {
    throw std::invalid_argument(std::to_string(values.size()) + " numbers do not fill a shape of " +
                                std::to_string(count));
  }
  v1::ModelInput input;
  v1::Tensor& message = *input.mutable_tensor();
  message.set_dtype(v1::DATA_TYPE_FP32);
  message.mutable_shape()->Add(shape.begin(), shape.end());
  message.set_data(values.data(), values.size_bytes());
  return input;
}

v1::Readout values_of(const std::vector<std::string>& layers) {
  v1::Readout readout;
  readout.mutable_layer_globs()->Add(layers.begin(), layers.end());
  return readout;
}

v1::Readout reduced(v1::Statistic statistic, const std::vector<std::string>& layers) {
  v1::Readout readout = values_of(layers);
  readout.mutable_tensor()->mutable_reduction()->set_statistic(statistic);
  return readout;
}

}  // namespace hooke
