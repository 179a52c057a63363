"""A preference_id in a configuration file: everything else stays as it was."""

import tomllib

import pytest

from console.preference import Unfit, with_preference

SHIPPED = """
[profiles.auto] # what is shipped
candidates = ["openai/*"]  # all of them
cost_quality_tradeoff = 3

[profiles.auto.purposes]
commit = 10

[profiles.weak]
candidates = ["openai/*"]
cost_quality_tradeoff = 10
"""
OWN = """# ours
[[models]]
id   =  "x/y"   # spaced as we like

# the best of both
[profiles.mine]
candidates = ["x/*"]
preference_id = "old"

[profiles.other]
candidates = ["x/*"]
"""


def test_an_old_id_is_replaced_and_not_a_byte_else():
    assert with_preference(OWN, SHIPPED, "mine", "new") == OWN.replace('"old"', '"new"')


def test_a_profile_without_one_gets_it_and_comments_stay():
    text = with_preference(OWN, SHIPPED, "other", "new")
    assert tomllib.loads(text)["profiles"]["other"] == {"candidates": ["x/*"], "preference_id": "new"}
    assert text.startswith(OWN.rstrip())


@pytest.mark.parametrize("text", ["", OWN, "# only a comment\n", "[tenants.acme]\nallow = ['*']\n"])
def test_a_shipped_profile_is_copied_whole_for_half_a_profile_would_replace_it(text):
    document = tomllib.loads(with_preference(text, SHIPPED, "auto", "new"))
    assert document["profiles"]["auto"] == {
        "candidates": ["openai/*"],
        "cost_quality_tradeoff": 3,
        "purposes": {"commit": 10},
        "preference_id": "new",
    }
    before = tomllib.loads(text)
    others = {name: table for name, table in document["profiles"].items() if name != "auto"}
    assert others == before.get("profiles", {})
    assert {name: document[name] for name in before if name != "profiles"} == {
        name: table for name, table in before.items() if name != "profiles"
    }


def test_a_profile_with_tables_of_its_own_takes_the_id_in_the_right_place():
    text = with_preference(SHIPPED, SHIPPED, "auto", "new")
    assert tomllib.loads(text)["profiles"]["auto"]["preference_id"] == "new"
    assert tomllib.loads(text)["profiles"]["auto"]["purposes"] == {"commit": 10}


def test_an_id_with_quotes_is_written_as_it_is():
    text = with_preference(OWN, SHIPPED, "mine", 'a"b\\c')
    assert tomllib.loads(text)["profiles"]["mine"]["preference_id"] == 'a"b\\c'


@pytest.mark.parametrize(
    ("text", "profile", "says"),
    [
        ("[broken", "auto", "not TOML"),
        ("", "nobody", "named nobody"),
        ("profiles = 5\n", "auto", "not a table"),
        ("[profiles]\nauto = 5\n", "auto", "not a table"),
    ],
)
def test_a_file_that_cannot_take_it_is_refused_with_the_reason(text, profile, says):
    with pytest.raises(Unfit, match=says):
        with_preference(text, SHIPPED, profile, "new")
