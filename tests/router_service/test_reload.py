"""A changed configuration is taken while serving when it is right, and told and left alone when it is not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router_service.catalog import Catalog
from router_service.reload import CatalogWatch, describe
from router_service.settings import load_catalog
from tests.processes import NEVER, Process, free_port, log_events, log_line, start_router, wait_until
from tests.router_service.calls import select

MINE = '[profiles.mine]\ncandidates = ["{glob}"]\ncost_quality_tradeoff = 10\n'


def write(path: Path, text: str) -> None:
    """As editors and orchestrators do it: beside, then in place at once."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


class Watched:
    """A running CatalogWatch over one file, with what it applied and told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: asyncio.Queue[tuple[str, dict]] = asyncio.Queue()
        self.catalog = self.load()
        self.watch = CatalogWatch(
            self.catalog, [path], self.load, self.apply, lambda name, fields: self.told.put_nowait((name, fields)), 0.02
        )

    def load(self) -> Catalog:
        return load_catalog(str(self.path))

    def apply(self, catalog: Catalog) -> None:
        self.catalog = catalog

    async def next(self) -> tuple[str, dict]:
        return await asyncio.wait_for(self.told.get(), NEVER)


@asynccontextmanager
async def watching(path: Path, kind: type[Watched] = Watched) -> AsyncIterator[Watched]:
    watched = kind(path)
    task = asyncio.create_task(watched.watch.run())
    yield watched
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE.format(glob="xai/*"))
    return path


async def test_a_changed_file_is_applied_and_its_changes_are_named(path):
    async with watching(path) as watched:
        changed = MINE.format(glob="openai/*") + MINE.format(glob="*").replace("mine", "another")
        write(path, changed)
        assert await watched.next() == (
            "configuration_loaded",
            {"profiles_added": ["another"], "profiles_changed": ["mine"]},
        )
        assert watched.catalog.profiles["mine"].candidates == ("openai/*",)
        write(path, MINE.format(glob="openai/*"))
        assert await watched.next() == ("configuration_loaded", {"profiles_removed": ["another"]})
        assert "another" not in watched.catalog.profiles


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[profiles.mine]\ncandidates = 3 3\n", "line 2"),
        (MINE.format(glob="*").replace("10", "11"), "profiles.mine.cost_quality_tradeoff"),
        ("a = " + "[" * 20_000, "Recursion"),
    ],
    ids=["not TOML", "a wrong field", "too deep to parse"],
)
async def test_a_broken_file_is_told_with_its_place_and_changes_nothing(path, text, says):
    async with watching(path) as watched:
        before = watched.catalog
        write(path, text)
        name, fields = await watched.next()
        assert name == "configuration_refused"
        assert says.lower() in str(fields["problem"]).lower()
        assert watched.watch.last_problem == fields["problem"]
        assert watched.catalog is before
        write(path, MINE.format(glob="openai/*"))
        assert await watched.next() == ("configuration_loaded", {"profiles_changed": ["mine"]})
        assert watched.watch.last_problem == ""


async def test_a_file_that_goes_and_comes_back_leaves_the_catalogue_in_service(path):
    async with watching(path) as watched:
        text = path.read_text()
        path.unlink()
        name, fields = await watched.next()
        assert (name, "cannot be read" in str(fields["problem"])) == ("configuration_refused", True)
        assert "mine" in watched.catalog.profiles
        write(path, text)
        assert await watched.next() == ("configuration_loaded", {"changes": "none"})
        assert watched.watch.last_problem == ""


async def test_a_problem_is_told_once_and_not_at_every_look(path):
    async with watching(path) as watched:
        write(path, "= 3")
        assert (await watched.next())[0] == "configuration_refused"
        write(path, MINE.format(glob="openai/*"))
        assert (await watched.next())[0] == "configuration_loaded"
        assert watched.told.empty()


class WrittenWhileRead(Watched):
    """Its file is finished only while the watch is reading its beginning."""

    def load(self) -> Catalog:
        catalog = super().load()
        if "half" in catalog.profiles and "whole" not in catalog.profiles:
            text = MINE.replace("mine", "half") + MINE.replace("mine", "whole")
            write(self.path, text.format(glob="*"))
        return catalog


async def test_a_file_that_changes_while_it_is_read_is_never_applied_by_half(path):
    async with watching(path, WrittenWhileRead) as watched:
        write(path, MINE.replace("mine", "half").format(glob="*"))
        name, fields = await watched.next()
        assert (name, fields["profiles_added"]) == ("configuration_loaded", ["half", "whole"])


async def test_asking_for_a_reload_is_answered_even_when_nothing_changed(path):
    async with watching(path) as watched:
        watched.watch.reload()
        assert await watched.next() == ("configuration_loaded", {"changes": "none"})


def test_models_and_the_other_parts_are_compared_too(tmp_path):
    path = tmp_path / "more.toml"
    path.write_text(
        '[[models]]\nid = "new/one"\ncontext_tokens = 1\nmax_output_tokens = 1\ninput_usd_per_mtok = 1\n'
        'output_usd_per_mtok = 1\nsource = "made up"\nchecked = "2026-11-23"\n[expected_output_tokens]\ncode = 2\n'
    )
    shipped, more = load_catalog(""), load_catalog(str(path))
    assert describe(shipped, more) == {"models_added": ["new/one"], "others_changed": ["expected_output_tokens"]}
    assert describe(more, shipped) == {"models_removed": ["new/one"], "others_changed": ["expected_output_tokens"]}
    assert describe(shipped, load_catalog("")) == {}


# Through the front door: these need CatalogWatch wired in router_service/server.py.


@pytest.fixture
def router(path: Path) -> Iterator[tuple[int, Process]]:
    port = free_port()
    process = start_router(port, ROUTER_CONFIG=str(path), ROUTER_LEDGER_URL="memory:")
    yield port, process
    process.stop()


def provider_of(port: int) -> str:
    return select(port, profile="mine").model.partition("/")[0]


def test_a_router_serves_a_changed_profile_without_a_restart(router, path):
    port, process = router
    assert provider_of(port) == "xai"
    write(path, MINE.format(glob="openai/*"))
    wait_until(lambda: provider_of(port) == "openai", "the new profile is served")
    assert log_line(process, "configuration_loaded")["profiles_changed"] == ["mine"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[profiles.mine]\ncandidates = 3 3\n", "line 2"),
        (MINE.format(glob="openai/*").replace("10", "11"), "profiles.mine.cost_quality_tradeoff"),
    ],
    ids=["not TOML", "a wrong field"],
)
def test_a_router_serves_on_with_the_configuration_before_a_broken_one(router, path, text, says):
    port, process = router
    write(path, text)
    wait_until(lambda: bool(log_events(process, "configuration_refused")), "the problem is told")
    assert says in log_events(process, "configuration_refused")[0]["problem"]
    assert provider_of(port) == "xai"
    write(path, MINE.format(glob="openai/*"))
    wait_until(lambda: provider_of(port) == "openai", "the mended profile is served")


def test_sighup_makes_a_router_read_its_configuration(router, path):
    port, process = router
    process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(log_events(process, "configuration_loaded")), "SIGHUP is answered")
    assert log_events(process, "configuration_loaded")[0]["changes"] == "none"
    assert provider_of(port) == "xai"
