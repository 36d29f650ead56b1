"""The command `hooke`: starts a server, and asks one from the terminal.

Exit codes: 0; 1 where the call failed; 2 where the command was wrong; 130 where it
was interrupted. Errors are one line on standard error.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line."""
    # Not above, so that importing this package loads nothing.
    from hooke.cli.app import app
    from hooke.errors import HookeError

    try:
        app()
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError) as error:
        fail(str(error), 2)
    except (HookeError, ImportError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def fail(message: str, code: int) -> None:
    """Say what is wrong in one line, and end."""
    line = " ".join(message.split())
    sys.stderr.write(f"hooke: {line}\n")
    sys.exit(code)
