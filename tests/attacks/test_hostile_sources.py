"""Names of files that lead elsewhere."""

import os
import threading
from pathlib import Path

import pytest

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, Reason
from hooke_server.models.limits import Limits
from hooke_server.models.sources import Roots, _open_below, parse_source


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret.onnx").write_bytes(b"secret")
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "inner" / "model.onnx").write_bytes(b"model")
    return tmp_path / "root"


def copied(root, name):
    with Roots([root]).private_copy(name) as path:
        return path.read_bytes(), path.suffix


def test_a_plain_file_is_copied(root):
    with Roots([root]).private_copy("inner/model.onnx") as path:
        assert path.read_bytes() == b"model"
        assert path.suffix == ".onnx"
        assert not path.is_relative_to(root)
        (root / "inner" / "model.onnx").write_bytes(b"other")
        assert path.read_bytes() == b"model"
    assert not path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../secret.onnx",
            "inner/../../secret.onnx",
            "/etc/passwd",
            "",
            ".",
            "inner/",
            "./x.onnx",
        ),
        *("..\\secret.onnx", "x\0.onnx", "inner//model.onnx", "~/x.onnx/..", "x\n.onnx"),
    ],
)
def test_names_that_are_no_names(root, name):
    with pytest.raises(InvalidArgumentError) as caught:
        copied(root, name)
    assert caught.value.reason is Reason.INVALID_FIELD


def test_absolute_paths(root):
    with pytest.raises(InvalidArgumentError):
        copied(root, str(root.parent / "secret.onnx"))


def test_unknown_files_are_answered_with_known_ones(root):
    with pytest.raises(NotFoundError, match=r"inner/model\.onnx") as caught:
        copied(root, "inner/modle.onnx")
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND
    assert str(root) not in caught.value.message


def test_links_out_of_the_root(root):
    (root / "link.onnx").symlink_to(root.parent / "secret.onnx")
    (root / "folder").symlink_to(root.parent)
    (root / "zero.onnx").symlink_to("/dev/zero")
    assert (root / "folder" / "secret.onnx").read_bytes() == b"secret", "the link leads there"
    for name in ("link.onnx", "folder/secret.onnx", "zero.onnx"):
        with pytest.raises(FailedPreconditionError, match="out of its model root"):
            copied(root, name)


def test_links_inside_the_root_are_followed(root):
    (root / "link.onnx").symlink_to(root / "inner" / "model.onnx")
    assert copied(root, "link.onnx") == (b"model", ".onnx")


def test_hard_links(root):
    os.link(root.parent / "secret.onnx", root / "link.onnx")
    with pytest.raises(FailedPreconditionError, match="hard link"):
        copied(root, "link.onnx")


def test_what_is_no_file(root):
    os.mkfifo(root / "pipe.onnx")
    (root / "folder.onnx").mkdir()
    for name in ("pipe.onnx", "folder.onnx"):
        with pytest.raises(FailedPreconditionError, match="no plain file"):
            copied(root, name)


def test_links_in_a_circle(root):
    (root / "a.onnx").symlink_to(root / "b.onnx")
    (root / "b.onnx").symlink_to(root / "a.onnx")
    with pytest.raises(NotFoundError):
        copied(root, "a.onnx")


def test_a_folder_that_becomes_a_link_after_the_check(root):
    """What `resolve` found plain may be swapped before it is opened."""
    os.close(_open_below(root, ("inner", "model.onnx")))
    (root / "inner").rename(root / "away")
    (root / "inner").symlink_to(root.parent)
    with pytest.raises(OSError, match=r"secret|inner|symbolic|directory"):
        _open_below(root, ("inner", "secret.onnx"))


def test_files_over_the_limit(root):
    roots = Roots([root], Limits(file_bytes=4))
    with (
        pytest.raises(Exception, match="at most 4") as caught,
        roots.private_copy("inner/model.onnx"),
    ):
        pass
    assert caught.value.reason is Reason.LIMIT_EXCEEDED


def test_nothing_stays_open_or_behind(root):
    def descriptors():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = descriptors(), threading.active_count()
    os.link(root.parent / "secret.onnx", root / "link.onnx")
    for name in ("link.onnx", "inner/model.onnx", "nothing.onnx", "inner"):
        for _ in range(20):
            try:
                copied(root, name)
            except (FailedPreconditionError, NotFoundError):
                continue
    assert (descriptors(), threading.active_count()) == before


def test_scanning_names_what_can_be_loaded(root):
    (root / ".hidden").mkdir()
    for name in ("b.pt2", ".x.pt2", ".hidden/y.pt2", "what?.pt2", "c.pt", "inner/D.PT2"):
        (root / name).write_bytes(b"x")
    assert Roots([root]).scan() == ["b.pt2", "inner/D.PT2", "inner/model.onnx"]


@pytest.mark.parametrize(
    "text",
    ["", "resnet50", ":x", "file:a?b", "file:a?b=", "file:a?b=1&b=2", "file:a\n", "file:a\x1b[2J"],
)
def test_texts_that_are_no_source(text):
    with pytest.raises(InvalidArgumentError, match="SCHEME:NAME"):
        parse_source(text)


@pytest.mark.parametrize(
    "text", ["torchvision:resnet50", "demo:", "file:a/b.pt?arch=timm:x", "timm:x?checkpoint=y"]
)
def test_sources_are_written_as_they_were_read(text):
    assert str(parse_source(text)) == text
