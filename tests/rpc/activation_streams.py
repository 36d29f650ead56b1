"""Requests for activations, their answers put together, and what they must be."""

import google_crc32c
import torch
from serving import Net

from hooke.v1 import activation_service_pb2 as pb
from hooke.v1 import input_pb2, readout_pb2, tensor_pb2
from hooke_server.rpc.tensors import DTYPES, TORCH_DTYPES

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def by_hooks(layers, inputs):
    """What the layers' modules return, captured from a module of our own."""
    torch.manual_seed(0)
    module, values = Net().eval(), {}
    for name in layers:

        def keep(_, __, value, name=name):  # what a hook returns would replace the value
            values[name] = value.clone()

        module.get_submodule(name).register_forward_hook(keep)
    with torch.inference_mode():
        module(inputs)
    return values


def message(tensor):
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return tensor_pb2.Tensor(dtype=DTYPES[tensor.dtype], shape=tensor.shape, data=data)


def asked(*layers, x=X, model="models/net", inputs=None, readouts=None, **options):
    return pb.StreamActivationsRequest(
        model=model,
        inputs=inputs or [input_pb2.ModelInput(tensor=message(x))],
        readouts=readouts or [readout_pb2.Readout(layer_globs=layers)],
        **options,
    )


def assembled(frames):
    """Tensors by layer and name; every header, chunk, trailer and number is checked."""
    tensors, header, data = {}, None, b""
    for frame in frames:
        match frame.WhichOneof("content"):
            case "tensor_header":
                assert header is None
                header, data = frame.tensor_header, b""
            case "tensor_chunk":
                assert frame.tensor_chunk.tensor_id == header.tensor_id
                assert frame.tensor_chunk.offset == len(data)
                data += frame.tensor_chunk.data
            case "tensor_trailer":
                assert frame.tensor_trailer.total_bytes == len(data) == header.total_bytes
                assert frame.tensor_trailer.crc32c == google_crc32c.value(data)
                flat = torch.frombuffer(bytearray(data), dtype=TORCH_DTYPES[header.dtype])
                assert len(header.axes) == len(header.shape)
                key = (header.layer.removeprefix("models/net/layers/"), header.name)
                tensors[key] = flat.reshape(tuple(header.shape))
                header = None
    assert header is None
    return tensors
