package hooke

import (
	"encoding/binary"
	"net/url"
	"strings"

	pb "hooke.dev/go/gen/hooke/v1"
)

// ModelName is the resource name of a model.
func ModelName(model string) string { return "models/" + model }

// LayerName is the resource name of a layer; characters that have a meaning there are escaped.
func LayerName(model, layer string) string {
	return ModelName(model) + "/layers/" + escape(layer)
}

// LayerID is the layer in a resource name; empty where it names none.
func LayerID(name string) string {
	_, escaped, _ := strings.Cut(name, "/layers/")
	id, err := url.PathUnescape(escaped)
	if err != nil { // not a name that a server made
		return escaped
	}
	return id
}

// ModelID is the model in a resource name.
func ModelID(name string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(name, "models/"), "/")
	return id
}

// escape keeps A-Z a-z 0-9 . _ - ~ : @ as they are; see [pb.Location].
func escape(id string) string {
	return strings.NewReplacer("+", "%20", "%3A", ":", "%40", "@").Replace(url.QueryEscape(id))
}

// Pictures is an input of pictures, PNG, JPEG or WebP files, which together are the batch.
func Pictures(files ...[]byte) *pb.ModelInput {
	batch := &pb.ImageBatch{}
	for _, file := range files {
		batch.Images = append(batch.Images, &pb.EncodedImage{Data: file})
	}
	return &pb.ModelInput{Value: &pb.ModelInput_Images{Images: batch}}
}

// Float32Input is an input of numbers, with its batch dimension, exactly as the model takes it.
func Float32Input(values []float32, shape ...int64) *pb.ModelInput {
	data := make([]byte, 0, 4*len(values))
	data, _ = binary.Append(data, binary.LittleEndian, values) // fails for no []float32
	tensor := &pb.Tensor{Dtype: pb.DataType_DATA_TYPE_FP32, Shape: shape, Data: data}
	return &pb.ModelInput{Value: &pb.ModelInput_Tensor{Tensor: tensor}}
}

// Values reads every value of layers, named by ids or patterns.
func Values(layers ...string) *pb.Readout { return &pb.Readout{LayerGlobs: layers} }

// Reduced reads one number for each sample and unit of layers.
func Reduced(statistic pb.Statistic, layers ...string) *pb.Readout {
	reduction := &pb.Reduction{Form: &pb.Reduction_Statistic{Statistic: statistic}}
	form := &pb.Readout_Tensor{Tensor: &pb.TensorForm{Reduction: reduction}}
	return &pb.Readout{LayerGlobs: layers, Form: form}
}

// Unit is a unit of a layer, as something to visualize.
func Unit(model, layer string, unit int32) *pb.VisualizationItem {
	location := &pb.Location{
		Layer:      LayerName(model, layer),
		UnitChoice: &pb.Location_Unit{Unit: unit},
	}
	return &pb.VisualizationItem{Target: &pb.VisualizationItem_Location{Location: location}}
}
