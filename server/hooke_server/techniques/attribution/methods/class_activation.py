"""Class activation maps: the units of a layer of maps, added up by how much each matters.

    map = relu(sum_k w_k A_k)

A_k is what unit k says at each place. The methods differ in the weights w_k: gradients (Grad-CAM
and its kin), what happens to the target where a unit alone is shown (Score-CAM) or missing
(Ablation-CAM), or none at all (Eigen-CAM).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.method import Effort, anywhere, method
from hooke_server.techniques.attribution.question import Answer, Answers, Place, Question
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.reach import upstream

SMALL = 1e-7
"""Keeps denominators from being nothing."""

Weighting = Callable[[Tensor, Tensor], Tensor]
"""From values and gradients, [targets, samples, units, positions], to maps without units."""


def mapped(model: Model, layer: Layer) -> str:
    """For layers of maps or tokens: they have units at positions."""
    if layer.kind is LayerKind.INPUT:
        return "it is an input, and the method adds up a layer's units"
    if len(layer.position_axes) not in {1, 2}:
        return "it has no positions"
    return anywhere(model, layer)


def last_maps(model: Model, targets: Sequence[str]) -> list[str]:
    """The last layer with height and width before the targets."""
    before = {layer.id for layer in upstream(model, targets)}
    found = [layer.id for layer in model.layers.values() if layer.id in before and _is_map(layer)]
    if not found:
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            "there is no layer of maps before what is explained; name one of tokens in layer_globs,"
            " such as what goes into the last attention",
            field="methods",
        )
    return found[-1:]


def _is_map(layer: Layer) -> bool:
    extents = [layer.output.shape[axis] for axis in layer.position_axes]
    return len(extents) == 2 and layer.kind is not LayerKind.INPUT and 1 not in extents


def _by_gradient(question: Question, weighting: Weighting) -> Answers:
    """All gradients come from one pass, which other methods share."""
    gradients = question.inquiry.gradients.gradients
    yield Progress(step=1, total=1)
    for place in question.places:
        maps = weighting(_units(place, place.value[None]), _units(place, gradients[place.id]))
        yield _answer(place, maps)


def _units(place: Place, values: Tensor) -> Tensor:
    """[targets, samples, ...] as [targets, samples, units, positions]."""
    unit = place.layer.unit_axis % place.value.ndim + 1
    return values.movedim(unit, 2).flatten(3)


def _answer(place: Place, maps: Tensor) -> Answer:
    """Maps [targets, samples, positions], put back into the place's shape."""
    extents = [place.value.shape[axis] for axis in place.layer.position_axes]
    return Answer(place=place, values=maps.reshape(*maps.shape[:2], *extents))


def _grad_cam(values: Tensor, gradients: Tensor) -> Tensor:
    return F.relu((gradients.mean(3, keepdim=True) * values).sum(2))


@method(
    title="Grad-CAM",
    source="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, ICCV 2017, "
    "https://arxiv.org/abs/1610.02391",
    effort=lambda **_: Effort(rows=1, shared=True),
    places=mapped,
    default=last_maps,
)
def grad_cam(question: Question) -> Answers:
    """Units weighted by the mean of their gradients: w_k = mean over places of dy/dA_k."""
    yield from _by_gradient(question, _grad_cam)


def _grad_cam_plus_plus(values: Tensor, gradients: Tensor) -> Tensor:
    squares = gradients.square()
    total = 2 * squares + values.sum(3, keepdim=True) * squares * gradients
    shares = squares / torch.where(total.abs() < SMALL, 1.0, total)
    weights = (shares * F.relu(gradients)).sum(3, keepdim=True)
    return F.relu((weights * values).sum(2))


@method(
    title="Grad-CAM++",
    source="Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, WACV 2018, "
    "https://arxiv.org/abs/1710.11063",
    effort=lambda **_: Effort(rows=1, shared=True),
    places=mapped,
    default=last_maps,
)
def grad_cam_plus_plus(question: Question) -> Answers:
    """Positive gradients weighted by g^2 / (2 g^2 + sum(A) g^3), so that several objects show."""
    yield from _by_gradient(question, _grad_cam_plus_plus)


@method(
    title="HiResCAM",
    source="Draelos, Carin: Use HiResCAM instead of Grad-CAM for faithful explanations of "
    "convolutional neural networks, 2020, https://arxiv.org/abs/2011.08891",
    effort=lambda **_: Effort(rows=1, shared=True),
    places=mapped,
    default=last_maps,
)
def hires_cam(question: Question) -> Answers:
    """Activation times gradient at each place: exact where only a linear layer follows."""
    yield from _by_gradient(question, lambda values, g: F.relu((g * values).sum(2)))


