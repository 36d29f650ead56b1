"""Checkpoints that would run code, fill the memory or keep a processor busy."""

import io
import json
import pickle
import struct
import zipfile

import pytest
import torch
from hostile import Network, Touch, members, unpickle, write_archive

from hooke_server.errors import (
    FailedPreconditionError,
    HookeError,
    PermissionDeniedError,
    Reason,
    ResourceExhaustedError,
)
from hooke_server.models.checkpoints import apply_checkpoint, read_checkpoint
from hooke_server.models.limits import Limits

LIMITS = Limits()


def read(path):
    return read_checkpoint(path, LIMITS)


def repickled(path, data):
    """A checkpoint of one tensor whose pickle is another."""
    torch.save({"w": torch.zeros(4)}, path)
    contents = members(path)
    name = next(n for n in contents if n.endswith("data.pkl"))
    return write_archive(path, contents | {name: data})


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "inside", "forced"])
def test_payloads_are_not_unpickled(tmp_path, monkeypatch, form):
    mark, path = tmp_path / "mark", tmp_path / "model.pt"
    if form == "forced":
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    if form == "pickle":
        path.write_bytes(pickle.dumps(Touch(mark), protocol=2))
    else:
        payload = {"state_dict": {"w": torch.zeros(1)}, "x": Touch(mark)}
        kept = payload if form == "inside" else Touch(mark)
        torch.save(kept, path, _use_new_zipfile_serialization=form != "legacy")
    with pytest.raises(PermissionDeniedError, match="save the weights alone") as caught:
        read(path)
    assert caught.value.reason is Reason.CODE_NOT_ALLOWED
    assert "system" in caught.value.message
    assert not mark.exists()


def test_the_payload_is_real(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "p").write_bytes(pickle.dumps(Touch(mark), protocol=2))
    unpickle(tmp_path / "p")
    assert mark.exists()


def test_whole_modules_are_refused_with_advice(tmp_path):
    torch.save(Network(), tmp_path / "model.pt")
    with pytest.raises(PermissionDeniedError, match=r"hostile\.Network.*state_dict") as caught:
        read(tmp_path / "model.pt")
    assert caught.value.reason is Reason.CODE_NOT_ALLOWED


@pytest.mark.parametrize("kind", ["sparse", "quantised"])
def test_unusual_tensors_are_refused(tmp_path, kind):
    path = tmp_path / "model.pt"
    if kind == "sparse":
        torch.save({"w": torch.eye(3).to_sparse()}, path)
    else:
        # As torch writes them; making one warns that quantisation moves elsewhere.
        call = b"ctorch._utils\n_rebuild_qtensor\n)R."
        repickled(path, b"\x80\x02" + call)
    with pytest.raises(PermissionDeniedError, match="sparse or quantised"):
        read(path)


def test_compressed_members_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(1 << 24)}, path)
    write_archive(path, members(path), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20, "or it is no bomb"
    with pytest.raises(FailedPreconditionError, match="compressed"):
        read(path)


def doubling():
    """41 lists, each with the one before twice: 2^41 items to whoever walks through."""
    steps = b"]q\x00" + b"".join(
        b"](h" + bytes([k]) + b"h" + bytes([k]) + b"eq" + bytes([k + 1]) for k in range(40)
    )
    return b"\x80\x02" + steps + b"."


@pytest.mark.parametrize(
    "data",
    [
        doubling(),
        b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",  # a dict that holds itself
        b"\x80\x02}X\x01\x00\x00\x00aK\x01s.",
        b"\x80\x02}.",
        b"\x80\x02]].",  # two results
        b"\x80\x02h\x07.",  # of an empty memo
        b"\x80\x02t.",  # no mark
        b"\x80\x02}](K\x01es.",  # an odd number of items, and a list
        b"\x80\x02}]K\x01s.",  # a list as a key
        b"",
        b"\x80\x02X\xff\xff\xff\xffa.",
        b"I" + b"9" * 100_000 + b"\n.",
    ],
)
def test_what_is_no_dict_of_tensors(tmp_path, data):
    with pytest.raises(HookeError) as caught:
        read(repickled(tmp_path / "model.pt", data))
    assert caught.value.reason in {Reason.MODEL_INVALID, Reason.CODE_NOT_ALLOWED}
    assert len(caught.value.message) < 500


def test_instructions_are_counted(tmp_path):
    path = repickled(tmp_path / "model.pt", b"\x80\x02" + b"]" * 1200 + b".")
    with pytest.raises(ResourceExhaustedError, match="instructions"):
        read_checkpoint(path, Limits(opcodes=1000))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"K\x04tq", b"J\x00\x00\x10\x00tq"),  # the storage's size: 4 to 2^20
        (b"QK\x00", b"QK\x01"),  # an offset that leads over the end
        (b"QK\x00", b"QJ\xff\xff\xff\xff"),  # and one before the beginning
        (b"K\x04\x85", b"J\x00\x00\x00\x7f\x85"),  # the shape
        (b"K\x01\x85", b"K\x02\x85"),  # the stride
        (b"K\x01\x85", b"J\xff\xff\xff\xff\x85"),
    ],
)
def test_claims_beyond_the_storage(tmp_path, old, new):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(4)}, path)
    contents = members(path)
    name = next(n for n in contents if n.endswith("data.pkl"))
    assert contents[name].count(old) == 1
    contents[name] = contents[name].replace(old, new)
    with pytest.raises(FailedPreconditionError, match=r"size|larger|sizes"):
        read(write_archive(path, contents))


