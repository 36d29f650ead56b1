"""A catalog of small models."""

import pytest
from shelves import Shelf

from hooke_server.engine.catalog import Catalog


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def catalog(shelf):
    catalog = Catalog(shelf)
    yield catalog
    catalog.close()
