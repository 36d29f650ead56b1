//! Streams and errors are read as the contract says, and broken ones are refused.

use hooke::v1::frame::Content;
use hooke::{Error, Frame, Tensor, v1};
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// RFC 3720's check value of CRC-32C is that of these nine bytes.
const DIGITS: &[u8] = b"123456789";
const CHECK: u32 = 0xe306_9283;

fn header(total_bytes: i64) -> Content {
    Content::TensorHeader(v1::TensorHeader {
        tensor_id: 1,
        dtype: v1::DataType::Uint8.into(),
        shape: vec![9],
        total_bytes,
        ..Default::default()
    })
}

fn chunk(offset: i64, data: &[u8]) -> Content {
    Content::TensorChunk(v1::TensorChunk { tensor_id: 1, offset, data: data.to_vec() })
}

fn trailer(crc32c: u32) -> Content {
    Content::TensorTrailer(v1::TensorTrailer { tensor_id: 1, total_bytes: 9, crc32c })
}

fn result() -> Content {
    Content::Result(v1::Result::default())
}

async fn read(contents: Vec<Content>) -> Result<Vec<Frame>, Error> {
    let messages = contents.into_iter().map(Some).collect();
    read_from(1, messages).await
}

async fn read_from(first: i64, contents: Vec<Option<Content>>) -> Result<Vec<Frame>, Error> {
    let messages =
        (first..).zip(contents).map(|(sequence, content)| Ok(v1::Frame { sequence, content }));
    hooke::frames(tokio_stream::iter(messages)).collect().await
}

#[tokio::test]
async fn chunks_become_the_tensor() {
    let (head, tail) = DIGITS.split_at(4);
    let parts = [header(9), chunk(0, head), chunk(4, tail), trailer(CHECK)].map(Some);
    // `None` is a frame of a kind that this client does not know.
    let contents = parts.into_iter().chain([None, Some(result())]).collect();
    let frames = read_from(1, contents).await.unwrap();
    let [Frame::Tensor(tensor), Frame::Message(Content::Result(_))] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(tensor.data, DIGITS);
    assert_eq!(tensor.crc32c(), CHECK);
    assert_eq!(tensor.dtype_name(), "uint8");
}

#[tokio::test]
async fn broken_streams_are_refused() {
    let swapped = chunk(0, b"923456781");
    let more = chunk(0, b"1234567890");
    let cases = [
        ("are not those that were sent", vec![header(9), swapped, trailer(CHECK), result()]),
        ("cut off inside a tensor", vec![header(9), chunk(0, DIGITS)]),
        ("before the last one had ended", vec![header(9), header(9)]),
        ("expected bytes of tensor 1 from 0", vec![header(9), chunk(4, &DIGITS[4..])]),
        ("at most to 9", vec![header(9), more]),
        ("ended after 4 of 9 bytes", vec![header(9), chunk(0, &DIGITS[..4]), trailer(CHECK)]),
        ("without its header", vec![chunk(0, DIGITS)]),
        ("without its header", vec![trailer(CHECK)]),
        ("cannot have 8 bytes", vec![header(8)]),
        ("before its result", vec![header(9), chunk(0, DIGITS), trailer(CHECK)]),
        ("before its result", vec![]),
    ];
    for (said, contents) in cases {
        let error = read(contents).await.unwrap_err();
        assert_eq!(error.code, Code::DataLoss);
        assert!(error.message.contains(said), "{error}");
    }
    let error = read_from(2, vec![Some(result())]).await.unwrap_err();
    assert_eq!(error.message, "message 1 of the stream is lost: got 2");
}

#[test]
fn shapes_whose_size_overflows_are_refused() {
    for shape in [vec![-1, -9], vec![1 << 40, 1 << 40]] {
        let dtype = v1::DataType::Uint8.into();
        let header = v1::TensorHeader { dtype, shape, ..Default::default() };
        let error = hooke::Assembler::new(header).unwrap_err();
        assert!(error.message.contains("cannot have the shape"), "{error}");
    }
}

#[test]
fn errors_carry_what_the_server_said() {
    let mut details = ErrorDetails::with_bad_request_violation("ascent.steps", "must be larger");
    details.set_error_info("INVALID_FIELD", "hooke", [("a".into(), "b".into())]);
    let said = Status::with_error_details(Code::InvalidArgument, "steps must be larger", details);
    let error = Error::from(said);
    assert_eq!(error.to_string(), "INVALID_ARGUMENT: steps must be larger");
    assert_eq!(error.reason, "INVALID_FIELD");
    assert_eq!(error.metadata["a"], "b");
    assert_eq!(error.field_violations["ascent.steps"], "must be larger");
}

#[test]
fn reasons_of_others_are_not_ours() {
    let details = ErrorDetails::with_error_info("OTHER", "elsewhere", [("a".into(), "b".into())]);
    let error = Error::from(Status::with_error_details(Code::NotFound, "", details));
    assert_eq!((error.reason.as_str(), error.metadata.len()), ("", 0));
}

#[test]
fn names_are_escaped_as_the_contract_says() {
    for (id, escaped) in [
        ("/conv1/Conv", "%2Fconv1%2FConv"),
        ("a b+c", "a%20b%2Bc"),
        ("layer1.0.relu:1", "layer1.0.relu:1"),
        ("é@~_-", "%C3%A9@~_-"),
    ] {
        let name = hooke::layer_name("m", id);
        assert_eq!(name, format!("models/m/layers/{escaped}"));
        assert_eq!((hooke::layer_id(&name).as_str(), hooke::model_id(&name).as_str()), (id, "m"));
    }
}

#[test]
fn quantized_tensors_are_real_numbers() {
    let mut header = v1::TensorHeader { dtype: v1::DataType::Uint8.into(), ..Default::default() };
    let bare = Tensor { header: header.clone(), data: vec![0, 2, 255] };
    assert_eq!(bare.to_f32s(), None);
    header.quantization = Some(v1::AffineQuantization { scale: 0.5, offset: -1.0 });
    let tensor = Tensor { header, ..bare };
    assert_eq!(tensor.to_f32s(), Some(vec![-1.0, 0.0, 126.5]));
}