def test_a_small_storage_of_a_giant_tensor(tmp_path):
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, tmp_path / "model.pt")
    with pytest.raises(FailedPreconditionError, match="larger than what is stored"):
        read(tmp_path / "model.pt")


def test_legacy_files_cannot_claim_more_than_they_have(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    path.write_bytes(data[:-24] + struct.pack("<q", 1 << 60) + data[-16:])
    with pytest.raises(FailedPreconditionError, match="cut off"):
        read(path)


def safetensors(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + text + data)
    return path


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"0000", "overlap"),
        ({"a": entry([1], 4, 8)}, b"00000000", "gaps"),
        ({"a": entry([2], 0, 8)}, b"0000", "cut off"),
        ({"a": entry([1], 0, 4)}, b"00000", "more bytes"),
        ({"a": entry([2], 0, 4)}, b"0000", "larger"),
        ({"a": entry([1], 0, 8)}, b"00000000", "do not agree"),
        ({"a": entry([1 << 33, 1 << 33], 0, 4)}, b"0000", "larger"),
        ({"a": entry([-1], 0, 4)}, b"0000", "sizes"),
        ({"a": entry([1 << 62, 4], 0, 0)}, b"", "sizes"),
        ({"a": entry([1], 4, 0)}, b"0000", "overlap"),
        ({"a": entry([1.0], 0, 4)}, b"0000", "sizes"),
        ({"a": entry([1], 0, 4, "F31")}, b"0000", "F31"),
        (b'{"a": 1, "a": 2}', b"", "one name"),
        (b"[" * 100_000, b"", "no list of tensors"),
        (b'{"a": ' + b"9" * 5000 + b"}", b"", "no list of tensors"),
        (b"[]", b"", "no list of tensors"),
        (b"", b"", "no list of tensors"),
    ],
)
def test_safetensors_headers(tmp_path, header, data, why):
    with pytest.raises(FailedPreconditionError, match=why):
        read(safetensors(tmp_path / "m.safetensors", header, data))


def test_safetensors_headers_are_bounded(tmp_path):
    many = {f"t{k}": entry([0], 0, 0) for k in range(20_000)}
    for path in (
        safetensors(tmp_path / "a.safetensors", many),
        safetensors(tmp_path / "b.safetensors", b"{}", length=1 << 62),
    ):
        with pytest.raises(ResourceExhaustedError, match="header"):
            read(path)
    few = Limits(header_bytes=1 << 30, entries=10_000)
    with pytest.raises(ResourceExhaustedError, match="20000 tensors"):
        read_checkpoint(tmp_path / "a.safetensors", few)


def test_names_are_never_paths(tmp_path):
    path = safetensors(tmp_path / "m.safetensors", {"../../x": entry([1], 0, 4)}, b"0000")
    assert list(read(path)) == ["../../x"]
    with pytest.raises(FailedPreconditionError, match=r"first '../../x'"):
        apply_checkpoint(Network(), read(path))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def doubled(contents):
    name, data = next(iter(contents.items()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
        archive.getinfo(name).filename += "2"
        archive.NameToInfo.clear()
        archive.writestr(name, data)
        archive.filelist[0].filename = name
    return buffer.getvalue()


def test_archives_with_members_of_one_name(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(doubled({"m/data.pkl": b"."}))
    with pytest.raises(FailedPreconditionError, match=r"one name|overlap|no zip"):
        read(path)


def test_archives_that_overlap(tmp_path):
    """Two entries of the directory on the same bytes, as in a quoted zip bomb."""
    path = write_archive(tmp_path / "model.pt", {"m/a": b"0" * 64, "m/b": b"0" * 64})
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<L", 0)
    path.write_bytes(data)
    with pytest.raises(FailedPreconditionError, match=r"overlap|no zip"):
        read(path)


@pytest.mark.parametrize("cut", [1, 10, 100, 1000])
def test_cut_files(tmp_path, cut):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(400)}, path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(FailedPreconditionError):
        read(path)


def test_large_directories_are_not_parsed(tmp_path):
    path = write_archive(tmp_path / "model.pt", {f"m/{k}": b"" for k in range(300)})
    with pytest.raises(ResourceExhaustedError, match="directory"):
        read_checkpoint(path, Limits(entries=10))
    with pytest.raises(ResourceExhaustedError, match="300 members"):
        read_checkpoint(path, Limits(entries=200))


def test_random_damage_is_refused_or_harmless(tmp_path):
    """A byte changed anywhere: a HookeError and no other, or tensors after all."""
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(4), "b": torch.ones(2)}, path)
    data = path.read_bytes()
    refused = 0
    for position in range(0, len(data), 3):
        changed = bytearray(data)
        changed[position] ^= 0x41
        path.write_bytes(changed)
        try:
            read(path)
        except HookeError:
            refused += 1
    assert 0 < refused < len(data) // 3
