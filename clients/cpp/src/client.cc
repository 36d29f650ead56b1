#include "hooke/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "call.h"

namespace hooke {

Client::Client(const std::string& address, Timeout timeout)
    : address_(address),
      timeout_(timeout),
      channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
      models_(v1::ModelService::NewStub(channel_)),
      activations_(v1::ActivationService::NewStub(channel_)),
      techniques_(v1::TechniqueService::NewStub(channel_)),
      visualizations_(v1::VisualizationService::NewStub(channel_)) {}

std::vector<v1::Model> Client::models() {
  std::vector<v1::Model> models;
  v1::ListModelsRequest request;
  do {
    v1::ListModelsResponse page;
    check(models_->ListModels(begin(timeout_).get(), request, &page), address_);
    models.insert(models.end(), page.models().begin(), page.models().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return models;
}

v1::Model Client::model(const std::string& model) {
  v1::GetModelRequest request;
  request.set_name(model_name(model));
  v1::Model found;
  check(models_->GetModel(begin(timeout_).get(), request, &found), address_);
  return found;
}

std::vector<v1::Layer> Client::layers(const std::string& model, const v1::LayerFilter& filter) {
  v1::StreamLayersRequest request;
  request.set_parent(model_name(model));
  *request.mutable_filter() = filter;
  auto context = begin(timeout_);
  auto reader = models_->StreamLayers(context.get(), request);
  Stream<v1::Layer> stream(std::move(context), std::move(reader), address_);
  std::vector<v1::Layer> layers;
  for (v1::Layer layer; stream.read(layer);) layers.push_back(layer);
  return layers;
}

v1::Layer Client::layer(const std::string& model, const std::string& layer) {
  v1::GetLayerRequest request;
  request.set_name(layer_name(model, layer));
  v1::Layer found;
  check(models_->GetLayer(begin(timeout_).get(), request, &found), address_);
  return found;
}

std::vector<v1::Technique> Client::techniques(v1::ListTechniquesRequest request) {
  std::vector<v1::Technique> techniques;
  do {
    v1::ListTechniquesResponse page;
    check(techniques_->ListTechniques(begin(timeout_).get(), request, &page), address_);
    techniques.insert(techniques.end(), page.techniques().begin(), page.techniques().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return techniques;
}

std::vector<Tensor> Client::activations(const std::string& model, const v1::ModelInput& input,
                                        const std::vector<v1::Readout>& readouts) {
  v1::StreamActivationsRequest request;
  request.set_model(model_name(model));
  *request.add_inputs() = input;
  request.mutable_readouts()->Add(readouts.begin(), readouts.end());
  std::vector<Tensor> tensors;
  Frames frames = activations(request);
  while (auto frame = frames.next()) {
    if (frame->tensor) tensors.push_back(std::move(*frame->tensor));
  }
  return tensors;
}

Frames Client::activations(const v1::StreamActivationsRequest& request) {
  return frames([&](auto* context) { return activations_->StreamActivations(context, request); });
}

Frames Client::visualize(const v1::VisualizeRequest& request) {
  return frames([&](auto* context) { return visualizations_->Visualize(context, request); });
}

Frames Client::frames(const FrameMethod& method) {
  auto context = begin(timeout_);
  auto reader = method(context.get());
  return Frames(std::make_unique<FrameCall>(std::move(context), std::move(reader), address_));
}

std::vector<v1::Picture> Client::pictures(const v1::VisualizeRequest& request) {
  std::vector<v1::Picture> pictures;
  Frames frames = visualize(request);
  while (auto frame = frames.next()) {
    const v1::Picture& picture = frame->message.picture();
    if (picture.role() == v1::PICTURE_ROLE_FINAL) pictures.push_back(picture);
  }
  return pictures;
}

}  // namespace hooke
