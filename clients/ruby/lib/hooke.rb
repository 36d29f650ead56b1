# frozen_string_literal: true

require "hooke/version"
require "hooke/errors"
require "hooke/names"
require "hooke/tensor"
require "hooke/frames"
require "hooke/client"

# A client of Hooke, a microscope for neural networks.
#
# Hooke::Client makes the calls; what they take and give are the messages of the contract,
# Hooke::V1, whose comments are the manual. This adds what a generated stub lacks: typed errors,
# tensors put together from their chunks and checked, streams that are cancelled when they are left.
module Hooke
  # Numbers exactly as a model takes them, in one flat array, the last dimension running fastest.
  # They must fit into a message (4 MiB).
  def self.tensor(values, shape)
    unless shape.reduce(1, :*) == values.size
      raise ArgumentError, "#{values.size} numbers do not fill the shape #{shape}"
    end

    V1::Tensor.new(dtype: :DATA_TYPE_FP32, shape:, data: values.pack("e*"))
  end
end
