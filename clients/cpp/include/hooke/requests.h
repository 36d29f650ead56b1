// The parts that most requests are made of.
#pragma once

#include <hooke/v1/input.pb.h>
#include <hooke/v1/location.pb.h>
#include <hooke/v1/readout.pb.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hooke {

// The resource name of a model, and the model in a name.
std::string model_name(const std::string& model);
std::string model_id(const std::string& name);

// The resource name of a layer, whose id may hold any character, and the layer in a name.
std::string layer_name(const std::string& model, const std::string& layer);
std::string layer_id(const std::string& name);

// The place of one unit of a layer.
v1::Location unit_of(const std::string& model, const std::string& layer, std::int32_t unit);

// Pictures' files (PNG, JPEG or WebP) as one batch, which the server prepares.
v1::ModelInput pictures(const std::vector<std::string>& files);

// Numbers exactly as the model takes them, the last dimension running fastest; they must fit
// into a message (4 MiB). std::invalid_argument where they do not fill the shape.
v1::ModelInput tensor(std::span<const float> values, const std::vector<std::int64_t>& shape);

// Every value of layers, named by ids or patterns.
v1::Readout values_of(const std::vector<std::string>& layers);

// One number for each sample and unit, over all positions.
v1::Readout reduced(v1::Statistic statistic, const std::vector<std::string>& layers);

}  // namespace hooke
