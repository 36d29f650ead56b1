"""Asking methods of attribution, and measures of an answer, in tests, without a server."""

from hooke_server.techniques.attribution.case import Case
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.evidence import Evidence
from hooke_server.techniques.attribution.explaining import explain
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.plans import NO_EVIDENCE, Asked, AskedMethod, bind
from hooke_server.techniques.attribution.question import Answer, Question
from hooke_server.techniques.attribution.targets import Target
from hooke_server.techniques.frames import Array
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site


def unit(model, number, layer=None, position=()):
    return Item(site=Site(layer=layer or model.output_layer, unit=number, position=position))


def frames(
    model, inputs, name, targets=(), at=(), seed=0, rows=None, evidence=NO_EVIDENCE, **given
):
    """All that one method yields."""
    method = AskedMethod(name=name, globs=(at,) if isinstance(at, str) else tuple(at), given=given)
    asked = Asked(targets=tuple(targets), methods=(method,), seed=seed, evidence=evidence)
    inputs = inputs if isinstance(inputs, list | tuple) else [inputs]
    plan = bind(model, asked)
    cost = attribution_cost(model, plan, inputs, 2 << 30)
    return list(explain(model, inputs, plan, rows=rows or cost.rows))


def answer(model, inputs, name, targets=(), at=(), **given):
    """The array of one method at one place: [target, sample, ...]."""
    found = frames(model, inputs, name, targets, at, **given)
    [array] = [each for each in found if isinstance(each, Array) and each.name == name]
    return array.value


def judged(measure, model, inputs, values, *, number=0, seed=0, rows=16, **given):
    """What a measure finds of values that a test made up, at the input, for one unit.

    `again` is what is answered when the question is asked anew.
    """
    again, labels = given.pop("again", None), given.pop("labels", None)
    place, target = model.inputs[0].name, Target(site=unit(model, number).site)
    inquiry = Inquiry(model, [inputs], [target], [place], rows=rows, seed=seed)
    question = Question.of(inquiry, [place])

    def answered(inquiry):
        yield from ()
        return again

    found = Answer(place=question.places[0], values=values, labels=labels)
    measuring = measure(Case(question, found, Evidence(**given), (), True, answered))
    while True:
        try:
            next(measuring)
        except StopIteration as end:
            return end.value


def difference(one, other):
    """The largest difference, relative to the largest value."""
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max())
