# frozen_string_literal: true

require "hooke/errors"
require "hooke/tensor"
require "hooke/v1/frame_pb"

module Hooke
  # What a call that computes streams back: the contents of its frames (V1::Progress, V1::Picture,
  # V1::TableRows, ...), each tensor as one Tensor, and last a V1::Result. Frames of kinds that are
  # unknown here are left out.
  #
  # They can be gone through once. Leaving the block (`break`, `first`, `find`, an exception)
  # cancels the call, and the server stops the work.
  class Frames
    include Enumerable

    # `call` is gRPC's operation of the call, which runs from `each` on.
    def initialize(call, address)
      @call = call
      @address = address
    end

    def each(&block)
      return to_enum unless block

      Error.translated(@address) { Frames.read(@call.execute, &block) }
    ensure
      cancel if block
    end

    # Stops the work; what goes through the frames then ends in a CancelledError. Any thread may.
    def cancel
      @call.cancel
    end

    # Yields the frames in messages; DataLossError where they were cut off.
    def self.read(messages)
      tensors = TensorReader.new
      finished = false
      messages.each do |message|
        tensors.step(message.sequence)
        next unless (frame = frame(message, tensors))

        finished = frame.is_a?(V1::Result)
        yield frame
      end
      tensors.finish
      raise DataLossError, "the stream was cut off before its result" unless finished
    end

    # A frame; nil where the message is part of a tensor that goes on, or of an unknown kind.
    def self.frame(message, tensors)
      case message.content
      when :tensor_header
        tensors.header(message.tensor_header)
        nil
      when :tensor_chunk
        tensors.chunk(message.tensor_chunk)
        nil
      when :tensor_trailer then tensors.trailer(message.tensor_trailer)
      when nil then nil
      else message[message.content.to_s]
      end
    end
    private_class_method :frame
  end
end
