"""Writes a preference_id into a profile of a configuration file, and leaves everything else in it as it is."""

from __future__ import annotations

from collections.abc import MutableMapping

import tomlkit
from tomlkit.exceptions import TOMLKitError


class Unfit(Exception):
    """The file cannot take the preference_id; the text says why."""


def with_preference(text: str, shipped: str, profile: str, preference: str) -> str:
    """The file's text with the profile's preference_id set.

    A profile that the file does not hold is copied from the shipped configuration first: in a file of its own a profile
    replaces the shipped one of its name, so half a profile would break it.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise Unfit(f"it is not TOML: {error}") from None
    profiles = document.get("profiles")
    if profiles is None:
        profiles = document["profiles"] = tomlkit.table(is_super_table=True)
    if not isinstance(profiles, MutableMapping):
        raise Unfit("its `profiles` is not a table")
    if profile not in profiles:
        origin = tomlkit.parse(shipped).get("profiles", {})
        if profile not in origin:
            raise Unfit(f"neither it nor the shipped configuration has a profile named {profile}")
        profiles[profile] = origin[profile]
    table = document["profiles"][profile]
    if not isinstance(table, MutableMapping):
        raise Unfit(f"its profile {profile} is not a table")
    table["preference_id"] = preference
    return tomlkit.dumps(document)
