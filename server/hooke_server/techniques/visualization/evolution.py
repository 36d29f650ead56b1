"""Climbing without gradients: separable CMA-ES, for models that can only be run.

Ros, Hansen: "A Simple Modification in CMA-ES Achieving Linear Time and Space
Complexity", PPSN 2008; by the library `cmaes`. Each picture is a search of its own; all
pictures' candidates of one number are looked at in one pass.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hooke_server.techniques.visualization.optimizers import Evaluate, Tensors

SPREAD = 1.0
"""Standard deviation of the first candidates, in units of the storage's coordinates."""

POPULATION = 24
"""Candidates of a generation."""


@dataclass(frozen=True, slots=True)
class Searches:
    """The state of a search for each entry of the batch, and the best candidate so far."""

    each: tuple[Any, ...]
    best: tuple[float, ...]

    @property
    def nbytes(self) -> int:
        """About the memory that they hold: five vectors each."""
        return sum(5 * 8 * search.dim for search in self.each)


@dataclass(frozen=True, slots=True)
class Evolution:
    """The optimizer; `seed` decides all candidates."""

    seed: int

    def rest(self, tensors: Tensors) -> Searches:
        """Searches that begin at the tensors."""
        from cmaes import SepCMA

        points = _flat(tensors)
        each = [SepCMA(mean=point, sigma=SPREAD, population_size=POPULATION) for point in points]
        return Searches(tuple(each), (-np.inf,) * len(each))

    def step(
        self, tensors: Tensors, memory: Any, evaluate: Evaluate, number: int
    ) -> tuple[Tensors, Any, Tensor]:
        """A generation; the tensors are the best candidates so far, values theirs."""
        searches = copy.deepcopy(memory.each)
        # Copies lose their generator; a seed for each step lets any step be gone on from.
        [seed] = np.random.SeedSequence([self.seed, number]).generate_state(1)
        for search in searches:
            search.reseed_rng(int(seed))
        candidates = [[search.ask() for search in searches] for _ in range(POPULATION)]
        with torch.no_grad():
            values = np.stack(
                [evaluate(_shaped(each, tensors)).cpu().double().numpy() for each in candidates]
            )
        points, best = _flat(tensors), list(memory.best)
        for entry, search in enumerate(searches):
            scores = [(candidates[k][entry], -values[k, entry]) for k in range(POPULATION)]
            search.tell(scores)
            top = int(values[:, entry].argmax())
            if values[top, entry] > best[entry]:
                best[entry], points[entry] = float(values[top, entry]), candidates[top][entry]
        return _shaped(points, tensors), Searches(tuple(searches), tuple(best)), torch.tensor(best)


def _flat(tensors: Tensors) -> list[np.ndarray[Any, Any]]:
    """One vector for each entry of the batch."""
    joined = torch.cat([tensor.detach().flatten(1) for tensor in tensors], dim=1)
    return list(joined.cpu().double().numpy())


def _shaped(points: list[np.ndarray[Any, Any]], like: Tensors) -> Tensors:
    rest = torch.from_numpy(np.stack(points)).float().to(like[0].device)
    tensors = []
    for tensor in like:
        size = tensor[0].numel()
        tensors.append(rest[:, :size].reshape(tensor.shape))
        rest = rest[:, size:]
    return tuple(tensors)
