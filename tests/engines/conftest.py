"""A toy policy's folder, as fixtures."""

import pytest
from _toy import write_folder


@pytest.fixture
def make_folder(tmp_path):
    """``make_folder(name, **changes to config.json) -> path``."""
    return lambda name="toy", **changes: write_folder(tmp_path / name, **changes)


@pytest.fixture
def toy_folder(make_folder):
    return make_folder()


@pytest.fixture(scope="module")
def shared_toy_folder(tmp_path_factory):
    """One for all tests of a file that leave it as it is."""
    return write_folder(tmp_path_factory.mktemp("policy") / "toy")
