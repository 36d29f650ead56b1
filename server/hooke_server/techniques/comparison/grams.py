"""Gram matrices of many layers of two models, from which every CKA between them follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hooke_server.techniques.comparison.passes import Duo, grouped
from hooke_server.techniques.comparison.similarity import Rows, Similarity, cka


@dataclass(frozen=True, slots=True)
class GramJob:
    """Layers of one side that are read together, each with the bytes that it holds."""

    side: int
    layers: tuple[tuple[str, int], ...]


def gram_jobs(
    duo: Duo, wanted: Sequence[Sequence[str]], similarity: Similarity, memory: int | None
) -> list[GramJob]:
    """Jobs for the layers wanted of either side."""
    jobs = []
    for number, side in enumerate((duo.reference, duo.candidate)):
        sizes = [
            (each, side.bytes_of(each, duo.part) + similarity.kept_bytes(side, each))
            for each in wanted[number]
        ]
        groups = grouped(sizes, lambda sized: sized[1], memory)
        jobs += [GramJob(number, tuple(group)) for group in groups]
    return jobs


class Grams:
    """The matrices by side (0 is the reference) and layer, as they become known."""

    def __init__(self, duo: Duo, similarity: Similarity) -> None:
        self._duo = duo
        self._similarity = similarity
        self._known: dict[tuple[int, str], Tensor | None] = {}
        self._rows: dict[str, Rows] = {}

    def keep(self, side: int, layer: str, matrix: Tensor | None) -> None:
        """Remember a matrix; None stands for a layer that has none."""
        self._known[side, layer] = matrix

    def run(self, job: GramJob, part: slice) -> None:
        """Read a part of the samples."""
        side = (self._duo.reference, self._duo.candidate)[job.side]
        for layer, value in side.run([each for each, _ in job.layers], part).items():
            if layer not in self._rows:
                spec = side.model.layer(layer)
                self._rows[layer] = Rows(spec, self._duo.samples, self._similarity)
            self._rows[layer].add(value)

    def close(self, job: GramJob) -> None:
        """All parts were read."""
        for layer, rows in self._rows.items():
            self.keep(job.side, layer, rows.gram())
        self._rows.clear()

    def similarity(self, layer: str, candidate: str) -> float | None:
        """CKA of a layer of the reference with one of the candidate."""
        here, there = self._known[0, layer], self._known[1, candidate]
        if here is None or there is None:
            return None
        return cka(here, there, unbiased=self._similarity.unbiased)
