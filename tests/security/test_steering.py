"""Where a request goes is the configuration's to say: no field, header, image or redirect leads it elsewhere."""

import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import System, edge_beside
from tests.fakes.provider import FakeProvider

MESSAGES = [{"role": "user", "content": "hi"}]
HOST = "ELSEWHERE"
# CVE-2024-6587 and its kin: fields that some gateway or SDK takes for an address, a key or a target. The first group is
# refused by name.
REFUSED = [
    {"api_base": HOST},
    {"base_url": HOST},
    {"api_key": "attackers-key"},
    {"custom_host": HOST},
]
STEERING = [
    *REFUSED,
    {"baseURL": HOST},
    {"customHost": HOST},
    {"provider": "ollama", "custom_host": HOST},
    {"virtual_key": "vk"},
    {"headers": {"x-portkey-custom-host": HOST}},
    {"extra_headers": {"x-portkey-custom-host": HOST}},
    {"extra_body": {"api_base": HOST, "custom_host": HOST}},
    {"config": {"provider": "openai", "custom_host": HOST}},
    {"portkey_config": {"custom_host": HOST}},
    {"targets": [{"provider": "openai", "custom_host": HOST}]},
    {"strategy": {"mode": "single"}, "targets": [{"custom_host": HOST}]},
    {"override_params": {"custom_host": HOST}},
    {"fallbacks": [{"model": "x", "api_base": HOST}]},
    {"metadata": {"portkey": {"custom_host": HOST}, "custom_host": HOST}},
    {"litellm_params": {"api_base": HOST}},
    {"model_list": [{"litellm_params": {"api_base": HOST}}]},
    {"proxy": HOST},
    {"webhook": HOST, "callback_url": HOST},
]
PICTURES = ["/v1/picture.png", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/"]


@pytest.fixture(scope="module", params=["verbatim", "translated"])
def edge(request, running: System, portkey: int, edge_config: Path, tmp_path_factory):
    """An edge whose requests take Portkey's proxy route, and one whose requests take its translating route."""
    if request.param == "verbatim":
        yield running.url
        return
    config = tmp_path_factory.mktemp("steering") / "edge.toml"
    config.write_text(edge_config.read_text().replace("verbatim = true", "verbatim = false"))
    with edge_beside(running, portkey, config) as system:
        yield system.url


async def ask(http: aiohttp.ClientSession, url: str, **body: object):
    async with http.post(
        f"{url}/v1/chat/completions", json={"model": "fake/first", "messages": MESSAGES, **body}
    ) as answer:
        return answer.status, await answer.read()


def aimed(fields: dict, at: str) -> dict:
    return json.loads(json.dumps(fields).replace(HOST, at))


@pytest.mark.parametrize("fields", STEERING, ids="+".join)
async def test_no_field_of_a_body_leads_it_elsewhere(http, system, elsewhere, edge, fields):
    status, body = await ask(http, edge, **aimed(fields, elsewhere.url))
    assert elsewhere.seen == []
    assert "attackers-key" not in str([seen.headers for seen in system.provider.seen])
    if status == 200:
        assert json.loads(body)["choices"][0]["message"]["content"] == "hi"
        assert [seen.model for seen in system.provider.seen] == ["first"]
    else:
        assert (status, system.provider.seen) == (400, [])


@pytest.mark.parametrize("fields", REFUSED, ids="+".join)
async def test_a_field_that_is_an_address_or_a_key_anywhere_is_refused_by_name(http, system, elsewhere, fields):
    status, body = await ask(http, system.url, **aimed(fields, elsewhere.url))
    assert (status, json.loads(body)["error"]["code"]) == (400, "field_not_allowed")
    assert next(iter(fields)) in body.decode()
    assert system.provider.seen == []


async def test_no_header_of_a_client_leads_it_elsewhere(http, system, elsewhere):
    target = {"provider": "openai", "api_key": "k", "custom_host": elsewhere.url}
    headers = {
        "x-portkey-config": json.dumps({"strategy": {"mode": "single"}, "targets": [target]}),
        "x-portkey-custom-host": elsewhere.url,
        "x-portkey-provider": "openai",
        "x-portkey-virtual-key": "vk",
        "x-forwarded-host": elsewhere.url,
        "host": elsewhere.url.removeprefix("http://").removesuffix("/v1"),
    }
    async with http.post(
        f"{system.url}/v1/chat/completions", json={"model": "auto", "messages": MESSAGES}, headers=headers
    ) as answer:
        assert answer.status == 200
    assert elsewhere.seen == []
    assert len(system.provider.seen) == 1


@pytest.mark.parametrize(
    "model",
    ["fake/../../elsewhere", "fake/first@elsewhere", "//elsewhere/first", "http://elsewhere/v1", "fake/x?y#z", "@x/y"],
)
async def test_no_name_of_a_model_leads_it_elsewhere(http, system, elsewhere, model):
    named = model.replace("elsewhere", elsewhere.url.removeprefix("http://"))
    status, _ = await ask(http, system.url, model=named)
    assert elsewhere.seen == []
    assert status in (200, 400, 404)
    # A provider's model may have any name; it goes to that provider as a name, to the usual path.
    assert {seen.path for seen in system.provider.seen} <= {"/v1/chat/completions"}


@pytest.mark.parametrize("picture", PICTURES)
async def test_no_picture_is_fetched_on_the_way(http, system, elsewhere, edge, picture):
    url = elsewhere.url + "/picture.png" if picture.startswith("/") else picture
    content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    status, _ = await ask(http, edge, messages=[{"role": "user", "content": content}])
    assert elsewhere.seen == []
    assert status in (200, 400)
    for seen in system.provider.seen:
        # The provider gets the address as it stands, to do with it what it does.
        assert url in seen.raw.decode()
        assert "root:" not in seen.raw.decode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_providers_redirect_is_not_followed(http, system, elsewhere, edge, status, stream):
    """Through the real open-source gateway: it would take the prompt, and the key, wherever a provider says."""

    async def away(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(status=status, headers={"location": elsewhere.url + "/chat/completions"})

    system.provider.script["first"] = away
    code, body = await ask(http, edge, stream=stream)
    assert elsewhere.seen == []
    assert code in (400, 502, 503)
    assert "error" in json.loads(body)
    assert elsewhere.url not in body.decode()


async def test_portkeys_own_redirect_is_not_followed(http, running, edge_config, elsewhere):
    portkey = FakeProvider()

    async def away(request: web.Request, body: dict) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": elsewhere.url + "/chat/completions"})

    for model in ("first", "fake/first"):
        portkey.script[model] = away
    try:
        with edge_beside(running, 0, edge_config, PORTKEY_BASE_URL=portkey.url) as system:
            status, body = await ask(http, system.url)
    finally:
        portkey.close()
    assert elsewhere.seen == []
    assert status == 503
    assert elsewhere.url not in body.decode()
