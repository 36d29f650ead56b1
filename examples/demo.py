"""The main job from end to end, on a trained network and a photograph: `make demo`.

Starts a server with EfficientNet-Lite0, which a PyPI package brings, looks at its
layers, at what they say to a photograph of a cat, and at what one unit responds to;
writes pictures to demo/ and leaves nothing running.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

import hooke

MODEL = "demo"
MAPS = ["conv_stem", "blocks.1.1", "blocks.4.2"]
LAYER, UNIT = "blocks.4.2", 7
STEPS, SIZE = 256, 160
START_SECONDS = 180

OUTPUT = Path("demo")
LOG = OUTPUT / "server.log"

console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)


def main() -> None:
    """Everything, in the order in which it is told."""
    OUTPUT.mkdir(exist_ok=True)
    photograph = Path(shutil.copy(cat(), OUTPUT))
    with serving() as address, hooke.connect(address) as client:
        structure(client)
        classes(client, photograph)
        feature_maps(client, photograph)
        unit(client)
    console.rule("Done, and the server has ended")
    told = f"""\
The pictures stand in {OUTPUT}/: feature maps of {photograph.name}, and what a unit looks for.

How to go on: start a server
    .venv/bin/hooke serve --demo --model resnet=torchvision:resnet18
and open its page, which shows all of this and more, live:
    http://localhost:8080
or ask it from another terminal:
    .venv/bin/hooke models
    .venv/bin/hooke layers demo --kind block
    .venv/bin/hooke activations demo {photograph} --layer 'blocks.*' --reduce mean
    .venv/bin/hooke visualize demo --label 'tiger cat' --output cat.png
and in Python:
    import hooke
    with hooke.connect() as client:
        print(client.activations("demo", "{photograph}", layers="blocks.4.2"))"""
    console.print(told, soft_wrap=True)


@contextmanager
def serving(web_address: str = "off") -> Iterator[str]:
    """The address of a server of our own, on a free port, until the block ends."""
    OUTPUT.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hooke_server", "--demo", "--address", "localhost:0"]
    command += ["--web-address", web_address]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    with (
        LOG.open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment) as process,  # noqa: S603  # our own server
    ):
        try:
            with console.status("starting a server with EfficientNet-Lite0"):
                address = wait_until_ready(process)
            yield address
        finally:
            process.terminate()
            code = process.wait()
    if code != 0:
        raise SystemExit(
            f"the server ended with {code}; its last words:\n{LOG.read_text()[-2000:]}"
        )


def wait_until_ready(process: subprocess.Popen[bytes]) -> str:
    """The address, when the server is well and has the model."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if told := re.search(r"\b(localhost|127\.0\.0\.1):\d+", LOG.read_text()):
            with hooke.connect(told[0], timeout=START_SECONDS) as client:
                if client.serving() and client.layers(MODEL):
                    return told[0]
        time.sleep(0.1)
    raise SystemExit(f"the server did not start; its last words:\n{LOG.read_text()[-2000:]}")


def cat() -> Path:
    """A photograph that scikit-image ships."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("the demo needs its packages: pip install 'hooke[demo]'")
    return Path(spec.origin).parent / "data" / "chelsea.png"


def structure(client: hooke.Client) -> None:
    """Print the layer table: the blocks."""
    model = client.model(MODEL)
    console.rule(f"EfficientNet-Lite0: {model.layer_count} layers")
    console.print(
        f"{model.parameter_count:,} parameters, {model.macs:,} multiply-accumulates a picture,"
        f" {len(model.class_labels)} classes, on {model.device}"
    )
    table = Table("layer", "module", "output", box=None)
    for name in ("units", "parameters", "MACs", "sees"):
        table.add_column(name, justify="right")
    for layer in client.layers(MODEL, glob=["conv_*", "blocks.?.?", "classifier"]):
        size = " x ".join(map(str, layer.output.shape))
        facts = (layer.unit_count, layer.parameter_count, layer.macs)
        sees = " x ".join(f"{field.size}" for field in layer.receptive_fields)
        table.add_row(layer.id, layer.module_class, size, *(f"{n:,}" for n in facts), sees)
    console.print(table)


def classes(client: hooke.Client, photograph: Path) -> None:
    """Print what the network takes the photograph for."""
    console.rule(f"What is on {photograph.name}?")
    model = client.model(MODEL)
    logits = client.activations(MODEL, photograph, model.output_layer)[model.output_layer][0]
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    for index in np.argsort(-chances)[:5]:
        bar = "█" * round(40 * float(chances[index]))
        console.print(f"{model.class_labels[index]:>20} {chances[index]:6.1%} {bar}")


def feature_maps(client: hooke.Client, photograph: Path) -> None:
    """Write what some layers see as pictures, and print the same as numbers."""
    console.rule("What do the layers say to it?")
    pictures = hooke.Readout(layers=MAPS, feature_maps=hooke.FeatureMaps(max_units=16))
    means = hooke.Readout(layers=MAPS, reduce="mean")
    answer = client.activations(MODEL, photograph, [pictures, means])
    for layer, mean in answer.items():
        [picture] = answer.pictures[layer]
        file = picture.save(OUTPUT / f"{photograph.stem}-{layer}")
        best = int(mean[0].argmax())
        console.print(f"{layer:>10}: strongest of {mean.shape[1]} units is {best},", end=" ")
        console.print(f"mean {mean[0, best]:.3g}; {file}")


def unit(client: hooke.Client) -> None:
    """Make a picture of what one unit responds to, live."""
    console.rule(f"What does unit {UNIT} of {LAYER} respond to?")
    technique = hooke.FeatureVisualization(steps=STEPS, size=SIZE)
    frames = client.visualize(
        MODEL, layer=LAYER, unit=UNIT, technique=technique, preview_every=STEPS // 4
    )
    file = OUTPUT / f"{LAYER}-unit{UNIT}"
    with Bar(console=console) as bar:
        task = bar.add_task("gradient ascent from noise", total=STEPS)
        for frame in frames:
            match frame:
                case hooke.Progress():
                    bar.update(task, completed=frame.step)
                case hooke.Picture(final=False):
                    preview = frame.save(file.with_name(f"{file.name}-step{frame.step}.jpg"))
                    bar.console.print(f"preview after {frame.step} steps: {preview}")
                case hooke.Picture():
                    written = frame.save(file.with_name(f"{file.name}.png"))
                    bar.console.print(f"finished: {written}")
                case hooke.Result():
                    bar.console.print(
                        f"took {frame.duration:.1f} s on {frame.provenance.models[0].device}"
                    )


if __name__ == "__main__":
    main()
