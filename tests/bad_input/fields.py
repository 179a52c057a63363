"""B52 to B62: JSON as it should be, with fields as they should not."""

import json
from typing import Any

from tests.bad_input.asking import BODY, bearer, chat, post, saying, with_field
from tests.bad_input.case import Act, Case, Check, Expected, Seen, either, http, refused, served
from tests.bad_input.documents import LARGE_SECONDS, reaches_portkey
from tests.bad_input.house import BOB, House

UNKNOWN = refused(404, code="model_not_found")
NOT_ALLOWED = refused(400, code="field_not_allowed")
# Nobody whom these words name exists.
PERSON, NUMBER = "jane.roe.7781@example.org", "078-05-1120"
# Fields that Aider and others send and this gateway does not read, each written so that a second writer would change it.
UNREAD = (
    '"tools":[{"type" : "function","function":{"name":"read","parameters":{"n":{"const":18446744073709551616}}}}]',
    '"tools":[{"type":"function","function":{"name":"read"}}],"tool_choice" :{"type":"function","function":{"name":"read"}}',
    '"response_format": {"type":"text"}',
    '"reasoning_effort":"hi\\u0067h"',
    '"reasoning":{"max_tokens":1e3}',
    '"thinking":{"type":"enabled","budget_tokens":1.0}',
    '"zz":[1.10,-0,"\\/",{"b":1,"a":2}]',
    '"":{"":""}',
    '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}',
)
IN_MESSAGES = (
    '{"role":"assistant","content":null,"reasoning_content":"so \\u2026"}',
    '{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"read","arguments":"{}"}}]}',
    '{"role":"system","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}',
    '{"role":"tool","tool_call_id":"1","content":"done","zz":1.0}',
)


def _sent(id_: str, what: str, fields: dict[str, Any], expected: Expected, note: str = "") -> Case:
    return Case(id_, what, http(post(chat(**fields))), expected, note=note)


def _written(id_: str, what: str, body: bytes, expected: Expected) -> Case:
    return Case(id_, what, http(post(body)), expected)


def _kept(id_: str, what: str, body: bytes) -> Case:
    return _written(id_, what, body, served(reaches_portkey(body)))


def _without(name: str) -> bytes:
    document = json.loads(BODY)
    del document[name]
    return json.dumps(document).encode()


def _provider_got(**fields: Any) -> Check:
    """The provider has these fields as they were sent."""

    def check(house: House, seen: Seen) -> str:
        if seen.statuses != [200]:
            return ""
        got = {name: house.provider.seen[0].body.get(name) for name in fields}
        return "" if got == fields else f"the provider got {got}"

    return check


def _nobody_was_visited(house: House, _seen: Seen) -> str:
    """No address in a message is asked for: the trap counts its visitors."""
    visits = house.trap.visits()
    return "" if visits == 0 else f"{visits} visits to an address of a message"


def _shows(path: str) -> Act:
    """An image at an address that counts its visitors; the port is put in when the house stands."""

    def act(house: House, seconds: float) -> Seen:
        url = path.format(port=house.trap.port)
        content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}]
        return http(post(chat(messages=[{"role": "user", "content": content}])))(house, seconds)

    return act


def _steers(field: str, value: Any) -> Act:
    """A field that would have the request sent elsewhere, to the trap."""

    def act(house: House, seconds: float) -> Seen:
        there = json.loads(json.dumps(value).replace("{port}", str(house.trap.port)))
        return http(post(chat(**{field: there})))(house, seconds)

    return act


def _goes_where_it_should(house: House, seen: Seen) -> str:
    """Neither address nor key of the client's is in what tells Portkey where to go."""
    told = [f"{name}: {value}" for asked in house.tap.asked for name, value in asked.headers.items()]
    told += [f"{name}: {value}" for one in house.provider.seen for name, value in one.headers.items()]
    evil = [line[:80] for line in told if "evil" in line or f":{house.trap.port}" in line]
    reached = len(house.provider.seen) == seen.statuses.count(200)
    return _nobody_was_visited(house, seen) or ("" if reached and not evil else f"steered: {evil}")


def _is_in_no_log(house: House, _seen: Seen) -> str:
    logs = house.edge.text() + house.router.text()
    found = [word for word in (PERSON, NUMBER, "Schnurrbart") if word in logs]
    return f"{found} in a log" if found else ""


