package hooke

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const domain = "hooke"

// Error is what a call failed with. It unwraps to gRPC's own error.
//
//	var failure *hooke.Error
//	if errors.As(err, &failure) && failure.Reason == "LAYER_NOT_FOUND" {
//
// [errors.Is] with [context.Canceled] and [context.DeadlineExceeded] works as well.
type Error struct {
	// Code is the kind of the failure.
	Code codes.Code
	// Message is one sentence for people.
	Message string
	// Reason is a name of [pb.ErrorReason] without its prefix; empty where the answer is not Hooke's.
	Reason string
	// Metadata holds the changing parts of the message (`nearest`: ids like the one asked for).
	Metadata map[string]string
	// FieldViolations says what is wrong with which field of the request.
	FieldViolations map[string]string

	cause error
}

// Error is the message with the code.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.CodeName(), e.Message) }

// CodeName is the code as gRPC's specification writes it: NOT_FOUND.
func (e *Error) CodeName() string { return code.Code(e.Code).String() }

// Unwrap is gRPC's own error; nil where this client found the failure.
func (e *Error) Unwrap() error { return e.cause }

// Is says whether the error is the context's that ended the call.
func (e *Error) Is(target error) bool {
	return target == context.Canceled && e.Code == codes.Canceled ||
		target == context.DeadlineExceeded && e.Code == codes.DeadlineExceeded
}

// fromStatus is the Error that gRPC's error stands for; nil for nil.
func fromStatus(err error) error {
	if err == nil {
		return nil
	}
	answer := status.Convert(err)
	failure := &Error{Code: answer.Code(), Message: answer.Message(), cause: err}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == domain {
				failure.Reason, failure.Metadata = detail.Reason, detail.Metadata
			}
		case *errdetails.BadRequest:
			failure.FieldViolations = make(map[string]string, len(detail.FieldViolations))
			for _, each := range detail.FieldViolations {
				failure.FieldViolations[each.Field] = each.Description
			}
		}
	}
	return failure
}

// lost says that a stream was cut off, or that its bytes are not those that were sent.
func lost(format string, arguments ...any) error {
	return &Error{Code: codes.DataLoss, Message: fmt.Sprintf(format, arguments...)}
}
