//! Makes the calls of clients/README.md and prints what they answer, as JSON.

use std::error::Error as AnyError;
use std::time::Duration;

use hooke::v1::frame::Content;
use hooke::v1::visualize_request::Technique;
use hooke::{Client, Error, Frame, v1};
use serde_json::{Value, json};
use tokio_stream::StreamExt;

const MODEL: &str = "demo";
const LAYER: &str = "blocks.2.1";
const PICTURE: &[u8] = include_bytes!("../../tour.png");

type Answer = Result<Value, Box<dyn AnyError>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn AnyError>> {
    let address = std::env::args().nth(1).unwrap_or("localhost:50051".into());
    let client = Client::connect(&address)?;
    let answers = json!({
        "models": models(&client).await?,
        "layers": layers(&client).await?,
        "activations": activations(&client).await?,
        "tensor": tensor(&client).await?,
        "visualization": visualization(&client).await?,
        "error": unknown(&client).await?,
        "invalid": invalid(&client).await?,
        "cancelled": cancelled(&client).await?,
        "deadline": deadline(&client).await?,
    });
    println!("{answers}"); // serde_json sorts keys
    Ok(())
}

async fn models(client: &Client) -> Answer {
    let models = client.models().await?;
    Ok(models.iter().map(|model| hooke::model_id(&model.name)).collect())
}

async fn layers(client: &Client) -> Answer {
    let filter = v1::LayerFilter {
        globs: vec!["blocks.2.*".into()],
        ops: vec!["conv2d".into()],
        kinds: vec![],
    };
    let mut layers = client.layers(MODEL, filter);
    let mut found = Vec::new();
    while let Some(layer) = layers.next().await {
        let layer = layer?;
        let output = layer.output.unwrap_or_default();
        let extent = |each: &v1::Dimension| each.size.map_or(json!(each.name), |size| json!(size));
        let shape: Vec<Value> = output.shape.iter().map(extent).collect();
        found.push(json!({
            "id": layer.id, "op": layer.op, "shape": shape, "units": layer.unit_count,
        }));
    }
    Ok(found.into())
}

async fn activations(client: &Client) -> Answer {
    let inputs = vec![hooke::pictures([PICTURE.to_vec()])];
    let mean = hooke::reduced(v1::Statistic::Mean, &["blocks.0.0", LAYER]);
    let mut means = json!({});
    for tensor in client.activations(MODEL, inputs, vec![mean]).await? {
        let values = tensor.to_f32s().ok_or("means are real numbers")?;
        let rounded = values.iter().take(4).map(|&value| (f64::from(value) * 1e4).round() / 1e4);
        means[tensor.layer_id()] = rounded.collect();
    }
    Ok(means)
}

async fn tensor(client: &Client) -> Answer {
    let zeros = hooke::f32_input(&[0.0; 4 * 3 * 224 * 224], &[4, 3, 224, 224]);
    let readouts = vec![hooke::values(&["conv_stem"])];
    let tensors = client.activations(MODEL, vec![zeros], readouts).await?;
    let tensor = tensors.first().ok_or("no tensor came")?;
    Ok(json!({
        "layer": tensor.layer_id(),
        "dtype": tensor.dtype_name(),
        "shape": tensor.header.shape,
        "axes": tensor.header.axes,
        "crc32c": format!("{:08x}", tensor.crc32c()),
    }))
}

fn feature(steps: i32, seed: u64) -> v1::VisualizeRequest {
    let ascent = v1::Ascent { steps: Some(steps), size: Some(64), ..Default::default() };
    let technique = v1::FeatureVisualization { ascent: Some(ascent), ..Default::default() };
    v1::VisualizeRequest {
        items: vec![hooke::unit(MODEL, LAYER, 7)],
        technique: Some(Technique::FeatureVisualization(technique)),
        seed,
        ..Default::default()
    }
}

async fn visualization(client: &Client) -> Answer {
    let mut answer = json!({});
    let mut frames = client.visualize(feature(4, 1));
    while let Some(frame) = frames.next().await {
        answer["ends_with_result"] = false.into();
        match frame? {
            Frame::Message(Content::Progress(progress)) => answer["steps"] = progress.step.into(),
            Frame::Message(Content::Picture(picture)) => answer["picture"] = described(&picture),
            Frame::Message(Content::Result(_)) => answer["ends_with_result"] = true.into(),
            _ => {}
        }
    }
    Ok(answer)
}

fn described(picture: &v1::Picture) -> Value {
    let place = picture.location.clone().unwrap_or_default();
    let unit = match place.unit_choice {
        Some(v1::location::UnitChoice::Unit(unit)) => Some(unit),
        _ => None,
    };
    let layer = hooke::layer_id(&picture.layer);
    json!([layer, unit, picture.mime_type, picture.width, picture.height])
}

async fn unknown(client: &Client) -> Answer {
    let Err(error) = client.layer(MODEL, "blocks.9.9").await else {
        return Err("the demo model has no layer blocks.9.9".into());
    };
    Ok(json!({
        "code": error.code_name(), "reason": error.reason, "metadata": error.metadata,
    }))
}

async fn invalid(client: &Client) -> Answer {
    let error = failure(client, 0).await?;
    Ok(json!({
        "code": error.code_name(), "reason": error.reason, "fields": error.field_violations,
    }))
}

/// What a visualization of so many steps fails with.
async fn failure(client: &Client, steps: i32) -> Result<Error, Box<dyn AnyError>> {
    let mut frames = client.visualize(feature(steps, 0));
    while let Some(frame) = frames.next().await {
        if let Err(error) = frame {
            return Ok(error);
        }
    }
    Err(format!("{steps} steps came to an end").into())
}

async fn cancelled(client: &Client) -> Answer {
    let mut frames = client.visualize(feature(4096, 0));
    while let Some(frame) = frames.next().await {
        if let Frame::Message(Content::Progress(progress)) = frame? {
            drop(frames); // which cancels the call
            return Ok((progress.step < progress.total_steps).into());
        }
    }
    Err("no progress came".into())
}

async fn deadline(client: &Client) -> Answer {
    let hasty = client.with_timeout(Duration::from_millis(250));
    Ok(failure(&hasty, 4096).await?.code_name().into())
}
