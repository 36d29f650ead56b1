"""Methods that look at the gradient where the sample is: one pass serves them all."""

from __future__ import annotations

from typing import Annotated

from hooke_server.techniques.attribution.method import Effort, method
from hooke_server.techniques.attribution.question import Answer, Answers, Question
from hooke_server.techniques.frames import Progress


@method(
    title="Saliency",
    source="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, "
    "https://arxiv.org/abs/1312.6034",
    effort=lambda **_: Effort(rows=1, shared=True),
)
def saliency(
    question: Question,
    *,
    absolute: Annotated[bool, "Without its sign, as in the paper."] = True,
) -> Answers:
    """The gradient of the target: how fast it would change with each number."""
    gradients = question.inquiry.gradients.gradients
    yield Progress(step=1, total=1)
    for place in question.places:
        values = gradients[place.id]
        yield Answer(place=place, values=values.abs() if absolute else values)


@method(
    title="Input x gradient",
    source="Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a Black Box, 2016, "
    "https://arxiv.org/abs/1605.01713",
    effort=lambda **_: Effort(rows=1, shared=True),
)
def input_x_gradient(question: Question) -> Answers:
    """Value times gradient: to first order, by how much the target would fall without it.

    Exact where the network is linear; at a layer, activation times gradient.
    """
    gradients = question.inquiry.gradients.gradients
    yield Progress(step=1, total=1)
    for place in question.places:
        yield Answer(place=place, values=gradients[place.id] * place.value)
