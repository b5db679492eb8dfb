"""What an install brings: a base without an engine, and versions that are all pinned."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
ENGINE = {"jax", "jaxlib", "torch", "google-tunix", "flax", "transformers"}


def declared(*extras):
    lists = [PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra] for extra in extras]
    return [Requirement(line) for lines in lists for line in lines]


def reached(requirements):
    """Names of all that an install of these brings along, from the metadata of what is installed."""
    seen, left = set(), [(canonicalize_name(r.name), frozenset(r.extras)) for r in requirements]
    while left:
        name, extras = package = left.pop()
        if package not in seen:
            seen.add(package)
            below = [Requirement(line) for line in metadata.requires(name) or ()]
            wanted = [r for r in below if not r.marker or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]
            left += [(canonicalize_name(r.name), frozenset(r.extras)) for r in wanted]
    return {name for name, _ in seen}


def test_the_base_install_brings_no_engine():
    names = reached(declared(None))
    assert not names & ENGINE
    assert names >= {"numpy", "pydantic", "annotated-types"}  # declared, and brought along


def test_the_extra_of_tunix_brings_one():
    assert reached(declared("tunix")) >= ENGINE - {"torch"}


@pytest.mark.parametrize("extra", ["cuda", "tpu"])
def test_an_accelerators_extra_is_jaxs_own_within_tunixs_bounds(extra):
    (ours,), (jax,) = declared(extra), [r for r in declared("tunix") if r.name == "jax"]
    assert (ours.name, ours.specifier) == ("jax", jax.specifier)
    assert ours.extras < set(metadata.metadata("jax").get_all("Provides-Extra"))


def test_tunix_is_pinned_exactly():
    """The learner overrides private hooks."""
    (tunix,) = [r for r in declared("tunix") if r.name == "google-tunix"]
    assert str(tunix.specifier) == "==0.1.7"


@pytest.mark.parametrize("extra", [None, *PROJECT["optional-dependencies"]])
def test_constraints_pin_a_version_of_every_dependency(extra):
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    for requirement in declared(extra):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_constraints_are_names_and_versions():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"cal_grpo", f"cal_grpo-{PROJECT['version']}.dist-info"}
    assert {"cal_grpo/py.typed", "cal_grpo/policies/ledger-tiny/model.safetensors"} <= set(names)
    assert [name for name in names if Path(name).name.startswith("test_") or "tests" in Path(name).parts] == []
