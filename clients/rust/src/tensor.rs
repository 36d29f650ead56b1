use crate::v1::DataType;
use crate::{Error, layer_id, v1};

/// Memory that is taken before bytes arrive; a larger tensor grows as they do.
const TRUSTED: usize = 64 << 20;

/// What a server sent as header, chunks and trailer.
///
/// Its bytes are little-endian and C-contiguous, and their CRC-32C has been checked.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Layer, name, element type, shape and names of the axes.
    pub header: v1::TensorHeader,
    /// The elements.
    pub data: Vec<u8>,
}

impl Tensor {
    /// The plain id of the tensor's layer; empty for a model's input.
    pub fn layer_id(&self) -> String {
        layer_id(&self.header.layer)
    }

    /// The checksum of the tensor's bytes.
    pub fn crc32c(&self) -> u32 {
        crc32c::crc32c(&self.data)
    }

    /// The element type as NumPy says it: `float32`.
    pub fn dtype_name(&self) -> String {
        let name = self.header.dtype().as_str_name().trim_start_matches("DATA_TYPE_");
        match name.strip_prefix("FP") {
            Some(digits) => format!("float{digits}"),
            None if name == "BF16" => "bfloat16".into(),
            None => name.to_lowercase(),
        }
    }

    /// The elements of a tensor of FP32, or of one that is quantized to UINT8 as the real values
    /// that its integers stand for; `None` for other types.
    pub fn to_f32s(&self) -> Option<Vec<f32>> {
        match (self.header.dtype(), &self.header.quantization) {
            (DataType::Fp32, _) => {
                let words = self.data.as_chunks::<4>().0;
                Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
            }
            (DataType::Uint8, Some(affine)) => {
                let real = |stored: &u8| affine.scale * f64::from(*stored) + affine.offset;
                Some(self.data.iter().map(|stored| real(stored) as f32).collect())
            }
            _ => None,
        }
    }
}

/// Joins the chunks of one tensor and checks them.
#[derive(Debug)]
pub struct Assembler {
    tensor: Tensor,
    crc: u32,
}

impl Assembler {
    /// Begins a tensor; a header whose sizes contradict each other is refused.
    pub fn new(header: v1::TensorHeader) -> Result<Self, Error> {
        let (shape, total) = (&header.shape, header.total_bytes);
        let size = shape
            .iter()
            .try_fold(element_bytes(header.dtype())?, |size, &extent| {
                size.checked_mul(u64::try_from(extent).ok()?)
            })
            .ok_or_else(|| Error::lost(format!("a tensor cannot have the shape {shape:?}")))?;
        if u64::try_from(total) != Ok(size) {
            let dtype = header.dtype().as_str_name();
            let said = format!("a tensor {shape:?} of {dtype} cannot have {total} bytes");
            return Err(Error::lost(said));
        }
        let data = Vec::with_capacity(TRUSTED.min(usize::try_from(size).unwrap_or(TRUSTED)));
        Ok(Self { tensor: Tensor { header, data }, crc: 0 })
    }

    /// Puts the next bytes in place.
    pub fn add(&mut self, chunk: &v1::TensorChunk) -> Result<(), Error> {
        let (header, received) = (&self.tensor.header, self.tensor.data.len() as i64);
        let (id, total) = (header.tensor_id, header.total_bytes);
        let end = received + chunk.data.len() as i64;
        if (chunk.tensor_id, chunk.offset) != (id, received) || end > total {
            return Err(Error::lost(format!(
                "expected bytes of tensor {id} from {received} on, at most to {total}; \
                 got {} of tensor {} from {}",
                chunk.data.len(),
                chunk.tensor_id,
                chunk.offset
            )));
        }
        self.crc = crc32c::crc32c_append(self.crc, &chunk.data);
        self.tensor.data.extend_from_slice(&chunk.data);
        Ok(())
    }

    /// The tensor, if all that was sent has arrived as it was sent.
    pub fn finish(self, trailer: &v1::TensorTrailer) -> Result<Tensor, Error> {
        let header = &self.tensor.header;
        let (id, total, received) =
            (header.tensor_id, header.total_bytes, self.tensor.data.len() as i64);
        if (trailer.tensor_id, trailer.total_bytes) != (id, received) || received != total {
            let said = format!("tensor {id} ended after {received} of {total} bytes");
            return Err(Error::lost(said));
        }
        if trailer.crc32c != self.crc {
            return Err(Error::lost(format!(
                "the bytes of tensor {id} are not those that were sent: \
                 CRC-32C {:08x} instead of {:08x}",
                self.crc, trailer.crc32c
            )));
        }
        Ok(self.tensor)
    }
}

fn element_bytes(dtype: DataType) -> Result<u64, Error> {
    Ok(match dtype {
        DataType::Bool | DataType::Uint8 | DataType::Int8 => 1,
        DataType::Uint16 | DataType::Int16 | DataType::Fp16 | DataType::Bf16 => 2,
        DataType::Uint32 | DataType::Int32 | DataType::Fp32 => 4,
        DataType::Uint64 | DataType::Int64 | DataType::Fp64 => 8,
        DataType::Unspecified => {
            return Err(Error::lost("the server sent a tensor of an unknown element type".into()));
        }
    })
}
