"""A module of the running program, for notebooks and training scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.preprocessing import Preprocessing, customary_preprocessing
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module


def load_live(
    module: nn.Module,
    example_input: Tensor | Sequence[Tensor],
    *,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
    prefer_export: bool = False,
) -> Model:
    """A model on the very weights of `module`, so that its training shows.

    The module is left as it is: its hooks, its flags and its training mode. Weights
    that are *replaced* (`module.to(...)`, `load_state_dict(assign=True)`) rather than
    changed in place are not seen; load the module again then.

    Parameters
    ----------
    example_input : a tensor for each input, on the module's device; one sample is used.
    preprocessing : how pictures become the input; ImageNet's custom by default, where
        the input looks like a picture.
    labels : of the first output's units.
    prefer_export : show the operations inside torch's own modules too, and take
        seconds for it.

    Raises
    ------
    InvalidArgumentError : INVALID_FIELD, if the example is no tensors.
    FailedPreconditionError : MODEL_UNSUPPORTED, if the module cannot be traced.
    """
    given = (example_input,) if isinstance(example_input, Tensor) else tuple(example_input)
    if not given or not all(isinstance(tensor, Tensor) for tensor in given):
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            "example_input must be a tensor, or a sequence with a tensor for each input",
            field="example_input",
        )
    sizes = {tensor.shape[0] for tensor in given if tensor.ndim}
    # One sample, where the first dimension is plainly the batch.
    example = tuple(t[:1] if len(sizes) == 1 and t.ndim > 1 else t for t in given)
    example = tuple(tensor.detach() for tensor in example)
    model = assemble(
        trace_module(module, example, prefer_export=prefer_export),
        example,
        source=f"live:{type(module).__name__}",
        format=ModelFormat.TORCH,
        preprocessing=preprocessing or customary_preprocessing(example[0].shape),
        labels=labels,
    )
    return replace(model, live=True)
