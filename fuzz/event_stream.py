"""A provider's stream: the same bytes in any pieces give the same answer, and what is relayed is what came."""

from edge_gateway.event_stream import EventTooLarge, StreamObserver
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

FORMS = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS)
SEEDS = (
    b'\x00\x01\x05data: {"choices":[{"index":0,"delta":{"content":"gr\xc3\xbc\xc3\x9f"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\r\n\r\ndata: [DONE]\n\n',
    b'\x01\x01\x02event: a\ndata: {"type":"response.output_text.delta","delta":"hi"}\n\n'
    b'data: {"type":"response.completed","response":{"output":[{}],"usage":{"output_tokens":3}}}\n\n',
    b'\x02\x01\x03data: {"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":1}}}\n\n'
    b'data: {"type":"content_block_delta","delta":{"text":"hi"}}\r\rdata: {"type":"message_stop"}\n\n',
    b'\x03\x02\x07: x\n\ndata: {"choices":[{"text":"a","finish_reason":"length"}]}\n\ndata: {"error":{"message":"x"}}\n\n',
)


def one_input(data: bytes) -> None:
    """The first bytes say which form, how many answers, and how long the pieces are."""
    if len(data) < 3:
        return
    form, answers, size, stream = FORMS[data[0] % len(FORMS)], data[1] % 4 + 1, data[2] % 32 + 1, data[3:]
    whole = _watched(StreamObserver(form.read_event, answers), [stream])
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert _watched(StreamObserver(form.read_event, answers), pieces) == whole
    assert stream.startswith(whole[0])


def _watched(observer: StreamObserver, pieces: list[bytes]) -> tuple[bytes, object]:
    relayed = b""
    try:
        for piece in pieces:
            relayed += observer.feed(piece)
            if observer.cut_short:
                break
        else:
            relayed += observer.rest()
    except EventTooLarge:
        return relayed, None
    return relayed, (
        observer.finished,
        observer.over,
        observer.cut_short,
        observer.error,
        observer.usage,
        observer.said,
    )
