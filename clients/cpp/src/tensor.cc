#include "hooke/tensor.h"

#include <boost/crc.hpp>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "elements.h"
#include "hooke/errors.h"
#include "hooke/requests.h"

namespace hooke {
namespace {

// Bytes that a header's shape and element type stand for; a wrong one announces something else.
std::size_t size(const v1::TensorHeader& header) {
  std::size_t bytes = element(header.dtype()).width;
  for (const std::int64_t extent : header.shape()) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes)) {
      throw DataLossError("a tensor cannot have the extent " + std::to_string(extent));
    }
  }
  if (header.total_bytes() < 0 || bytes != static_cast<std::size_t>(header.total_bytes())) {
    throw DataLossError("a tensor whose shape and type stand for " + std::to_string(bytes) +
                        " bytes cannot have " + std::to_string(header.total_bytes()));
  }
  return bytes;
}

std::string hexadecimal(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", value);
  return text;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

std::string Tensor::layer() const { return layer_id(header.layer()); }

std::string Tensor::element_type() const { return element(header.dtype()).name; }

std::vector<double> Tensor::values() const {
  const Element& type = element(header.dtype());
  const double scale = header.has_quantization() ? header.quantization().scale() : 1;
  const double offset = header.quantization().offset();
  std::vector<double> values(bytes.size() / type.width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = scale * type.read(bytes.data() + i * type.width) + offset;
  }
  return values;
}

void TensorReader::step(std::int64_t sequence) {
  if (sequence != ++sequence_) {
    throw DataLossError("message " + std::to_string(sequence_) + " of the stream is lost: got " +
                        std::to_string(sequence));
  }
}

void TensorReader::header(const v1::TensorHeader& message) {
  if (open_) throw DataLossError("a tensor began before the last one had ended");
  open_.emplace(Tensor{message, std::vector<std::byte>(size(message))});
  received_ = 0;
}

void TensorReader::chunk(const v1::TensorChunk& message) {
  Tensor& tensor = open();
  const std::string& data = message.data();
  if (message.tensor_id() != tensor.header.tensor_id() ||
      message.offset() != static_cast<std::int64_t>(received_) ||
      data.size() > tensor.bytes.size() - received_) {
    throw DataLossError(
        "expected bytes of tensor " + std::to_string(tensor.header.tensor_id()) + " from " +
        std::to_string(received_) + " on, at most to " + std::to_string(tensor.bytes.size()) +
        "; got " + std::to_string(data.size()) + " of tensor " +
        std::to_string(message.tensor_id()) + " from " + std::to_string(message.offset()) + " on");
  }
  std::memcpy(tensor.bytes.data() + received_, data.data(), data.size());
  received_ += data.size();
}

Tensor TensorReader::trailer(const v1::TensorTrailer& message) {
  Tensor tensor = std::move(open());
  open_.reset();
  const std::string id = std::to_string(tensor.header.tensor_id());
  if (message.tensor_id() != tensor.header.tensor_id() || received_ != tensor.bytes.size() ||
      message.total_bytes() != tensor.header.total_bytes()) {
    throw DataLossError("tensor " + id + " ended after " + std::to_string(received_) + " of " +
                        std::to_string(tensor.bytes.size()) + " bytes");
  }
  if (const auto crc = crc32c(tensor.bytes); crc != message.crc32c()) {
    throw DataLossError("the bytes of tensor " + id + " are not those that were sent: CRC-32C " +
                        hexadecimal(crc) + " instead of " + hexadecimal(message.crc32c()));
  }
  return tensor;
}

void TensorReader::end() const {
  if (open_) throw DataLossError("the stream was cut off inside a tensor");
}

Tensor& TensorReader::open() {
  if (!open_) throw DataLossError("bytes of a tensor came without its header");
  return *open_;
}

}  // namespace hooke
