"""Which layer of the candidate a layer of the reference is compared with.

Layers of equal ids are partners, inputs by their order. Exporters fold a batch
normalization into the convolution before it; there the values after the normalization
are compared on both sides, under the convolution's name:

    reference   conv1 -> bn1 -> relu        conv1 is compared by bn1's value
    candidate   conv1'       -> relu        with conv1''s, and bn1 has no partner
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.models.patterns import fitting


@dataclass(frozen=True, slots=True)
class Pair:
    """Partners: ids in the reference and the candidate.

    `reads` are the layers whose values are compared, which are others where a
    normalization is folded in; `note` then says so.
    """

    layer: str
    candidate: str
    reads: tuple[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Alone:
    """A layer without a partner, why, and whether it was compared under another one's name."""

    layer: str
    why: str
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """Partners in the order in which layers run in the reference, and who has none."""

    pairs: tuple[Pair, ...]
    alone: tuple[Alone, ...] = ()
    alone_in_candidate: tuple[Alone, ...] = ()


def named_pairs(reference: Model, candidate: Model, pairs: Sequence[tuple[str, str]]) -> Pairing:
    """Partners that a request names; NotFoundError for a layer that is not there."""
    order = list(reference.layers)
    made = [
        Pair(*ids, reads=ids)
        for ids in ((reference.layer(a).id, candidate.layer(b).id) for a, b in pairs)
    ]
    if len({pair.layer for pair in made}) < len(made):
        message = "a layer of the reference can have one partner"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="pairs")
    return Pairing(tuple(sorted(made, key=lambda pair: order.index(pair.layer))))


def pair_layers(reference: Model, candidate: Model, globs: Sequence[str]) -> Pairing:
    """Partners by id among the layers that the patterns fit; without patterns, of all.

    A pattern that fits nothing in the reference is a NotFoundError.
    """
    partner = _inputs(reference, candidate)
    wanted = reference.match(globs or ["*"])
    folded_there = folded(reference, candidate)
    folded_here = folded(candidate, reference)
    pairs, alone = [], []
    for layer in wanted:
        other = partner.get(layer.id, layer.id)
        if other not in candidate.layers:
            alone.append(_alone(layer.id, folded_there, "not in the candidate"))
            continue
        reads = folded_there.get(layer.id, layer.id), folded_here.get(other, other)
        norm = next((r for r, p in zip(reads, (layer.id, other), strict=True) if r != p), "")
        note = f"compared after {norm}, which one side has folded in" if norm else ""
        pairs.append(Pair(layer.id, other, reads, note))
    taken = {pair.candidate for pair in pairs} | set(reference.layers) | set(partner.values())
    unmatched = [each for each in _matching(candidate, globs) if each not in taken]
    there = tuple(_alone(each, folded_here, "not in the reference") for each in unmatched)
    return Pairing(tuple(pairs), tuple(alone), there)


def folded(whole: Model, other: Model) -> dict[str, str]:
    """Convolutions of `whole` whose normalization is part of the same layer in `other`.

    From the convolution's id to the normalization's. In `other` the normalization is
    missing, or passes on the convolution's value and has no weights.
    """
    found = {}
    for norm in whole.layers.values():
        if norm.op != "batch_norm" or len(norm.producers) != 1 or not norm.weights:
            continue
        before = whole.layers.get(norm.producers[0])
        there = other.layers.get(norm.id)
        if (
            before is not None
            and before.weights
            and before.consumers == (norm.id,)
            and before.id in other.layers
            and (there is None or not there.weights)
        ):
            found[before.id] = norm.id
    return found


def _inputs(reference: Model, candidate: Model) -> Mapping[str, str]:
    """Ids of the reference's inputs to those of the candidate's, in their order."""
    names = [[each.name for each in model.inputs] for model in (reference, candidate)]
    return dict(zip(*names, strict=False))


def _matching(model: Model, globs: Sequence[str]) -> list[str]:
    """Ids that the patterns fit; nothing where a pattern fits nothing here."""
    found: set[str] = set()
    for glob in globs or ["*"]:
        found.update(i for i in fitting(glob, model.layers) if _comparable(model.layers[i]))
    return [each for each in model.layers if each in found]


def _comparable(layer: Layer) -> bool:
    return layer.output.dtype.is_floating_point and layer.kind is not LayerKind.INPUT


def _alone(layer: str, folds: Mapping[str, str], otherwise: str) -> Alone:
    into = next((before for before, norm in folds.items() if norm == layer), None)
    return Alone(layer, f"folded into {into}", folded=True) if into else Alone(layer, otherwise)
