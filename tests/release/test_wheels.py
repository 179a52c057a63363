"""What is in the wheels, and that the same sources come to the same bytes wherever they are built."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path

import pytest

from scripts.release.__main__ import list_images
from scripts.release.tracked import FALLBACK_EPOCH, Untracked, look
from scripts.release.wheels import unpack
from tests.processes import ROOT
from tests.release.house import copy_of_the_checkout, tracked

HELD = {
    "aider-model-router": ("router_service", "edge_gateway", "console", "launcher", "demo", "protos"),
    "aider-model-router-client": ("router_client",),
}
PACKED = (".env.example", "portkey")
STRAYS = (".env", "router_service/stray.py", "edge_gateway/page/templates/old.html~", "protos/__pycache__/old.pyc")
BUILD = """
import sys
from pathlib import Path
from scripts.release.__main__ import build
from scripts.release.tracked import look
build(look(Path.cwd()), Path(sys.argv[1]))
"""


def git(folder: Path, *words: str, said: str = "") -> str:
    argv = ["git", *words]
    return subprocess.run(argv, cwd=folder, input=said, check=True, capture_output=True, text=True).stdout.strip()


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", HELD)
def test_a_wheel_holds_what_git_tracks_of_its_packages_and_nothing_else(wheel: Callable[[str], Path], name: str):
    expected = {path: path for path in tracked(*HELD[name])}
    if name == "aider-model-router":
        expected |= {f"launcher/packed/{path}": path for path in tracked(*PACKED)}
    else:
        expected |= {path.replace("protos", "router_client/contract", 1): path for path in tracked("protos")}
    assert expected
    with zipfile.ZipFile(wheel(name)) as archive:
        held = {entry for entry in archive.namelist() if ".dist-info/" not in entry}
        assert held == set(expected)
        # Zip knows even seconds only.
        committed = datetime.fromtimestamp(look(ROOT).epoch // 2 * 2, UTC).timetuple()[:6]
        assert {entry.date_time for entry in archive.infolist()} == {committed}
        different = [place for place, path in expected.items() if archive.read(place) != (ROOT / path).read_bytes()]
        # What imports the contract's code does so by the name that it has there.
        renamed = {place for place in different if b"router_client.contract." in archive.read(place)}
        assert set(different) == renamed
        assert all(place.startswith("router_client/") for place in renamed)
        assert {entry.partition(".dist-info/")[2] for entry in archive.namelist()} >= {
            "licenses/LICENSE",
            "licenses/NOTICE",
        }


def test_the_wheel_says_what_the_services_need_and_the_client_of_its_own_version(wheel: Callable[[str], Path]):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    told = {}
    for name in HELD:
        with zipfile.ZipFile(wheel(name)) as archive:
            (path,) = (entry for entry in archive.namelist() if entry.endswith("/METADATA"))
            told[name] = Parser().parsestr(archive.read(path).decode())
    services, client = told.values()
    assert (
        services["Version"]
        == client["Version"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    assert services["License-Expression"] == client["License-Expression"] == "Apache-2.0"
    needed = services.get_all("Requires-Dist")
    assert f"aider-model-router-client=={client['Version']}" in needed
    assert set(services.get_all("Provides-Extra")) == {"router", "edge", "demo", "console", "run"}
    for extra, group in (("router", "router_service"), ("edge", "edge_gateway")):
        pins = [requirement for requirement in groups[group] if isinstance(requirement, str) and "==" in requirement]
        assert {f"{pin}; extra == '{extra}'" for pin in pins} <= set(needed), extra
    assert {requirement.partition(">=")[0].partition("<")[0] for requirement in client.get_all("Requires-Dist")} >= {
        "grpcio",
        "protobuf",
    }


def test_the_same_bytes_come_of_another_folder_umask_time_zone_locale_and_of_stray_files(built: Path, tmp_path: Path):
    there, out = tmp_path / "elsewhere", tmp_path / "out"
    git(tmp_path, "clone", "-q", "--no-checkout", str(ROOT), str(there))
    copy_of_the_checkout(there)
    git(there, "add", "--all", "--force")
    for stray in STRAYS:
        (there / stray).parent.mkdir(exist_ok=True)
        (there / stray).write_text("not tracked")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "7",
    }
    argv = [sys.executable, "-c", BUILD, out]
    done = subprocess.run(argv, cwd=there, env=env, umask=0o077, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sums(out) == sums(built)
    # Two wheels, two sdists, the contract and the lock.
    assert len(sums(out)) == 6


def test_the_contract_comes_with_its_descriptors_and_its_version(built: Path, tmp_path: Path):
    (packed,) = built.glob("*-contract-*.tar.gz")
    unpack(packed, tmp_path)
    (folder,) = tmp_path.iterdir()
    assert (folder / "VERSION").read_text().strip() == folder.name.rpartition("-")[2]
    assert {f"{path}" for path in tracked("protos")} <= {str(path.relative_to(folder)) for path in folder.rglob("*")}
    # Whole without what it imports.
    from google.protobuf import descriptor_pb2, descriptor_pool  # noqa: PLC0415

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((folder / "descriptors.binpb").read_bytes()).file:
        pool.Add(file)
    assert pool.FindServiceByName("router.v1.RouterService").methods_by_name["SelectModel"]


def test_without_git_the_files_that_are_not_ignored_are_built_as_of_a_fixed_time(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    copy_of_the_checkout(tmp_path)
    for stray in (".env", "protos/__pycache__/old.pyc", "var/router.sqlite"):
        (tmp_path / stray).parent.mkdir(exist_ok=True)
        (tmp_path / stray).write_text("ignored")
    source = look(tmp_path)
    assert sorted(source.files) == tracked()
    assert (source.epoch, source.revision) == (FALLBACK_EPOCH, "")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert look(tmp_path).epoch == 1_700_000_000


def test_who_has_git_show_signatures_builds_as_of_the_commits_time_as_well(tmp_path: Path, monkeypatch):
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "log.showSignature", "true")
    who = "a <a@example.org> 1700000000 +0000"
    signed = "gpgsig -----BEGIN SSH SIGNATURE-----\n none\n -----END SSH SIGNATURE-----"
    tree = git(tmp_path, "mktree")
    commit = git(
        tmp_path,
        "hash-object",
        "-w",
        "-t",
        "commit",
        "--stdin",
        said=f"tree {tree}\nauthor {who}\ncommitter {who}\n{signed}\n\nstart\n",
    )
    git(tmp_path, "reset", "--soft", commit)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert look(tmp_path).epoch == 1_700_000_000


def test_what_cannot_be_built_from_is_named(tmp_path: Path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "kept.py").write_text("")
    git(tmp_path, "add", "kept.py")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "start")
    (tmp_path / "kept.py").unlink()
    with pytest.raises(Untracked, match=r"kept\.py is tracked and gone"):
        look(tmp_path)
    (tmp_path / "kept.py").symlink_to("/etc/hostname")
    git(tmp_path, "add", "kept.py")
    with pytest.raises(Untracked, match=r"kept\.py is not an ordinary file"):
        look(tmp_path)
    shutil.rmtree(tmp_path / ".git")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    (tmp_path / ".gitignore").write_text("")
    with pytest.raises(Untracked, match="SOURCE_DATE_EPOCH must be seconds"):
        look(tmp_path)


def test_without_an_engine_images_are_left_out_and_it_is_said_why(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    assert list_images(look(ROOT), tmp_path) == []
    assert capsys.readouterr().out.startswith("No images: ")
