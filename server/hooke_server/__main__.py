"""`python -m hooke_server`: serve until SIGTERM or SIGINT, then end in good order."""

from __future__ import annotations

import os
import sys

from hooke_server.settings import read_settings


def main() -> int:
    """Run the server; 1 if it could not start."""
    settings = read_settings(sys.argv[1:], os.environ)
    # Threads of torch that wait by spinning slow down whatever shares their cores;
    # OpenMP reads this once, when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from hooke_server.process import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
