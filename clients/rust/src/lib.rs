//! A client of Hooke, a microscope for neural networks.
//!
//! [`Client`] makes calls, [`Frame`]s arrive on a [`Stream`](tokio_stream::Stream), and what fails
//! is an [`Error`]. Dropping a stream cancels its call, and the server stops the work; so does a
//! deadline, see [`Client::with_timeout`]. Messages are those of [`v1`], which `build.rs` makes
//! from the protos; only where they are tedious (tensors in chunks, errors, names) does this crate
//! add to them.

mod client;
mod error;
mod frames;
mod requests;
mod tensor;

pub use client::{Client, Frames, Messages};
pub use error::Error;
pub use frames::{Frame, frames};
pub use requests::{
    f32_input, layer_id, layer_name, model_id, model_name, pictures, reduced, unit, values,
};
pub use tensor::{Assembler, Tensor};

/// The contract's messages and stubs.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("hooke.v1");
}
