#include "elements.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hooke/errors.h"

namespace hooke {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read as they travel");

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <class T>
double number(const std::byte* at) {
  return static_cast<double>(load<T>(at));
}

double bfloat16(const std::byte* at) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(at)) << 16);
}

// IEEE 754 half precision: sign, five bits of exponent, ten of fraction.
double float16(const std::byte* at) {
  const auto bits = load<std::uint16_t>(at);
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  double size;
  if (exponent == 0) {
    size = std::ldexp(fraction, -24);
  } else if (exponent == 0x1F) {
    size = fraction == 0 ? std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  } else {
    size = std::ldexp(1024 + fraction, exponent - 25);
  }
  return bits & 0x8000 ? -size : size;
}

constexpr Element kBool{"bool", 1, number<std::uint8_t>};
constexpr Element kUint8{"uint8", 1, number<std::uint8_t>};
constexpr Element kUint16{"uint16", 2, number<std::uint16_t>};
constexpr Element kUint32{"uint32", 4, number<std::uint32_t>};
constexpr Element kUint64{"uint64", 8, number<std::uint64_t>};
constexpr Element kInt8{"int8", 1, number<std::int8_t>};
constexpr Element kInt16{"int16", 2, number<std::int16_t>};
constexpr Element kInt32{"int32", 4, number<std::int32_t>};
constexpr Element kInt64{"int64", 8, number<std::int64_t>};
constexpr Element kFloat16{"float16", 2, float16};
constexpr Element kFloat32{"float32", 4, number<float>};
constexpr Element kFloat64{"float64", 8, number<double>};
constexpr Element kBfloat16{"bfloat16", 2, bfloat16};

}  // namespace

const Element& element(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_BOOL:
      return kBool;
    case v1::DATA_TYPE_UINT8:
      return kUint8;
    case v1::DATA_TYPE_UINT16:
      return kUint16;
    case v1::DATA_TYPE_UINT32:
      return kUint32;
    case v1::DATA_TYPE_UINT64:
      return kUint64;
    case v1::DATA_TYPE_INT8:
      return kInt8;
    case v1::DATA_TYPE_INT16:
      return kInt16;
    case v1::DATA_TYPE_INT32:
      return kInt32;
    case v1::DATA_TYPE_INT64:
      return kInt64;
    case v1::DATA_TYPE_FP16:
      return kFloat16;
    case v1::DATA_TYPE_FP32:
      return kFloat32;
    case v1::DATA_TYPE_FP64:
      return kFloat64;
    case v1::DATA_TYPE_BF16:
      return kBfloat16;
    default:
      throw DataLossError("a tensor of an element type unknown here: " + std::to_string(type));
  }
}

}  // namespace hooke
