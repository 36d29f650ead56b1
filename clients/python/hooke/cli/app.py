"""The commands, each in a file of its own kind."""

from __future__ import annotations

import typer

from hooke.cli import (
    activations,
    attribute,
    compare,
    layers,
    models,
    serve,
    techniques,
    visualize,
)

app = typer.Typer(
    name="hooke",
    help="A microscope for neural networks.",
    epilog="Start with: hooke serve --demo, and in another terminal: hooke models",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("serve", context_settings={"ignore_unknown_options": True}, add_help_option=False)(
    serve.serve
)
for command in (
    models.models,
    models.model,
    layers.layers,
    layers.weights,
    activations.activations,
    attribute.attribute,
    visualize.visualize,
    techniques.techniques,
    compare.compare,
    compare.compare_weights,
    compare.match_units,
    models.load,
    models.unload,
    models.health,
):
    app.command()(command)
app.callback(invoke_without_command=True)(serve.about)
