# frozen_string_literal: true

# The example of README.md.

require "hooke"

Hooke::Client.open(ARGV.fetch(0, "localhost:50051"), timeout: 60) do |client|
  blocks = client.layers("demo", globs: ["blocks.4.*"], kinds: [:LAYER_KIND_BLOCK])
  puts blocks.map(&:id)

  how = { ascent: { steps: 16, size: 64 } }
  client.visualize("demo", layer: "blocks.4.2", unit: 7, feature_visualization: how).each do |frame|
    case frame
    when Hooke::V1::Progress then puts "step #{frame.step}"
    when Hooke::V1::Picture then puts "#{frame.data.bytesize} bytes of #{frame.mime_type}"
    end
  end
rescue Hooke::Error => e
  abort "#{e.code}: #{e.message}"
end
