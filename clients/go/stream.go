package hooke

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	pb "hooke.dev/go/gen/hooke/v1"
)

// Frame is a *[Tensor], or the message of any other content of [pb.Frame]: *pb.Progress, *pb.Picture,
// *pb.Checkpoint, ..., and last *pb.Result.
type Frame any

var frameContent = (&pb.Frame{}).ProtoReflect().Descriptor().Oneofs().ByName("content")

// Messages yields what a stream holds; leaving the loop cancels its call.
//
// The call is a stub's method, so that every call of the contract can be made this way:
//
//	frames := hooke.Frames(hooke.Messages(ctx, client.AttributionService.Attribute, request))
func Messages[R, M any](
	ctx context.Context,
	call func(context.Context, *R, ...grpc.CallOption) (grpc.ServerStreamingClient[M], error),
	request *R,
) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := call(ctx, request)
		for err == nil {
			var message *M
			if message, err = stream.Recv(); err == nil && !yield(message, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, fromStatus(err))
		}
	}
}

// Frames checks a stream and joins the chunks of its tensors: sequence numbers have no gap, tensors
// come whole and unchanged, and a [pb.Result] is last; what breaks this is an [Error] with code
// DataLoss. Kinds of frames that this client does not know are left out.
func Frames(stream iter.Seq2[*pb.Frame, error]) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		reader := frameReader{}
		for message, err := range stream {
			var frame Frame
			if err == nil {
				frame, err = reader.read(message)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if frame != nil && !yield(frame, nil) {
				return
			}
		}
		if err := reader.end(); err != nil {
			yield(nil, err)
		}
	}
}

type frameReader struct {
	sequence int64
	tensor   *Assembler
	finished bool
}

// read returns the frame that a message completes, or nil.
func (r *frameReader) read(message *pb.Frame) (Frame, error) {
	r.sequence++
	if message.Sequence != r.sequence {
		return nil, lost("message %d of the stream is lost: got %d", r.sequence, message.Sequence)
	}
	switch content := message.Content.(type) {
	case *pb.Frame_TensorHeader, *pb.Frame_TensorChunk, *pb.Frame_TensorTrailer:
		return r.part(content)
	case nil:
		return nil, nil
	}
	_, r.finished = message.Content.(*pb.Frame_Result)
	fields := message.ProtoReflect()
	return fields.Get(fields.WhichOneof(frameContent)).Message().Interface(), nil
}

func (r *frameReader) part(content any) (Frame, error) {
	if header, ok := content.(*pb.Frame_TensorHeader); ok {
		if r.tensor != nil {
			return nil, lost("a tensor began before the last one had ended")
		}
		var err error
		r.tensor, err = NewAssembler(header.TensorHeader)
		return nil, err
	}
	if r.tensor == nil {
		return nil, lost("bytes of a tensor came without its header")
	}
	if chunk, ok := content.(*pb.Frame_TensorChunk); ok {
		return nil, r.tensor.Add(chunk.TensorChunk)
	}
	tensor, err := r.tensor.Finish(content.(*pb.Frame_TensorTrailer).TensorTrailer)
	r.tensor = nil
	if err != nil {
		return nil, err
	}
	return tensor, nil
}

func (r *frameReader) end() error {
	switch {
	case r.tensor != nil:
		return lost("the stream was cut off inside a tensor")
	case !r.finished:
		return lost("the stream was cut off before its result")
	}
	return nil
}
