"""Tables and findings from a technique's frames through the codec to Python values."""

import csv
import json
import math

import numpy as np
import pytest

import hooke
from hooke.cli import show
from hooke.reader import parse_frame, read_frames
from hooke.tables import joined
from hooke.v1 import frame_pb2, table_pb2
from hooke_server.rpc.codec.frames import Preparation
from hooke_server.rpc.codec.provenance import Work
from hooke_server.techniques.frames import Progress, Result
from hooke_server.techniques.tables import Column, ColumnType, Finding, Rows, Table
from hooke_server.techniques.targets import Site

LAYERS = Table(
    name="layers",
    caption="How far apart they are",
    columns=(
        Column("layer", ColumnType.TEXT, "Its id."),
        Column("error", ColumnType.NUMBER, "Mean absolute error.", unit="V"),
        Column("units", ColumnType.INTEGER, "Number of units."),
        Column("equal", ColumnType.BOOLEAN, "Whether they are equal."),
    ),
)
UNITS = Table(name="units", columns=(Column("unit", ColumnType.INTEGER, "Its index."),), item=3)
ROWS = [("conv [red]", 0.25, 2**40, True), ("fc", math.inf, -1, False), ("", None, None, None)]


@pytest.fixture(scope="module")
def work():
    class Named:
        state_digest, device, parity_error = "sha256:1", "cpu", None

    return Work(models=[("a", Named()), ("b", Named())], digest="sha256:0")


def messages(work, *frames):
    """Bytes of the messages that a server sends for these frames and a result."""

    def bundles():
        yield (yield from Preparation(work).prepared(iter([*frames, Result()])))

    content = [item for bundle in bundles() for item in bundle]
    return [frame_pb2.Frame(sequence=n, **each) for n, each in enumerate(content, 1)]


def received(work, *frames):
    sent = messages(work, *frames)
    return list(read_frames(parse_frame(each.SerializeToString()) for each in sent))


def test_tables_arrive_row_by_row_with_others_between(work):
    frames = received(
        work,
        LAYERS,
        Rows(LAYERS, ROWS[:1]),
        UNITS,
        Progress(step=1, total=1),
        Rows(UNITS, [(1,), (2,)]),
        Rows(LAYERS, ROWS[1:]),
    )
    kinds = [type(frame).__name__ for frame in frames]
    assert kinds == ["Table", "Table", "Table", "Progress", "Table", "Table", "Result"]
    assert [len(frame) for frame in frames if isinstance(frame, hooke.Table)] == [0, 1, 0, 2, 2]
    layers, units = joined(frames)
    assert layers.rows == tuple(ROWS)
    assert units.rows == ((1,), (2,))
    assert (layers.name, layers.caption, layers.item) == ("layers", "How far apart they are", 0)
    assert units.item == 3
    assert frames[-1].table_count == 2


def test_columns_are_told_and_read_by_name(work):
    [table] = joined(received(work, LAYERS, Rows(LAYERS, ROWS)))
    assert table.columns[1] == hooke.Column(
        name="error", type="NUMBER", unit="V", description="Mean absolute error."
    )
    assert table["error"] == table.column("error") == [0.25, math.inf, None]
    assert dict(table) == {
        "layer": ["conv [red]", "fc", ""],
        "error": [0.25, math.inf, None],
        "units": [2**40, -1, None],
        "equal": [True, False, None],
    }
    assert table.dicts()[0] == {
        "layer": "conv [red]", "error": 0.25, "units": 2**40, "equal": True
    }  # fmt: skip
    with pytest.raises(KeyError, match="no column 'mean' in table 'layers'; it has layer, error"):
        table["mean"]


def test_numbers_of_numpy_are_numbers(work):
    row = (np.str_("conv"), np.float32(0.5), np.int64(7), np.bool_(True))
    [table] = joined(received(work, LAYERS, Rows(LAYERS, [row])))
    assert table.rows == (("conv", 0.5, 7, True),)


def test_a_table_without_rows_is_a_table(work):
    [table] = joined(received(work, LAYERS))
    assert (table.rows, len(table.columns)) == ((), 4)


def test_findings_name_places_in_their_models(work):
    sites = (Site(layer="/conv1/Conv", unit=3, model=1), Site(layer="fc", position=(1, 2)))
    found = Finding(
        kind="first_divergence",
        text="It is the first.",
        sites=sites,
        item=1,
        target=0,
        layer="/conv1/Conv",
    )
    [finding, _] = received(work, found)
    assert finding == hooke.Finding(
        kind="first_divergence",
        text="It is the first.",
        locations=(
            hooke.Location("/conv1/Conv", unit=3, model="b"),
            hooke.Location("fc", position=(1, 2), model="a"),
        ),
        item=1,
        target=0,
        layer="/conv1/Conv",
    )


def test_what_is_wrong_with_a_stream_is_told(work):
    lost = frame_pb2.Frame(sequence=1, table_rows=table_pb2.TableRows(table_id=9))
    with pytest.raises(hooke.DataLossError, match="without its header"):
        list(read_frames([lost]))
    sent = messages(work, LAYERS, Rows(LAYERS, ROWS))
    del sent[1].table_rows.rows[1].cells[2:]
    with pytest.raises(hooke.DataLossError, match="'layers' is not as long as its header"):
        list(read_frames(sent))


def test_a_technique_cannot_send_what_is_no_table(work):
    with pytest.raises(ValueError, match="'layers' was opened twice"):
        messages(work, LAYERS, LAYERS)
    with pytest.raises(ValueError, match="shorter"):
        messages(work, LAYERS, Rows(LAYERS, [("conv",)]))


def test_files_and_the_terminal(work, tmp_path, capsys):
    [table] = joined(received(work, LAYERS, Rows(LAYERS, ROWS)))
    with table.save(tmp_path / "t.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["layer", "error", "units", "equal"]
    assert rows[0] == ["conv [red]", "0.25", str(2**40), "True"]
    assert rows[2] == ["", "", "", ""]
    show.rows(table)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["layer", "error", "units", "equal"]
    assert printed[1].split() == ["conv", "[red]", "0.25", str(2**40), "yes"]
    show.dump(table)
    assert json.loads(capsys.readouterr().out)["rows"][0][0] == "conv [red]"
