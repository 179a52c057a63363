"""G01 to G11 and G16 to G18: calls to the router that no stub would make, through a gRPC channel."""

import random
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from protos.router.v1 import router_pb2 as pb
from tests.bad_input.case import Act, Case, Check, Expected, Seen, nothing_more
from tests.bad_input.footprint import peak_bytes
from tests.bad_input.frames import SELECT, WATCH, Connection
from tests.bad_input.house import DEADLINE_SECONDS, TOKEN, House
from tests.processes import NEVER

REPORT = "/router.v1.RouterService/ReportOutcome"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
Metadata = Sequence[tuple[str, str | bytes]]
ALLOWED: Metadata = (("authorization", f"Bearer {TOKEN}"),)
# More than any message may have, and less than would hurt.
BOMB_BYTES = 64 * 2**20
MOST_GROWTH = 48 * 2**20
# What an answer takes, apart from what it waits for.
SLACK = 4.0


def request(**fields: object) -> bytes:
    """A SelectModelRequest, from its fields in JSON."""
    return ParseDict({"profile": "auto", **fields}, pb.SelectModelRequest()).SerializeToString()


def open_channel(house: House, *, secure: bool, compression: grpc.Compression | None = None) -> grpc.Channel:
    """A channel to the router behind the edge, or to the one with TLS and tokens."""
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", 2**24),
        ("grpc.absolute_max_metadata_size", 2**24),
    ]
    if not secure:
        return grpc.insecure_channel(f"127.0.0.1:{house.router_port}", options, compression)
    credentials = grpc.ssl_channel_credentials(Path(house.authority).read_bytes())
    return grpc.secure_channel(f"localhost:{house.secure_port}", credentials, options, compression)


def rpc(
    raw: bytes,
    method: str = SELECT,
    *,
    metadata: Metadata = (),
    secure: bool = False,
    streaming: bool = False,
    timeout: float | None = NEVER,
    compression: grpc.Compression | None = None,
) -> Act:
    """Call a method with these bytes as the message; afterwards the router must still decide."""

    def act(house: House, seconds: float) -> Seen:
        with open_channel(house, secure=secure, compression=compression) as channel:
            seen = called(channel, raw, method, metadata, timeout, streaming=streaming)
        seen.problems += alive(house, secure=secure)
        return seen

    return act


def alive(house: House, *, secure: bool = False) -> list[str]:
    """What is wrong with the router, if anything."""
    with open_channel(house, secure=secure) as channel:
        # Without messages Not Diamond is not asked, so the answer takes no time.
        seen = called(channel, request(), SELECT, ALLOWED if secure else (), NEVER, streaming=False)
    return [] if seen.codes == ["OK"] else [f"afterwards the router answers {seen.words}"]


