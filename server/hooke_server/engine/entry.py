"""What is known of a model at a moment."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from enum import StrEnum

from hooke_server.errors import HookeError, Reason, UnavailableError
from hooke_server.models.model import Model


class ModelState(StrEnum):
    """Where a model is in its life; as `hooke.v1.ModelState`."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model's name, source and state.

    `error` says why it is FAILED; `model` is there while it is READY or UNLOADING.
    """

    name: str
    source: str
    state: ModelState = ModelState.UNLOADED
    error: HookeError | None = None
    model: Model | None = None

    def loaded(self) -> Model:
        """The model; raises what its loading failed with."""
        if self.error is not None:
            raise copy.copy(self.error)  # each caller its own, with a traceback of its own
        if self.model is None:
            message = f"the model {self.name!r} is {self.state}; try again later"
            raise UnavailableError(Reason.MODEL_NOT_READY, message, model=self.name)
        return self.model
