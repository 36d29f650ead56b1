// What the reader of a stream accepts, and what it refuses.
#include "hooke/tensor.h"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>

#include "elements.h"
#include "hooke/errors.h"
#include "hooke/frames.h"

namespace hooke {
namespace {

// CRC-32C of 32 bytes 0x00..0x1F, from RFC 3720, B.4.
constexpr std::uint32_t kCrc = 0x46dd794e;

std::string bytes() {
  std::string text(32, '\0');
  std::iota(text.begin(), text.end(), '\0');
  return text;
}

v1::Frame header() {
  v1::Frame frame;
  auto& header = *frame.mutable_tensor_header();
  header.set_tensor_id(5);
  header.set_layer("models/m/layers/%2Fconv1%2FConv");
  header.set_dtype(v1::DATA_TYPE_UINT8);
  header.add_shape(4);
  header.add_shape(8);
  header.add_axes("batch");
  header.add_axes("unit");
  header.set_total_bytes(32);
  return frame;
}

v1::Frame chunk(std::size_t from, std::size_t to) {
  v1::Frame frame;
  auto& chunk = *frame.mutable_tensor_chunk();
  chunk.set_tensor_id(5);
  chunk.set_offset(static_cast<std::int64_t>(from));
  chunk.set_data(bytes().substr(from, to - from));
  return frame;
}

v1::Frame trailer(std::uint32_t crc = kCrc) {
  v1::Frame frame;
  auto& trailer = *frame.mutable_tensor_trailer();
  trailer.set_tensor_id(5);
  trailer.set_total_bytes(32);
  trailer.set_crc32c(crc);
  return frame;
}

v1::Frame result() {
  v1::Frame frame;
  frame.mutable_result();
  return frame;
}

// Messages that came before, numbered in their order.
class Recorded : public FrameSource {
 public:
  explicit Recorded(std::vector<v1::Frame> messages, int first = 1)
      : messages_(std::move(messages)), next_(first) {}
  bool read(v1::Frame& message) override {
    if (at_ == messages_.size()) return false;
    message = messages_[at_++];
    message.set_sequence(next_++);
    return true;
  }
  void cancel() override {}

 private:
  std::vector<v1::Frame> messages_;
  std::size_t at_ = 0;
  int next_;
};

std::vector<Frame> read(std::vector<v1::Frame> messages, int first = 1) {
  Frames frames(std::make_unique<Recorded>(std::move(messages), first));
  std::vector<Frame> all;
  for (const Frame& frame : frames) all.push_back(frame);
  return all;
}

void expect_loss(const std::string& because, std::vector<v1::Frame> messages, int first = 1) {
  try {
    read(std::move(messages), first);
    FAIL() << because;
  } catch (const DataLossError& error) {
    EXPECT_NE(std::string(error.what()).find(because), std::string::npos) << error.what();
    EXPECT_EQ(error.code(), "DATA_LOSS");
  }
}

TEST(Tensor, IsPutTogether) {
  const auto frames = read({header(), chunk(0, 7), chunk(7, 32), trailer(), result()});
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_TRUE(frames[1].message.has_result());
  EXPECT_FALSE(frames[1].tensor);
  const Tensor& tensor = frames[0].tensor.value();
  EXPECT_EQ(tensor.layer(), "/conv1/Conv");
  EXPECT_EQ(tensor.shape(), (std::vector<std::int64_t>{4, 8}));
  EXPECT_EQ(tensor.axes(), (std::vector<std::string>{"batch", "unit"}));
  EXPECT_EQ(tensor.element_type(), "uint8");
  EXPECT_EQ(tensor.values().at(31), 31);
  EXPECT_EQ(crc32c(tensor.bytes), kCrc);
}

TEST(Tensor, WrongChecksum) {
  expect_loss("CRC-32C 46dd794e instead of 46dd794f", {header(), chunk(0, 32), trailer(kCrc + 1)});
}

TEST(Tensor, MissingTrailer) {
  expect_loss("cut off inside a tensor", {header(), chunk(0, 32)});
  expect_loss("before the last one had ended", {header(), chunk(0, 32), header()});
}

TEST(Tensor, ChunksOutOfOrder) {
  expect_loss("expected bytes of tensor 5 from 0 on", {header(), chunk(7, 32), chunk(0, 7)});
  expect_loss("expected bytes of tensor 5 from 7 on", {header(), chunk(0, 7), chunk(0, 7)});
}

TEST(Tensor, MissingChunk) {
  expect_loss("ended after 7 of 32 bytes", {header(), chunk(0, 7), trailer()});
  expect_loss("without its header", {chunk(0, 7)});
}

TEST(Tensor, SizeThatContradictsTheShape) {
  auto wrong = header();
  wrong.mutable_tensor_header()->set_total_bytes(33);
  expect_loss("cannot have 33", {wrong});
  wrong = header();
  wrong.mutable_tensor_header()->set_shape(0, INT64_MAX);
  expect_loss("cannot have the extent 8", {wrong});
}

TEST(Frames, LostMessage) { expect_loss("message 1 of the stream is lost", {result()}, 2); }

TEST(Frames, NoResult) {
  expect_loss("before its result", {});
  expect_loss("before its result", {header(), chunk(0, 32), trailer()});
}

TEST(Frames, UnknownOnesAreLeftOut) { EXPECT_EQ(read({v1::Frame(), result()}).size(), 1u); }

double value(v1::DataType type, const std::string& raw) {
  Tensor tensor;
  tensor.header.set_dtype(type);
  for (const char each : raw) tensor.bytes.push_back(static_cast<std::byte>(each));
  return tensor.values().at(0);
}

// The bytes are NumPy's.
TEST(Elements, AreRead) {
  EXPECT_EQ(value(v1::DATA_TYPE_INT8, "\xff"), -1);
  EXPECT_EQ(value(v1::DATA_TYPE_UINT16, "\xff\xff"), 65535);
  EXPECT_EQ(value(v1::DATA_TYPE_INT32, "\xfe\xff\xff\xff"), -2);
  EXPECT_EQ(value(v1::DATA_TYPE_UINT64, std::string(8, '\xff')), 0x1p64);
  EXPECT_EQ(value(v1::DATA_TYPE_FP16, {'\x00', '\xbe'}), -1.5);
  EXPECT_EQ(value(v1::DATA_TYPE_FP16, {'\x01', '\x00'}), 0x1p-24);
  EXPECT_EQ(value(v1::DATA_TYPE_FP16, {'\xff', '\x7b'}), 65504);
  EXPECT_EQ(value(v1::DATA_TYPE_BF16, {'\xc0', '\xbf'}), -1.5);
  EXPECT_EQ(value(v1::DATA_TYPE_FP32, {'\0', '\0', '\xc0', '\xbf'}), -1.5);
  EXPECT_THROW(element(v1::DATA_TYPE_UNSPECIFIED), DataLossError);
}

TEST(Elements, QuantizedNumbersAreMappedBack) {
  Tensor tensor;
  tensor.header.set_dtype(v1::DATA_TYPE_UINT8);
  tensor.header.mutable_quantization()->set_scale(0.5);
  tensor.header.mutable_quantization()->set_offset(-1);
  tensor.bytes = {std::byte{0}, std::byte{4}, std::byte{255}};
  EXPECT_EQ(tensor.values(), (std::vector<double>{-1, 1, 126.5}));
}

}  // namespace
}  // namespace hooke
