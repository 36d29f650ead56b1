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
from hooke_server.ports import web_missing
from hooke_server.rpc.names import check_model_id
from hooke_server.settings import Settings
from hooke_server.settings import web_address as web_address_of

if TYPE_CHECKING:
    from hooke_server.models.preprocessing import Preprocessing


def serve(
    model: nn.Module,
    example_input: Tensor | Sequence[Tensor],
    *,
    name: str = "model",
    address: str = "localhost:0",
    web_address: str = "off",
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
    web_address : `HOST:PORT` of the page, which needs the extra `web`, or `off`.
    preprocessing : how pictures become the input, if clients will send pictures.
    labels : of the first output's units.

    Raises
    ------
    HookeError : if the name, the example or the module will not do.
    ImportError : if a page is wanted and the extra `web` is not installed.
    OSError : if an address cannot be had.
    ValueError : if `web_address` is none.
    """
    check_model_id(name, "name")
    page = web_address_of(web_address)
    if page and (missing := web_missing()):
        raise ImportError(f"the page needs {', '.join(missing)}: pip install 'hooke[web]'")
    loaded = load_live(model, example_input, preprocessing=preprocessing, labels=labels)
    settings = Settings(address=address, web_address=page, drain_seconds=1.0)
    return Serving(loaded, name=name, settings=settings)


class Serving:
    """A running server; a context manager.

    Attributes
    ----------
    address : where it listens.
    page : the address of its page, or nothing.
    """

    def __init__(self, model: Model, *, name: str, settings: Settings) -> None:
        self._ended: Future[None] = Future()
        started: Future[App] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(model, name, settings, started), name="hooke", daemon=True
        )
        self._thread.start()
        app = started.result()
        self.address, self.page = app.address, app.page

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
        page = f", page at {self.page}" if self.page else ""
        return f"<hooke serving on {self.address}{page}>"

    def _run(self, model: Model, name: str, settings: Settings, started: Future[App]) -> None:
        async def main() -> None:
            app = App(settings)
            app.catalog.adopt(name, model)
            await app.start()
            started.set_result(app)
            await asyncio.wrap_future(self._ended)
            await app.stop()

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
