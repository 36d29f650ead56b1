"""ONNX Runtime as the engine for plain values: a session for each set of places asked for.

ONNX Runtime computes whatever a graph has, needed or not. So each session gets the
part of the graph that its values need, cut here; the weights are shared by all.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from hooke_server.devices import computes_exactly
from hooke_server.errors import FailedPreconditionError, InternalError, Reason
from hooke_server.models.onnx_model.cut import cut_model, makers_of

logger = logging.getLogger(__name__)

_SESSIONS = 16
_CUDA = "CUDAExecutionProvider"


class OnnxRuntime:
    """Computes a model's layers, without gradients. Any number of threads may use it.

    Parameters
    ----------
    model : the model without its large initializers' data; their places say EXTERNAL.
    weights : those initializers' tensors, contiguous, on the CPU.
    values : the file's name of each layer's value, by layer id.
    inputs : the file's names of the inputs, in order.
    device : where values are returned to; CUDA is used if it is one of CUDA.
    """

    def __init__(
        self,
        model: Any,
        weights: Mapping[str, Tensor],
        *,
        values: Mapping[str, str],
        inputs: Sequence[str],
        device: torch.device,
    ) -> None:
        self._model = model
        self._values = values
        self._inputs = list(inputs)
        self._device = device
        self._weights = {name: as_ort_value(tensor) for name, tensor in weights.items()}
        self._makers = makers_of(model)
        self._lock = Lock()
        self._sessions: OrderedDict[frozenset[str], onnxruntime.InferenceSession] = OrderedDict()

    def run(self, layers: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The values of `layers`, in that order, stopping at the deepest."""
        given = dict(zip(self._inputs, inputs, strict=True))
        names = [self._values[layer] for layer in layers]
        computed = self.compute([name for name in names if name not in given], inputs)
        found = {**given, **computed}
        return {layer: found[name] for layer, name in zip(layers, names, strict=True)}

    def compute(self, names: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Values by the file's names for them."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        session = self._session(frozenset(wanted))
        needed = {argument.name for argument in session.get_inputs()}
        feeds = {
            name: tensor.detach().cpu().contiguous().numpy()
            for name, tensor in zip(self._inputs, inputs, strict=True)
            if name in needed
        }
        try:
            arrays = session.run(wanted, feeds)
        except Exception as error:  # its errors share no class
            raise _failure(error) from None
        return {
            name: as_tensor(array).to(self._device)
            for name, array in zip(wanted, arrays, strict=True)
        }

    def _session(self, wanted: frozenset[str]) -> onnxruntime.InferenceSession:
        with self._lock:
            session = self._sessions.get(wanted) or self._start(wanted)
            self._sessions[wanted] = session
            self._sessions.move_to_end(wanted)
            while len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
            return session

    def _start(self, wanted: frozenset[str]) -> onnxruntime.InferenceSession:
        part = cut_model(self._model, sorted(wanted), self._makers)
        options = session_options()
        external = [t.name for t in part.graph.initializer if t.name in self._weights]
        options.add_external_initializers(external, [self._weights[name] for name in external])
        providers = ["CPUExecutionProvider"]
        if self._device.type == "cuda" and _CUDA in onnxruntime.get_available_providers():
            chosen = {
                "device_id": str(self._device.index or 0),
                "use_tf32": str(int(not computes_exactly())),
            }
            providers = [(_CUDA, chosen), *providers]  # type: ignore[list-item]
            load_cuda_libraries()
        try:
            session = onnxruntime.InferenceSession(
                part.SerializeToString(), options, providers=providers
            )
        except Exception as error:
            raise _failure(error) from None
        if len(session.get_providers()) < len(providers):
            logger.warning("ONNX Runtime finds no CUDA that suits it and computes on the CPU")
        return session


def load_cuda_libraries() -> None:
    """Load what ONNX Runtime's part for CUDA is linked with, which torch loads but in part."""
    onnxruntime.preload_dlls()


def session_options() -> onnxruntime.SessionOptions:
    """As many threads as torch has, none of which spins while torch computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what is wrong is raised, too
    return options


def as_ort_value(tensor: Tensor) -> Any:
    """An OrtValue on the tensor's own memory."""
    if tensor.dtype is torch.bfloat16:
        bits = tensor.view(torch.int16).numpy()
        kind = onnx.TensorProto.BFLOAT16
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, kind)
    return onnxruntime.OrtValue.ortvalue_from_numpy(tensor.numpy())


def as_tensor(array: Any) -> Tensor:
    """A tensor on the array's memory; what is no tensor is refused."""
    if not isinstance(array, np.ndarray) or array.dtype.kind in "OUS":
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED, "this layer yields a sequence or texts, not a tensor"
        )
    return torch.from_numpy(np.atleast_1d(array)).reshape(array.shape)


def _failure(error: Exception) -> InternalError:
    kind = type(error).__name__
    return InternalError(Reason.INTERNAL, f"ONNX Runtime does not compute this part ({kind})")
