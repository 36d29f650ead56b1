"""What the first token of a vision transformer looks at, through all of its attentions.

    R = B_L ... B_2 B_1,    B_l = [tokens, tokens] of attention l

Row i of R says how much of each patch is in token i at the end. The methods differ in B.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.attention import (
    attention_obstacle,
    attentions,
    explicit_attention,
    is_attention,
    patch_grid,
    tokens,
)
from hooke_server.techniques.attribution.method import Effort, anywhere, method
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress

SAMPLES = 4
"""Samples whose weights are held at once: those of all layers are, for each target."""

WEIGHT_BYTES = 4


def _picture(model: Model, layer: Layer) -> str:
    if layer.kind is not LayerKind.INPUT or len(layer.output.shape) != 4:
        return "it is no picture that the model is shown, and the method tells patches of one apart"
    return anywhere(model, layer)


def _weights(model: Model, targets: int) -> int:
    """The weights of all attentions, their gradients, and what is multiplied of them."""
    found = [each for each in model.layers.values() if is_attention(each)]
    each = sum(_heads(layer) * (tokens(model, layer) or 0) ** 2 for layer in found)
    return SAMPLES * WEIGHT_BYTES * each * (3 + 2 * targets)


def _heads(layer: Layer) -> int:
    """Of an attention; of a module that does not tell, as many as are usual at most."""
    extent = layer.output.shape[1] if len(layer.output.shape) == 4 else 32
    return extent if isinstance(extent, int) else 1


@method(
    title="Attention rollout",
    source="Abnar, Zuidema: Quantifying Attention Flow in Transformers, ACL 2020, "
    "https://arxiv.org/abs/2005.00928",
    effort=lambda **_: Effort(rows=1, gradients=False, beside=_weights),
    places=_picture,
    target=attention_obstacle,
)
def attention_rollout(question: Question) -> Answers:
    """How much of each patch reaches the class token: B = mean of the heads / 2 + 1 / 2.

    A half stands for what goes around the attention. The same for every target; rows sum to 1
    over all tokens. Without a class token, the mean over all tokens.
    """
    inquiry = question.inquiry
    layers = [each.id for each in attentions(question.model, inquiry.target_layers)]
    maps = []
    for part in _parts(inquiry.batch):
        inputs = [each[part] for each in inquiry.inputs]
        said = inquiry.said_to(layers, inputs, explicit_attention)
        steps = [_mean_of_heads(said[layer]) for layer in layers]
        maps.append(_of_patches(question, _product(steps))[None])
        yield Progress(step=int(part[-1]) + 1, total=inquiry.batch)
    found = torch.cat(maps, 1).expand(len(inquiry.targets), -1, -1, -1)
    yield from _answers(question, found)


def _mean_of_heads(weights: Tensor) -> Tensor:
    mean = weights.float().mean(1)
    return (mean + torch.eye(mean.shape[-1], device=mean.device)) / 2


@method(
    title="Gradient-weighted attention",
    source="Chefer, Gur, Wolf: Generic Attention-model Explainability for Interpreting Bi-Modal "
    "and Encoder-Decoder Transformers, ICCV 2021, https://arxiv.org/abs/2103.15679",
    effort=lambda **_: Effort(rows=1, beside=_weights),
    places=_picture,
    target=attention_obstacle,
)
def gradient_attention(question: Question) -> Answers:
    """What of each patch speaks for the target: B = 1 + mean of the heads of relu(gradient A).

    A is the attention's weights and the gradient that of the target. Never negative. Without a
    class token, the mean over all tokens.
    """
    inquiry = question.inquiry
    layers = [each.id for each in attentions(question.model, inquiry.target_layers)]
    start, maps = question.model.inputs[0].name, []
    for part in _parts(inquiry.batch):
        values = inquiry.inputs[0][part]
        passed = inquiry.differentiate(start, values, part, layers, explicit_attention)
        steps = [_speaking(passed.values[i], passed.gradients[i]) for i in layers]
        maps.append(_of_patches(question, _product(steps)))
        yield Progress(step=int(part[-1]) + 1, total=inquiry.batch)
    yield from _answers(question, torch.cat(maps, 1))


def _speaking(weights: Tensor, gradients: Tensor) -> Tensor:
    mean = F.relu(gradients * weights).float().mean(2)
    return mean + torch.eye(mean.shape[-1], device=mean.device)


def _parts(batch: int) -> Iterator[Tensor]:
    return iter(torch.split(torch.arange(batch), SAMPLES))


def _product(steps: Sequence[Tensor]) -> Tensor:
    """The last times ... times the first."""
    return reduce(lambda so_far, step: step @ so_far, steps)


def _of_patches(question: Question, rolled: Tensor) -> Tensor:
    """[..., tokens, tokens] as what the class token has of each patch, [..., rows, columns]."""
    count = rolled.shape[-1]
    # That there is one was checked while the request was bound.
    grid = patch_grid(count, question.model.inputs[0].shape[2:]) or (count, 1)
    first = count - grid[0] * grid[1]
    row = rolled[..., 0, first:] if first else rolled.mean(-2)
    return row.reshape(*row.shape[:-1], *grid)


def _answers(question: Question, maps: Tensor) -> Answers:
    for place in question.places:
        yield Answer(place=place, values=maps)
