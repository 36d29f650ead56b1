# frozen_string_literal: true

require "hooke/crc32c"
require "hooke/elements"
require "hooke/errors"
require "hooke/names"
require "hooke/v1/tensor_pb"

module Hooke
  # A tensor that arrived whole.
  #
  # `header` is what the server says of it; `bytes` are its elements, little-endian, the last
  # dimension running fastest.
  Tensor = Struct.new(:header, :bytes) do
    # What it holds, in one word: "activations", "mean", the name of a weight.
    def name
      header.name
    end

    # Id of the layer that it belongs to.
    def layer
      Names.layer_id(header.layer)
    end

    # Extents, outermost first; empty for a scalar.
    def shape
      header.shape.to_a
    end

    # A name for each dimension.
    def axes
      header.axes.to_a
    end

    # Element type, as NumPy says it: "float32".
    def element_type
      Elements.fetch(header.dtype).name
    end

    # The elements as the real values that they stand for, in one flat array.
    def values
      stored = Elements.fetch(header.dtype).read(bytes)
      mapping = header.quantization
      mapping ? stored.map { |each| (mapping.scale * each) + mapping.offset } : stored
    end
  end

  # Joins the parts of one tensor after another, as they arrive on a stream without a gap.
  class TensorReader
    def initialize
      @header = nil
      @sequence = 0
    end

    # Checks that this is the message after the last one.
    def step(sequence)
      @sequence += 1
      return if sequence == @sequence

      raise DataLossError, "message #{@sequence} of the stream is lost: got #{sequence}"
    end

    # Begins a tensor.
    def header(message)
      raise DataLossError, "a tensor began before the last one had ended" if @header

      size = message.shape.reduce(Elements.fetch(message.dtype).width, :*)
      if size != message.total_bytes
        told = "a tensor #{message.shape.to_a} of #{message.dtype}"
        raise DataLossError, "#{told} cannot have #{message.total_bytes} bytes"
      end
      @header = message
      @bytes = String.new(capacity: size, encoding: Encoding::BINARY)
      @crc = 0
    end

    # Goes on with the tensor.
    def chunk(message)
      open = current
      last = message.offset + message.data.bytesize
      if [message.tensor_id, message.offset] != [open.tensor_id, @bytes.bytesize] ||
         last > open.total_bytes
        raise DataLossError, "expected bytes of tensor #{open.tensor_id} from #{@bytes.bytesize} " \
                             "on, at most to #{open.total_bytes}; got tensor " \
                             "#{message.tensor_id} from #{message.offset} to #{last}"
      end
      @bytes << message.data
      @crc = Crc32c.of(message.data, @crc)
    end

    # The tensor, if all that was sent has arrived as it was sent.
    def trailer(message)
      open = current
      sizes = [message.total_bytes, @bytes.bytesize].uniq
      if message.tensor_id != open.tensor_id || sizes != [open.total_bytes]
        raise DataLossError, "tensor #{open.tensor_id} ended after #{@bytes.bytesize} of " \
                             "#{open.total_bytes} bytes"
      end
      compare(message)
      @header = nil
      Tensor.new(open, @bytes.freeze)
    end

    # Checks that the stream may end here.
    def finish
      raise DataLossError, "the stream was cut off inside a tensor" if @header
    end

    private

    def current
      @header || raise(DataLossError, "bytes of a tensor came without its header")
    end

    def compare(trailer)
      return if trailer.crc32c == @crc

      sums = format("CRC-32C %<got>08x instead of %<sent>08x", got: @crc, sent: trailer.crc32c)
      raise DataLossError, "the bytes of tensor #{trailer.tensor_id} are not those that were " \
                           "sent: #{sums}"
    end
  end
end
