"""The names of all that the edge's spans say: OpenTelemetry's, as its conventions 1.44.0 have them, and our own."""

from __future__ import annotations

# Of the conventions that the names are taken from. Those for models have moved since, and are to be renamed there.
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

RPC_SYSTEM = "rpc.system"
RPC_SERVICE = "rpc.service"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.grpc.status_code"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
# Only where a setting asks for them.
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

SOURCE = "router.decision.source"
REASON = "router.decision.reason"
DECISION_ID = "router.decision.id"
LEASE = "router.decision.lease"
PURPOSE = "router.purpose"
PREVIOUS_OUTCOME = "router.previous_outcome"
REQUESTED_MODEL = "edge.requested_model"
FALLBACK_INDEX = "edge.fallback_index"
REQUEST_ID = "edge.request_id"
OUTCOME = "edge.outcome"
ANSWERED_AGAIN = "edge.answered_again"
TOKENS_ESTIMATED = "edge.tokens_estimated"

# Providers that the conventions call otherwise than a model's name here does.
PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
# What a form of API is called as an operation.
OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
