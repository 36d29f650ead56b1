"""The Hooke server: loads models, shows what is inside, over gRPC.

python -m hooke_server --demo                        a server of its own
hooke_server.serve(module, example_input)            a live module of this process
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooke_server.serving import Serving, serve

# From 1.29 on ONNX Runtime's wheels tell Microsoft about each session, the model's file name and
# digests included. It reads this once, when it is loaded; here that has not happened yet.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Serving", "serve"]


def __getattr__(name: str) -> Any:
    """Import torch and the server only when they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hooke_server import serving

    return getattr(serving, name)
