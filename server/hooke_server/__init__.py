"""The Hooke server: loads models, shows what is inside, over gRPC.

python -m hooke_server --demo                        a server of its own
hooke_server.serve(module, example_input)            a live module of this process
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooke_server.serving import Serving, serve

__all__ = ["Serving", "serve"]


def __getattr__(name: str) -> Any:
    """Import torch and the server only when they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hooke_server import serving

    return getattr(serving, name)