STEERING = (
    ("api_base", "http://127.0.0.1:{port}/v1"),
    ("base_url", "http://127.0.0.1:{port}/v1"),
    ("custom_host", "http://127.0.0.1:{port}/v1"),
    ("customHost", "http://127.0.0.1:{port}/v1"),
    ("api_key", "sk-evil"),
    ("virtual_key", "evil"),
)
HARMLESS = (
    ("headers", {"x-portkey-custom-host": "http://127.0.0.1:{port}/v1"}),
    ("extra_headers", {"authorization": "Bearer evil"}),
    ("extra_body", {"api_base": "http://127.0.0.1:{port}/v1"}),
    ("fallbacks", [{"model": "evil", "api_base": "http://127.0.0.1:{port}/v1"}]),
    ("metadata", {"portkey": {"custom_host": "http://127.0.0.1:{port}/v1"}, "_user": "evil"}),
    ("config", {"provider": "openai", "custom_host": "http://127.0.0.1:{port}/v1"}),
    ("provider", "evil"),
    ("targets", [{"custom_host": "http://127.0.0.1:{port}/v1"}]),
    ("strategy", {"mode": "loadbalance"}),
    ("override_params", {"model": "evil"}),
)
HUGE = (10**9, 2**31, 2**32, 2**63, 2**64, 10**30)

