"""The command `hooke`: starts a server, and asks one from the terminal.

Exit codes: 0; 1 where the call failed; 2 where the command was wrong; 130 where it
was interrupted. Errors are one line on standard error; with the usage where options are
wrong.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hooke.errors import HookeError

ADVICE = {
    "MODEL_NOT_FOUND": "'hooke models'",
    "LAYER_NOT_FOUND": "'hooke layers MODEL'",
    "LABEL_NOT_FOUND": "'hooke model MODEL --json'",
}
"""Commands that name what there is, by an error's reason; the server's words name its calls."""


def main() -> None:
    """Run the command line."""
    # Not above, so that importing this package loads nothing.
    from hooke.cli.app import app
    from hooke.errors import HookeError

    try:
        app()
    except (FileNotFoundError, IsADirectoryError) as error:
        fail(_told(error), 2)
    except (ValueError, TypeError, OverflowError) as error:
        fail(str(error), 2)
    except BrokenPipeError:  # the reader of a pipe had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        fail(_told(error), 1)
    except HookeError as error:
        fail(_advised(error), 1)
    except ImportError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def _told(error: OSError) -> str:
    """The system's words with the file's name, without its numbers."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _advised(error: HookeError) -> str:
    """An error of the server, with the command or option that helps."""
    if error.code == "DEADLINE_EXCEEDED" and not error.reason:
        return "no answer came within --timeout"
    told = str(error)
    advice = ADVICE.get(error.reason)
    return (
        f"{told}, as does {advice}"
        if advice and told.endswith(("names them", "names it"))
        else told
    )


def fail(message: str, code: int) -> None:
    """Say what is wrong in one line, and end."""
    line = " ".join(message.split())
    sys.stderr.write(f"hooke: {line}\n")
    sys.exit(code)
