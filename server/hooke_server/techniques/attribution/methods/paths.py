"""Methods that follow the gradient along a straight line from a baseline to the sample.

    x(a) = x' + a (x - x'),  a in 0..1
    integrated gradients  (x - x') x  sum_k w_k df/dx (x(a_k))

The points a_k and weights w_k are those of the Gauss-Legendre rule, which is exact for
polynomials up to degree 2 n - 1. Conductance alone takes points that are evenly apart: it sums up
changes between neighbours, which are all of the change only from end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import torch
from scipy.special import roots_legendre
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.techniques.attribution.baselines import Baselines
from hooke_server.techniques.attribution.inquiry import Pass
from hooke_server.techniques.attribution.method import (
    Effort,
    behind_numbers,
    check_neuron,
    method,
    only_inputs,
)
from hooke_server.techniques.attribution.methods.class_activation import last_maps
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.targets import Site

Steps = Annotated[int, Range(1, 2000), "Points on the line."]


def effort(*, steps: int, baselines: Sequence[Any], **_: Any) -> Effort:
    """A row for each point of each line."""
    return Effort(rows=steps * max(1, len(baselines)))


Rule = Callable[[int], tuple[Tensor, Tensor]]
"""From a number of points to points in 0..1, and weights that sum up to 1."""


@lru_cache(maxsize=16)
def gauss_legendre(steps: int) -> tuple[Tensor, Tensor]:
    """The points and weights, which SciPy finds in time steps^2."""
    points, weights = roots_legendre(steps)
    return torch.from_numpy((points + 1) / 2), torch.from_numpy(weights / 2)


def evenly(steps: int) -> tuple[Tensor, Tensor]:
    """Points from end to end, each as far from the next."""
    return torch.linspace(0, 1, steps, dtype=torch.float64), torch.full((steps,), 1 / steps)


@method(
    title="Integrated gradients",
    source="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017, "
    "https://arxiv.org/abs/1703.01365",
    effort=effort,
    complete=True,
)
def integrated_gradients(
    question: Question, *, steps: Steps = 50, baselines: Baselines = ()
) -> Answers:
    """The gradient along a straight line from the baseline, summed up, times the distance.

    Its sum is the difference of the target's values at the two ends, but for the error of the
    steps; with several baselines it is the mean over them.
    """
    counted = _Counter(total=steps * max(1, len(baselines)) * len(question.places))
    for place in question.places:
        starts = question.starts_at(place, baselines)
        summed = question.nothing(place)
        for start in starts:
            line = _Line(question, place.id, start, place.value, steps)
            for weights, passed in line.passes([place.id]):
                gradients = question.unfolded(passed.gradients[place.id])
                summed = summed + (place.value - start) * torch.einsum(
                    "k,tk...->t...", weights.to(gradients), gradients
                )
                yield counted.more(len(weights))
        yield Answer(place=place, values=summed / len(starts))


@method(
    title="Layer conductance",
    source="Dhamdhere, Sundararajan, Yan: How Important Is a Neuron?, ICLR 2019, "
    "https://arxiv.org/abs/1805.12233",
    effort=effort,
    places=behind_numbers,
    complete=True,
    default=last_maps,
)
def conductance(question: Question, *, steps: Steps = 50, baselines: Baselines = ()) -> Answers:
    """What flows through each number of a layer on the way from the baseline.

    The change of the layer from one point to the next times the mean of its gradients at the two,
    summed along the line of the input; all places share its passes.
    """
    layers = [place.id for place in question.places]
    counted = _Counter(total=steps * max(1, len(baselines)))
    summed = {place.id: question.nothing(place) for place in question.places}
    starts = question.starts(baselines)
    for start in starts:
        line = _input_line(question, start, steps + 1, evenly)  # a step lies between two points
        before: Pass | None = None
        for weights, passed in line.passes(layers):
            for layer in layers:
                values = question.unfolded(passed.values[layer][None])
                gradients = question.unfolded(passed.gradients[layer])
                if before is not None:
                    values = torch.cat(
                        [question.unfolded(before.values[layer][None])[:, -1:], values], 1
                    )
                    last = question.unfolded(before.gradients[layer])[:, -1:]
                    gradients = torch.cat([last, gradients], 1)
                changes = values[:, 1:] - values[:, :-1]
                between = (gradients[:, 1:] + gradients[:, :-1]) / 2
                summed[layer] = summed[layer] + (between * changes).sum(1)
            before = passed
            yield counted.more(len(weights))
    for place in question.places:
        yield Answer(place=place, values=summed[place.id] / len(starts))


@method(
    title="Internal influence",
    source="Leino, Sen, Datta, Fredrikson, Li: Influence-Directed Explanations for Deep "
    "Convolutional Networks, 2018, https://arxiv.org/abs/1802.03788",
    effort=effort,
    places=behind_numbers,
    default=last_maps,
)
def internal_influence(
    question: Question, *, steps: Steps = 50, baselines: Baselines = ()
) -> Answers:
    """The mean gradient at a layer along the line of the input from the baseline."""
    layers = [place.id for place in question.places]
    counted = _Counter(total=steps * max(1, len(baselines)))
    summed = {place.id: question.nothing(place) for place in question.places}
    starts = question.starts(baselines)
    for start in starts:
        line = _input_line(question, start, steps)
        for weights, passed in line.passes(layers):
            for layer in layers:
                gradients = question.unfolded(passed.gradients[layer])
                share = torch.einsum("k,tk...->t...", weights.to(gradients), gradients)
                summed[layer] = summed[layer] + share
            yield counted.more(len(weights))
    for place in question.places:
        yield Answer(place=place, values=summed[place.id] / len(starts))


@method(
    title="Neuron conductance",
    source="Shrikumar, Su, Kundaje: Computationally Efficient Measures of Internal Neuron "
    "Importance, 2018, https://arxiv.org/abs/1807.09946",
    effort=lambda *, steps, baselines, **_: Effort(rows=2 * steps * max(1, len(baselines))),
    places=only_inputs,
    check=check_neuron,
)
def neuron_conductance(
    question: Question,
    *,
    through: Annotated[Site, "The unit, or the neuron, that is passed through."],
    steps: Steps = 50,
    baselines: Baselines = (),
) -> Answers:
    """The part of the integrated gradients of the target that passes through one neuron.

    At each point of the line, the target's gradient at the neuron times the neuron's own
    gradient; summed over all neurons of a layer that nothing goes around, this is integrated
    gradients.
    """
    counted = _Counter(total=steps * max(1, len(baselines)) * len(question.places))
    inquiry, layer = question.inquiry, question.model.layer(through.layer)
    for place in question.places:
        summed = question.nothing(place)
        starts = question.starts_at(place, baselines)
        for start in starts:
            line = _Line(question, place.id, start, place.value, steps)
            for weights, points, which in line.points():
                behind = inquiry.differentiate(place.id, points, which, [layer.id])
                back = _alone(behind.gradients[layer.id], layer, through)
                product = inquiry.pull_back(place.id, points, which, layer.id, back)
                gradients = question.unfolded(product)
                summed = summed + (place.value - start) * torch.einsum(
                    "k,tk...->t...", weights.to(gradients), gradients
                )
                yield counted.more(len(weights))
        yield Answer(place=place, values=summed / len(starts))


def _alone(gradients: Tensor, layer: Layer, site: Site) -> Tensor:
    """[targets, rows, ...] with zeros everywhere but at the site."""
    first = gradients.movedim(layer.unit_axis % (gradients.ndim - 1) + 1, 2)
    kept = torch.zeros_like(first)
    where = (slice(None), slice(None), site.unit, *site.position)
    kept[where] = first[where]
    return kept.movedim(2, layer.unit_axis % (gradients.ndim - 1) + 1)


@dataclass
class _Counter:
    """Points done, of all."""

    total: int
    done: int = 0

    def more(self, points: int) -> Progress:
        self.done = min(self.done + points, self.total)
        return Progress(step=self.done, total=self.total)


@dataclass(frozen=True)
class _Line:
    """Points between a start and an end at which the rest of the network is asked."""

    question: Question
    layer: str
    start: Tensor
    end: Tensor
    steps: int
    rule: Rule = gauss_legendre

    def passes(self, layers: Sequence[str]) -> Iterator[tuple[Tensor, Pass]]:
        """For some points at once their weights, and values and gradients of layers."""
        for weights, points, which in self.points():
            passed = self.question.inquiry.differentiate(self.layer, points, which, layers)
            yield weights, passed

    def points(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For some points at once their weights, the values there and which samples they are of."""
        inquiry = self.question.inquiry
        shares, weights = self.rule(self.steps)
        each = max(1, inquiry.rows // inquiry.batch)
        for some, their in zip(torch.split(shares, each), torch.split(weights, each), strict=True):
            at = some.to(self.end).reshape(-1, *[1] * self.end.ndim)
            points = torch.lerp(self.start[None], self.end[None], at).flatten(0, 1)
            yield their, points, inquiry.samples.repeat(len(some))


def _input_line(
    question: Question, start: Sequence[Tensor], steps: int, rule: Rule = gauss_legendre
) -> _Line:
    """The line of the model's first input."""
    given = question.model.inputs[0].name
    return _Line(question, given, start[0], question.inquiry.inputs[0], steps, rule)
