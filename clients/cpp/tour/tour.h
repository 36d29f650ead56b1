// The stops of the tour of `clients/README.md` that end otherwise than well, and what they share.
#pragma once

#include <hooke/client.h>

#include <nlohmann/json.hpp>
#include <string>

inline constexpr char kModel[] = "demo";
inline constexpr char kLayer[] = "blocks.2.1";

// A visualization of unit 7.
hooke::v1::VisualizeRequest request(int steps);

// What an unknown layer is answered with.
nlohmann::json error(hooke::Client& client);

// What a visualization of no steps is answered with, field by field.
nlohmann::json invalid(hooke::Client& client);

// Whether a long visualization can be left once it moves.
bool cancelled(hooke::Client& client);

// How a long visualization ends that may take a quarter of a second.
std::string deadline(const std::string& address);
