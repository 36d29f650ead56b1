"""Lucent 0.1.8 as a peer: the last release, made to run with today's kornia.

It is published with requirements that exclude today's packages, so `make bench` installs it
without them; two functions that kornia has moved since are put back where it looks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch


def render(network: torch.nn.Module, objective: str, *, steps: int, size: int, seen: int) -> Any:
    """A picture [size, size, 3] in 0..1 by Lucent's own recipe and defaults.

    Parameters
    ----------
    objective : `layer:unit`, the layer with underscores.
    seen : edge that the picture has when the network sees it; by default Lucent resizes to 224.
    """
    vis, param = _lucent()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [picture] = vis.render_vis(
            network,
            objective,
            lambda: param.image(size),
            thresholds=(steps,),
            progress=False,
            show_image=False,
            fixed_image_size=seen,
        )
    forget_hooks(network)
    return picture[0]


def forget_hooks(network: torch.nn.Module) -> None:
    """Lucent leaves a hook at each module at each call, which slows the next one."""
    for module in network.modules():
        module._forward_hooks.clear()


def _lucent() -> tuple[Any, Any]:
    import kornia
    from kornia.geometry import transform

    moved: dict[str, Callable[..., Any]] = {
        "get_rotation_matrix2d": transform.get_rotation_matrix2d,
        "warp_affine": transform.warp_affine,
    }
    for name, function in moved.items():
        setattr(kornia, name, function)
    from lucent.optvis import param
    from lucent.optvis import render as vis

    return vis, param
