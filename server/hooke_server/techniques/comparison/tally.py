"""What is summed up of one pair of layers while the samples pass."""

from __future__ import annotations

from torch import Tensor

from hooke_server.techniques.comparison.differences import Differences
from hooke_server.techniques.comparison.grams import Grams
from hooke_server.techniques.comparison.pairing import Pair
from hooke_server.techniques.comparison.passes import Duo
from hooke_server.techniques.comparison.similarity import Rows, Similarity, cka
from hooke_server.techniques.tables import Row


class Tally:
    """A pair's differences and its features.

    Attributes
    ----------
    differences : None where the values have other shapes.
    cka : known once its row was made; None where it cannot be told.
    """

    def __init__(self, duo: Duo, pair: Pair, tolerance: float, similarity: Similarity) -> None:
        self.pair = pair
        self.differences: Differences | None = Differences()
        self.cka: float | None = None
        self._tolerance = tolerance
        self._similarity = similarity
        sides = zip((duo.reference, duo.candidate), pair.reads, strict=True)
        enough = duo.samples >= similarity.least
        self._rows = [
            Rows(side.model.layer(layer), duo.samples, similarity, wanted=enough)
            for side, layer in sides
        ]
        self._notes = [pair.note] if pair.note else []
        if pair.candidate in duo.candidate.edited:
            self._notes.append("edited in the candidate")

    def add(self, reference: Tensor, candidate: Tensor) -> None:
        """Count in a part of the samples."""
        for rows, value in zip(self._rows, (reference, candidate), strict=True):
            rows.add(value)
        if self.differences is None:
            return
        shapes = list(reference.shape), list(candidate.shape)
        if shapes[0] != shapes[1]:
            self.differences = None
            self._notes.append(f"shapes differ: {shapes[0]} and {shapes[1]}")
        elif reference.is_complex() or candidate.is_complex():
            self.differences = None
            self._notes.append("complex numbers are not compared")
        else:
            self.differences.add(reference, candidate)

    def row(self, grams: Grams | None = None) -> Row:
        """The row of the table; Gram matrices are kept in `grams` for the map."""
        own = [rows.gram() for rows in self._rows]
        if own[0] is not None and own[1] is not None:
            self.cka = cka(own[0], own[1], unbiased=self._similarity.unbiased)
        for side, matrix in enumerate(own):
            if grams is not None:
                grams.keep(side, self.pair.reads[side], matrix)
        return (self.pair.layer, self.pair.candidate, *self._numbers(), self.cka, self._note())

    def _numbers(self) -> Row:
        found = self.differences
        if found is None:
            return (None,) * 5
        agrees = found.relative <= self._tolerance
        return agrees, found.relative, found.maximum, found.mean, found.cosine

    def _note(self) -> str | None:
        notes = list(self._notes)
        if self.differences is not None and any(self.differences.not_finite):
            here, there = self.differences.not_finite
            notes.append(f"not finite: {here} values of the reference, {there} of the candidate")
        return "; ".join(notes) or None
