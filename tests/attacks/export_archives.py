"""Archives of `torch.export`, honest but for one change."""

import json

from hostile import write_archive

from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots

PROGRAM = "models/model.json"


WEIGHTS = "data/weights/model_weights_config.json"


CONSTANTS = "data/constants/model_constants_config.json"


def write(path, contents, **options):
    return write_archive(path, {f"m/{name}": data for name, data in contents.items()}, **options)


def program_of(exported):
    return json.loads(exported[PROGRAM])


def written(folder, exported, program):
    """An archive with another program."""
    return write(folder / "m.pt2", exported | {PROGRAM: json.dumps(program).encode()})


def loaded(folder):
    return load_model("file:m.pt2", LoadContext(roots=Roots([folder])))
