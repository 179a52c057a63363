"""How long a refusal takes tells nothing of the keys: 10,000 samples, over keys that are right in part, wrong and unknown."""

import contextlib
import random
import statistics
import time
from pathlib import Path

import pytest

from edge_gateway.access.entries import digest
from edge_gateway.access.keys import Keys
from edge_gateway.errors import GatewayError

SAMPLES = 10_000
ENTRIES = 200
# A loop that stopped at the first match, or at the first wrong letter of many, would differ by a multiple of this.
GENEROUS = 0.25


@pytest.fixture(scope="module")
def held() -> list[str]:
    draw = random.Random(1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return ["amr-" + "".join(draw.choices(letters, k=43)) for _ in range(ENTRIES)]


@pytest.fixture(scope="module")
def keys(held: list[str], tmp_path_factory: pytest.TempPathFactory) -> Keys:
    path: Path = tmp_path_factory.mktemp("keys") / "keys.toml"
    entries = (f'[keys.k{number}]\nsha256 = "{digest(key)}"\n' for number, key in enumerate(held))
    revoked = f'[keys.old]\nsha256 = "{digest("amr-" + "r" * 43)}"\nrevoked = true\n'
    path.write_text("".join(entries) + revoked)
    return Keys(path, lambda name, fields: None, clock=lambda: 0.0)


def seconds(keys: Keys, headers: dict[str, str]) -> float:
    start = time.perf_counter()
    with contextlib.suppress(GatewayError):
        keys.find(headers)
    return time.perf_counter() - start


def medians(keys: Keys, offered: dict[str, str]) -> dict[str, float]:
    """The median time of each, asked in turn, so that whatever else the machine does strikes all alike."""
    headers = {kind: {"authorization": f"Bearer {key}"} for kind, key in offered.items()}
    taken: dict[str, list[float]] = {kind: [] for kind in offered}
    order = list(offered)
    for _ in range(SAMPLES // len(offered)):
        random.shuffle(order)
        for kind in order:
            taken[kind].append(seconds(keys, headers[kind]))
    return {kind: statistics.median(times) for kind, times in taken.items()}


def spread(found: dict[str, float]) -> float:
    return max(found.values()) / min(found.values()) - 1


def test_no_wrong_key_is_refused_sooner_than_another(keys: Keys, held: list[str]):
    first, last = held[0], held[-1]
    found = medians(
        keys,
        {
            "right but for its last letter": first[:-1] + ("a" if first[-1] != "a" else "b"),
            "right by half": last[:24] + "x" * 23,
            "wrong": "amr-" + "x" * 43,
            "of no shape that is known": "k" * 47,
            "revoked": "amr-" + "r" * 43,
        },
    )
    assert spread(found) < GENEROUS, found


def test_no_right_key_is_found_sooner_than_another(keys: Keys, held: list[str]):
    found = medians(keys, {"first": held[0], "in the middle": held[ENTRIES // 2], "last": held[-1]})
    assert spread(found) < GENEROUS, found
