"""`docs/coverage.md`: a row for each architecture of the matrix, kept from run to run."""

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"

TITLE = """\
# Coverage

What `make test-all` loads, and how each layer's value compares with an independent
capture: of torch modules, what hooks and a dispatch mode see in an eager run of a
private clone, every value cloned at once. The difference is the largest over all
layers, relative to the layer's largest value; the limit is 1e-5. Weights are random
(seeded), inputs normal; MACs at batch 1. Seconds are those of loading, on a busy
two-core machine: read ratios.
"""


def record(section, head, cells):
    """Insert or replace the row of `cells[0]` in a section of the page."""
    sections = _read()
    rows = sections.setdefault(section, {"": head})
    rows[""] = head
    rows[cells[0]] = cells
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_written(sections))


def _read():
    sections, rows = {}, {}
    for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
        if line.startswith("## "):
            rows = sections.setdefault(line[3:], {})
        elif line.startswith("| ") and not line.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows[cells[0] if "" in rows else ""] = cells
    return sections


def _written(sections):
    lines = [TITLE]
    for section, rows in sorted(sections.items()):
        head, *others = [rows[key] for key in sorted(rows)]
        lines += [f"## {section}", "", _line(head), _line(["---"] * len(head))]
        lines += [*map(_line, others), ""]
    return "\n".join(lines)


def _line(cells):
    return f"| {' | '.join(cells)} |"
