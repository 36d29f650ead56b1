"""Where two models part, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hooke_server.models.layer import LayerKind
from hooke_server.models.model import Model
from hooke_server.techniques.comparison.differences import Differences
from hooke_server.techniques.comparison.influence import Influence
from hooke_server.techniques.comparison.lineage import Lineage
from hooke_server.techniques.comparison.pairing import Pairing
from hooke_server.techniques.comparison.tally import Tally
from hooke_server.techniques.tables import Finding
from hooke_server.techniques.targets import Site

FADING = 100
"""How many times smaller a relative error is where a difference is gone."""

NAMED = 5
"""Layers that a sentence names before it only counts them."""


class Verdict:
    """What follows from all compared layers of a reference, in running order.

    A difference *reaches on* unless all that is computed from the layer agrees, and by far
    better than the layer itself, so that it is gone and has not just faded on its way.
    """

    def __init__(
        self,
        reference: Model,
        compared: Sequence[Tally],
        tolerance: float,
        influence: Influence,
    ) -> None:
        self._reference = reference
        self._tolerance = tolerance
        self._influence = influence
        self._differences = {
            each.pair.layer: each.differences for each in compared if each.differences
        }
        self._pairs = {each.pair.layer: each.pair for each in compared}
        self._lineage = Lineage(reference, self._differences)
        self._reaching = self._reach()

    @property
    def diverging(self) -> list[str]:
        """Layers beyond the tolerance."""
        return [each for each, found in self._differences.items() if not self._agrees(found)]

    @property
    def first(self) -> str | None:
        """The first layer whose difference reaches on; of those of one value the edited one."""
        reaching = [each for each in self.diverging if self._reaching[each]]
        if not reaching:
            return None
        edited = self._influence.at(self._pairs[reaching[0]].reads[1])
        here = (each for each in reaching if self._pairs[each].candidate in edited)
        return next(here, reaching[0])

    @property
    def recovered(self) -> list[str]:
        """Layers beyond the tolerance whose difference does not reach on."""
        return [each for each in self.diverging if not self._reaching[each]]

    def findings(self, pairing: Pairing) -> list[Finding]:
        """Everything that is to be told."""
        first = self.first
        found = [self._agreement() if first is None else self._divergence(first)]
        if self._influence:
            found.append(self._effect(first))
        if recovered := self.recovered:
            verb = "differs" if len(recovered) == 1 else "differ"
            text = (
                f"{_listed(recovered)} {verb}, but the difference is gone from what is computed"
                f" after: {self._recovery(recovered)}"
            )
            found.append(Finding(kind="recovered", text=text, sites=_sites(recovered)))
        here = [each.layer for each in pairing.alone if not each.folded]
        there = [each.layer for each in pairing.alone_in_candidate if not each.folded]
        if here or there:
            found.append(_without_partner(here, there))
        return found

    def _agrees(self, found: Differences) -> bool:
        return found.relative <= self._tolerance  # NaN does not

    def _reach(self) -> Mapping[str, bool]:
        reaching: dict[str, bool] = {}
        for layer in reversed(self._differences):
            # What reads a layer runs after it; a block has the value of a layer inside it.
            readers = [each for each in self._lineage.readers(layer) if each in reaching]
            gone = bool(readers) and all(self._ends(layer, each, reaching) for each in readers)
            reaching[layer] = not gone and not self._agrees(self._differences[layer])
        return reaching

    def _ends(self, layer: str, reader: str, reaching: Mapping[str, bool]) -> bool:
        """Whether a difference does not show in a reader: it is gone, not just faded."""
        found = self._differences[reader]
        if not self._agrees(found):
            return not reaching[reader]
        return not found.relative * FADING > self._differences[layer].relative

    def _agreement(self) -> Finding:
        agreeing = {k: each.relative for k, each in self._differences.items() if self._agrees(each)}
        if not agreeing:
            return Finding(kind="agreement", text="no layer could be compared")
        worst = max(agreeing, key=agreeing.__getitem__)
        text = (
            f"{len(agreeing)} of {len(self._differences)} compared layers agree, and no difference"
            f" reaches the end. The largest where they agree is {agreeing[worst]:.2g} of the"
            f" layer's largest value, at {worst}"
        )
        return Finding(kind="agreement", text=text, sites=_sites([worst]))

    def _divergence(self, layer: str) -> Finding:
        pair, found = self._pairs[layer], self._differences[layer]
        name = f"{layer} ({pair.note})" if pair.note else layer
        text = f"{name} is the first layer that diverges: {_size(found)}. {self._origin(layer)}"
        sites = (*_sites([layer]), Site(layer=pair.candidate, model=1))
        return Finding(kind="first_divergence", text=text, sites=sites)

    def _origin(self, layer: str) -> str:
        edits = self._edits_upon(layer)
        if self._reference.layers[layer].kind is LayerKind.INPUT:
            if edits:
                return "It is an input, and edited in the candidate"
            return (
                "It is an input: the two models do not get the same. Where each prepares"
                " pictures in its own way, give both the same tensors"
            )
        if not self._influence:
            return self._descent(layer)
        if not edits:
            return f"No edit reaches it. {self._descent(layer)}"
        if self._influence.at(self._pairs[layer].reads[1]):
            return f"It is edited in the candidate. {self._descent(layer, suspected=False)}"
        return f"The {_edit_of(edits)} reaches it. {self._descent(layer, suspected=False)}"

    def _edits_upon(self, layer: str) -> tuple[str, ...]:
        """The edited layers that may be why a layer differs."""
        return self._influence.upon(self._pairs[layer].reads[1])

    def _descent(self, layer: str, *, suspected: bool = True) -> str:
        """What a layer is computed from; `suspected` says that nothing but it can be wrong."""
        sources = self._lineage.sources(layer)
        if not sources:
            return "Nothing that it is computed from was compared"
        told = ", ".join(f"{each} ({self._differences[each].relative:.1e})" for each in sources)
        if all(self._agrees(self._differences[each]) for each in sources):
            conclusion = ", so look at this layer itself" if suspected else ""
            return f"It is computed from {told}, which agrees{conclusion}"
        return f"It is computed from {told}"

    def _recovery(self, recovered: Sequence[str]) -> str:
        """Why differences may not reach on."""
        order = "one side may take the same steps in another order"
        edits = tuple(dict.fromkeys(e for each in recovered for e in self._edits_upon(each)))
        if not edits:
            return order
        said = f"the {_edit_of(edits)} shows no further"
        return said if all(map(self._edits_upon, recovered)) else f"{said}, or {order}"

    def _effect(self, first: str | None) -> Finding:
        """How much edits change of what they reach; `first` is the first that diverges."""
        edits = _edit_of(self._influence.layers)
        reached = [each for each in self._differences if self._edits_upon(each)]
        if not reached:
            return Finding(kind="effect", text=f"no layer that the {edits} reaches was compared")
        differing = sum(not self._agrees(self._differences[each]) for each in reached)
        text = (
            f"{differing} of the {len(reached)} compared layers that the {edits} reaches differ by"
            " more than the tolerance"
        )
        errors = {each: self._differences[each].relative for each in reached}
        sizes = {each: math.inf if math.isnan(size) else size for each, size in errors.items()}
        most = max(reached, key=lambda each: (sizes[each], each == first))
        told = [most]
        text += f", most of all {most}, by {sizes[most]:.3g} of its largest value"
        if (output := self._reference.output_layer) in sizes and output != most:
            told.append(output)
            text += f"; the output {output} differs by {sizes[output]:.3g} of its largest value"
        return Finding(kind="effect", text=text, sites=_sites(told))


def _size(found: Differences) -> str:
    if math.isnan(found.maximum):
        bad = " and ".join(
            f"{count} in the {side}"
            for side, count in zip(("reference", "candidate"), found.not_finite, strict=True)
            if count
        )
        return f"it holds values that are no finite numbers, {bad}"
    return (
        f"the largest difference is {found.maximum:.3g}, {found.relative:.3g} times its largest"
        f" value {found.peak:.3g}; the mean difference is {found.mean:.3g}"
    )


def _without_partner(here: Sequence[str], there: Sequence[str]) -> Finding:
    said = []
    if here:
        said.append(f"{_listed(here)} of the reference")
    if there:
        said.append(f"{_listed(there)} of the candidate")
    verb = "has" if len(here) + len(there) == 1 else "have"
    sites = _sites(here) + tuple(Site(layer=each, model=1) for each in there)
    text = f"{' and '.join(said)} {verb} no partner and could not be compared"
    return Finding(kind="without_partner", text=text, sites=sites)


def _edit_of(layers: Sequence[str]) -> str:
    return f"edit of {_listed(layers)}"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more layers"


def _sites(layers: Sequence[str]) -> tuple[Site, ...]:
    return tuple(Site(layer=each) for each in layers)
