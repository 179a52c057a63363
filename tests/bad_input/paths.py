"""B24 to B27: methods and paths that are not served, and ways to write one that is."""

from tests.bad_input.asking import ALICES, CHAT, HOST, head, post
from tests.bad_input.case import Case, House, Seen, either, http, refused, served

METHODS = ("GET", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD")
# Other spellings of the path; the host of an address that is a whole one means nothing either.
SPELLINGS = (
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/%76%31/chat/completions",
    "/v1/../admin",
    "/v1/./chat/completions",
    "/v1/models/../chat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1/chat%2fcompletions",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%00",
    "/v1/chat/completions/",
    "/v1/chat/completions%0d%0ax-evil:1",
    "/V1/CHAT/COMPLETIONS",
    "/s/%ff%fe/v1/chat/completions",
    "/s/" + "n" * 5000 + "/v1/chat/completions",
    "http://evil.test/v1/chat/completions",
    "http://evil.test/admin",
    "*",
    "v1/chat/completions",
)
OPERATORS = (
    "/admin",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/debug/pprof",
    "/.env",
    "/.git/config",
    "/server-status",
)


def _names_post(_house: House, seen: Seen) -> str:
    allowed = [answer.headers.get("allow", "") for answer in seen.answers]
    return "" if all("POST" in methods for methods in allowed) else f"Allow: {allowed}"


def _stays_here(_house: House, seen: Seen) -> str:
    """No answer sends its client elsewhere, nor repeats a line of its path as a header."""
    sent = [answer.headers["location"] for answer in seen.answers if "location" in answer.headers]
    evil = any("x-evil" in answer.headers for answer in seen.answers)
    return f"redirects to {sent}" if sent else "a header of the client's making" if evil else ""


def _spelt(path: str) -> tuple[Case, Case]:
    shown = path if len(path) < 45 else f"{path[:20]}… of {len(path)}"
    return (
        Case("B25", shown, http(post(path=path)), either(200, 400, 404, 405, check=_stays_here)),
        # Whatever the spelling, nothing is served without the key.
        Case("B25", f"{shown}, no key", http(post(path=path, auth=())), refused(400, 401, 404, 405, check=_stays_here)),
    )


CASES = (
    *(
        Case(
            "B24",
            method,
            http(head(HOST, ALICES, method=method, path=CHAT), bodiless=method == "HEAD"),
            refused(405, code="" if method == "HEAD" else "not_allowed", check=_names_post),
        )
        for method in METHODS
    ),
    Case(
        "B24",
        "CONNECT",
        http(head(HOST, ALICES, method="CONNECT", path="evil.test:443")),
        refused(400, 404, 405, silent=True),
    ),
    Case("B24", "a method of its own", http(head(HOST, ALICES, method="BREW", path=CHAT)), refused(400, 405, 501)),
    Case("B24", "POST on the list of models", http(post(path="/v1/models")), refused(405, code="not_allowed")),
    *(case for path in SPELLINGS for case in _spelt(path)),
    *(
        Case("B26", path, http(head(HOST, ALICES, method="GET", path=path)), refused(404, code="not_found"))
        for path in OPERATORS
    ),
    Case(
        "B27",
        "/v1/proxy/chat/completions",
        http(post(path="/v1/proxy/chat/completions")),
        refused(404, code="not_found"),
    ),
    Case(
        "B27",
        "/v1/proxy/x, GET",
        http(head(HOST, ALICES, method="GET", path="/v1/proxy/x")),
        refused(404, code="not_found"),
    ),
    Case("B27", "/v1/files", http(post(path="/v1/files")), refused(404, code="not_found")),
    Case(
        "B27",
        "/v1/messages/batches, which is Anthropic's",
        http(post(path="/v1/messages/batches"), form="anthropic"),
        refused(404, code="not_found_error"),
    ),
    Case(
        "B27",
        "/v1/responses",
        http(post(b'{"model":"auto","input":"hi"}', path="/v1/responses")),
        served(),
        note="is served here, in place of a 404",
    ),
)
