use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::v1::activation_service_client::ActivationServiceClient;
use crate::v1::model_service_client::ModelServiceClient;
use crate::v1::visualization_service_client::VisualizationServiceClient;
use crate::{Error, Frame, Tensor, frames, layer_name, model_name, v1};

/// Messages as they arrive; dropping it cancels the call.
pub type Messages<M> = Pin<Box<dyn Stream<Item = Result<M, Error>> + Send>>;

/// Frames as they arrive; dropping it cancels the call.
pub type Frames = Messages<Frame>;

/// A connection to a server; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    timeout: Option<Duration>,
}

impl Client {
    /// A client of the server at an address, `host:port` or `unix:PATH`.
    ///
    /// Nothing is sent before the first call. The runtime must be tokio's.
    pub fn connect(address: &str) -> Result<Self, Error> {
        let uri = match address.starts_with("unix:") {
            true => address.to_owned(),
            false => format!("http://{address}"),
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|error| {
            Status::invalid_argument(format!("'{address}' is no address: {error}"))
        })?;
        Ok(Self::over(endpoint.connect_lazy()))
    }

    /// A client over a channel of your own, with TLS for example.
    pub fn over(channel: Channel) -> Self {
        Self { channel, timeout: None }
    }

    /// The same connection, where each call may take so long.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { channel: self.channel.clone(), timeout: Some(timeout) }
    }

    /// The connection, for the stubs of [`v1`] whose calls have no method here.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// All models that the server knows, loaded or not.
    pub async fn models(&self) -> Result<Vec<v1::Model>, Error> {
        let mut models = Vec::new();
        let mut page_token = String::new();
        loop {
            let (request, deadline) = self.call(v1::ListModelsRequest { page_size: 0, page_token });
            let page =
                deadline.within(self.model_service().list_models(request)).await?.into_inner();
            models.extend(page.models);
            if page.next_page_token.is_empty() {
                return Ok(models);
            }
            page_token = page.next_page_token;
        }
    }

    /// The layers of a model that fit a filter, in the order in which they run.
    pub fn layers(&self, model: &str, filter: v1::LayerFilter) -> Messages<v1::Layer> {
        let request = v1::StreamLayersRequest { parent: model_name(model), filter: Some(filter) };
        self.messages(request, async |channel, request| {
            ModelServiceClient::new(channel).stream_layers(request).await
        })
    }

    /// One layer.
    pub async fn layer(&self, model: &str, layer: &str) -> Result<v1::Layer, Error> {
        let (request, deadline) = self.call(v1::GetLayerRequest { name: layer_name(model, layer) });
        let answer = deadline.within(self.model_service().get_layer(request)).await?;
        Ok(answer.into_inner())
    }

    /// What layers say to inputs, in one forward pass: a tensor for each output of each readout,
    /// in the order in which layers run.
    pub async fn activations(
        &self,
        model: &str,
        inputs: Vec<v1::ModelInput>,
        readouts: Vec<v1::Readout>,
    ) -> Result<Vec<Tensor>, Error> {
        let model = model_name(model);
        let request =
            v1::StreamActivationsRequest { model, inputs, readouts, ..Default::default() };
        let mut frames = self.activation_frames(request);
        let mut tensors = Vec::new();
        while let Some(frame) = frames.next().await {
            if let Frame::Tensor(tensor) = frame? {
                tensors.push(tensor);
            }
        }
        Ok(tensors)
    }

    /// The frames that answer any request for activations.
    pub fn activation_frames(&self, request: v1::StreamActivationsRequest) -> Frames {
        frames(self.messages(request, async |channel, request| {
            ActivationServiceClient::new(channel).stream_activations(request).await
        }))
    }

    /// Pictures of what places respond to, as they are made.
    pub fn visualize(&self, request: v1::VisualizeRequest) -> Frames {
        frames(self.messages(request, async |channel, request| {
            VisualizationServiceClient::new(channel).visualize(request).await
        }))
    }

    /// What a stream holds. `call` makes it with a stub of [`v1`], so that every call of the
    /// contract can be made this way, and [`frames`] reads its frames.
    pub fn messages<R, M, F>(
        &self,
        request: R,
        call: impl FnOnce(Channel, Request<R>) -> F,
    ) -> Messages<M>
    where
        M: Send + 'static,
        F: Future<Output = Result<Response<Streaming<M>>, Status>> + Send + 'static,
    {
        let (request, deadline) = self.call(request);
        let call = call(self.channel.clone(), request);
        Box::pin(async_stream::try_stream! {
            let mut stream = deadline.within(call).await?.into_inner();
            while let Some(message) = deadline.within(stream.message()).await? {
                yield message;
            }
        })
    }

    fn model_service(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel())
    }

    /// A request, which tells the server how long it has, and the end that this client watches.
    fn call<M>(&self, message: M) -> (Request<M>, Deadline) {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        (request, Deadline(self.timeout.map(|timeout| Instant::now() + timeout)))
    }
}

#[derive(Clone, Copy)]
struct Deadline(Option<Instant>);

impl Deadline {
    async fn within<T>(self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        let late = |_| Err(Status::deadline_exceeded("the deadline passed"));
        let answer = match self.0 {
            Some(end) => timeout_at(end, work).await.unwrap_or_else(late),
            None => work.await,
        };
        answer.map_err(Error::from)
    }
}
