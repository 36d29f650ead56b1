# frozen_string_literal: true

require "hooke/errors"

module Hooke
  # Element types: what NumPy calls each, how wide it is, how an array of it is read.
  module Elements
    Element = Struct.new(:name, :width, :directive, :meaning) do
      def read(bytes)
        stored = bytes.unpack("#{directive}*")
        meaning ? stored.map(&meaning) : stored
      end
    end

    # The upper half of a single-precision number.
    BFLOAT16 = ->(bits) { [bits << 16].pack("L<").unpack1("e") }

    # IEEE 754 half precision: sign, five bits of exponent, ten of fraction.
    FLOAT16 = lambda do |bits|
      exponent = (bits >> 10) & 0x1F
      fraction = bits & 0x3FF
      size =
        case exponent
        when 0 then Math.ldexp(fraction, -24)
        when 0x1F then fraction.zero? ? Float::INFINITY : Float::NAN
        else Math.ldexp(1024 + fraction, exponent - 25)
        end
      bits[15].zero? ? size : -size
    end

    KNOWN = {
      DATA_TYPE_BOOL: Element.new("bool", 1, "C"),
      DATA_TYPE_UINT8: Element.new("uint8", 1, "C"),
      DATA_TYPE_UINT16: Element.new("uint16", 2, "S<"),
      DATA_TYPE_UINT32: Element.new("uint32", 4, "L<"),
      DATA_TYPE_UINT64: Element.new("uint64", 8, "Q<"),
      DATA_TYPE_INT8: Element.new("int8", 1, "c"),
      DATA_TYPE_INT16: Element.new("int16", 2, "s<"),
      DATA_TYPE_INT32: Element.new("int32", 4, "l<"),
      DATA_TYPE_INT64: Element.new("int64", 8, "q<"),
      DATA_TYPE_FP16: Element.new("float16", 2, "S<", FLOAT16),
      DATA_TYPE_FP32: Element.new("float32", 4, "e"),
      DATA_TYPE_FP64: Element.new("float64", 8, "E"),
      DATA_TYPE_BF16: Element.new("bfloat16", 2, "S<", BFLOAT16)
    }.freeze
    private_constant :BFLOAT16, :FLOAT16, :KNOWN

    # What is known of a type; DataLossError for one that this client is too old for.
    def self.fetch(type)
      KNOWN[type] || raise(DataLossError, "a tensor of an element type unknown here: #{type}")
    end
  end
end
