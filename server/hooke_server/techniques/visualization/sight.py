"""How a model looks at pictures that are being optimized.

    sight = Sight(model, [Subject(objective=...), ...], (128, 128))
    sight(pictures, transformed)  ->  Tensor [batch], for each picture its objective

Pictures are in 0..1; a sight brings them to the range, type and size that the
model takes, runs a probe as far as the deepest layer that is read, and measures. Pictures
that objectives compare with go through the network in the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.objectives.algebra import Objective, of
from hooke_server.techniques.objectives.measures import LayerEnergy
from hooke_server.techniques.objectives.scene import Scene, Values
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.visualization.redirection import redirect
from hooke_server.techniques.visualization.transforms import resize

Size = tuple[int, int]
"""Height and width."""

Change = Callable[[Tensor], Tensor]
"""A transform of pictures with its draws made."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What some pictures are made for.

    Attributes
    ----------
    item : index of the part of the request that it answers.
    samples : numbers of the pictures that are made for it, side by side, among the item's.
    numbered : whether those numbers are told.
    site : the place that they show, where it is one.
    """

    objective: Objective
    item: int = 0
    samples: tuple[int, ...] = (0,)
    numbered: bool = False
    site: Site | None = None
    caption: str = ""

    @property
    def pictures(self) -> int:
        """How many are made for it."""
        return len(self.samples)

    def seen_at(self, model: Model, size: Size) -> Size | None:
        """What pictures of that size are resized to first; None: the model takes them so.

        A position counts at the size that the model declares.
        """
        fixed = any(site.position for site in self.objective.sites)
        if not fixed and takes(model, self.objective.layers(model), size):
            return None
        return declared_size(model)


def layer_subjects(view: View, objective: Callable[[Site], Objective]) -> list[Subject]:
    """A subject for each item that is a place, with the objective of that place."""
    return [
        Subject(objective=objective(item.site), item=index, site=item.site)
        for index, item in enumerate(view.items)
        if item.site is not None
    ]


def placeholders(view: View, count: int) -> list[Subject]:
    """As many subjects for each item as there will be, which costs nothing to say."""
    return [
        subject
        for _ in range(count)
        for subject in layer_subjects(view, lambda site: of(LayerEnergy(location=site)))
    ]


def compared(subjects: Iterable[Subject]) -> list[Photograph]:
    """The pictures that subjects are compared with, each once."""
    return list(dict.fromkeys(each for s in subjects for each in s.objective.photographs))


class Sight:
    """From pictures [batch, channels (and opacity), height, width] in 0..1 to a value each.

    Parameters
    ----------
    references : the pictures that the subjects are compared with, [channels, height, width].
    """

    def __init__(
        self,
        model: Model,
        subjects: Sequence[Subject],
        size: Size,
        *,
        reduced: bool = False,
        references: Mapping[Photograph, Tensor] = MappingProxyType({}),
    ) -> None:
        self.model = model
        self._subjects = subjects
        self._seen_at = subjects[0].seen_at(model, size)
        self._precision = torch.bfloat16 if reduced else None
        self.layers = tuple(
            dict.fromkeys(layer for s in subjects for layer in s.objective.layers(model))
        )
        self._references = {each: references[each] for each in compared(subjects)}

    @property
    def reference_count(self) -> int:
        """Pictures that go through the network beside those that are optimized."""
        return len(self._references)

    def __call__(
        self,
        pictures: Tensor,
        change: Change = lambda x: x,
        *,
        background: Tensor | None = None,
        redirected: bool = False,
    ) -> Tensor:
        """Measure each picture.

        Parameters
        ----------
        change : what happens to all pictures before the network sees them.
        background : what is seen through transparent places, [1, channels, height, width].
        redirected : whether dead rectifiers are redirected, see `redirection`.
        """
        count = channels(self.model)
        colours, alpha = pictures[:, :count], pictures[:, count:]
        shown = colours
        if alpha.shape[1]:
            behind = 0.5 if background is None else background
            shown = colours * alpha + (1 - alpha) * behind
        seen = change(torch.cat([shown, *(r[None] for r in self._references.values())]))
        values = self._values(seen, redirected=redirected)
        return self._measure(values, colours, alpha if alpha.shape[1] else None)

    def _values(self, seen: Tensor, *, redirected: bool) -> Values:
        if not self.layers:
            return {}
        seen = resize(seen, self._seen_at) if self._seen_at else seen
        inputs = normalize(self.model, seen)
        if self.model.graph is None:
            return _run(lambda x: self.model.forward(self.layers, [x]), inputs, self.model)
        probe = self.model.quick_probe(self.layers, redirect if redirected else None)
        kind = self.model.device.type
        reduced = torch.autocast(kind, self._precision) if self._precision else nullcontext()
        with reduced:
            return _run(probe, inputs, self.model)

    def _measure(self, values: Values, colours: Tensor, alpha: Tensor | None) -> Tensor:
        last = len(colours)
        references = {
            each: {layer: value[last + i : last + i + 1] for layer, value in values.items()}
            for i, each in enumerate(self._references)
        }
        measured, begin = [], 0
        for subject in self._subjects:
            part = slice(begin, begin + subject.pictures)
            scene = Scene(
                model=self.model,
                values={layer: value[part] for layer, value in values.items()},
                pictures=colours[part],
                alpha=None if alpha is None else alpha[part],
                references=references,
            )
            measured.append(subject.objective(scene).float())
            begin = part.stop
        return torch.cat(measured)


def channels(model: Model) -> int:
    """Channels of the picture that the model takes."""
    return int(model.inputs[0].shape[1])


def normalize(model: Model, pictures: Tensor) -> Tensor:
    """From 0..1 to the range and type of the model's input."""
    given, declared = model.inputs[0], model.preprocessing
    if declared:
        mean, std = (
            torch.tensor(numbers, device=pictures.device).reshape(1, -1, 1, 1)
            for numbers in (declared.mean, declared.std)
        )
        pictures = (pictures - mean) / std
    # The layout of quick probes; it would be converted at each of their convolutions.
    return pictures.to(given.dtype, memory_format=torch.channels_last)