CASES = (
    _written("B52", "no model", _without("model"), refused(400)),
    *(
        _sent("B52", f"model {model!r}", {"model": model}, refused(400))
        for model in (None, 7, ["auto"], {"id": "auto"}, True)
    ),
    *(
        _sent("B52", f"model {model[:24]!r}", {"model": model}, UNKNOWN)
        for model in (
            "",
            "m" * 10_240,
            "../x",
            "openai/gpt-4;rm",
            "openai/gpt-5.2",
            "nobody/none",
            "fake/",
            "/first",
            "fake//first",
            "AUTO",
            "auto ",
            "auto\n",
            "auto\x00",
            "fake/first\r\nx-evil: 1",
            "@slug/x",
            "*",
            "{{7*7}}",
            "http://evil.test/x",
            "\u202eauto",
        )
    ),
    Case(
        "B53",
        "a model that the key may not ask for",
        http(post(chat(model="fake/first"), auth=(bearer(BOB),))),
        refused(403, code="model_not_allowed"),
        note="a 403 that stops Aider by its type, in place of 400 or 404",
    ),
    Case(
        "B53",
        "a profile that the key may not ask for",
        http(post(auth=(bearer(BOB),))),
        refused(403, code="model_not_allowed"),
    ),
    Case("B53", "the profile that it may ask for", http(post(chat(model="auto-weak"), auth=(bearer(BOB),))), served()),
    *(
        Case(
            "B53",
            f"{path} with a model not allowed",
            http(post(chat(model="fake/first", input="hi", prompt="hi"), path=path, auth=(bearer(BOB),))),
            refused(403, code="model_not_allowed"),
        )
        for path in ("/v1/responses", "/v1/completions", "/v1/embeddings")
    ),
    _written("B54", "no messages", _without("messages"), refused(400)),
    *(
        _sent("B54", f"messages {json.dumps(messages)[:40]}", {"messages": messages}, refused(400))
        for messages in (
            [],
            {},
            "hi",
            None,
            7,
            [1],
            [None],
            [[]],
            ["hi"],
            [{}],
            [{"content": "hi"}],
            [{"role": 7}],
            [{"role": "user", "content": 7}],
            [{"role": "user", "content": {"text": "hi"}}],
            [{"role": "user", "content": [7]}],
        )
    ),
    *(
        _sent("B54", f"messages {json.dumps(messages)[:40]}", {"messages": messages}, either(200, 400))
        for messages in (
            [{"role": "wizard", "content": "hi"}],
            [{"role": "r" * 10_000, "content": "hi"}],
            [{"role": "", "content": "hi"}],
            [{"role": "user", "content": None}],
            [{"role": "user"}],
            [{"role": "user", "content": ""}],
            [{"role": "user", "content": []}],
            [{"role": "user", "content": [{}]}],
            [{"role": "user", "content": [{"type": "text", "text": None}]}],
            [{"role": "user", "content": [{"type": "image_url"}]}],
            [{"role": "user", "content": [{"type": "image_url", "image_url": 7}]}],
        )
    ),
    *(
        Case("B54", f"an image at {url[:40]}", _shows(url), either(200, 400, check=_nobody_was_visited))
        for url in (
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:{port}/image.png",
            "http://[::ffff:127.0.0.1]:{port}/",
            "gopher://127.0.0.1:{port}/x",
            "data:image/png;base64,AAAA",
            "data:image/png;base64," + "A" * 100_000,
        )
    ),
    *(_sent("B55", f"stream {value!r}", {"stream": value}, refused(400)) for value in ("true", 1, [], {}, 0.5)),
    _sent("B55", "stream null", {"stream": None}, served()),
    _sent("B56", "stream_options without stream", {"stream_options": {"include_usage": True}}, either(200, 400)),
    _sent(
        "B56",
        "include_usage false",
        {"stream": True, "stream_options": {"include_usage": False}},
        served(_provider_got(stream_options={"include_usage": False})),
    ),
    *(
        _sent("B56", f"stream_options {value!r}", {"stream": True, "stream_options": value}, either(200, 400))
        for value in (7, "x", None, [])
    ),
    *(
        _sent("B57", f"n {value!r}", {"n": value}, either(200, 400, check=_provider_got(n=value)))
        for value in (0, -1, 1000, 2**70, 1.5, "two", None)
    ),
    *(
        _sent("B57", f"max_tokens {value!r}", {"max_tokens": value}, either(200, 400))
        for value in (-1, 0, *HUGE, 1.5, "many")
    ),
    *(
        _sent("B57", f"max_completion_tokens {value!r}", {"max_completion_tokens": value}, either(200, 400))
        for value in (-1, *HUGE, [])
    ),
    *(
        _sent("B57", f"temperature {value!r}", {"temperature": value}, either(200, 400))
        for value in ("hot", -1, 10**9, None, [], True)
    ),
    *(_kept("B58", field[:40], with_field(field)) for field in UNREAD),
    *(
        _kept("B58", message[:40], BODY.replace(b'"messages":[', b'"messages":[' + message.encode() + b","))
        for message in IN_MESSAGES
    ),
    _sent(
        "B58",
        "a JSON schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        served(_provider_got(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}})),
    ),
    *(
        _sent("B58", f"{name} {value!r}", {name: value}, either(200, 400))
        for name, value in (
            ("tools", []),
            ("tools", {}),
            ("tools", [1]),
            ("tools", "x"),
            ("tool_choice", 7),
            ("response_format", 7),
            ("response_format", {"type": 7}),
            ("reasoning_effort", {}),
        )
    ),
    *(
        Case("B59", name, _steers(name, value), refused(400, code="field_not_allowed", check=_goes_where_it_should))
        for name, value in STEERING
    ),
    *(
        Case("B59", name, _steers(name, value), either(200, 400, check=_goes_where_it_should))
        for name, value in HARMLESS
    ),
    _sent(
        "B60",
        "personal data in user, metadata and message",
        {
            "user": PERSON,
            "metadata": {"ssn": NUMBER},
            "messages": [{"role": "user", "content": f"Schnurrbart {PERSON}"}],
        },
        served(_is_in_no_log),
    ),
    _sent(
        "B60",
        "personal data in what is refused",
        {"user": PERSON, "stream": NUMBER, "messages": [{"role": PERSON, "content": 7}]},
        refused(400, check=_is_in_no_log),
    ),
    *(
        Case("B61", what, http(lambda _house, text=text: [post(saying(text()))]), served(), LARGE_SECONDS)
        for what, text in (
            ("one line of 10 MB", lambda: b"x" * 10_000_000),
            ("one line of 10 MB of blanks", lambda: b" " * 10_000_000),
            ("3 MB of emoji", lambda: "\U0001f469\u200d\U0001f469\u200d\U0001f467".encode() * 150_000),
            ("zero-width and right-to-left", lambda: "\u200b\u202e\u2066\ufeff\u0300".encode() * 10_000),
            ("1,000,000 fences", lambda: b"```\\n" * 1_000_000),
            ("300,000 SEARCH marks", lambda: rb"<<<<<<< SEARCH\n=======\n" * 300_000),
        )
    ),
    _sent("B62", "stop of 10,000 words", {"stop": [f"s{number}" for number in range(10_000)]}, served()),
    *(_sent("B62", f"stop {value!r}", {"stop": value}, either(200, 400)) for value in (7, {}, [1], "", None)),
)
