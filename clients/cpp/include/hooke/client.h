// A connection to a Hooke server.
#pragma once

#include <grpcpp/channel.h>
#include <hooke/v1/activation_service.grpc.pb.h>
#include <hooke/v1/model_service.grpc.pb.h>
#include <hooke/v1/technique_service.grpc.pb.h>
#include <hooke/v1/visualization_service.grpc.pb.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hooke/errors.h"
#include "hooke/frames.h"
#include "hooke/requests.h"
#include "hooke/tensor.h"

namespace hooke {

// Calls to one server; every one may throw an Error. Threads may share a client.
class Client {
 public:
  using Timeout = std::optional<std::chrono::nanoseconds>;

  // Nothing is sent before the first call. `timeout` is what each call may take; none: any time.
  explicit Client(const std::string& address = "localhost:50051", Timeout timeout = {});

  // All models that the server knows, loaded or not.
  std::vector<v1::Model> models();

  // One model; this does not load it.
  v1::Model model(const std::string& model);

  // The layers that fit a filter, in the order in which they run.
  std::vector<v1::Layer> layers(const std::string& model, const v1::LayerFilter& filter = {});

  // One layer.
  v1::Layer layer(const std::string& model, const std::string& layer);

  // All techniques; the request may ask for one kind, or whether each is valid at a place.
  std::vector<v1::Technique> techniques(v1::ListTechniquesRequest request = {});

  // What layers say to an input, in one forward pass: the tensors, in the order of layers.
  std::vector<Tensor> activations(const std::string& model, const v1::ModelInput& input,
                                  const std::vector<v1::Readout>& readouts);

  // The frames that answer a request for activations, pictures among them.
  Frames activations(const v1::StreamActivationsRequest& request);

  // Pictures of what places respond to, as they are made.
  Frames visualize(const v1::VisualizeRequest& request);

  // The finished pictures of a request.
  std::vector<v1::Picture> pictures(const v1::VisualizeRequest& request);

  // The frames of any call that computes, begun by a generated stub on this channel.
  using FrameMethod =
      std::function<std::unique_ptr<grpc::ClientReader<v1::Frame>>(grpc::ClientContext*)>;
  Frames frames(const FrameMethod& method);

  // For stubs of your own, where there is no method here.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  std::string address_;
  Timeout timeout_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::ActivationService::Stub> activations_;
  std::unique_ptr<v1::TechniqueService::Stub> techniques_;
  std::unique_ptr<v1::VisualizationService::Stub> visualizations_;
};

}  // namespace hooke
