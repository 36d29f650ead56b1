"""Which names a pattern fits."""

import os

import pytest

from hooke_server.models.patterns import fitting

NAMES = dict.fromkeys(["conv", "Conv", "block.conv", "block.x[0]", "block.x0", "relu:1"])


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("conv", ["conv"]),
        ("con", []),
        ("c*", ["conv"]),
        ("[cC]onv", ["conv", "Conv"]),
        ("block.*", ["block.conv", "block.x[0]", "block.x0"]),
        ("*conv", ["conv", "block.conv"]),
        ("block.x[0]", ["block.x[0]"]),  # a name first of all
        ("block.x[01]", ["block.x0"]),
        ("relu:?", ["relu:1"]),
        ("*", list(NAMES)),
        ("", []),
    ],
)
def test_what_fits(pattern, names):
    assert fitting(pattern, NAMES) == names


def test_case_counts_where_the_systems_paths_have_none(monkeypatch):
    """As on Windows, where `fnmatch.filter` says that `CONV` is `conv`."""
    monkeypatch.setattr(os.path, "normcase", str.lower)
    assert fitting("[C]*", NAMES) == ["Conv"]
