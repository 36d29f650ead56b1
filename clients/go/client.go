// Package hooke is a client of Hooke, a microscope for neural networks.
//
// Calls take a context, whose deadline and cancellation the server obeys. What fails is an [Error].
// Messages are those of package hookev1, which `go generate` makes from the protos; only where
// they are tedious (tensors in chunks, errors, names) does this package add to them.
package hooke

//go:generate sh -c "cd ../../protos && buf generate"

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "hooke.dev/go/gen/hooke/v1"
)

// Client is a connection to a server. Goroutines may share it.
//
// The services' stubs are open, for calls that have no method here.
type Client struct {
	ModelService         pb.ModelServiceClient
	ActivationService    pb.ActivationServiceClient
	VisualizationService pb.VisualizationServiceClient
	AttributionService   pb.AttributionServiceClient
	TechniqueService     pb.TechniqueServiceClient

	connection *grpc.ClientConn
}

// Connect makes a client of the server at an address, `host:port` or `unix:PATH`. Nothing is sent
// before the first call. Without options the connection is not encrypted.
func Connect(address string, options ...grpc.DialOption) (*Client, error) {
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.NewClient(address, append([]grpc.DialOption{plain}, options...)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		ModelService:         pb.NewModelServiceClient(connection),
		ActivationService:    pb.NewActivationServiceClient(connection),
		VisualizationService: pb.NewVisualizationServiceClient(connection),
		AttributionService:   pb.NewAttributionServiceClient(connection),
		TechniqueService:     pb.NewTechniqueServiceClient(connection),
		connection:           connection,
	}, nil
}

// Close ends the connection; what still runs on it is cancelled.
func (c *Client) Close() error { return c.connection.Close() }

// Models lists all models that the server knows, loaded or not.
func (c *Client) Models(ctx context.Context) ([]*pb.Model, error) {
	request := &pb.ListModelsRequest{}
	var models []*pb.Model
	for {
		page, err := c.ModelService.ListModels(ctx, request)
		if err != nil {
			return nil, fromStatus(err)
		}
		models = append(models, page.Models...)
		if page.NextPageToken == "" {
			return models, nil
		}
		request.PageToken = page.NextPageToken
	}
}

// Layers yields the layers of a model that fit a filter, in the order in which they run; nil: all.
func (c *Client) Layers(
	ctx context.Context, model string, filter *pb.LayerFilter,
) iter.Seq2[*pb.Layer, error] {
	request := &pb.StreamLayersRequest{Parent: ModelName(model), Filter: filter}
	return Messages(ctx, c.ModelService.StreamLayers, request)
}

// Layer gets one layer.
func (c *Client) Layer(ctx context.Context, model, layer string) (*pb.Layer, error) {
	request := &pb.GetLayerRequest{Name: LayerName(model, layer)}
	answer, err := c.ModelService.GetLayer(ctx, request)
	return answer, fromStatus(err)
}

// Activations returns what layers say to inputs, in one forward pass: a tensor for each output of
// each readout, in the order in which layers run.
func (c *Client) Activations(
	ctx context.Context, model string, inputs []*pb.ModelInput, readouts ...*pb.Readout,
) ([]*Tensor, error) {
	request := &pb.StreamActivationsRequest{
		Model: ModelName(model), Inputs: inputs, Readouts: readouts,
	}
	var tensors []*Tensor
	for frame, err := range c.ActivationFrames(ctx, request) {
		if err != nil {
			return nil, err
		}
		if tensor, ok := frame.(*Tensor); ok {
			tensors = append(tensors, tensor)
		}
	}
	return tensors, nil
}

// ActivationFrames yields the frames that answer any request for activations.
func (c *Client) ActivationFrames(
	ctx context.Context, request *pb.StreamActivationsRequest,
) iter.Seq2[Frame, error] {
	return Frames(Messages(ctx, c.ActivationService.StreamActivations, request))
}

// Visualize yields pictures of what places respond to, as they are made. Leaving the loop stops
// the work.
func (c *Client) Visualize(
	ctx context.Context, request *pb.VisualizeRequest,
) iter.Seq2[Frame, error] {
	return Frames(Messages(ctx, c.VisualizationService.Visualize, request))
}
