package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hooke.dev/go"
	pb "hooke.dev/go/gen/hooke/v1"
)

func feature(steps, size int32, seed uint64) *pb.VisualizeRequest {
	ascent := &pb.Ascent{Steps: &steps, Size: &size}
	technique := &pb.VisualizeRequest_FeatureVisualization{
		FeatureVisualization: &pb.FeatureVisualization{Ascent: ascent},
	}
	items := []*pb.VisualizationItem{hooke.Unit(model, layer, 7)}
	return &pb.VisualizeRequest{Items: items, Technique: technique, Seed: seed}
}

func visualization(ctx context.Context, client *hooke.Client) (any, error) {
	answer := answers{}
	for frame, err := range client.Visualize(ctx, feature(4, 64, 1)) {
		if err != nil {
			return nil, err
		}
		answer["ends_with_result"] = false
		switch frame := frame.(type) {
		case *pb.Progress:
			answer["steps"] = frame.Step
		case *pb.Picture:
			place := frame.Location
			answer["picture"] = []any{
				hooke.LayerID(frame.Layer), place.GetUnit(), frame.MimeType, frame.Width, frame.Height,
			}
		case *pb.Result:
			answer["ends_with_result"] = true
		}
	}
	return answer, nil
}

func unknown(ctx context.Context, client *hooke.Client) (any, error) {
	_, err := client.Layer(ctx, model, "blocks.9.9")
	var failure *hooke.Error
	if !errors.As(err, &failure) {
		return nil, fmt.Errorf("the demo model has no layer blocks.9.9, but: %w", err)
	}
	return answers{
		"code": failure.CodeName(), "reason": failure.Reason, "metadata": failure.Metadata,
	}, nil
}

func invalid(ctx context.Context, client *hooke.Client) (any, error) {
	var failure *hooke.Error
	if err := last(ctx, client, feature(0, 64, 0)); !errors.As(err, &failure) {
		return nil, fmt.Errorf("no steps make no picture, but: %w", err)
	}
	return answers{
		"code": failure.CodeName(), "reason": failure.Reason, "fields": failure.FieldViolations,
	}, nil
}

// last is the error that a visualization ends with.
func last(ctx context.Context, client *hooke.Client, request *pb.VisualizeRequest) (err error) {
	for _, err = range client.Visualize(ctx, request) {
	}
	return err
}

func cancelled(ctx context.Context, client *hooke.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unfinished := false
	for frame, err := range client.Visualize(ctx, feature(4096, 64, 0)) {
		if progress, ok := frame.(*pb.Progress); ok {
			unfinished = progress.Step < progress.TotalSteps
			cancel()
		}
		if err != nil {
			return unfinished && errors.Is(err, context.Canceled), nil
		}
	}
	return false, nil
}

func deadline(ctx context.Context, client *hooke.Client) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second/4)
	defer cancel()
	err := last(ctx, client, feature(4096, 64, 0))
	var failure *hooke.Error
	if !errors.As(err, &failure) || !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("4096 steps take longer, but: %w", err)
	}
	return failure.CodeName(), nil
}
