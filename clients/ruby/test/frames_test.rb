# frozen_string_literal: true

require_relative "helper"

# What the reader of a stream accepts, and what it refuses.
class FramesTest < Minitest::Test
  # CRC-32C of 32 bytes 0x00..0x1F, from RFC 3720, B.4.
  CRC = 0x46dd794e
  BYTES = (0..31).to_a.pack("C*").freeze

  def header(**other)
    { tensor_header: { tensor_id: 5, layer: "models/m/layers/%2Fconv1%2FConv+x", shape: [4, 8],
                       dtype: :DATA_TYPE_UINT8, axes: %w[batch unit], total_bytes: 32, **other } }
  end

  def chunk(from, to)
    { tensor_chunk: { tensor_id: 5, offset: from, data: BYTES[from...to] } }
  end

  def trailer(crc32c = CRC)
    { tensor_trailer: { tensor_id: 5, total_bytes: 32, crc32c: } }
  end

  def result
    { result: {} }
  end

  def read(*contents, first: 1)
    messages = contents.each.with_index(first).map do |content, sequence|
      Hooke::V1::Frame.new(sequence:, **content)
    end
    [].tap { |frames| Hooke::Frames.read(messages) { |frame| frames << frame } }
  end

  def refused(because, *contents, **options)
    error = assert_raises(Hooke::DataLossError) { read(*contents, **options) }
    assert_includes error.message, because
    assert_equal "DATA_LOSS", error.code
  end

  def test_parts_become_a_tensor
    tensor, last = read(header, chunk(0, 7), chunk(7, 32), trailer, result)
    assert_instance_of Hooke::V1::Result, last
    assert_equal ["/conv1/Conv+x", [4, 8], %w[batch unit], "uint8"],
                 [tensor.layer, tensor.shape, tensor.axes, tensor.element_type]
    assert_equal BYTES, tensor.bytes
    assert_equal (0..31).to_a, tensor.values
  end

  def test_wrong_checksum
    refused "CRC-32C 46dd794e instead of 46dd794f", header, chunk(0, 32), trailer(CRC + 1)
  end

  def test_missing_trailer
    refused "cut off inside a tensor", header, chunk(0, 32)
    refused "before the last one had ended", header, chunk(0, 32), header
  end

  def test_chunks_out_of_order
    refused "expected bytes of tensor 5 from 0 on", header, chunk(7, 32), chunk(0, 7)
    refused "expected bytes of tensor 5 from 7 on", header, chunk(0, 7), chunk(0, 7)
  end

  def test_missing_chunk
    refused "ended after 7 of 32 bytes", header, chunk(0, 7), trailer
    refused "without its header", chunk(0, 7)
  end

  def test_size_that_contradicts_the_shape
    refused "cannot have 33 bytes", header(total_bytes: 33)
  end

  def test_unknown_element_type
    refused "DATA_TYPE_UNSPECIFIED", header(dtype: :DATA_TYPE_UNSPECIFIED)
  end

  def test_lost_message
    refused "message 1 of the stream is lost", result, first: 2
  end

  def test_stream_without_result
    refused "before its result"
    refused "before its result", header, chunk(0, 32), trailer
  end

  def test_unknown_frames_are_left_out
    assert_equal 1, read({}, result).size
  end
end
