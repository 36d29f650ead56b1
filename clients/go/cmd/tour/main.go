// Command tour makes the calls of clients/README.md and prints what they answer, as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"

	"hooke.dev/go"
	pb "hooke.dev/go/gen/hooke/v1"
)

const (
	model = "demo"
	layer = "blocks.2.1"
	// clients/tour.png: 32 x 32 pixels in 16 colours.
	picture = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgBAMAAACBVGfHAAAAMFBMVEXAwACAwEDAgECAgABAwIBAgMAAwMAAgIDAQICAQMBA" +
		"QAAAQEDAAMCAAIBAAEAAAAC+nuaRAAAAJUlEQVR42mP8z8DA8B4JMzGgAfoIsOwZRO64B8UD6Q5YOAywOwArCg6tuznmXQAA" +
		"AABJRU5ErkJggg=="
)

// answers are maps, whose keys encoding/json sorts.
type answers = map[string]any

type stop = func(context.Context, *hooke.Client) (any, error)

var stops = map[string]stop{
	"models": models, "layers": layers, "activations": activations, "tensor": tensor,
	"visualization": visualization, "error": unknown, "invalid": invalid, "cancelled": cancelled,
	"deadline": deadline,
}

func main() {
	address := "localhost:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := tour(address); err != nil {
		log.Fatal(err)
	}
}

func tour(address string) error {
	client, err := hooke.Connect(address)
	if err != nil {
		return err
	}
	defer client.Close()
	all := answers{}
	for name, stop := range stops {
		if all[name], err = stop(context.Background(), client); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err = text.WriteTo(os.Stdout)
	return err
}

func models(ctx context.Context, client *hooke.Client) (any, error) {
	found, err := client.Models(ctx)
	ids := []string{}
	for _, each := range found {
		ids = append(ids, hooke.ModelID(each.Name))
	}
	return ids, err
}

func layers(ctx context.Context, client *hooke.Client) (any, error) {
	filter := &pb.LayerFilter{Globs: []string{"blocks.2.*"}, Ops: []string{"conv2d"}}
	found := []answers{}
	for each, err := range client.Layers(ctx, model, filter) {
		if err != nil {
			return nil, err
		}
		shape := []any{}
		for _, dimension := range each.Output.Shape {
			if dimension.Size != nil {
				shape = append(shape, *dimension.Size)
			} else {
				shape = append(shape, dimension.Name)
			}
		}
		found = append(found, answers{"id": each.Id, "op": each.Op, "shape": shape, "units": each.UnitCount})
	}
	return found, nil
}

func activations(ctx context.Context, client *hooke.Client) (any, error) {
	file, err := base64.StdEncoding.DecodeString(picture)
	if err != nil {
		return nil, err
	}
	mean := hooke.Reduced(pb.Statistic_STATISTIC_MEAN, "blocks.0.0", layer)
	inputs := []*pb.ModelInput{hooke.Pictures(file)}
	tensors, err := client.Activations(ctx, model, inputs, mean)
	means := map[string][]float64{}
	for _, each := range tensors {
		values, err := each.Float32s()
		if err != nil {
			return nil, err
		}
		for _, value := range values[:4] {
			rounded := math.RoundToEven(float64(value)*1e4) / 1e4
			means[each.LayerID()] = append(means[each.LayerID()], rounded)
		}
	}
	return means, err
}

func tensor(ctx context.Context, client *hooke.Client) (any, error) {
	zeros := hooke.Float32Input(make([]float32, 4*3*224*224), 4, 3, 224, 224)
	tensors, err := client.Activations(ctx, model, []*pb.ModelInput{zeros}, hooke.Values("conv_stem"))
	if err != nil {
		return nil, err
	}
	value := tensors[0]
	return answers{
		"layer": value.LayerID(), "dtype": value.DTypeName(), "shape": value.Shape,
		"axes": value.Axes, "crc32c": fmt.Sprintf("%08x", value.CRC32C()),
	}, nil
}
