"""What all methods of one request share: the model, its inputs, the targets, and passes.

    inquiry.measure(start, values, samples)               ->  Tensor [rows, targets]
    inquiry.differentiate(start, values, samples, layers) ->  Pass, with gradients

Both ask for the targets' values where the layer `start` (an input is a layer too) has
other values than it had: rows of them, each a version of one of the samples. Everything else
that the targets depend on is as it was. Rows go through the network in batches that fit
the memory, so a method may ask for any number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.models.probe import Probe, Rewrite
from hooke_server.models.rewrites import InOrder, StartAt
from hooke_server.techniques.attribution.backwards import BeginAt
from hooke_server.techniques.attribution.targets import Target, resolved
from hooke_server.techniques.objectives.scene import Scene, Values


@dataclass(frozen=True)
class Pass:
    """What rows said on the way there, and what came back.

    Attributes
    ----------
    scores : the targets' values, [rows, targets].
    values : of the layers, [rows, ...] each.
    gradients : of each target with respect to the layers, [targets, rows, ...] each.
    """

    scores: Tensor
    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


class Inquiry:
    """The shared part of a request.

    Attributes
    ----------
    inputs : of the model, in its order.
    targets : without any, each sample's strongest output.
    rows : rows that share a pass.
    """

    def __init__(
        self,
        model: Model,
        inputs: Sequence[Tensor],
        targets: Sequence[Target],
        layers: Sequence[str],
        *,
        rows: int = 16,
        seed: int = 0,
    ) -> None:
        self.model, self.inputs = model, tuple(inputs)
        self.batch, self.seed = len(inputs[0]), seed
        self.rows = model.fixed_batch or rows
        self.layers = tuple(dict.fromkeys(layers))
        self.targets = tuple(resolved(targets, model, self._first(targets)))

    def _first(self, targets: Sequence[Target]) -> Values:
        """The output, where targets have to be found in it."""
        if targets:
            return {}
        wanted = Target(strongest=(0,)).layers(self.model)
        return {name: value.clone() for name, value in self._forward(wanted, self.inputs).items()}

    def about(self, model: Model, inputs: Sequence[Tensor], seed: int) -> Inquiry:
        """The same question about other inputs, or a model of the same layers."""
        return Inquiry(model, inputs, self.targets, self.layers, rows=self.rows, seed=seed)

    @property
    def samples(self) -> Tensor:
        """The number of each sample."""
        return torch.arange(self.batch)

    @cached_property
    def target_layers(self) -> tuple[str, ...]:
        """The layers that the targets read."""
        return tuple(dict.fromkeys(i for t in self.targets for i in t.layers(self.model)))

    @cached_property
    def scores(self) -> Tensor:
        """The targets' values for the samples as they are, [samples, targets]."""
        start = self.model.inputs[0].name
        return self.measure(start, self.inputs[0], self.samples)

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """What the layers say to the samples, computed in one pass."""
        parts = [
            {name: value.clone() for name, value in self._forward(self.layers, part).items()}
            for part in self._batches(self.inputs)
        ]
        return {name: _joined([part[name] for part in parts], self.batch) for name in self.layers}

    @cached_property
    def gradients(self) -> Pass:
        """Of the targets with respect to all layers, at the samples as they are, in one pass.

        Where no gradient comes from the inputs, which may be whole numbers, it begins at the
        layers themselves.
        """
        start = self.model.inputs[0].name
        inner = tuple(each for each in self.layers if each not in self._input_names)
        rewrite = BeginAt(self.model.given_graph(), inner) if inner else None
        return self.differentiate(start, self.inputs[0], self.samples, self.layers, rewrite)

    def said_to(
        self, layers: Sequence[str], inputs: Sequence[Tensor], rewrite: Rewrite | None = None
    ) -> dict[str, Tensor]:
        """What layers say to other inputs, any number of samples, perhaps in a changed graph."""
        parts = [self._forward(layers, part, rewrite) for part in self._batches(inputs)]
        count = len(inputs[0])
        return {name: _joined([p[name].clone() for p in parts], count) for name in layers}

    def measure(self, start: str, values: Tensor, samples: Tensor) -> Tensor:
        """The targets' values for rows, without gradients, [rows, targets]."""
        found = []
        for part, which in self._split(values, samples):
            inputs = self._inputs(start, part, which)
            if len(inputs) == len(self.inputs):
                said = self._forward(self.target_layers, inputs)
            else:
                with torch.inference_mode():
                    said = self._probe(start, self.target_layers, None)(*inputs)
            with torch.inference_mode():
                found.append(torch.stack(self._each_score(said, inputs, which), 1))
        return torch.cat(found)[: len(values)].clone()

    def differentiate(
        self,
        start: str,
        values: Tensor,
        samples: Tensor,
        layers: Sequence[str] | None = None,
        rewrite: Rewrite | None = None,
        together: int = 1,
    ) -> Pass:
        """The targets' values for rows, and their gradients with respect to layers.

        Parameters
        ----------
        layers : behind `start`, or it itself; by default it alone.
        rewrite : changes the graph first, for instance how it goes backwards.
        together : rows that must share a pass.
        """
        wanted = tuple(layers or (start,))
        probe = self._probe(start, (*wanted, *self.target_layers), rewrite)
        passes = [
            self._one(probe, start, part, which, wanted)
            for part, which in self._split(values, samples, together)
        ]
        count = len(values)
        return Pass(
            scores=torch.cat([each.scores for each in passes])[:count],
            values={i: torch.cat([p.values[i] for p in passes])[:count] for i in wanted},
            gradients={
                i: torch.cat([p.gradients[i] for p in passes], 1)[:, :count] for i in wanted
            },
        )

    def pull_back(
        self, start: str, values: Tensor, samples: Tensor, layer: str, back: Tensor
    ) -> Tensor:
        """Of `layer`'s values the products `back` x Jacobian with respect to `start`.

        Parameters
        ----------
        back : [targets, rows, *the layer's other axes]

        Returns
        -------
        [targets, rows, *the other axes of `start`]
        """
        probe, found, begin = self._probe(start, (layer,), None), [], 0
        for part, which in self._split(values, samples):
            rows = range(begin, begin + len(part))
            begin += len(part)
            theirs = back[:, [min(row, len(values) - 1) for row in rows]]
            with torch.enable_grad():
                given = part.detach().requires_grad_()
                said = probe(*self._inputs(start, given, which))[layer]
                found.append(torch.stack([_product(said, given, each) for each in theirs]))
        return torch.cat(found, 1)[:, : len(values)]

    def _one(
        self, probe: Probe, start: str, part: Tensor, which: Tensor, wanted: Sequence[str]
    ) -> Pass:
        with torch.enable_grad():
            # What is wanted of is differentiated; what begins behind whole numbers begins there.
            given = part.detach().requires_grad_(part.is_floating_point())
            inputs = [
                each.detach().requires_grad_() if name in wanted and name != start else each
                for name, each in zip(
                    self._names(start), self._inputs(start, given, which), strict=True
                )
            ]
            said = probe(*inputs)
            said |= {n: v for n, v in zip(self._names(start), inputs, strict=True) if n in wanted}
            # Not stacked: a stack's way back would lead through all targets for each of them.
            scores = self._each_score(said, inputs, which)
            at = [said[layer] for layer in wanted]
            last = len(self.targets) - 1  # after which nothing has to be kept
            back = [
                torch.autograd.grad(
                    score.sum(), at, retain_graph=number < last, materialize_grads=True
                )
                for number, score in enumerate(scores)
            ]
        return Pass(
            scores=torch.stack(scores, 1).detach(),
            values={layer: said[layer].detach() for layer in wanted},
            gradients={
                layer: torch.stack([each[index] for each in back])
                for index, layer in enumerate(wanted)
            },
        )

    def _each_score(self, said: Values, inputs: Sequence[Tensor], samples: Tensor) -> list[Tensor]:
        """Of each target, [rows]."""
        scene = Scene(model=self.model, values=said, pictures=inputs[0])
        return [target(scene, samples) for target in self.targets]

    def _inputs(self, start: str, values: Tensor, samples: Tensor) -> list[Tensor]:
        """What a probe is given: the model's inputs and, where it starts at a layer, its value."""
        names = self._input_names
        which = samples.to(self.inputs[0].device)
        inputs = [
            values if name == start else tensor[which]
            for name, tensor in zip(names, self.inputs, strict=True)
        ]
        return inputs if start in names else [*inputs, values]

    @cached_property
    def _input_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.model.inputs)

    def _names(self, start: str) -> tuple[str, ...]:
        """What the values of `_inputs` are of."""
        names = self._input_names
        return names if start in names else (*names, start)

    def _probe(self, start: str, layers: Sequence[str], rewrite: Rewrite | None) -> Probe:
        rewrites: list[Rewrite] = [] if rewrite is None else [rewrite]
        if start not in self._input_names:
            rewrites.append(StartAt(self.model.given_graph(), start))
        chosen = InOrder(tuple(rewrites)) if len(rewrites) > 1 else next(iter(rewrites), None)
        plain = rewrite is None
        return (self.model.gradient_probe if plain else self.model.probe)(layers, chosen)

    def _forward(
        self, layers: Sequence[str], inputs: Sequence[Tensor], rewrite: Rewrite | None = None
    ) -> dict[str, Tensor]:
        if rewrite is not None:
            with torch.inference_mode():
                return self.model.probe(tuple(layers), rewrite)(*inputs)
        return self.model.forward(layers, [each.contiguous() for each in inputs])

    def _split(
        self, values: Tensor, samples: Tensor, together: int = 1
    ) -> list[tuple[Tensor, Tensor]]:
        """Rows in batches; the last repeats a row where the model takes one size only."""
        parts = []
        size = self.rows if together == 1 else together
        for part, which in zip(torch.split(values, size), torch.split(samples, size), strict=True):
            short = self.rows - len(part) if self.model.fixed_batch else 0
            more = [len(part) - 1] * short
            index = [*range(len(part)), *more]
            parts.append((part[index], which[index]) if short else (part, which))
        return parts

    def _batches(self, inputs: Sequence[Tensor]) -> list[list[Tensor]]:
        samples = torch.arange(len(inputs[0]))
        return [[each[which] for each in inputs] for _, which in self._split(samples, samples)]


def _product(said: Tensor, given: Tensor, back: Tensor) -> Tensor:
    [product] = torch.autograd.grad(said, [given], back, retain_graph=True, materialize_grads=True)
    return product


def _joined(parts: Sequence[Tensor], count: int) -> Tensor:
    return torch.cat(list(parts))[:count]
