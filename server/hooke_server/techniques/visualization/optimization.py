"""Many pictures, climbing in batches that fit into memory.

    run = Optimization(view, subjects, ascent)
    for frame in run:  # Progress, previews as Picture, and a Finished for each picture
        yield Picture(...) if isinstance(frame, Finished) else frame
    yield run.result()

All subjects of a batch share each forward pass. The states of all batches stand in
`view.control.states`, from where a later run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from hooke_server.techniques.frames import Frames, Picture, Progress, Result
from hooke_server.techniques.overlays import to_pixels
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.visualization import redirection
from hooke_server.techniques.visualization.ascent import Ascent, Precision, gradient_free
from hooke_server.techniques.visualization.climbing import Climb, climb, start
from hooke_server.techniques.visualization.cost import batches, penalized
from hooke_server.techniques.visualization.images import (
    Canvas,
    Image,
    ImageParameterization,
    make_image,
)
from hooke_server.techniques.visualization.optimizers import Adam, Tensors
from hooke_server.techniques.visualization.sight import Sight, Size, Subject, channels, compared
from hooke_server.techniques.visualization.storages import enlarged
from hooke_server.techniques.visualization.transforms import TransformSequence

COARSE = 8
MIN_COARSE = 8
"""How much coarser pictures are that climb without gradients, and their smallest edge."""

BACKGROUND_DEVIATION = 0.5
"""Of the noise that is seen through transparent places, as in Lucid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A picture that has climbed: [channels (and opacity), height, width] in 0..1.

    `objective` is measured on itself, without transforms.
    """

    subject: Subject
    sample: int
    picture: Tensor
    objective: float
    step: int
    alpha: bool = False

    def frame(self, name: str = "feature", caption: str = "") -> Picture:
        """As a frame."""
        return Picture(
            name=name,
            pixels=to_pixels(self.picture, alpha=self.alpha),
            site=self.subject.site,
            item=self.subject.item,
            sample=self.sample if self.subject.numbered else None,
            step=self.step,
            objective=self.objective,
            caption=caption or self.subject.caption,
        )


class Optimization:
    """A run over subjects; iterate it once.

    Parameters
    ----------
    size : height and width of the pictures; by default a square, or the shape of the
        picture to start from.
    model : index of the model that sees them.
    first_noise : all begin with the noise of an item's first picture, so that what
        differs between them is what they are made for.
    stage : which of `stages` optimizations of the same run this is.
    """

    def __init__(
        self,
        view: View,
        subjects: Sequence[Subject],
        ascent: Ascent,
        *,
        size: Size | None = None,
        model: int = 0,
        stage: int = 0,
        stages: int = 1,
        first_noise: bool = False,
    ) -> None:
        self._view = view
        self._model = view.models[model]
        self._ascent = ascent
        self._size = size or ascent.picture_size()
        self._batches = batches(view, self._model, penalized(subjects, ascent), ascent, self._size)
        self._stage, self._stages = stage, stages
        self._first_noise = first_noise
        self._reduced: bool | None = (
            None
            if ascent.precision is Precision.QUICKER
            else (ascent.precision is Precision.BFLOAT16)
        )
        self._references: dict[Photograph, Tensor] = {}
        self._objectives: list[float] = []
        self._steps: list[int] = []
        self.complete = True

    def __iter__(self) -> Iterator[Progress | Picture | Finished]:
        """Climb, batch by batch; stops early where the view's time is used up."""
        yield from self._compared_with()
        for number, batch in enumerate(self._batches):
            if self._view.control.expired():
                self.complete = False
                return
            yield from self._climb(number, batch)

    def _compared_with(self) -> Iterator[Progress]:
        """Decode what objectives compare with, one picture between two items."""
        wanted = compared(subject for batch in self._batches for subject in batch)
        for number, each in enumerate(wanted):
            if number:
                told = f"{number} of {len(wanted)} pictures are decoded"
                yield Progress(step=0, total=self._ascent.steps, message=told)
            picture = each.cropped(self._size, channels(self._model))
            self._references[each] = picture.to(self._model.device)

    def frames(self, name: str = "feature") -> Frames:
        """All frames of a technique that does nothing else, its pictures under that name."""
        for frame in self:
            yield frame.frame(name) if isinstance(frame, Finished) else frame
        yield self.result()

    def result(self, **metrics: float) -> Result:
        """The result of a run that was this alone."""
        reached = self._objectives
        if reached:
            metrics = {"objective": sum(reached) / len(reached), **metrics}
        metrics = {"steps": self.steps, **metrics}
        return Result(metrics=metrics, complete=self.complete)

    @property
    def steps(self) -> int:
        """Steps that every finished picture has climbed; 0 where there is none."""
        return min(self._steps, default=0)

    def _climb(
        self, number: int, batch: Sequence[Subject]
    ) -> Iterator[Progress | Picture | Finished]:
        image, generator = self._image(batch), torch.Generator().manual_seed(self._view.seed)
        sight = self._sight(batch, reduced=self._is_reduced(batch, image))
        optimizer = self._ascent.optimizer_for(self._model, self._view.seed)
        key = f"{self._stage}.{number}.{len(batch)}"
        begin = self._view.control.states.get(key) or start(optimizer, image.start, generator)
        at = begin
        evaluate = partial(self._evaluate, sight, image, generator)
        for at in climb(optimizer, evaluate, begin, generator, self._ascent.steps):
            self._view.control.states[key] = at
            yield self._progress(number, batch, at)
            if self._view.previews.due(at.step) and at.step < self._ascent.steps:
                yield from self._previews(image, batch, at)
            if self._view.control.expired():
                self.complete = self.complete and at.step >= self._ascent.steps
                break
        yield from self._finished(sight, image, batch, at)

    def _sight(self, batch: Sequence[Subject], *, reduced: bool) -> Sight:
        seen = self._references
        return Sight(self._model, batch, self._size, reduced=reduced, references=seen)

    def _evaluate(
        self, sight: Sight, image: Image, generator: torch.Generator, tensors: Tensors, *, step: int
    ) -> Tensor:
        pictures = image.render(*tensors)
        redirected = step <= redirection.STEPS
        looks = []
        for _ in range(self._ascent.transforms.copies):
            behind = self._background(generator)
            change = drawn(self._ascent.transforms, generator)
            looks.append(sight(pictures, change, background=behind, redirected=redirected))
        return torch.stack(looks).mean(0) if len(looks) > 1 else looks[0]

    def _background(self, generator: torch.Generator) -> Tensor | None:
        if not self._ascent.image.alpha:
            return None
        seed = int(torch.randint(2**62, (), generator=generator))
        wanted = ImageParameterization(deviation=BACKGROUND_DEVIATION)
        noise = make_image(wanted, self._canvas([0], [0], seed))
        return noise.render(*noise.start)

    def _image(self, batch: Sequence[Subject]) -> Image:
        samples = [0 if self._first_noise else n for s in batch for n in s.samples]
        items = [s.item for s in batch for _ in s.samples]
        canvas = self._canvas(samples, items, self._view.seed)
        if not gradient_free(self._ascent, self._model):
            return make_image(self._ascent.image, canvas)
        # A search without gradients gets nowhere in tens of thousands of coordinates.
        height, width = (max(MIN_COARSE, edge // COARSE) for edge in self._size)
        coarse = make_image(self._ascent.image, replace(canvas, height=height, width=width))
        return Image(coarse.start, lambda *tensors: enlarged(coarse.render(*tensors), self._size))

    def _canvas(self, samples: Sequence[int], items: Sequence[int], seed: int) -> Canvas:
        height, width = self._size
        return Canvas(
            height=height,
            width=width,
            channels=channels(self._model),
            samples=samples,
            items=items,
            seed=seed,
            device=self._model.device,
        )

    def _progress(self, number: int, batch: Sequence[Subject], at: Climb) -> Progress:
        steps, done = self._ascent.steps, sum(len(each) for each in self._batches[:number])
        own = steps * len(self._batches)
        return Progress(
            step=own * self._stage + steps * number + at.step,
            total=own * self._stages,
            objective=sum(at.values) / len(at.values),
            items_done=done + (len(batch) if at.step == steps else 0),
            total_items=sum(len(each) for each in self._batches),
        )

    def _previews(self, image: Image, batch: Sequence[Subject], at: Climb) -> Iterator[Picture]:
        with torch.no_grad():
            pictures = image.render(*at.tensors)
        for finished in self._each(batch, pictures, at.values, at.step):
            yield replace(finished.frame(), final=False)

    def _finished(
        self, sight: Sight, image: Image, batch: Sequence[Subject], at: Climb
    ) -> Iterator[Finished]:
        with torch.no_grad():
            pictures = image.render(*at.tensors)
            reached = sight(pictures).tolist()
        self._objectives += reached
        self._steps.append(at.step)
        yield from self._each(batch, pictures, reached, at.step)

    def _each(
        self, batch: Sequence[Subject], pictures: Tensor, values: Sequence[float], step: int
    ) -> Iterator[Finished]:
        entries = ((subject, sample) for subject in batch for sample in subject.samples)
        for (subject, sample), picture, value in zip(entries, pictures, values, strict=True):
            yield Finished(
                subject=subject,
                sample=sample,
                picture=picture,
                objective=value,
                step=step,
                alpha=self._ascent.image.alpha,
            )

    def _is_reduced(self, batch: Sequence[Subject], image: Image) -> bool:
        """Whether bfloat16 is used; where it shall be if quicker, by the time of a step each."""
        if self._reduced is None:
            times = {}
            for reduced in (False, True):
                sight = self._sight(batch, reduced=reduced)
                generator = torch.Generator().manual_seed(0)
                step = partial(self._evaluate, sight, image, generator, step=redirection.STEPS + 1)
                for _ in range(2):  # the first warms up
                    began = time.perf_counter()
                    Adam(0.0).step(image.start, Adam(0.0).rest(image.start), step, 1)
                    times[reduced] = time.perf_counter() - began
            self._reduced = times[True] < times[False]
        return self._reduced


def drawn(transforms: TransformSequence, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """The transforms of one look."""
    return lambda pictures: transforms(pictures, generator)
