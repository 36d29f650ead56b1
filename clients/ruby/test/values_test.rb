# frozen_string_literal: true

require_relative "helper"

# Numbers, checksums and names.
class ValuesTest < Minitest::Test
  def values(dtype, bytes, **header)
    Hooke::Tensor.new(Hooke::V1::TensorHeader.new(dtype:, **header), bytes.b).values
  end

  # The bytes are NumPy's.
  def test_elements
    assert_equal [-1], values(:DATA_TYPE_INT8, "\xFF")
    assert_equal [65_535], values(:DATA_TYPE_UINT16, "\xFF\xFF")
    assert_equal [-2], values(:DATA_TYPE_INT32, "\xFE\xFF\xFF\xFF")
    assert_equal [(2**64) - 1], values(:DATA_TYPE_UINT64, "\xFF" * 8)
    assert_equal [-1.5, 65_504.0, 2.0**-24, Float::INFINITY],
                 values(:DATA_TYPE_FP16, "\x00\xBE\xFF\x7B\x01\x00\x00\x7C")
    assert_equal [-1.5], values(:DATA_TYPE_BF16, "\xC0\xBF")
    assert_equal [-1.5], values(:DATA_TYPE_FP32, "\x00\x00\xC0\xBF")
    assert_equal [-1.5], values(:DATA_TYPE_FP64, "\x00\x00\x00\x00\x00\x00\xF8\xBF")
  end

  def test_quantized_numbers_are_mapped_back
    assert_equal [-1.0, 1.0, 126.5],
                 values(:DATA_TYPE_UINT8, "\x00\x04\xFF", quantization: { scale: 0.5, offset: -1 })
  end

  # RFC 3720, B.4, and the check value of the catalogue of CRCs.
  def test_checksum
    assert_equal 0x8a9136aa, Hooke::Crc32c.of("\0" * 32)
    assert_equal 0x62a8ab43, Hooke::Crc32c.of("\xFF" * 32)
    assert_equal 0xe3069283, Hooke::Crc32c.of("123456789")
    assert_equal 0xe3069283, Hooke::Crc32c.of("6789", Hooke::Crc32c.of("12345"))
  end

  def test_names_are_escaped_and_back
    assert_equal "models/m/layers/blocks.2.1:1", Hooke::Names.layer("m", "blocks.2.1:1")
    assert_equal "models/m/layers/%2Fconv1%2FConv", Hooke::Names.layer("m", "/conv1/Conv")
    ["/a b+%2F", "größe~@", ""].each do |id|
      assert_equal id, Hooke::Names.layer_id(Hooke::Names.layer("m", id))
    end
    assert_equal "demo", Hooke::Names.model_id("models/demo")
    assert_equal "", Hooke::Names.layer_id("models/demo")
  end

  def test_numbers_fill_their_shape
    tensor = Hooke.tensor([1.0, -2.0], [1, 2])
    assert_equal [1.0, -2.0], tensor.data.unpack("e*")
    assert_raises(ArgumentError) { Hooke.tensor([1.0], [1, 2]) }
  end
end
