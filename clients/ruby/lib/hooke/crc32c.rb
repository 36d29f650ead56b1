# frozen_string_literal: true

module Hooke
  # CRC-32C (Castagnoli, RFC 3720) of strings of bytes; `crc` is that of what came before.
  #
  # In plain Ruby, four bytes at a time by two tables: in 32 bits what is shifted out below acts
  # on the rest, and the two halves of a word act on it independently.
  module Crc32c
    POLYNOMIAL = 0x82F63B78

    # What `bits` shifts make of a register.
    def self.shifted(register, bits)
      bits.times { register = (register >> 1) ^ (register.odd? ? POLYNOMIAL : 0) }
      register
    end

    BYTE = Array.new(256) { |byte| shifted(byte, 8) }.freeze

    def self.word(register)
      4.times { register = (register >> 8) ^ BYTE[register & 0xFF] }
      register
    end

    LOW = Array.new(65_536) { |half| word(half) }.freeze
    HIGH = Array.new(65_536) { |half| word(half << 16) }.freeze
    private_constant :POLYNOMIAL, :BYTE, :LOW, :HIGH
    private_class_method :shifted, :word

    def self.of(bytes, crc = 0)
      register = crc ^ 0xFFFFFFFF
      bytes.unpack("V*").each do |word|
        register ^= word
        register = LOW[register & 0xFFFF] ^ HIGH[register >> 16]
      end
      bytes.byteslice(bytes.bytesize / 4 * 4, 3).each_byte do |byte|
        register = (register >> 8) ^ BYTE[(register & 0xFF) ^ byte]
      end
      register ^ 0xFFFFFFFF
    end
  end
end
