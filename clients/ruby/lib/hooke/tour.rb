# frozen_string_literal: true

require "hooke"
require "json"

module Hooke
  # The tour of clients/README.md: the same calls in every language, the same JSON.
  class Tour
    MODEL = "demo"
    LAYER = "blocks.2.1"
    PICTURE = File.expand_path("../../../tour.png", __dir__)
    STOPS = %i[
      models layers activations tensor visualization error invalid cancelled deadline
    ].freeze

    def initialize(address)
      @address = address
    end

    # The answers on one line, with keys sorted.
    def json
      Client.open(@address) do |client|
        @client = client
        JSON.generate(sorted(STOPS.to_h { |stop| [stop, send(stop)] }))
      end
    end

    private

    def models
      @client.models.map { |model| Names.model_id(model.name) }
    end

    def layers
      @client.layers(MODEL, globs: ["blocks.2.*"], ops: ["conv2d"]).map do |layer|
        shape = layer.output.shape.map { |each| each.has_size? ? each.size : each.name }
        { id: layer.id, op: layer.op, shape:, units: layer.unit_count }
      end
    end

    def activations
      mean = { reduction: { statistic: :STATISTIC_MEAN } }
      picture = File.binread(PICTURE)
      @client.activations(MODEL, picture, ["blocks.0.0", LAYER], tensor: mean).to_h do |tensor|
        [tensor.layer, tensor.values.first(4).map { |each| format("%.4f", each).to_f }]
      end
    end

    def tensor
      shape = [4, 3, 224, 224]
      zeros = Hooke.tensor([0.0] * shape.reduce(:*), shape)
      value, = @client.activations(MODEL, zeros, ["conv_stem"])
      {
        layer: value.layer, dtype: value.element_type, shape: value.shape, axes: value.axes,
        crc32c: format("%08x", Crc32c.of(value.bytes))
      }
    end

    def work(steps)
      feature_visualization = { ascent: { steps:, size: 64 } }
      { layer: LAYER, unit: 7, seed: 1, feature_visualization: }
    end

    def visualization
      frames = @client.visualize(MODEL, **work(4)).to_a
      picture = frames.grep(V1::Picture).first
      place = [Names.layer_id(picture.layer), picture.location.unit]
      {
        steps: frames.grep(V1::Progress).last.step,
        picture: [*place, picture.mime_type, picture.width, picture.height],
        ends_with_result: frames.last.is_a?(V1::Result)
      }
    end

    def error
      @client.layer(MODEL, "blocks.9.9")
      raise "the demo model has no layer blocks.9.9"
    rescue NotFoundError => e
      { code: e.code, reason: e.reason, metadata: e.metadata }
    end

    def invalid
      @client.pictures(MODEL, **work(0))
      raise "no steps make no picture"
    rescue InvalidArgumentError => e
      { code: e.code, reason: e.reason, fields: e.field_violations }
    end

    # Whether a long visualization can be left once it moves.
    def cancelled
      first = nil
      frames = @client.visualize(MODEL, **work(4096))
      frames.each do |frame|
        next unless frame.is_a?(V1::Progress)

        first ||= frame
        frames.cancel
      end
      false
    rescue CancelledError
      first.step < first.total_steps
    end

    # How a long visualization ends that may take a quarter of a second.
    def deadline
      Client.open(@address, timeout: 0.25) { |client| client.pictures(MODEL, **work(4096)) }
      raise "4096 steps take longer"
    rescue DeadlineExceededError => e
      e.code
    end

    def sorted(value)
      case value
      when Hash then value.map { |key, each| [key.to_s, sorted(each)] }.sort.to_h
      when Array then value.map { |each| sorted(each) }
      else value
      end
    end
  end
end
