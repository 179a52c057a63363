"""The page without a browser: who is let in, what is refused, and what every answer says to browsers."""

import base64
import http.client
import re
import socket
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from edge_gateway.access.entries import digest
from protos.router.v1 import router_pb2 as pb
from tests.page.conftest import KEY, KEYS, OPERATOR, House, page_house
from tests.processes import NEVER, PATIENT_EDGE, ROOT, Process, free_port, http_ok, python, wait_until

FORM_HEADERS = {"content_type": "application/x-www-form-urlencoded"}
PROMPT = b"text=hello&profile=auto&purpose=code"
PATHS = (
    "/",
    "/route",
    "/figures",
    "/static/page.css",
    "/static/page.mjs",
    "/static/icon.svg",
    "/nothing",
    "/decisions/x",
)


def ask(house: House, path: str, method: str = "GET", body: bytes = b"", **headers: str):
    """The status, the headers and the text of one answer; of events the first piece."""
    where = urlsplit(house.page)
    with closing(http.client.HTTPConnection(where.hostname, where.port, timeout=NEVER)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="host" in named)
        for name, value in {**named, **({"content-length": str(len(body))} if body else {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        events = (answer.getheader("content-type") or "").startswith("text/event-stream")
        return answer.status, answer.headers, (answer.read1(8192) if events else answer.read()).decode()


def basic(password: str, name: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_tells_browsers_to_run_nothing_of_others_and_to_keep_nothing(empty: House, path: str):
    _, headers, _ = ask(empty, path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "set-cookie" not in headers
    assert "server" not in headers
    assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_a_page_holds_no_script_and_no_style_of_its_own(busy: House):
    for path in ("/", "/route"):
        _, _, text = ask(busy, path)
        assert text.count("<script") == 1
        assert " style=" not in text
        assert not re.search(r"<[^>]* on\w+=", text)
        assert "http" not in text.replace(busy.edge_url, "").replace("http://127.0.0.1", "")


@pytest.mark.parametrize(
    "path", ["/nothing", "/decisions/nothing", "/static/nothing.css", "/static/..%2fserver.py", "//", "/docs"]
)
def test_an_unknown_path_is_a_404(empty: House, path: str):
    assert ask(empty, path)[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:8081", 200),
        ("page.test", 421),
        ("127.0.0.1.page.test", 421),
        ("localhost.page.test:80", 421),
        ("10.0.0.1", 421),
        ("", 421),
    ],
)
def test_a_name_that_leads_here_from_elsewhere_is_not_served(empty: House, host: str, status: int):
    assert ask(empty, "/", host=host)[0] == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://page.test"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
def test_a_form_of_another_site_is_refused(empty: House, headers: dict[str, str]):
    assert ask(empty, "/route", "POST", PROMPT, **FORM_HEADERS, **headers)[0] == 403


@pytest.mark.parametrize(("mode", "status"), [("navigate", 200), ("no-cors", 403), ("cors", 403)])
def test_another_site_may_link_here_and_load_nothing(empty: House, mode: str, status: int):
    for path in ("/", "/figures", "/static/page.mjs"):
        assert ask(empty, path, sec_fetch_site="cross-site", sec_fetch_mode=mode)[0] == status


def test_what_the_router_refuses_a_dry_run_for_is_said(empty: House):
    text = ask(empty, "/route", "POST", b"text=hello&profile=nothing", **FORM_HEADERS)[2]
    assert "Would go to" not in text
    assert re.search(r'role="alert">[^<]*auto-weak', text)


def test_the_pages_own_form_is_taken(busy: House):
    own = {"origin": busy.page, "sec_fetch_site": "same-origin"}
    status, _, text = ask(busy, "/route", "POST", PROMPT, **FORM_HEADERS, **own)
    assert status == 200
    assert "Would go to" in text


def test_a_form_that_is_too_large_is_refused(empty: House):
    assert ask(empty, "/route", "POST", b"text=" + b"x" * 300_000, **FORM_HEADERS)[0] == 413


def test_methods_that_nothing_is_done_with_are_refused(empty: House):
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert ask(empty, "/", method)[0] == 405


@pytest.mark.parametrize("path", [*PATHS, "/events"])
def test_without_a_key_nothing_is_served(guarded: House, path: str):
    for headers in ({}, {"authorization": basic("wrong")}, {"authorization": "Basic !"}, {"cookie": f"key={KEY}"}):
        status, told, text = ask(guarded, path, **headers)
        assert status == 401
        assert told["www-authenticate"].startswith("Basic ")
        assert "table" not in text
    assert ask(guarded, "/route", "POST", PROMPT, **FORM_HEADERS)[0] == 401


def test_a_key_opens_the_page_as_password_or_as_clients_send_it(guarded: House):
    for headers in (
        {"authorization": basic(KEY)},
        {"authorization": basic(KEY, "")},
        {"authorization": f"Bearer {KEY}"},
    ):
        assert ask(guarded, "/", **headers)[0] == 200


def test_whose_key_is_revoked_sees_nothing_more(router_config, edge_config, tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(KEYS)
    key = {"authorization": basic(KEY)}
    with page_house(router_config, edge_config, EDGE_API_KEYS_FILE=str(path)) as house:
        where = urlsplit(house.page)
        with closing(http.client.HTTPConnection(where.hostname, where.port, timeout=20)) as connection:
            connection.request("GET", "/events", headers=key)
            stream = connection.getresponse()
            seen = house.decide(1, tenant="alice")[0]
            shown = b""
            while seen.encode() not in shown:
                shown += stream.read1()
            path.write_text(KEYS.replace("[keys.alice]", "[keys.another]").replace(digest(KEY), digest("another")))
            wait_until(lambda: ask(house, "/", **key)[0] == 401, "the key to be revoked", 20)
            unseen = house.decide(1, tenant="alice")[0]
            assert unseen.encode() not in stream.read()


def test_a_key_sees_its_tenants_decisions_and_an_operators_everybodys(guarded: House):
    his = guarded.decide(1, tenant="bob", conversation_id="of-bob")[0]
    hers = guarded.decide(1, tenant="alice", conversation_id="of-alice")[0]
    alice, olga = {"authorization": basic(KEY)}, {"authorization": basic(OPERATOR)}
    listed = ask(guarded, "/", **alice)[2]
    assert "of-alice" in listed
    assert "of-bob" not in listed
    assert [ask(guarded, f"/decisions/{name}", **alice)[0] for name in (his, hers)] == [404, 200]
    assert "of-bob" not in ask(guarded, f"/decisions/{his}/part", **alice)[2]
    listed = ask(guarded, "/", **olga)[2]
    assert "of-bob" in listed
    assert ask(guarded, f"/decisions/{his}", **olga)[0] == 200


def test_a_dry_run_is_the_key_holders_and_told_from_what_was_sent(guarded: House):
    status, _, text = ask(guarded, "/route", "POST", PROMPT, **FORM_HEADERS, authorization=basic(KEY))
    assert status == 200
    assert "dry-run:alice" in text
    assert "dry run: no model was asked" in text
    other = ask(
        guarded, "/route", "POST", b"text=hello&profile=auto-weak", **FORM_HEADERS, authorization=basic(OPERATOR)
    )
    assert "Your key may not ask for auto-weak." in other[2]


def test_events_come_as_they_happen_and_end_with_the_edge(busy: House):
    status, headers, text = ask(busy, "/events")
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert text.startswith("retry: ")


def test_what_was_looked_at_before_is_not_sent_again(empty: House):
    _, headers, _ = ask(empty, "/static/page.mjs")
    assert headers["content-type"].startswith("text/javascript")
    assert ask(empty, "/static/page.mjs", if_none_match=headers["etag"])[0] == 304


def test_a_page_that_nobody_asks_for_costs_nothing():
    program = (
        "import sys, edge_gateway.__main__; print([m for m in ('jinja2', 'edge_gateway.page') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def edge(**env: str) -> Process:
    return python("edge_gateway", {**PATIENT_EDGE, "EDGE_LISTEN": f"127.0.0.1:{free_port()}", **env})


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"EDGE_PAGE_LISTEN": "0.0.0.0:8081"}, "EDGE_PAGE_LISTEN: 0.0.0.0:8081 can be reached from other machines"),
        ({"EDGE_PAGE_LISTEN": "8081"}, "EDGE_PAGE_LISTEN: '8081' is not HOST:PORT"),
    ],
)
def test_a_page_that_strangers_could_reach_or_nobody_does_not_start(env: dict[str, str], said: str):
    started = edge(**env)
    assert started.popen.wait(NEVER) == 2
    started.stop()
    assert said in started.text()


def test_a_taken_address_is_said(empty: House):
    started = edge(EDGE_PAGE_LISTEN=urlsplit(empty.page).netloc)
    assert started.popen.wait(NEVER) == 2
    started.stop()
    assert "EDGE_PAGE_LISTEN: the page cannot listen on" in started.text()


def test_the_page_ends_with_its_edge_though_somebody_watches():
    port = free_port()
    started = edge(EDGE_PAGE_LISTEN=f"127.0.0.1:{port}")
    wait_until(lambda: http_ok(f"http://127.0.0.1:{port}/"), "the page is served")
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=NEVER)) as connection:
        connection.request("GET", "/events")
        answer = connection.getresponse()
        assert answer.status == 200
        assert started.stop() == 0
        answer.read()
    assert "Traceback" not in started.text()


