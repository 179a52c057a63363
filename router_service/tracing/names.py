"""The names of all that the router's spans say: OpenTelemetry's, as its conventions 1.44.0 have them, and our own."""

from __future__ import annotations

# Of the conventions that the names are taken from.
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

RPC_SYSTEM = "rpc.system"
RPC_SERVICE = "rpc.service"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.grpc.status_code"

HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
URL_TEMPLATE = "url.template"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

SOURCE = "router.decision.source"
REASON = "router.decision.reason"
DECISION_ID = "router.decision.id"
LEASE = "router.decision.lease"
MODEL = "router.decision.model"
PROFILE = "router.profile"
PURPOSE = "router.purpose"
PREVIOUS_OUTCOME = "router.previous_outcome"
NOT_DIAMOND_PROBLEM = "router.not_diamond.problem"
