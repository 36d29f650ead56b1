"""Methods that let only some of the gradient pass a rectifier on its way back."""

from __future__ import annotations

from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.backwards import RECTIFIERS, Backwards, gated, operation
from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress


def _guided(value: Tensor, result: Tensor, back: Tensor) -> Tensor:
    """What is positive, where the rectifier was open: where it passed the value on."""
    return back.clamp(min=0) * ((result == value) & (value > 0))


def _deconvolved(value: Tensor, result: Tensor, back: Tensor) -> Tensor:
    """What is positive, wherever the rectifier stood."""
    return back.clamp(min=0)


GUIDED = Backwards("guided", dict.fromkeys(RECTIFIERS, gated(_guided)))
DECONVOLVED = Backwards("deconvolved", dict.fromkeys(RECTIFIERS, gated(_deconvolved)))


def check_rectifiers(model: Model, field: str, **_: object) -> None:
    """Raise where a model has no rectifier, and so no other way back than its gradient."""
    nodes = model.given_graph().module.graph.nodes
    if not any(operation(node) in RECTIFIERS for node in nodes):
        raise FailedPreconditionError(
            Reason.TECHNIQUE_NOT_APPLICABLE,
            "it changes how gradients pass rectifiers (ReLU, ReLU6), and this model has none; use"
            " saliency or integrated_gradients",
            field=field,
        )


@method(
    title="Guided backpropagation",
    source="Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2014, "
    "https://arxiv.org/abs/1412.6806",
    effort=lambda **_: Effort(rows=1),
    check=check_rectifiers,
)
def guided_backpropagation(question: Question) -> Answers:
    """The gradient with all that is negative cut at each open rectifier.

    Sharp pictures of what excites a unit. They depend little on the class that is explained
    (Adebayo et al. 2018), so read them as what is there, not as why.
    """
    yield from _along(question, GUIDED)


@method(
    title="Deconvolution",
    source="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, "
    "https://arxiv.org/abs/1311.2901",
    effort=lambda **_: Effort(rows=1),
    check=check_rectifiers,
)
def deconvolution(question: Question) -> Answers:
    """What comes back where rectifiers are put on the way back, in place of the way forward."""
    yield from _along(question, DECONVOLVED)


def _along(question: Question, way: Backwards) -> Answers:
    """The answer is what comes back along another way, with its sign."""
    inquiry = question.inquiry
    total = len(question.places)
    for index, place in enumerate(question.places):
        passed = inquiry.differentiate(place.id, place.value, inquiry.samples, rewrite=way)
        yield Progress(step=index + 1, total=total)
        yield Answer(place=place, values=passed.gradients[place.id])
