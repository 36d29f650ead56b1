// Element types: what each is called, how wide it is, and how it is read.
#pragma once

#include <hooke/v1/tensor.pb.h>

#include <cstddef>
#include <string>

namespace hooke {

struct Element {
  // What NumPy calls it.
  const char* name;

  // Bytes of one.
  std::size_t width;

  // The number that begins at an address; 64 bits may be rounded.
  double (*read)(const std::byte*);
};

// Throws DataLossError for a type that this client does not know.
const Element& element(v1::DataType type);

}  // namespace hooke
