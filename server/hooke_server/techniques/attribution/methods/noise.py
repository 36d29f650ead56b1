"""Methods that look at the gradient at random points around the sample."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.attribution.baselines import Baselines, noise
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.parameters import Range

PREVIEW_EVERY = 8
"""Draws between two looks at unfinished work."""

Samples = Annotated[int, Range(1, 10_000), "Draws."]
Deviation = Annotated[
    float, Range(0, 10), "Of the noise, as a share of the sample's range of values."
]


class NoiseStatistic(StrEnum):
    """How gradients of noisy samples become one; as `hooke.v1.NoiseStatistic`."""

    MEAN = "mean"
    MEAN_SQUARE = "mean_square"
    VARIANCE = "variance"


@method(
    title="SmoothGrad",
    source="Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad, 2017, "
    "https://arxiv.org/abs/1706.03825; variance: Adebayo et al.: Local Explanation Methods "
    "for Deep Neural Networks Lack Sensitivity to Parameter Values, 2018",
    effort=lambda *, samples, **_: Effort(rows=samples),
)
def smooth_grad(
    question: Question,
    *,
    samples: Samples = 50,
    deviation: Deviation = 0.15,
    statistic: Annotated[NoiseStatistic, "How they become one."] = NoiseStatistic.MEAN,
    multiply_by_input: Annotated[bool, "Multiply each gradient by its noisy sample."] = False,
) -> Answers:
    """The gradient, averaged over noise that is added to the sample.

    What stays is what all the neighbours agree on; with the mean of squares or the variance,
    how large or how unsteady the gradient is.
    """
    total = samples * len(question.places)
    done = 0
    for place in question.places:
        generator = question.generator()
        summed, squared = question.nothing(place), question.nothing(place)
        for count, chunk in enumerate(_chunks(question, samples), 1):
            points = torch.cat(
                [place.value + noise(place.value, deviation, generator) for _ in range(chunk)]
            )
            found = _gradients(question, place, points)
            if multiply_by_input:
                found = found * points.reshape(chunk, -1, *points.shape[1:])
            summed, squared = summed + found.sum(1), squared + found.square().sum(1)
            done += chunk
            yield Progress(step=done, total=total)
            if count % PREVIEW_EVERY == 0:
                so_far = done % samples or samples
                values = _statistic(statistic, summed, squared, so_far)
                yield Answer(place=place, values=values, final=False)
        yield Answer(place=place, values=_statistic(statistic, summed, squared, samples))


@method(
    title="GradientSHAP",
    source="Lundberg, Lee: A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, "
    "https://arxiv.org/abs/1705.07874; Erion et al.: Improving Performance of Deep Learning "
    "Models with Axiomatic Attribution Priors and Expected Gradients, 2021",
    effort=lambda *, samples, **_: Effort(rows=samples),
    complete=True,
)
def gradient_shap(
    question: Question,
    *,
    samples: Samples = 50,
    deviation: Deviation = 0.0,
    baselines: Baselines = (),
) -> Answers:
    """Integrated gradients, drawn: a random point between a random baseline and the sample.

    The mean over the draws of gradient x (sample with noise - baseline).
    """
    total = samples * len(question.places)
    done = 0
    for place in question.places:
        generator = question.generator()
        starts = question.starts_at(place, baselines)
        summed = question.nothing(place)
        for count, chunk in enumerate(_chunks(question, samples), 1):
            draws = [_draw(place, starts, deviation, generator) for _ in range(chunk)]
            points = torch.cat([point for point, _ in draws])
            ways = torch.stack([way for _, way in draws])
            summed = summed + (_gradients(question, place, points) * ways).sum(1)
            done += chunk
            yield Progress(step=done, total=total)
            if count % PREVIEW_EVERY == 0:
                so_far = done % samples or samples
                yield Answer(place=place, values=summed / so_far, final=False)
        yield Answer(place=place, values=summed / samples)


def _draw(
    place: Place, starts: list[Tensor], deviation: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A point on the way from a baseline to each sample, and the whole way."""
    count = len(place.value)
    which = torch.randint(len(starts), (count,), generator=generator).tolist()
    start = torch.stack([starts[which[sample]][sample] for sample in range(count)])
    end = place.value + noise(place.value, deviation, generator)
    share = torch.rand(count, generator=generator).to(end).reshape(-1, *[1] * (end.ndim - 1))
    return torch.lerp(start, end, share), end - start


def _chunks(question: Question, samples: int) -> Iterator[int]:
    """Numbers of draws that go through the network at once, which sum up to `samples`."""
    each = max(1, question.inquiry.rows // question.inquiry.batch)
    for begin in range(0, samples, each):
        yield min(each, samples - begin)


def _gradients(question: Question, place: Place, points: Tensor) -> Tensor:
    """[targets, draws, samples, ...] at points [draws x samples, ...]."""
    inquiry = question.inquiry
    draws = len(points) // inquiry.batch
    passed = inquiry.differentiate(place.id, points, inquiry.samples.repeat(draws))
    return question.unfolded(passed.gradients[place.id])


def _statistic(statistic: NoiseStatistic, summed: Tensor, squared: Tensor, count: int) -> Tensor:
    match statistic:
        case NoiseStatistic.MEAN:
            return summed / count
        case NoiseStatistic.MEAN_SQUARE:
            return squared / count
        case NoiseStatistic.VARIANCE:
            return (squared / count - (summed / count).square()).clamp(min=0)