def called(
    channel: grpc.Channel, raw: bytes, method: str, metadata: Metadata, timeout: float | None, *, streaming: bool
) -> Seen:
    """What comes of a call with these bytes as its message."""
    try:
        if streaming:
            reply = next(
                iter(channel.stream_stream(method, _as_is, _as_is)(iter([raw]), timeout=timeout, metadata=metadata))
            )
        else:
            reply = channel.unary_unary(method, _as_is, _as_is)(raw, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        code = error.code().name
        return Seen(code, codes=[code], reply=error)
    return Seen("OK", codes=["OK"], reply=reply)


def _as_is(raw: bytes) -> bytes:
    return raw


def answered(*codes: str, check: Check = nothing_more) -> Expected:
    """One of these gRPC codes."""
    return Expected(codes=frozenset(codes), forwarded=0, check=check)


def _details(seen: Seen) -> dict[str, object]:
    """The error's google.rpc details by type name."""
    status = rpc_status.from_call(seen.reply)
    kinds = error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure
    found: dict[str, object] = {}
    for packed in status.details if status else ():
        for kind in kinds:
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found


def _reason(reason: str) -> Check:
    """The refusal says why, as ErrorInfo."""

    def check(_house: House, seen: Seen) -> str:
        info = _details(seen).get("ErrorInfo")
        told = getattr(info, "reason", ""), getattr(info, "domain", "")
        return "" if told == (reason, "router.v1") else f"ErrorInfo {told}"

    return check


def _field(name: str) -> Check:
    """The refusal names the field."""

    def check(_house: House, seen: Seen) -> str:
        told = [violation.field for violation in getattr(_details(seen).get("BadRequest"), "field_violations", ())]
        return "" if name in told else f"named {told} in place of {name}"

    return check


def _decided_locally(_house: House, seen: Seen) -> str:
    source = pb.SelectModelResponse.FromString(seen.reply).source
    return "" if source == pb.DECISION_SOURCE_LOCAL else f"source {source}"


def _a_bomb(house: House, seconds: float) -> Seen:
    """A message that is a thousand times its size once unpacked, and what the router's memory makes of it."""
    before = peak_bytes(house.router.popen.pid)
    seen = rpc(bytes(BOMB_BYTES), compression=grpc.Compression.Gzip, timeout=seconds)(house, seconds)
    grown = peak_bytes(house.router.popen.pid) - before
    if grown > MOST_GROWTH:
        seen.problems.append(f"the router's memory grew by {grown / 2**20:.0f} MiB at its peak")
    return seen


def _deadline(*more: tuple[str, str]) -> Act:
    """A call with this grpc-timeout or none, to the router whose Not Diamond never answers."""

    def act(house: House, seconds: float) -> Seen:
        message = request(messages=[{"role": "user", "text": "hi"}], purpose="PURPOSE_CODE")
        with Connection(house.secure_port, house.authority) as connection:
            connection.begin()
            connection.send(connection.call(1, SELECT, message, [*ALLOWED, *more]))
            in_time = connection.read_until(lambda come: 1 in come.streams and come.streams[1].over, seconds)
            stream = connection.streams.get(1)
        if stream is None or not stream.over:
            return Seen("nothing", late=not in_time, closed=connection.closed, problems=["no answer"])
        code = _name_of(stream.headers.get("grpc-status", ""), stream.reset)
        seen = Seen(code, codes=[code], reply=stream.data[5:])
        seen.problems += alive(house, secure=True)
        return seen

    return act


def _name_of(status: str, reset: int | None) -> str:
    if status:
        return next((code.name for code in grpc.StatusCode if code.value[0] == int(status)), status)
    return "CANCELLED" if reset is not None else "nothing"


UNREADABLE = answered("INVALID_ARGUMENT", check=_reason("UNREADABLE_MESSAGE"))
UNAUTHENTICATED = answered("UNAUTHENTICATED", check=_reason("UNAUTHENTICATED"))
TOO_MUCH = answered("RESOURCE_EXHAUSTED")
GARBAGE = (
    ("20 bytes of 0xff", b"\xff" * 20),
    ("random bytes", random.Random(1).randbytes(500)),
    ("a length beyond the end", b"\x12\x7fabc"),
    ("half a number", b"\x08\x80"),
    ("an end of a group that was not begun", b"\x0c"),
    ("field 0", b"\x00\x01"),
    ("groups, 10,000 deep", b"\x0b" * 10_000),
    ("JSON", b'{"profile": "auto"}'),
)
# Field 2, 6 and 12 are the profile, the conversation's id and a map with texts.
NOT_UTF8 = (
    ("the profile", b"\x12\x02\xff\xfe"),
    ("the conversation", b"\x12\x04auto\x32\x01\xff"),
    ("a surrogate", b"\x12\x03\xed\xa0\x80"),
    ("the metadata", b"\x12\x04auto\x62\x05\x0a\x01a\x12\x00\x62\x06\x0a\x01\xff\x12\x01b"),
)
WRONG_TOKENS: tuple[tuple[str, Metadata], ...] = (
    ("none", ()),
    ("an empty one", (("authorization", ""),)),
    ("Bearer and nothing", (("authorization", "Bearer "),)),
    ("a wrong one", (("authorization", "Bearer x"),)),
    ("Basic", (("authorization", f"Basic {TOKEN}"),)),
    ("no scheme", (("authorization", TOKEN),)),
    ("two", (*ALLOWED, *ALLOWED)),
    ("one right, one wrong", (*ALLOWED, ("authorization", "Bearer x"))),
    ("the right one and a letter", (("authorization", f"Bearer {TOKEN}x"),)),
    ("one of 6 kB", (("authorization", "Bearer " + "x" * 6_000),)),
    ("SQL", (("authorization", "Bearer ' OR '1'='1"),)),
    ("a binary header", (("authorization-bin", TOKEN.encode()),)),
)

CASES = (
    *(Case("G01", what, rpc(raw), UNREADABLE) for what, raw in GARBAGE),
    Case("G01", "garbage to a method that streams", rpc(b"\xff" * 20, WATCH, streaming=True), UNREADABLE),
    Case("G01", "garbage to health", rpc(b"\xff" * 20, HEALTH), UNREADABLE),
    Case("G01", "garbage to a batch", rpc(b"\x0a\x7f", SELECT + "s"), UNREADABLE),
    *(Case("G02", f"no UTF-8 in {where}", rpc(raw), UNREADABLE) for where, raw in NOT_UTF8),
    *(Case("G03", f"a message of {size} MiB", rpc(bytes(size * 2**20)), TOO_MUCH, seconds=10) for size in (5, 64)),
    Case(
        "G03",
        "a message of 3 MiB",
        rpc(request(messages=[{"role": "user", "text": "x" * (3 * 2**20)}])),
        answered("OK"),
        seconds=10,
    ),
    *(
        Case("G04", what, rpc(request(), metadata=metadata), TOO_MUCH)
        for what, metadata in (
            ("metadata of 20 kB", [("x-large", "x" * 20_000)]),
            ("metadata of 1 MB", [("x-large", "x" * 2**20)]),
            ("1,000 entries of 40 bytes", [(f"x-entry-{number:04d}", "x" * 28) for number in range(1000)]),
        )
    ),
    Case("G04", "metadata of 4 kB", rpc(request(), metadata=[("x-some", "x" * 4000)]), answered("OK")),
    *(
        Case("G05", f"token: {what}", rpc(request(), metadata=sent, secure=True), UNAUTHENTICATED)
        for what, sent in WRONG_TOKENS
    ),
    Case(
        "G05",
        "token: one of 60 kB",
        rpc(request(), metadata=[("authorization", "Bearer " + "x" * 60_000)], secure=True),
        answered("RESOURCE_EXHAUSTED", "UNAUTHENTICATED"),
    ),
    Case("G05", "token: none, and garbage", rpc(b"\xff", secure=True), UNAUTHENTICATED),
    Case(
        "G05",
        "token: none, a method that is not there",
        rpc(b"", "/router.v1.RouterService/Nothing", secure=True),
        UNAUTHENTICATED,
    ),
    *(
        Case("G06", method, rpc(b"", method), answered("UNIMPLEMENTED"))
        for method in (
            "/router.v1.RouterService/Nothing",
            "/router.v1.Nothing/SelectModel",
            "/",
            "/router.v1.RouterService/",
            "//",
            "/router.v2.RouterService/SelectModel",
            "/" + "x" * 4000,
        )
    ),
    Case("G07", "no timeout", _deadline(), answered("OK", check=_decided_locally), DEADLINE_SECONDS + SLACK),
    Case(
        "G07",
        "a timeout of 99,999,999 hours",
        _deadline(("grpc-timeout", "99999999H")),
        answered("OK", check=_decided_locally),
        DEADLINE_SECONDS + SLACK,
    ),
    *(
        Case(
            "G07",
            f"a timeout of {value!r}",
            _deadline(("grpc-timeout", value)),
            answered("OK", "INTERNAL", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "CANCELLED"),
            DEADLINE_SECONDS + SLACK,
        )
        for value in ("soon", "-1S", "999999999999H", "")
    ),
    *(
        Case("G08", f"a deadline of {value}", _deadline(("grpc-timeout", value)), answered(*codes))
        for value, codes in (
            ("0n", ("DEADLINE_EXCEEDED", "CANCELLED")),
            ("0S", ("DEADLINE_EXCEEDED", "CANCELLED")),
            # gRPC rounds up to what its timers can tell, and a decision may be quicker.
            ("1n", ("DEADLINE_EXCEEDED", "CANCELLED", "OK")),
        )
    ),
    Case("G09", "an empty request", rpc(b""), answered("INVALID_ARGUMENT", check=_field("choice"))),
    Case("G09", "fields that are not there", rpc(request() + b"\xfa\x3f\x03abc" + b"\xf8\x3f\x01"), answered("OK")),
    Case("G09", "a purpose of 99", rpc(request() + b"\x28\x63"), answered("INVALID_ARGUMENT", check=_field("purpose"))),
    Case(
        "G09",
        "a purpose of -1",
        rpc(request() + b"\x28" + b"\xff" * 9 + b"\x01"),
        answered("INVALID_ARGUMENT", check=_field("purpose")),
    ),
    Case("G09", "an outcome of 99", rpc(request() + b"\x5a\x02\x08\x63"), answered("OK", "INVALID_ARGUMENT")),
    Case(
        "G09",
        "a role that is not there",
        rpc(request(messages=[{"role": "wizard", "text": "hi"}])),
        answered("INVALID_ARGUMENT", check=_field("messages[0].role")),
    ),
    Case(
        "G09",
        "all numbers at their largest",
        rpc(request(requirements={"inputTokens": 2**32 - 1, "outputTokens": 2**32 - 1, "prefixTokens": 2**32 - 1})),
        answered("FAILED_PRECONDITION"),
    ),
    Case(
        "G10",
        "100,000 candidates",
        rpc(pb.SelectModelRequest(candidates=pb.CandidateList(models=["a/b"] * 100_000)).SerializeToString()),
        answered("INVALID_ARGUMENT", check=_field("candidates.models")),
    ),
    Case(
        "G10",
        "100,000 messages",
        rpc(request(messages=[{"role": "user", "text": ""}] * 100_000)),
        answered("INVALID_ARGUMENT", check=_field("messages")),
        seconds=10,
    ),
    Case(
        "G10",
        "100,000 entries of metadata",
        rpc(request(metadata={f"k{number}": "" for number in range(100_000)})),
        answered("INVALID_ARGUMENT", check=_field("metadata")),
        seconds=10,
    ),
    Case(
        "G10",
        "100,000 providers",
        rpc(request(availableProviders=["p"] * 100_000)),
        answered("INVALID_ARGUMENT", check=_field("available_providers")),
        seconds=10,
    ),
    Case(
        "G10",
        "a batch of 10,000",
        rpc(
            pb.SelectModelsRequest(requests=[pb.SelectModelRequest(profile="auto")] * 10_000).SerializeToString(),
            SELECT + "s",
        ),
        answered("INVALID_ARGUMENT", check=_field("requests")),
    ),
    Case(
        "G10",
        "a stream of 10,000",
        rpc(
            pb.SelectModelStreamRequest(requests=[pb.SelectModelRequest(profile="auto")] * 10_000).SerializeToString(),
            SELECT + "Stream",
            streaming=True,
        ),
        answered("INVALID_ARGUMENT", check=_field("requests")),
    ),
    Case(
        "G10",
        "10,000 reports",
        rpc(
            pb.ReportOutcomesRequest(reports=[pb.ReportOutcomeRequest()] * 10_000).SerializeToString(),
            REPORT + "s",
        ),
        answered("INVALID_ARGUMENT", check=_field("reports")),
    ),
    Case("G11", "64 MiB of zeros, packed", _a_bomb, TOO_MUCH, seconds=20),
    Case("G16", "reflection without a token", rpc(b"", REFLECTION, secure=True, streaming=True), UNAUTHENTICATED),
    Case(
        "G16",
        "reflection with a token, switched off",
        rpc(b"", REFLECTION, secure=True, streaming=True, metadata=ALLOWED),
        answered("UNIMPLEMENTED"),
    ),
    *(
        Case(
            "G17",
            f"health of {name[:20]!r}",
            rpc(health_pb2.HealthCheckRequest(service=name).SerializeToString(), HEALTH),
            answered("NOT_FOUND"),
        )
        for name in ("nothing", "router.v1", "x" * 10_000, "\x00")
    ),
    Case(
        "G18",
        "no candidates",
        rpc(pb.SelectModelRequest(candidates=pb.CandidateList()).SerializeToString()),
        answered("INVALID_ARGUMENT", check=_field("candidates.models")),
        note="the contract wants one at least, so INVALID_ARGUMENT in place of FAILED_PRECONDITION",
    ),
    *(
        Case("G18", what, rpc(request(**fields)), answered("FAILED_PRECONDITION", check=_reason("NO_CANDIDATE")))
        for what, fields in (
            ("all candidates denied to the tenant", {"tenant": "nobody"}),
            ("no provider that can be reached", {"availableProviders": ["elsewhere"]}),
            ("all providers failing", {"unhealthyProviders": ["fake"]}),
        )
    ),
)