def test_a_prompt_is_in_no_log_and_no_list(busy: House):
    text = b"text=a+rather+secret+plan&profile=auto&purpose=code"
    assert "a rather secret plan" in ask(busy, "/route", "POST", text, **FORM_HEADERS)[2]
    seen: list[str] = []

    def listed() -> bool:
        # While the router takes longer than the page waits for it, the list is the one from before.
        seen.append(ask(busy, "/")[2])
        return "dry run" in seen[-1]

    wait_until(listed, "the dry run in the list")
    assert "secret plan" not in "".join(seen)
    assert "secret plan" not in busy.edge.text() + busy.router.text()


def test_reports_that_come_later_say_how_a_reply_fared(busy: House):
    name = busy.decide(1, conversation_id="fared")[0]
    busy.report(name, outcome=pb.OUTCOME_COMPLETED, time_to_first_byte={"seconds": 7})
    busy.report(name, outcome=pb.OUTCOME_LINT_FAILED, input_tokens=0, output_tokens=0)
    listed = ask(busy, "/?conversation=fared")[2]
    assert "lint failed" in listed
    assert "7.0 s" in listed


def test_a_request_without_an_end_is_cut_off_before_any_key_is_asked_for(guarded: House):
    where = urlsplit(guarded.page)
    with socket.create_connection((where.hostname, where.port), timeout=NEVER) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        client.sendall(b"x: " + b"a" * 40_000)
        assert client.recv(100).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection((where.hostname, where.port), timeout=NEVER) as silent:
        # Who says nothing for its headers' time is let go.
        assert silent.recv(100) == b""


@pytest.mark.parametrize(("destination", "status"), [("document", 200), ("iframe", 403)])
def test_another_site_may_link_here_and_not_frame_it(empty: House, destination: str, status: int):
    found, _, _ = ask(empty, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest=destination)
    assert found == status
