"""A live module behind a server in a background thread, for notebooks and training scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING

from torch import Tensor, nn

from hooke_server.app import App
from hooke_server.loops import new_event_loop
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import Model
from hooke_server.rpc.names import check_model_id
from hooke_server.settings import Settings

if TYPE_CHECKING:
    from hooke_server.models.preprocessing import Preprocessing


def serve(
    model: nn.Module,
    example_input: Tensor | Sequence[Tensor],
    *,
    name: str = "model",
    address: str = "localhost:0",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> Serving:
    """Show a live module to Hooke's clients, until `close` or the end of the `with` block.

        with hooke_server.serve(net, torch.zeros(1, 3, 224, 224)) as serving:
            client = hooke.connect(serving.address)

    The weights are the module's own, so training shows. Nothing of the module is changed.

    Parameters
    ----------
    example_input : a tensor for each input, on the module's device.
    name : the id that clients see.
    address : `HOST:PORT` or `unix:PATH`; port 0 takes a free one.
    preprocessing : how pictures become the input, if clients will send pictures.
    labels : of the first output's units.

    Raises
    ------
    HookeError : if the name, the example or the module will not do.
    OSError : if the address cannot be had.
    """
    check_model_id(name, "name")
    loaded = load_live(model, example_input, preprocessing=preprocessing, labels=labels)
    return Serving(loaded, name=name, settings=Settings(address=address, drain_seconds=1.0))


class Serving:
    """A running server; a context manager.

    Attributes
    ----------
    address : where it listens.
    """

    def __init__(self, model: Model, *, name: str, settings: Settings) -> None:
        self._ended: Future[None] = Future()
        started: Future[str] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(model, name, settings, started), name="hooke", daemon=True
        )
        self._thread.start()
        self.address = started.result()

    def close(self) -> None:
        """Stop the server; what runs has a second to end."""
        if not self._ended.done():
            self._ended.set_result(None)
        self._thread.join()

    def __enter__(self) -> Serving:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<hooke serving on {self.address}>"

    def _run(self, model: Model, name: str, settings: Settings, started: Future[str]) -> None:
        async def main() -> None:
            app = App(settings)
            app.catalog.adopt(name, model)
            await app.start()
            started.set_result(app.address)
            await asyncio.wrap_future(self._ended)
            await app.stop()

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
