# frozen_string_literal: true

require_relative "lib/hooke/version"

Gem::Specification.new do |spec|
  spec.name = "hooke"
  spec.version = Hooke::VERSION
  spec.summary = "Client of Hooke, a microscope for neural networks"
  spec.authors = ["The Hooke authors"]
  spec.license = "Apache-2.0"
  spec.required_ruby_version = ">= 3.1"
  # gen/ is what `rake proto` makes of the contract.
  spec.files = Dir["lib/**/*.rb", "gen/**/*.rb", "exe/*", "README.md"]
  spec.require_paths = %w[lib gen]
  spec.bindir = "exe"
  spec.executables = ["hooke-tour"]
  spec.add_dependency "googleapis-common-protos-types", ">= 1.4"
  spec.add_dependency "google-protobuf", ">= 3.21"
  spec.add_dependency "grpc", ">= 1.51"
  %w[grpc-tools minitest rake rubocop].each { |name| spec.add_development_dependency name }
  spec.metadata["rubygems_mfa_required"] = "true"
end
