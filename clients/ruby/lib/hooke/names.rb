# frozen_string_literal: true

require "hooke/v1/location_pb"

module Hooke
  # Resource names: plain ids here, escaped on the wire.
  module Names
    LAYERS = "/layers/"

    module_function

    # The resource name of a model, and the model in a name.
    def model(id)
      "models/#{id}"
    end

    def model_id(name)
      name.split("/")[1]
    end

    # The resource name of a layer, whose id may hold any character.
    def layer(model, id)
      escaped = id.b.gsub(/[^A-Za-z0-9._~:@-]/n) { |byte| format("%%%02X", byte.ord) }
      "#{model(model)}#{LAYERS}#{escaped.force_encoding(Encoding::UTF_8)}"
    end

    # The layer in a resource name; empty where it names none.
    def layer_id(name)
      escaped = name.partition(LAYERS).last
      bytes = escaped.b.gsub(/%(\h\h)/n) { Regexp.last_match(1).hex.chr }
      bytes.force_encoding(Encoding::UTF_8)
    end

    # A layer, or a unit of it, as a place.
    def location(model, layer, unit = nil)
      place = V1::Location.new(layer: layer(model, layer))
      place.unit = unit if unit
      place
    end
  end
end
