// Names and inputs on the wire.
#include "hooke/requests.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

namespace hooke {
namespace {

TEST(Names, AreEscapedAndBack) {
  EXPECT_EQ(layer_name("m", "blocks.2.1:1"), "models/m/layers/blocks.2.1:1");
  EXPECT_EQ(layer_name("m", "/conv1/Conv"), "models/m/layers/%2Fconv1%2FConv");
  for (const std::string layer : {"/a b+%2F", "größe~@", ""}) {
    EXPECT_EQ(layer_id(layer_name("m", layer)), layer);
  }
  EXPECT_EQ(model_id("models/demo"), "demo");
  EXPECT_EQ(model_id("models/demo/layers/conv_stem"), "demo");
  EXPECT_EQ(layer_id("models/demo"), "");
}

TEST(Inputs, AreWhole) {
  const std::vector<float> values{1, -2, 3, 4, 5, 6};
  const auto input = tensor(values, {1, 2, 3});
  EXPECT_EQ(input.tensor().dtype(), v1::DATA_TYPE_FP32);
  EXPECT_EQ(input.tensor().shape_size(), 3);
  ASSERT_EQ(input.tensor().data().size(), 24u);
  EXPECT_EQ(std::memcmp(input.tensor().data().data(), values.data(), 24), 0);
  EXPECT_THROW(tensor(values, {2, 2}), std::invalid_argument);
}

}  // namespace
}  // namespace hooke
