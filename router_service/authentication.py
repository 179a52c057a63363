"""Lets in who holds a token, and makes tokens: `python -m router_service.authentication NAME`."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import grpc

from router_service.errors import InvalidConfiguration, RouterError
from router_service.refusals import Context, abort
from router_service.reload import Tell, stamp

HEALTH = "/grpc.health.v1.Health/"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-fA-F]{64}")
# A log line has room for so much of a name that a stranger chose.
LONGEST_NAME = 100

# The stubs' type has parameters, the library's has none.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Unauthenticated(RouterError):
    """The call carries no known token."""

    status = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"

    def __init__(self) -> None:
        # It says what to send, and never which part of what was sent is wrong.
        super().__init__("This router needs a token: send the metadata `authorization: Bearer TOKEN`.")


def digest(token: str) -> str:
    """What the file keeps of a token. Tokens are random and long, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The tokens of a file, one `name sha256-hex` a line; it is read anew when it changes."""

    def __init__(self, path: Path, tell: Tell) -> None:
        """InvalidConfiguration names the file and the line that cannot be used; later problems are told."""
        self._path = path
        self._tell = tell
        self._seen = stamp(path)
        self._digests = read_tokens(path)

    def knows(self, token: str) -> bool:
        """Whether the token is one of the file's, in a time that does not depend on which."""
        self._refresh()
        offered = digest(token)
        # Every entry is compared, found or not.
        return sum(hmac.compare_digest(offered, kept) for kept in self._digests) > 0

    def _refresh(self) -> None:
        now = stamp(self._path)
        if now == self._seen:
            return
        self._seen = now
        try:
            self._digests = read_tokens(self._path)
        except InvalidConfiguration as error:
            # Half an edit must not lock everyone out: the tokens before it stay valid until the file is right.
            self._tell("tokens_refused", {"problem": str(error), "serving": "the tokens before"})
        else:
            self._tell("tokens_loaded", {"tokens": len(self._digests)})


class Authentication(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to every call without a known token, health checks excepted."""

    def __init__(self, tokens: Tokens, tell: Tell) -> None:
        self._tokens = tokens
        self._tell = tell
        # It reads no message, so it suits unary and streaming calls, known and unknown methods alike.
        self._refusal: Handler = grpc.stream_stream_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Let the call through, or answer it."""
        method = handler_call_details.method
        if method.startswith(HEALTH):
            return await continuation(handler_call_details)
        token = _bearer(handler_call_details.invocation_metadata)
        if token is not None and self._tokens.knows(token):
            return await continuation(handler_call_details)
        self._tell("refused", {"rpc": method[:LONGEST_NAME], "reason": Unauthenticated.reason})
        return self._refusal


def read_tokens(path: Path) -> tuple[str, ...]:
    """The digests of a tokens file. A name may stand twice, so that a token can be replaced without a gap."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidConfiguration(f"ROUTER_TOKENS_FILE: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidConfiguration(f"ROUTER_TOKENS_FILE: {path} is not text") from None
    digests = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0]) or not DIGEST.fullmatch(words[1]):  # noqa: PLR2004
            # The line itself is not repeated: it may hold the token that belongs elsewhere.
            wanted = "`name sha256-hex`, as `python -m router_service.authentication NAME` prints it"
            raise InvalidConfiguration(f"ROUTER_TOKENS_FILE: {path}, line {number} is not {wanted}")
        digests.append(words[1].lower())
    return tuple(digests)


def _bearer(metadata: Any) -> str | None:
    values = [value for key, value in metadata or () if key == "authorization"]
    if len(values) != 1 or not isinstance(values[0], str):
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _refuse(_requests: object, context: Context) -> NoReturn:
    await abort(context, Unauthenticated())
    raise AssertionError("abort always raises")


def main() -> int:
    """Print a new token, this once, and the line that lets it in."""
    if len(sys.argv) != 2 or not NAME.fullmatch(sys.argv[1]):  # noqa: PLR2004
        sys.stderr.write(
            "usage: python -m router_service.authentication NAME\n"
            "NAME says whose token it is: letters, digits, dots, hyphens and underscores.\n"
        )
        return 2
    token = secrets.token_urlsafe(32)
    sys.stdout.write(
        f"The token, shown this once; its holder sends `authorization: Bearer TOKEN`:\n{token}\n"
        f"The line for ROUTER_TOKENS_FILE:\n{sys.argv[1]} {digest(token)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
