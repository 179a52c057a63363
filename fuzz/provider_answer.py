"""What a provider sends in place of a stream: read or passed over, and quoted without address, key or line break."""

from edge_gateway import errors
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

FORMS = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS)
STATUSES = (400, 401, 403, 404, 408, 422, 429, 446, 500, 503, 529)
KEY = "Zq7xKw3mPv9tRb2n"
SEEDS = (
    b'\x00\x01{"error":{"message":"Incorrect API key: Zq7xKw3mPv9tRb2n at https://a.invalid/?k","code":"invalid_api_key"}}',
    b'\x01\x06{"detail":"rate limit, see www.a.invalid or Zq7xKw3m****"}',
    b'\x02\x00"prompt is too long: 210000 tokens > 200000"',
    b'\x00\x08{"choices":[{"index":0,"message":{"content":"hi","tool_calls":[{}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}',
    b'\x02\x08{"type":"message","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":1}}',
    b'\x01\x08{"output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}],"usage":{"input_tokens":1}}',
    b'\x03\x08{"choices":[{"text":"a","finish_reason":"stop"}]}',
    b'\x04\x08{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":1}}',
    b"\x00\x09<html>Message: fetch failed</html>",
)


def one_input(data: bytes) -> None:
    """The first two bytes say which form and status."""
    if len(data) < 2:
        return
    form, status, raw = FORMS[data[0] % len(FORMS)], STATUSES[data[1] % len(STATUSES)], data[2:]
    form.read_plain(raw)
    form.read_event(raw)
    error = errors.from_upstream(status, raw, "fake/first", None, (KEY,))
    errors.is_the_requests_fault(raw)
    assert error.status in (400, 401, 404, 429, 503, 504)
    assert not any(word in error.message for word in ("://", "\n", "\r"))
    assert not [start for start in range(len(KEY) - 7) if KEY[start : start + 8] in error.message + error.code]
    assert len(error.message) < 2 * errors.MESSAGE_LIMIT
    form.error_body(error)
    form.error_event(error)