def _run(function: Callable[[Tensor], Values], inputs: Tensor, model: Model) -> Values:
    """The function's values; entry by entry where the model takes another batch size only."""
    fixed = model.fixed_batch
    if fixed in {None, len(inputs)}:
        return function(inputs)
    # Each entry fills a whole batch, of which the first value is taken.
    runs = [function(entry.expand(fixed, *entry.shape)) for entry in inputs]
    return {layer: torch.cat([run[layer][:1] for run in runs]) for layer in runs[0]}


def declared_size(model: Model) -> Size | None:
    """The size of picture that the model declares, where it does."""
    height, width = model.inputs[0].shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


_taken: WeakKeyDictionary[object, dict[tuple[tuple[str, ...], Size], bool]] = WeakKeyDictionary()


def takes(model: Model, layers: tuple[str, ...], size: Size) -> bool:
    """Whether the layers can be computed for pictures of about that size; tried once.

    Transforms change the size by single pixels, which some networks do not take.
    """
    known = _taken.setdefault(model.graph.module if model.graph else model.runtime, {})
    if (layers, size) not in known:
        height, width = size
        both = ((height, width), (height + 1, width + 1))
        known[layers, size] = all(_computes(model, layers, each) for each in both)
    return known[layers, size]


def _computes(model: Model, layers: tuple[str, ...], size: Size) -> bool:
    batch, dtype = model.fixed_batch or 1, model.inputs[0].dtype
    blank = torch.zeros(batch, channels(model), *size, dtype=dtype, device=model.device)
    try:
        values = model.forward(layers, [blank])
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # whatever an operation raises for shapes that do not fit
        return False
    return all(_is_like(value, model.layer(layer), batch) for layer, value in values.items())


def _is_like(value: Tensor, layer: Layer, batch: int) -> bool:
    """Whether a value has the layer's axes, units and the batch it was computed for."""
    axes, unit = len(layer.output.shape), layer.unit_axis
    return value.ndim == axes and len(value) == batch and value.shape[unit] == layer.unit_count
