package hooke

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"

	pb "hooke.dev/go/gen/hooke/v1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Memory that is taken before bytes arrive; a larger tensor grows as they do.
const trusted = 64 << 20

var elementBytes = map[pb.DataType]int64{
	pb.DataType_DATA_TYPE_BOOL: 1, pb.DataType_DATA_TYPE_UINT8: 1, pb.DataType_DATA_TYPE_INT8: 1,
	pb.DataType_DATA_TYPE_UINT16: 2, pb.DataType_DATA_TYPE_INT16: 2, pb.DataType_DATA_TYPE_FP16: 2,
	pb.DataType_DATA_TYPE_BF16: 2, pb.DataType_DATA_TYPE_UINT32: 4, pb.DataType_DATA_TYPE_INT32: 4,
	pb.DataType_DATA_TYPE_FP32: 4, pb.DataType_DATA_TYPE_UINT64: 8, pb.DataType_DATA_TYPE_INT64: 8,
	pb.DataType_DATA_TYPE_FP64: 8,
}

// Tensor is what a server sent as header, chunks and trailer. Its bytes are little-endian and
// C-contiguous, and their CRC-32C has been checked.
type Tensor struct {
	*pb.TensorHeader
	Data []byte
}

// LayerID is the plain id of the tensor's layer; empty for a model's input.
func (t *Tensor) LayerID() string { return LayerID(t.Layer) }

// CRC32C is the checksum of the tensor's bytes.
func (t *Tensor) CRC32C() uint32 { return crc32.Checksum(t.Data, castagnoli) }

// DTypeName is the element type as NumPy says it: `float32`.
func (t *Tensor) DTypeName() string {
	name := strings.TrimPrefix(t.Dtype.String(), "DATA_TYPE_")
	if digits, ok := strings.CutPrefix(name, "FP"); ok {
		return "float" + digits
	}
	if name == "BF16" {
		return "bfloat16"
	}
	return strings.ToLower(name)
}

// Float32s returns the elements of a tensor of FP32, or of one that is quantized to UINT8 as the
// real values that its integers stand for.
func (t *Tensor) Float32s() ([]float32, error) {
	switch affine := t.Quantization; {
	case t.Dtype == pb.DataType_DATA_TYPE_FP32:
		values := make([]float32, len(t.Data)/4)
		_, err := binary.Decode(t.Data, binary.LittleEndian, values)
		return values, err
	case t.Dtype == pb.DataType_DATA_TYPE_UINT8 && affine != nil:
		values := make([]float32, len(t.Data))
		for n, stored := range t.Data {
			values[n] = float32(affine.Scale*float64(stored) + affine.Offset)
		}
		return values, nil
	}
	return nil, fmt.Errorf("a tensor of %s holds no float32", t.DTypeName())
}

// Assembler joins the chunks of one tensor and checks them.
type Assembler struct {
	tensor Tensor
	crc    uint32
}

// NewAssembler begins a tensor; a header whose sizes contradict each other is refused.
func NewAssembler(header *pb.TensorHeader) (*Assembler, error) {
	size, known := elementBytes[header.Dtype]
	if !known {
		return nil, lost("the server sent a tensor of the unknown element type %s", header.Dtype)
	}
	for _, extent := range header.Shape {
		if extent < 0 || extent > 0 && size > math.MaxInt64/extent {
			return nil, lost("a tensor cannot have the shape %v", header.Shape)
		}
		size *= extent
	}
	if header.TotalBytes != size {
		return nil, lost("a tensor %v of %s cannot have %d bytes", header.Shape, header.Dtype, header.TotalBytes)
	}
	data := make([]byte, 0, min(size, trusted))
	return &Assembler{tensor: Tensor{TensorHeader: header, Data: data}}, nil
}

// Add puts the next bytes in place.
func (a *Assembler) Add(chunk *pb.TensorChunk) error {
	received, end := int64(len(a.tensor.Data)), chunk.Offset+int64(len(chunk.Data))
	if chunk.TensorId != a.tensor.TensorId || chunk.Offset != received || end > a.tensor.TotalBytes {
		return lost("expected bytes of tensor %d from %d on, at most to %d; got tensor %d from %d to %d",
			a.tensor.TensorId, received, a.tensor.TotalBytes, chunk.TensorId, chunk.Offset, end)
	}
	a.tensor.Data = append(a.tensor.Data, chunk.Data...)
	a.crc = crc32.Update(a.crc, castagnoli, chunk.Data)
	return nil
}

// Finish returns the tensor, if all that was sent has arrived as it was sent.
func (a *Assembler) Finish(trailer *pb.TensorTrailer) (*Tensor, error) {
	total, received := a.tensor.TotalBytes, int64(len(a.tensor.Data))
	if trailer.TensorId != a.tensor.TensorId || trailer.TotalBytes != received || received != total {
		return nil, lost("tensor %d ended after %d of %d bytes", a.tensor.TensorId, received, total)
	}
	if trailer.Crc32C != a.crc {
		return nil, lost("the bytes of tensor %d are not those that were sent: CRC-32C %08x instead of %08x",
			trailer.TensorId, a.crc, trailer.Crc32C)
	}
	return &a.tensor, nil
}
