"""`python -m console savings` against a real router."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.router.v1 import router_pb2 as pb
from tests.certificates import authority, issue
from tests.console.commands import console
from tests.processes import free_port, python, start_router, wait_until
from tests.router_service.calls import call, select
from tests.router_service.test_savings import CONFIG, after, reply, report


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("router") / "router.toml"
    path.write_text(CONFIG)
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=str(path))
    reply(number, "applied", tenant="told")
    reply(number, "edit_failed", tenant="told")
    reply(number, "applied", "x/strong", tenant="told", **after("edit_failed"))
    reply(number, "completed", "x/cheap", tenant="told", purpose="PURPOSE_COMMIT")
    yield number
    process.stop()


def test_the_tables_hold_a_row_for_each_purpose_and_model_and_the_total(port):
    shown = console("savings", "--router", f"127.0.0.1:{port}", "--tenant", "told")
    assert shown.code == 0, shown.err
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["code", "x/middle", "2", "2", "1", "0", "1", "0"] in rows
    assert ["code", "x/middle", "$8.0000", "$8.0000", "$40.0000", "$4.0000"] in rows
    assert ["commit", "x/cheap", "1", "0", "0", "0", "0", "0"] in rows
    assert ["commit", "x/cheap", "$2.0000", "-", "$20.0000", "$2.0000"] in rows
    assert ["total", "4", "2", "1", "1", "1", "0"] in rows
    assert ["total", "$30.0000", "$15.0000", "$80.0000", "$8.0000"] in rows


def test_it_says_in_words_what_routing_saved_what_it_cost_and_what_is_compared(port):
    words = console("savings", "--router", f"127.0.0.1:{port}", "--tenant", "told").words
    assert "4 decisions, 4 replies, $30.0000." in words
    assert "Edits were asked for in 2 turns; of 2 it is known how the first reply fared, and 1 had it applied." in words
    assert (
        "Replies that failed: 1; that were applied after a failure: 1; decisions that went to another model because of one: 0."
        in words
    )
    assert "The strongest candidate alone: $80.0000; routing saved $50.0000 (62%)." in words
    assert "The cheapest candidate alone: $8.0000; routing cost $22.0000 more (275%)." in words
    assert "prices the tokens of the replies that were given" in words


def test_json_holds_the_same_figures_and_nothing_else(port):
    shown = console("savings", "--router", f"127.0.0.1:{port}", "--tenant", "told", "--json")
    document = json.loads(shown.out)
    total = document["total"]
    assert (total["decisions"], total["turns"], total["rescued"], total["failed"]) == (4, 2, 1, 1)
    assert total["cost_per_applied_usd"] == pytest.approx(15.0)
    assert total["strongest_cost_usd"] == pytest.approx(80.0)
    rows = {(row["purpose"], row["model"]): row for row in document["rows"]}
    assert rows["commit", "x/cheap"]["cost_per_applied_usd"] is None


def test_since_and_profile_restrict_and_an_empty_span_says_so(port):
    asked = ("savings", "--router", f"127.0.0.1:{port}", "--tenant", "told")
    assert json.loads(console(*asked, "--since", "1h", "--json").out)["total"]["decisions"] == 4
    later = console(*asked, "--since", "2999-01-01")
    assert later.code == 0
    assert "nothing to sum up yet" in later.words
    assert "nothing to sum up yet" in console(*asked, "--profile", "other").words


def test_a_wrong_span_is_refused_with_an_example(port):
    refused = console("savings", "--router", f"127.0.0.1:{port}", "--since", "yesterday")
    assert refused.code == 2
    assert "7d" in refused.words


def test_a_router_that_is_not_there_is_named_with_what_to_do():
    address = f"127.0.0.1:{free_port()}"
    refused = console("savings", "--router", address)
    assert refused.code == 1
    assert refused.out == ""
    assert address in refused.err
    assert "make run" in refused.err
    assert "Traceback" not in refused.err


def test_the_routers_address_is_read_from_the_environment(port):
    assert console("savings", "--tenant", "told", EDGE_ROUTER=f"dns:///127.0.0.1:{port}").code == 0
    assert console("savings", "--tenant", "told", ROUTER_LISTEN=f"127.0.0.1:{port}").code == 0


def test_settings_are_read_from_a_file_unless_the_environment_holds_them(port, tmp_path):
    path = tmp_path / "settings"
    path.write_text(f"EDGE_ROUTER=127.0.0.1:{port}\n")
    assert console("--env-file", path, "savings", "--tenant", "told").code == 0
    assert console("--env-file", path, "savings", EDGE_ROUTER=f"127.0.0.1:{free_port()}").code == 1


def test_tls_and_a_token_are_taken_from_the_edges_names(tmp_path: Path):
    issuer = authority(tmp_path)
    pair = issue(tmp_path, "router", issuer)
    tokens = tmp_path / "tokens"
    tokens.write_text(f"console {hashlib.sha256(b'a-token-of-the-console').hexdigest()}\n")
    number = free_port()
    env = {"ROUTER_TLS_CERT": str(pair.cert), "ROUTER_TLS_KEY": str(pair.key), "ROUTER_TOKENS_FILE": str(tokens)}
    process = python("router_service", {"ROUTER_LISTEN": f"127.0.0.1:{number}", "ROUTER_LEDGER_URL": "memory:", **env})
    process.ready_when(lambda: "listening" in process.text())
    try:
        asked = ("savings", "--router", f"127.0.0.1:{number}")
        trusted = {"EDGE_ROUTER_CA": str(issuer.cert)}
        wait_until(
            lambda: console(*asked, **trusted, EDGE_ROUTER_TOKEN="a-token-of-the-console").code == 0,
            "an answer over TLS",
        )
        without = console(*asked, **trusted)
        assert without.code == 1
        assert "EDGE_ROUTER_TOKEN" in without.err
        plain = console(*asked)
        assert plain.code == 1
        assert "EDGE_ROUTER_CA" in plain.err
        missing = console(*asked, EDGE_ROUTER_CA=str(tmp_path / "nowhere.pem"))
        assert "EDGE_ROUTER_CA" in missing.err
        assert "cannot be read" in missing.err
    finally:
        process.stop()


def test_what_was_decided_but_not_reported_is_told(port):
    select(port, tenant="silent", profile="three")
    report(port, select(port, tenant="silent", profile="three"), "completed", served_model="x/middle")
    decision = select(port, tenant="silent", profile="three")
    report(port, decision, "completed", served_model="x/middle", input_tokens=1000, output_tokens=10)
    total = call(port, "GetSavings", pb.GetSavingsRequest(tenant="silent")).total
    assert (total.decisions, total.replies, total.reported) == (3, 2, 1)
    words = said(port, "silent")
    assert "3 decisions, 2 replies, $0.0022; the tokens of 1 of them are known." in words


def said(port: int, tenant: str) -> str:
    return console("savings", "--router", f"127.0.0.1:{port}", "--tenant", tenant).words


def test_nothing_is_said_to_be_saved_while_the_tokens_of_many_replies_are_unknown(port):
    for number in range(10):
        decision = select(port, tenant="partly", profile="three", purpose="PURPOSE_CODE")
        tokens = {"input_tokens": 1000, "output_tokens": 10} if number else {}
        report(port, decision, "completed", served_model="x/middle", **tokens)
    # What has had no reply is not missed.
    report(port, select(port, tenant="partly", profile="three"), "provider_failed")
    words = said(port, "partly")
    assert "those of 9 of 10 are known" in words
    assert "saved $" not in words
    assert "alone:" not in words
    for _ in range(10):
        decision = select(port, tenant="partly", profile="three", purpose="PURPOSE_CODE")
        report(port, decision, "completed", served_model="x/middle", input_tokens=1000, output_tokens=10)
    words = said(port, "partly")
    assert "the tokens of 19 of them are known" in words
    assert "routing saved $" in words


def test_costs_that_are_not_known_are_dashes_and_not_zeros(port):
    report(
        port, select(port, tenant="untold", profile="three", purpose="PURPOSE_CODE"), "applied", served_model="x/middle"
    )
    shown = console("savings", "--router", f"127.0.0.1:{port}", "--tenant", "untold")
    assert ["code", "x/middle", "-", "-", "-", "-"] in [line.split() for line in shown.out.splitlines()]
    assert "no tokens are known" in shown.words
    assert "$" not in shown.words


def test_what_asks_for_no_edits_is_counted_and_left_out_of_the_rate(port):
    reply(port, "applied", tenant="mixed")
    reply(port, "completed", tenant="mixed")
    for purpose in ("ASK", "CONTEXT", "CHAT"):
        reply(port, "completed", tenant="mixed", purpose=f"PURPOSE_{purpose}")
    reply(port, "no_edits", tenant="mixed", purpose="PURPOSE_ASK")
    words = said(port, "mixed")
    assert "Edits were asked for in 2 turns; of 1 it is known how the first reply fared, and 1 had it applied." in words
    assert "4 more turns asked for no edits." in words


def test_a_plan_and_the_editors_work_on_it_are_one_turn_in_words_too(port):
    reply(port, "applied", tenant="planned", purpose="PURPOSE_ARCHITECT")
    reply(port, "applied", tenant="planned", purpose="PURPOSE_EDITOR")
    assert "Edits were asked for in 1 turn; of 1 it is known how the first reply fared, and 1 had it applied." in said(
        port, "planned"
    )
