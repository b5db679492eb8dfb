"""A toy policy's folder."""

import pytest
from _toy import write_folder


@pytest.fixture
def toy_folder(tmp_path):
    return write_folder(tmp_path / "toy")
