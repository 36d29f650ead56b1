// Tensors: what a stream's header, chunks and trailer become.
#pragma once

#include <hooke/v1/tensor.pb.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hooke {

// CRC-32C (Castagnoli, RFC 3720) of bytes.
std::uint32_t crc32c(std::span<const std::byte> bytes);

// A tensor that arrived whole.
struct Tensor {
  // What the server says of it: element type, shape, axes, scale.
  v1::TensorHeader header;

  // Its elements, little-endian, the last dimension running fastest.
  std::vector<std::byte> bytes;

  // What it holds, in one word: `activations`, `mean`, the name of a weight.
  const std::string& name() const { return header.name(); }

  // Id of the layer that it belongs to.
  std::string layer() const;

  // Extents, outermost first; empty for a scalar.
  std::vector<std::int64_t> shape() const { return {header.shape().begin(), header.shape().end()}; }

  // A name for each dimension.
  std::vector<std::string> axes() const { return {header.axes().begin(), header.axes().end()}; }

  // Element type, as NumPy says it: `float32`.
  std::string element_type() const;

  // The elements as the real values that they stand for, whatever their type is.
  std::vector<double> values() const;
};

// Joins the parts of one tensor after another, as they arrive on a stream without a gap.
// What breaks the contract is a DataLossError.
class TensorReader {
 public:
  // Checks that this is the message after the last one.
  void step(std::int64_t sequence);

  // Begins a tensor, goes on with it, ends it.
  void header(const v1::TensorHeader& message);
  void chunk(const v1::TensorChunk& message);
  Tensor trailer(const v1::TensorTrailer& message);

  // Checks that the stream may end here.
  void end() const;

 private:
  Tensor& open();

  std::optional<Tensor> open_;
  std::size_t received_ = 0;
  std::int64_t sequence_ = 0;
};

}  // namespace hooke
