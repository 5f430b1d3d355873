"""The wheel holds what the project promises: packages, types, data, scripts."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [Path(path) for path in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr + built.stdout
    (path,) = folder.glob("netfs-*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_wheel_holds_every_file_of_a_package(wheel: zipfile.ZipFile, package: Path) -> None:
    wanted = {
        f"{package.name}/{path.relative_to(ROOT / package).as_posix()}"
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if name.startswith(f"{package.name}/")}
    assert held == wanted
    assert f"{package.name}/__init__.py" in held
    assert f"{package.name}/py.typed" in held


def test_wheel_holds_the_data_of_the_lab(wheel: zipfile.ZipFile) -> None:
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "netfs").rglob("*.toml")}
    assert wanted <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {package.name for package in PACKAGES} | {"netfs-0.1.0.dist-info"}


def test_wheel_brings_both_commands(wheel: zipfile.ZipFile) -> None:
    scripts = ConfigParser()
    scripts.read_string(wheel.read("netfs-0.1.0.dist-info/entry_points.txt").decode())
    assert dict(scripts["console_scripts"]) == {
        "netfs": "netfs_cli.main:main",
        "kubectl-netfs": "netfs_kubectl.main:main",
    }


def test_wheel_names_licence_and_oldest_python(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read("netfs-0.1.0.dist-info/METADATA").decode()
    assert "License-Expression: MIT\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_an_installed_wheel_answers(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import netfs; print(netfs.__file__, netfs.__version__)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert shown.split() == [str(tmp_path / "netfs/__init__.py"), PYPROJECT["project"]["version"]]
