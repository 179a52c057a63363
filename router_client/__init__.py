"""A typed client of the model router: `Router` for threads, `AsyncRouter` for event loops; plain values in and out.

from router_client import Purpose, Question, Router

with Router("127.0.0.1:50051") as router:
    decision = router.select(Question(profile="auto", purpose=Purpose.CODE))
    print(decision.model, decision.reason)
"""

from protos.router.v1 import router_pb2 as _pb
from router_client.aio import AsyncRouter, AsyncWatch
from router_client.answers import (
    Decision,
    DecisionSummary,
    Explanation,
    LearningTrace,
    Model,
    NotDiamondTrace,
    PinTrace,
    Profile,
    RankedModel,
    Receipt,
    RemovedCandidate,
    Savings,
    SavingsRow,
    ServerInfo,
    ShadowTrace,
    Spending,
)
from router_client.asked import (
    DecisionFilter,
    LeasedDecision,
    Message,
    PreviousReply,
    Question,
    Report,
    Requirements,
    TraceContext,
)
from router_client.blocking import Router, Watch
from router_client.calls import Receipts
from router_client.connection import Pem, Tls
from router_client.errors import (
    DeadlineExceeded,
    FieldViolation,
    InvalidRequest,
    NoCandidate,
    NotAuthenticated,
    NotFound,
    Overloaded,
    RouterError,
    Unavailable,
    UnknownCall,
)
from router_client.words import DecisionSource, Outcome, Purpose

__version__ = "0.1.0"
# The revision of the contract that this client was made for; a router of a later one serves it too.
CONTRACT_REVISION: int = max(_pb.ContractRevision.values())

__all__ = [
    "CONTRACT_REVISION",
    "AsyncRouter",
    "AsyncWatch",
    "DeadlineExceeded",
    "Decision",
    "DecisionFilter",
    "DecisionSource",
    "DecisionSummary",
    "Explanation",
    "FieldViolation",
    "InvalidRequest",
    "LearningTrace",
    "LeasedDecision",
    "Message",
    "Model",
    "NoCandidate",
    "NotAuthenticated",
    "NotDiamondTrace",
    "NotFound",
    "Outcome",
    "Overloaded",
    "Pem",
    "PinTrace",
    "PreviousReply",
    "Profile",
    "Purpose",
    "Question",
    "RankedModel",
    "Receipt",
    "Receipts",
    "RemovedCandidate",
    "Report",
    "Requirements",
    "Router",
    "RouterError",
    "Savings",
    "SavingsRow",
    "ServerInfo",
    "ShadowTrace",
    "Spending",
    "Tls",
    "TraceContext",
    "Unavailable",
    "UnknownCall",
    "Watch",
    "__version__",
]
