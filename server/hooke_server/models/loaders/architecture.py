"""Networks built by name: what a library's architecture is, and the model made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.checkpoints import apply_checkpoint, class_counts, read_checkpoint
from hooke_server.models.loaders import LoadContext
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import trace_module

SEED = 0
"""Of the weights of an architecture without a checkpoint."""

MAX_TRIES = 3
"""Numbers of classes with which an architecture is built to see whether weights fit."""

OTHER_CLASSES = "the checkpoint has {} classes, whose names are not known"
RANDOM_WEIGHTS = f"the weights are random (seed {SEED}): no checkpoint was given"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network with weights at random, and what its library tells of it.

    Attributes
    ----------
    example_shapes : one shape for each input, of batch 1.
    labels : of the output's units, if the network is used as its library trains it.
    """

    module: nn.Module
    example_shapes: tuple[tuple[int, ...], ...]
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()

    def model(self, source: str, device: torch.device | str, *, notes: tuple[str, ...]) -> Model:
        """Trace and tabulate."""
        module = self.module.to(device).eval()
        generator = torch.Generator().manual_seed(SEED)
        example = tuple(
            torch.randn(shape, generator=generator).to(device) for shape in self.example_shapes
        )
        return assemble(
            trace_module(module, example),
            example,
            source=source,
            format=ModelFormat.TORCH,
            preprocessing=self.preprocessing,
            labels=self.labels,
            notes=notes,
        )


@contextmanager
def seeded() -> Iterator[None]:
    """Build the same random weights each time, leaving torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def imagenet_labels() -> tuple[str, ...]:
    """Names of the 1000 classes, which torchvision has without a download."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


class Build(Protocol):
    """Builds an architecture by name."""

    def __call__(self, name: str, checkpoint: str = "", classes: int | None = None) -> Architecture:
        """The network.

        Parameters
        ----------
        checkpoint : file name of the weights that it will get, if any.
        classes : that it tells apart; None: as many as its library says.
        """


def load_architecture(build: Build, source: Source, context: LoadContext, option: str) -> Model:
    """The model of a source: an architecture with the checkpoint that `option` names.

    Raises
    ------
    InvalidArgumentError : INVALID_FIELD, for an option that there is not.
    """
    unknown = [name for name in source.options if name != option]
    if unknown:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"{source.scheme} sources have no option {unknown[0]!r}; they have {option!r}",
            field="source",
        )
    checkpoint = source.options.get(option, "")
    if not checkpoint:
        return build(source.name).model(str(source), context.device, notes=(RANDOM_WEIGHTS,))
    with context.roots.private_copy(checkpoint) as path:
        weights = read_checkpoint(path, context.limits)
        built, classes = _fitting(build, source.name, checkpoint, weights)
        apply_checkpoint(built.module, weights)
    notes = () if classes is None else (OTHER_CLASSES.format(classes),)
    return built.model(str(source), context.device, notes=notes)


def _fitting(
    build: Build, name: str, checkpoint: str, weights: dict[str, Tensor]
) -> tuple[Architecture, int | None]:
    """The architecture with the checkpoint's number of classes; the number, if not the usual."""
    usual = build(name, checkpoint)
    for classes in class_counts(usual.module, weights)[:MAX_TRIES]:
        try:
            built = build(name, checkpoint, classes)
        except TypeError:  # it does not take a number of classes
            break
        if not class_counts(built.module, weights):
            return built, classes
    return usual, None
