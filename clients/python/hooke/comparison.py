"""Two models side by side: requests, and the answer as tables, pictures and findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from hooke.edits import Edits, edit_messages
from hooke.errors import DataLossError
from hooke.frames import Frame, Picture, Result, Tensor
from hooke.inputs import INLINE_BYTES, Inputs, inline, prepare, size
from hooke.messages import check_options, listed, model_name, number
from hooke.readout import IMAGE_FORMAT
from hooke.tables import Finding, Table, joined
from hooke.v1 import comparison_service_pb2 as pb

if TYPE_CHECKING:
    from hooke.connection import Connection

_FEATURES = pb.DESCRIPTOR.enum_types_by_name["FeatureForm"]

Watch = Callable[[Frame], object]
"""Called with each frame as it comes: progress, rows, pictures, findings."""

Pairs = Mapping[str, str] | Iterable[tuple[str, str]]
"""Ids of layers of the reference, each with one of the candidate."""


class CandidateOptions(TypedDict, total=False):
    """What the candidate gets, where that is not what the reference gets, and how it is edited.

    candidate_inputs : inputs of its own, as many samples.
    same_tensors : whether it gets the very tensors that the reference gets, pictures as the
        reference prepares them; else each model prepares pictures as it declares.
    candidate_edits : changes to what its layers yield; see `hooke.edits`. With the same model
        as the reference: what an edit changes downstream.
    """

    candidate_inputs: Inputs
    same_tensors: bool
    candidate_edits: Edits


class CompareOptions(CandidateOptions, total=False):
    """Options of `Client.compare`.

    pairs : layers to compare by name, in place of those of equal ids.
    tolerance : largest difference, as a share of a layer's largest value, that still agrees.
    features : what CKA compares, `pooled` over positions or `flattened`.
    unbiased : whether CKA is estimated without bias; takes 4 samples.
    map : layers of the candidate, ids or patterns, that all are compared with by CKA.
    format : of the pictures: `png`, `jpeg` or `webp`.
    watch : called with each frame as it comes.
    """

    pairs: Pairs
    tolerance: float | None
    features: str
    unbiased: bool
    map: str | Iterable[str] | None
    format: str | None
    watch: Watch | None


class MatchOptions(CandidateOptions, total=False):
    """Options of `Client.match_units`.

    candidate_layer : where it is not the same as `layer`.
    absolute : whether a unit and its negative are partners.
    correlations : whether the correlation of every unit with every other is wanted.
    format : of the picture: `png`, `jpeg` or `webp`.
    watch : called with each frame as it comes.
    """

    candidate_layer: str | None
    absolute: bool
    correlations: bool
    format: str | None
    watch: Watch | None


@dataclass(kw_only=True)
class Compared:
    """What a comparison found.

    Attributes
    ----------
    table : a row for each layer, weight or unit.
    findings : what follows, in words.
    pictures : by name: `errors`, `cka`, `changes`, `correlation`.
    tables : all of them by name; a map is `tables["cka"]`.
    correlations : of every unit with every other, where they were asked for.
    """

    table: Table
    findings: list[Finding]
    pictures: dict[str, Picture] = field(repr=False)
    tables: dict[str, Table] = field(repr=False)
    correlations: np.ndarray | None = field(default=None, repr=False)
    result: Result = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(f"{finding.text}." for finding in self.findings)

    def finding(self, kind: str) -> Finding | None:
        """The finding of that kind, if there is one: `first_divergence`, `recovered`, ..."""
        return next((each for each in self.findings if each.kind == kind), None)

    @property
    def first_divergence(self) -> str | None:
        """The first layer that diverges so that it shows later on; None where all agrees."""
        finding = self.finding("first_divergence")
        return finding.locations[0].layer if finding else None

    def cka(self) -> np.ndarray:
        """The map of all layers with all, where it was asked for; NaN where there is no value."""
        rows = [row[1:] for row in self.tables["cka"].rows]
        return np.array(rows, dtype=float)


class Comparing:
    """The calls of a client that compare models."""

    _connection: Connection

    def compare(
        self,
        reference: str,
        candidate: str,
        inputs: Inputs,
        layers: str | Iterable[str] | None = None,
        **options: Unpack[CompareOptions],
    ) -> Compared:
        """What the layers of two models say to the same inputs, and where they part.

        Parameters
        ----------
        inputs : of both; see `hooke.inputs`. They must fit into a message, 3.5 MB.
        layers : ids or patterns; by default all that have a partner of the same id.
        options : inputs and edits of the candidate, pairs, tolerance, similarity; see
            `CompareOptions`.
        """
        return _answer(
            self._connection.compute(
                _compare_request(reference, candidate, inputs, layers, options)
            ),
            options.get("watch"),
        )

    def compare_weights(
        self,
        reference: str,
        candidate: str,
        weights: str | Iterable[str] | None = None,
        *,
        format: str | None = None,  # noqa: A002  # as elsewhere
        watch: Watch | None = None,
    ) -> Compared:
        """What differs between the weights of two models, of two checkpoints for instance.

        `weights` are names or patterns; by default all.
        """
        request = pb.CompareWeightsRequest(
            reference=model_name(reference),
            candidate=model_name(candidate),
            weight_globs=listed(weights),
        )
        _set_format(request, format)
        return _answer(self._connection.compute(request), watch)

    def match_units(
        self,
        reference: str,
        candidate: str,
        inputs: Inputs,
        layer: str,
        **options: Unpack[MatchOptions],
    ) -> Compared:
        """Which unit of a layer does what a unit of another model's layer does.

        Parameters
        ----------
        inputs : of both, the more the better; correlations are taken over them.
        layer : its id, in both unless `candidate_layer` says otherwise.
        options : see `MatchOptions`.
        """
        check_options(options, MatchOptions.__annotations__)
        request = pb.MatchUnitsRequest(
            reference=model_name(reference),
            candidate=model_name(candidate),
            layer_id=layer,
            candidate_layer_id=options.get("candidate_layer"),
            absolute=options.get("absolute", False),
            include_correlations=options.get("correlations", False),
        )
        _set_inputs(request, inputs, candidate, options)
        _set_format(request, options.get("format"))
        return _answer(self._connection.compute(request), options.get("watch"))


def _compare_request(
    reference: str,
    candidate: str,
    inputs: Inputs,
    layers: str | Iterable[str] | None,
    options: CompareOptions,
) -> pb.CompareActivationsRequest:
    check_options(options, CompareOptions.__annotations__)
    pairs = options.get("pairs") or ()
    named = pairs.items() if isinstance(pairs, Mapping) else pairs
    similarity = pb.SimilarityOptions(
        unbiased=options.get("unbiased", False), map_globs=listed(options.get("map"))
    )
    if features := options.get("features"):
        similarity.features = number(_FEATURES, features, "features")
    request = pb.CompareActivationsRequest(
        reference=model_name(reference),
        candidate=model_name(candidate),
        layer_globs=listed(layers),
        pairs=[pb.LayerPair(layer_id=a, candidate_layer_id=b) for a, b in named],
        tolerance=options.get("tolerance"),
        similarity=similarity,
    )
    _set_inputs(request, inputs, candidate, options)
    _set_format(request, options.get("format"))
    return request


def _set_inputs(
    request: pb.CompareActivationsRequest | pb.MatchUnitsRequest,
    inputs: Inputs,
    candidate: str,
    options: CandidateOptions,
) -> None:
    prepared = prepare(inputs)
    own = prepare(options["candidate_inputs"]) if "candidate_inputs" in options else {}
    edits = edit_messages(options.get("candidate_edits", ()), candidate)
    total = size(prepared) + size(own) + sum(each.ByteSize() for each in edits)
    if total > INLINE_BYTES:
        raise ValueError(
            f"these inputs and edits have {total} bytes, and {INLINE_BYTES} fit into a request;"
            " give fewer samples, or pictures as JPEG files"
        )
    request.inputs.extend(inline(prepared))
    request.candidate_inputs.extend(inline(own))
    request.same_tensors = options.get("same_tensors", False)
    request.candidate_edits.extend(edits)


def _set_format(
    request: pb.CompareActivationsRequest | pb.CompareWeightsRequest | pb.MatchUnitsRequest,
    wanted: str | None,
) -> None:
    if wanted:
        request.format = number(IMAGE_FORMAT, wanted, "format")


def _answer(frames: Iterable[Frame], watch: Watch | None) -> Compared:
    kept = list(_watched(frames, watch))
    tables = {table.name: table for table in joined(kept)}
    tensors = [each.real for each in kept if isinstance(each, Tensor)]
    result = kept[-1]
    if not tables or not isinstance(result, Result):
        raise DataLossError("the server sent no table")
    return Compared(
        table=next(iter(tables.values())),
        findings=[each for each in kept if isinstance(each, Finding)],
        pictures={each.name: each for each in kept if isinstance(each, Picture)},
        tables=tables,
        correlations=tensors[0] if tensors else None,
        result=result,
    )


def _watched(frames: Iterable[Frame], watch: Watch | None) -> Iterator[Frame]:
    for frame in frames:
        if watch is not None:
            watch(frame)
        yield frame
