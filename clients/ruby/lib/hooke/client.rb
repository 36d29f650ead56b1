# frozen_string_literal: true

require "hooke/errors"
require "hooke/frames"
require "hooke/names"
require "hooke/v1/activation_service_services_pb"
require "hooke/v1/model_service_services_pb"
require "hooke/v1/technique_service_services_pb"
require "hooke/v1/visualization_service_services_pb"

module Hooke
  # A connection to a Hooke server; every method may raise an Error. Threads may share it.
  class Client
    # `timeout`: seconds that each call may take; nil: any time. Nothing is sent before the first.
    def initialize(address = "localhost:50051", timeout: nil)
      @address = address
      @channel = GRPC::Core::Channel.new(address, {}, :this_channel_is_insecure)
      @timeout = timeout
      @models = stub(V1::ModelService)
      @techniques = stub(V1::TechniqueService)
    end

    # Opens a client; with a block, closes it at the end of that.
    def self.open(address = "localhost:50051", **options)
      client = new(address, **options)
      return client unless block_given?

      begin
        yield client
      ensure
        client.close
      end
    end

    # Closes the connection; what still runs on it is cancelled.
    def close
      @channel.close
    end

    # A generated stub on this connection, for what has no method here.
    def stub(service)
      options = { channel_override: @channel }
      options[:timeout] = @timeout if @timeout
      service::Stub.new(@address, :this_channel_is_insecure, **options)
    end

    # All models that the server knows, loaded or not.
    def models
      pages(V1::ListModelsRequest.new) { |request| @models.list_models(request) }.flat_map do |page|
        page.models.to_a
      end
    end

    # One model; this does not load it.
    def model(model)
      translated { @models.get_model(V1::GetModelRequest.new(name: Names.model(model))) }
    end

    # The layers that fit a filter (globs:, ops:, kinds:), in the order in which they run.
    def layers(model, **filter)
      request = V1::StreamLayersRequest.new(parent: Names.model(model), filter:)
      translated { @models.stream_layers(request).to_a }
    end

    # One layer.
    def layer(model, layer)
      translated { @models.get_layer(V1::GetLayerRequest.new(name: Names.layer(model, layer))) }
    end

    # All techniques; `request` may hold a kind:, and a location: where they should be valid.
    def techniques(**request)
      first = V1::ListTechniquesRequest.new(**request)
      pages(first) { |page| @techniques.list_techniques(page) }.flat_map do |page|
        page.techniques.to_a
      end
    end

    # What layers say to an input, in one forward pass: the tensors, in the order of layers.
    #
    # `input` is a picture's file as bytes, several of them, or `Hooke.tensor(...)`; `layers` are
    # ids or patterns; `readout` holds other fields of V1::Readout (units:, tensor:).
    def activations(model, input, layers, **readout)
      value = input.is_a?(V1::Tensor) ? { tensor: input } : { images: pictures_of(input) }
      request = V1::StreamActivationsRequest.new(
        model: Names.model(model), inputs: [value], readouts: [{ layer_globs: layers, **readout }]
      )
      frames(V1::ActivationService, :stream_activations, request).grep(Tensor)
    end

    # Pictures of what a place responds to, as they are made.
    #
    # `request` holds other fields of V1::VisualizeRequest, among them the technique
    # (feature_visualization: { ascent: { steps: 16 } }).
    def visualize(model, layer:, unit: nil, **request)
      items = [{ location: Names.location(model, layer, unit) }]
      request = V1::VisualizeRequest.new(items:, **request)
      frames(V1::VisualizationService, :visualize, request)
    end

    # The finished pictures alone.
    def pictures(model, **request)
      visualize(model, **request).grep(V1::Picture).select { |each| each.role == FINAL }
    end

    # The frames of any call that computes: a service, its method, the request.
    def frames(service, method, request)
      Frames.new(stub(service).public_send(method, request, return_op: true), @address)
    end

    FINAL = :PICTURE_ROLE_FINAL
    private_constant :FINAL

    private

    def translated(&block)
      Error.translated(@address, &block)
    end

    # Every page of a list, which the block asks for.
    def pages(request)
      answers = []
      loop do
        answers << translated { yield request }
        break answers if answers.last.next_page_token.empty?

        request.page_token = answers.last.next_page_token
      end
    end

    def pictures_of(files)
      { images: Array(files).map { |data| { data: } } }
    end
  end
end
