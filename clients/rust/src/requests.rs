use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::v1::location::UnitChoice;
use crate::v1::model_input::Value;
use crate::v1::readout::Form;
use crate::v1::visualization_item::Target;
use crate::v1::{self, reduction};

/// All but `A-Z a-z 0-9 . _ - ~ : @`; see [`v1::Location`].
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b'~').remove(b':').remove(b'@');

/// The resource name of a model.
pub fn model_name(model: &str) -> String {
    format!("models/{model}")
}

/// The resource name of a layer; characters that have a meaning there are escaped.
pub fn layer_name(model: &str, layer: &str) -> String {
    format!("models/{model}/layers/{}", utf8_percent_encode(layer, ESCAPED))
}

/// The model in a resource name.
pub fn model_id(name: &str) -> String {
    name.split('/').nth(1).unwrap_or(name).to_owned()
}

/// The layer in a resource name; empty where it names none.
pub fn layer_id(name: &str) -> String {
    let escaped = name.split_once("/layers/").map_or("", |(_, id)| id);
    percent_decode_str(escaped).decode_utf8_lossy().into_owned()
}

/// An input of pictures, PNG, JPEG or WebP files, which together are the batch.
pub fn pictures(files: impl IntoIterator<Item = Vec<u8>>) -> v1::ModelInput {
    let images = files.into_iter().map(|data| v1::EncodedImage { data }).collect();
    input(Value::Images(v1::ImageBatch { images }))
}

/// An input of numbers, with its batch dimension, exactly as the model takes it.
pub fn f32_input(values: &[f32], shape: &[i64]) -> v1::ModelInput {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dtype = v1::DataType::Fp32.into();
    input(Value::Tensor(v1::Tensor { dtype, shape: shape.to_vec(), data }))
}

fn input(value: Value) -> v1::ModelInput {
    v1::ModelInput { name: String::new(), value: Some(value) }
}

/// Reads every value of layers, named by ids or patterns.
pub fn values(layers: &[&str]) -> v1::Readout {
    let layer_globs = layers.iter().map(|each| each.to_string()).collect();
    v1::Readout { layer_globs, ..Default::default() }
}

/// Reads one number for each sample and unit of layers.
pub fn reduced(statistic: v1::Statistic, layers: &[&str]) -> v1::Readout {
    let reduction = v1::Reduction {
        form: Some(reduction::Form::Statistic(statistic.into())),
        ..Default::default()
    };
    let form = v1::TensorForm { reduction: Some(reduction), ..Default::default() };
    v1::Readout { form: Some(Form::Tensor(form)), ..values(layers) }
}

/// A unit of a layer, as something to visualize.
pub fn unit(model: &str, layer: &str, unit: i32) -> v1::VisualizationItem {
    let location = v1::Location {
        layer: layer_name(model, layer),
        unit_choice: Some(UnitChoice::Unit(unit)),
        position: None,
    };
    v1::VisualizationItem { target: Some(Target::Location(location)) }
}
