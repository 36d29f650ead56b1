package hooke

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "hooke.dev/go/gen/hooke/v1"
)

// RFC 3720's check value of CRC-32C is that of these nine bytes.
const (
	digits = "123456789"
	check  = 0xe3069283
)

func header(total int64) *pb.Frame {
	content := &pb.TensorHeader{
		TensorId: 1, Dtype: pb.DataType_DATA_TYPE_UINT8, Shape: []int64{9}, TotalBytes: total,
	}
	return &pb.Frame{Content: &pb.Frame_TensorHeader{TensorHeader: content}}
}

func chunk(offset int64, data string) *pb.Frame {
	content := &pb.TensorChunk{TensorId: 1, Offset: offset, Data: []byte(data)}
	return &pb.Frame{Content: &pb.Frame_TensorChunk{TensorChunk: content}}
}

func trailer(crc uint32) *pb.Frame {
	content := &pb.TensorTrailer{TensorId: 1, TotalBytes: 9, Crc32C: crc}
	return &pb.Frame{Content: &pb.Frame_TensorTrailer{TensorTrailer: content}}
}

func result() *pb.Frame { return &pb.Frame{Content: &pb.Frame_Result{Result: &pb.Result{}}} }

func numbered(messages []*pb.Frame) iter.Seq2[*pb.Frame, error] {
	return func(yield func(*pb.Frame, error) bool) {
		for n, each := range messages {
			if each.Sequence == 0 {
				each.Sequence = int64(n + 1)
			}
			if !yield(each, nil) {
				return
			}
		}
	}
}

func read(messages ...*pb.Frame) (frames []Frame, err error) {
	for frame, failure := range Frames(numbered(messages)) {
		if failure != nil {
			return frames, failure
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

func TestChunksBecomeTheTensor(t *testing.T) {
	unknown := &pb.Frame{} // of a kind that this client does not know
	frames, err := read(header(9), chunk(0, digits[:4]), chunk(4, digits[4:]), trailer(check), unknown, result())
	if err != nil || len(frames) != 2 {
		t.Fatal(frames, err)
	}
	tensor := frames[0].(*Tensor)
	if string(tensor.Data) != digits || tensor.CRC32C() != check || tensor.DTypeName() != "uint8" {
		t.Error(tensor)
	}
}

func TestBrokenStreamsAreRefused(t *testing.T) {
	late := result()
	late.Sequence = 3
	for said, messages := range map[string][]*pb.Frame{
		"are not those that were sent":       {header(9), chunk(0, "923456781"), trailer(check), result()},
		"cut off inside a tensor":            {header(9), chunk(0, digits)},
		"before the last one had ended":      {header(9), header(9)},
		"expected bytes of tensor 1 from 4":  {header(9), chunk(0, digits[:4]), chunk(5, digits[5:])},
		"at most to 9":                       {header(9), chunk(0, digits+"0")},
		"ended after 4 of 9 bytes":           {header(9), chunk(0, digits[:4]), trailer(check)},
		"without its header":                 {chunk(0, digits)},
		"cannot have 8 bytes":                {header(8)},
		"cut off before its result":          {header(9), chunk(0, digits), trailer(check)},
		"message 1 of the stream is lost":    {late},
		"the stream was cut off before its ": {},
	} {
		_, err := read(messages...)
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != codes.DataLoss || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", said, err)
		}
	}
}

func TestShapesWhoseSizeOverflowsAreRefused(t *testing.T) {
	for _, shape := range [][]int64{{-1, -9}, {1 << 40, 1 << 40}} {
		_, err := NewAssembler(&pb.TensorHeader{
			Dtype: pb.DataType_DATA_TYPE_UINT8, Shape: shape, TotalBytes: 0,
		})
		if err == nil || !strings.Contains(err.Error(), "cannot have the shape") {
			t.Error(shape, err)
		}
	}
}

func TestErrorsCarryWhatTheServerSaid(t *testing.T) {
	said, err := status.New(codes.InvalidArgument, "steps must be larger").WithDetails(
		&errdetails.ErrorInfo{Domain: "elsewhere", Reason: "OTHER"},
		&errdetails.ErrorInfo{Domain: "hooke", Reason: "INVALID_FIELD", Metadata: map[string]string{"a": "b"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "ascent.steps", Description: "must be larger"},
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	var failure *Error
	if !errors.As(fromStatus(said.Err()), &failure) {
		t.Fatal("no Error")
	}
	if failure.CodeName() != "INVALID_ARGUMENT" || failure.Reason != "INVALID_FIELD" ||
		failure.Metadata["a"] != "b" || failure.FieldViolations["ascent.steps"] != "must be larger" ||
		status.Code(failure.Unwrap()) != codes.InvalidArgument {
		t.Errorf("%+v", failure)
	}
	if errors.Is(failure, context.Canceled) || fromStatus(nil) != nil {
		t.Error("what is no failure is one")
	}
}

func TestNamesAreEscapedAsTheContractSays(t *testing.T) {
	for id, escaped := range map[string]string{
		"/conv1/Conv": "%2Fconv1%2FConv", "a b+c": "a%20b%2Bc", "layer1.0.relu:1": "layer1.0.relu:1",
		"é@~_-": "%C3%A9@~_-",
	} {
		name := LayerName("m", id)
		if name != "models/m/layers/"+escaped || LayerID(name) != id || ModelID(name) != "m" {
			t.Error(id, name, LayerID(name))
		}
	}
}

func TestQuantizedTensorsAreRealNumbers(t *testing.T) {
	affine := &pb.AffineQuantization{Scale: 0.5, Offset: -1}
	tensor := Tensor{
		TensorHeader: &pb.TensorHeader{Dtype: pb.DataType_DATA_TYPE_UINT8, Quantization: affine},
		Data:         []byte{0, 2, 255},
	}
	values, err := tensor.Float32s()
	if err != nil || !slices.Equal(values, []float32{-1, 0, 126.5}) {
		t.Error(values, err)
	}
	tensor.Quantization = nil
	if _, err := tensor.Float32s(); err == nil {
		t.Error("bytes are no float32")
	}
}
