"""What tests of several files attack."""

import pytest
import torch
from hostile import Network, members


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The members of an honest archive."""
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    batch = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(Network(), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch)
    torch.export.save(program, path)
    return {name.partition("/")[2]: data for name, data in members(path).items()}
