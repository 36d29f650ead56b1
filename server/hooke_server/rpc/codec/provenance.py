"""What made a result: enough to make it again."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from hooke.v1 import frame_pb2
from hooke.version import __version__
from hooke_server.models.model import Model
from hooke_server.rpc.names import model_name
from hooke_server.techniques.frames import Estimate


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is known of a piece of work before it begins.

    Attributes
    ----------
    models : ids and models, as sites count them.
    digest : of the checked request, bound to the models' digests.
    technique : its name; empty for plain activations.
    image_format : of finished pictures.
    edits_json : what the models are edited with.
    uses_graph : whether the model's graph computes, not its other runtime.
    """

    models: Sequence[tuple[str, Model]]
    digest: str
    technique: str = ""
    parameters_json: str = ""
    seed: int = 0
    image_format: Literal["png", "jpeg", "webp"] = "png"
    edits_json: str = ""
    uses_graph: bool = True


def provenance(work: Work) -> frame_pb2.Provenance:
    """Provenance of work that ends now."""
    now = Timestamp()
    now.GetCurrentTime()
    return frame_pb2.Provenance(
        models=[
            frame_pb2.ModelProvenance(
                name=model_name(model_id),
                digest=model.state_digest,
                device=str(model.device),
                parity_error=model.parity_error if work.uses_graph else None,
            )
            for model_id, model in work.models
        ],
        technique=work.technique,
        parameters_json=work.parameters_json,
        seed=work.seed,
        versions=versions(with_onnxruntime=not work.uses_graph),
        create_time=now,
        edits_json=work.edits_json,
    )


def estimate_result(work: Work, cost: Estimate) -> frame_pb2.Result:
    """The answer to `validate_only`."""
    estimate = frame_pb2.CostEstimate(
        memory_bytes=cost.memory_bytes,
        macs=cost.macs,
        tensor_bytes=cost.tensor_bytes,
        layer_ids=cost.layers,
        batch_size=cost.batch_size,
    )
    return frame_pb2.Result(
        plan_digest=work.digest,
        provenance=provenance(work),
        estimate=estimate,
        outcome=frame_pb2.OUTCOME_VALIDATED,
    )


@functools.cache
def versions(*, with_onnxruntime: bool) -> Mapping[str, str]:
    """Versions of what decides the numbers, by package."""
    found = {"hooke": __version__}
    found |= {name: importlib.metadata.version(name) for name in ("numpy", "torch")}
    if with_onnxruntime:
        # One package under two names; its module tells its version itself.
        import onnxruntime

        found["onnxruntime"] = onnxruntime.__version__
    return found
