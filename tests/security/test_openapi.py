"""What the API's own description allows, and what it does not, never breaks the edge: schemathesis asks it all, over HTTP."""

import json
from collections import Counter

import hypothesis
import pytest
import schemathesis
from schemathesis import Case

from edge_gateway import app, settings
from tests.security.conftest import KEY
from tests.security.test_surface import routes

DOCUMENT = app.create(settings.load(), settings.load_config("")).openapi()
# Names that are served here, so that what is asked is read to its end.
MODEL = {"enum": ["auto", "auto-weak", "fake/first", "fake/second"]}


def with_models(part: object) -> object:
    if isinstance(part, dict):
        return {name: MODEL if name == "model" else with_models(value) for name, value in part.items()}
    return [with_models(value) for value in part] if isinstance(part, list) else part


SCHEMA = schemathesis.openapi.from_dict(with_models(DOCUMENT))
# Paths that differ in their base alone are one and the same to the edge, so that one base is asked.
ASKED = SCHEMA.include(path_regex=r"^/(v1/|s/\{session\}/v1/chat|healthz|readyz|v1$)")
# 503 and 504 are honest while a provider is away; a 500 is a fault of ours, and a 422 makes Aider crash.
HONEST = {200, 400, 401, 403, 404, 405, 408, 411, 413, 415, 429, 431, 499, 503, 504}


def test_the_description_holds_every_route_and_what_each_reads():
    described = {(method.upper(), path) for path, made in DOCUMENT["paths"].items() for method in made}
    assert described == {(method, path.replace(":path", "")) for method, path in routes()}
    for path, made in DOCUMENT["paths"].items():
        body = made.get("post", {}).get("requestBody")
        assert (body is not None) == ("post" in made)
        if body:
            assert "model" in body["content"]["application/json"]["schema"]["required"], path
    json.dumps(DOCUMENT)


@pytest.fixture(scope="module")
def answered():
    """How often each status came: unless much was served, and much refused, little was asked."""
    counts: Counter[int] = Counter()
    yield counts
    assert {200, 400, 401, 405} <= set(counts), counts
    assert counts[200] > 20, counts


@pytest.mark.timeout(300)
@ASKED.parametrize()
@hypothesis.settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_no_request_breaks_the_edge(case: Case, guarded_edge, answered):
    url = guarded_edge.url
    for headers in ({"authorization": f"Bearer {KEY}"}, {}):
        answer = case.call(base_url=url, headers=headers, timeout=60)
        answered[answer.status_code] += 1
        assert answer.status_code in HONEST, (answer.status_code, answer.text[:300])
        if answer.status_code >= 400 and answer.content:
            error = json.loads(answer.content)["error"]
            assert error["message"]
            assert "Traceback" not in answer.text