@method(
    title="LayerCAM",
    source="Jiang, Zhang, Hou, Cheng, Wei: LayerCAM, IEEE TIP 2021, "
    "https://doi.org/10.1109/TIP.2021.3089943",
    effort=lambda **_: Effort(rows=1, shared=True),
    places=mapped,
    default=last_maps,
)
def layer_cam(question: Question) -> Answers:
    """Activation times positive gradient at each place; sharp at early layers too."""
    yield from _by_gradient(question, lambda values, g: F.relu((F.relu(g) * values).sum(2)))


@method(
    title="Eigen-CAM",
    source="Muhammad, Yeasin: Eigen-CAM, IJCNN 2020, https://arxiv.org/abs/2008.00299",
    effort=lambda **_: Effort(rows=0, gradients=False),
    places=mapped,
    default=last_maps,
    gradients=False,
)
def eigen_cam(question: Question) -> Answers:
    """What the units have in common: their first principal component, whatever the target.

    Its sign is the one in which it is high where the layer is active.
    """
    yield Progress(step=1, total=1)
    targets = len(question.inquiry.targets)
    for place in question.places:
        values = _units(place, place.value[None])[0]
        maps = torch.stack([_first_component(each.T) for each in values])
        yield _answer(place, F.relu(maps)[None].expand(targets, -1, -1))


def _first_component(values: Tensor) -> Tensor:
    """The projection of [positions, units] on its first principal axis."""
    centred = values - values.mean(0, keepdim=True)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    projected: Tensor = centred @ axes[0]
    return projected if float(projected @ values.sum(1)) >= 0 else -projected


def _unit_rows(layer: Layer, shape: Sequence[int]) -> int:
    return shape[layer.unit_axis % len(shape)]


@method(
    title="Ablation-CAM",
    source="Desai, Ramaswamy: Ablation-CAM, WACV 2020, "
    "https://doi.org/10.1109/WACV45572.2020.9093360",
    effort=lambda **_: Effort(rows=_unit_rows, gradients=False, keeps_scores=True),
    places=mapped,
    default=last_maps,
)
def ablation_cam(question: Question) -> Answers:
    """Units weighted by how much the target falls without them: w_k = (y - y_k) / y."""
    inquiry = question.inquiry
    whole = inquiry.scores
    for place in question.places:
        scores = yield from _each_unit(question, place, _without)
        weights = (whole[None] - scores) / torch.where(whole.abs() < SMALL, 1.0, whole)
        yield _weighted(place, weights)


@method(
    title="Score-CAM",
    source="Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM, CVPR Workshops 2020, "
    "https://arxiv.org/abs/1910.01279",
    effort=lambda **_: Effort(rows=_unit_rows, gradients=False, keeps_scores=True),
    places=mapped,
    default=last_maps,
)
def score_cam(question: Question) -> Answers:
    """Units weighted by the target where only what excites them is shown.

    Each unit's map, stretched over the picture and scaled to 0..1, masks the sample; the softmax
    of the targets over the units is their weight.
    """
    for place in question.places:
        scores = yield from _each_unit(question, place, _shown)
        yield _weighted(place, torch.softmax(scores, 0))


def _each_unit(
    question: Question, place: Place, version: Callable[..., tuple[str, Tensor]]
) -> Generator[Progress, None, Tensor]:
    """The targets' values for a version of the samples for each unit, [units, samples, targets]."""
    inquiry, batch = question.inquiry, question.inquiry.batch
    units = place.value.shape[place.layer.unit_axis]
    each = max(1, inquiry.rows // batch)
    found = []
    for begin in range(0, units, each):
        some = range(begin, min(begin + each, units))
        versions = [version(question, place, unit) for unit in some]
        rows = torch.cat([values for _, values in versions])
        measured = inquiry.measure(versions[0][0], rows, inquiry.samples.repeat(len(some)))
        found.append(measured.reshape(len(some), batch, -1))
        yield Progress(step=begin + len(some), total=units)
    return torch.cat(found)


def _without(question: Question, place: Place, unit: int) -> tuple[str, Tensor]:
    """The layer's values with one unit off."""
    values = place.value.clone()
    values.select(place.layer.unit_axis % values.ndim, unit).zero_()
    return place.id, values


def _shown(question: Question, place: Place, unit: int) -> tuple[str, Tensor]:
    """The samples, seen through one unit's map."""
    given = question.inquiry.inputs[0]
    maps = place.value.select(place.layer.unit_axis % place.value.ndim, unit)
    stretched = F.interpolate(maps[:, None].float(), given.shape[2:], mode="bilinear")
    low, high = (stretched.flatten(1).amin(1), stretched.flatten(1).amax(1))
    low, high = (each.reshape(-1, 1, 1, 1) for each in (low, high))
    mask = (stretched - low) / (high - low).clamp(min=SMALL)
    return question.model.inputs[0].name, given * mask


def _weighted(place: Place, weights: Tensor) -> Answer:
    """Units added up by weights [units, samples, targets]."""
    values = _units(place, place.value[None])
    by_target = weights.permute(2, 1, 0).to(values)[..., None]
    return _answer(place, F.relu((by_target * values).sum(2)))
