"""A loopback server that speaks chat completions (streaming and not) and GET /v1/models, and fails as real
APIs do.

    with StubServer(["first reply", Reply("second", drip=0.01), error(429, retry_after=0)]) as server:
        ...                      # talk to server.url
    server.requests[0].body      # what was sent: the request's JSON; .headers, lower case; .path

A script is a list (one reply for each request, in order), one reply for all, or a function of the request's
JSON.  A reply is a str, a `Reply` or a `Raw`.

From a shell: `python tests/stub_server.py --script replies.json` prints the URL and serves until its standard
input ends or it is killed."""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = {
    "": "none",
    "reset": "the connection is reset when half of the reply is sent",
    "cut": "the reply ends in good order after half of it: truncated JSON, or a stream without its finish",
    "empty_choices": "`choices` is an empty list",
    "wrong_type": "the text alone, as text/plain",
    "duplicates": "a stream sends its first, finish and usage chunks and [DONE] twice",
    "error_event": "status 200, but an error object: in the place of the reply, or of a stream's second half",
}


@dataclass(frozen=True)
class Reply:
    """A chat completion.

    text       None gives `content: null`
    usage      True counts four characters a token; a dict is sent as it is; None sends no usage
    delay      seconds of silence before anything is sent (ends early when the server closes)
    drip       seconds between the chunks of a stream; a whole reply is sent in quarters
    chunk      characters in a chunk of a stream
    fault      one of FAULTS
    reasoning  sent as `reasoning_content`
    """

    text: str | None = "ok"
    usage: bool | Mapping[str, Any] | None = True
    finish: str = "stop"
    delay: float = 0.0
    drip: float = 0.0
    chunk: int = 16
    fault: str = ""
    reasoning: str = ""

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(
                f"no fault is called {self.fault!r}; there are {', '.join(filter(None, FAULTS))}"
            )


@dataclass(frozen=True)
class Raw:
    """A whole HTTP answer, sent as it is."""

    status: int
    body: str | bytes = b""
    type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


Scripted = str | Reply | Raw
Script = Scripted | Sequence[Scripted] | Callable[[dict[str, Any]], Scripted]


def error(
    status: int, message: str = "", *, code: str | None = None, retry_after: float | str | None = None
) -> Raw:
    """An API error as OpenAI writes it."""
    body = {
        "error": {"message": message or f"the stub fails with {status}", "type": "stub_error", "code": code}
    }
    return Raw(
        status, json.dumps(body), headers={} if retry_after is None else {"Retry-After": str(retry_after)}
    )


def html(status: int = 502) -> Raw:
    """What a gateway in front of the API answers when it is in trouble."""
    body = f"<html><head><title>{status} Bad Gateway</title></head><body><center>nginx</center></body></html>"
    return Raw(status, body, type="text/html")


def overflow(window: int = 8192) -> Raw:
    """The prompt exceeds the model's window."""
    message = (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in more."
    )
    return error(400, message, code="context_length_exceeded")


def content_filter() -> Raw:
    """The prompt is refused before the model sees it, as Azure does."""
    return error(
        400, "The response was filtered due to the prompt triggering the policy.", code="content_filter"
    )


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))


class StubServer:
    """The server, on a free port of 127.0.0.1, in threads of its own, from `__enter__` to `__exit__`.

    url       what a client takes as `base_url`
    requests  every chat request so far, in order of arrival
    in_flight the chat requests that are being answered now
    peak      the most of them at once
    """

    def __init__(self, script: Script = "ok", *, models: Sequence[str] = ("stub",), port: int = 0) -> None:
        self.models = tuple(models)
        self.requests: list[Request] = []
        self.in_flight = 0
        self.peak = 0
        self.closing = threading.Event()
        self._script = script
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stub = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> StubServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def reply_to(self, request: Request) -> Reply | Raw:
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        if callable(self._script):
            found = self._script(request.body)
        elif isinstance(self._script, str | Reply | Raw):
            found = self._script
        elif number <= len(self._script):
            found = self._script[number - 1]
        else:
            found = error(
                418, f"the stub's script has {len(self._script)} replies, and this is request {number}"
            )
        return Reply(found) if isinstance(found, str) else found

    def began(self) -> None:
        with self._lock:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)

    def ended(self) -> None:
        with self._lock:
            self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    stub: StubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; anything else is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.rstrip("/") != "/v1/models":
            return self._send(error(404, f"no {self.path} here"))
        models = [{"id": name, "object": "model", "owned_by": "stub"} for name in self.server.stub.models]
        self._send(Raw(200, json.dumps({"object": "list", "data": models})))

    def do_POST(self) -> None:
        stub = self.server.stub
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.rstrip("/").endswith("/v1/chat/completions"):
            return self._send(error(404, f"no {self.path} here"))
        try:
            body = json.loads(content)
        except ValueError:
            return self._send(error(400, "the request is not JSON"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = stub.reply_to(Request(self.path, headers, body))
        stub.began()
        try:
            stub.closing.wait(reply.delay)
            if isinstance(reply, Raw):
                self._send(reply)
            elif reply.fault == "wrong_type":
                self._send(Raw(200, reply.text or "", type="text/plain"))
            elif body.get("stream"):
                self._stream(reply, body)
            else:
                self._whole(reply, body)
        finally:
            stub.ended()

    def _send(self, raw: Raw, *, half: bool = False, drip: float = 0.0) -> None:
        body = raw.body.encode() if isinstance(raw.body, str) else raw.body
        self.send_response(raw.status)
        self.send_header("Content-Type", raw.type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in raw.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if half:
            self.wfile.write(body[: len(body) // 2])
            self._reset()
        else:
            size = len(body) // 4 + 1 if drip else max(1, len(body))
            for at in range(0, len(body), size):
                if at:
                    self.server.stub.closing.wait(drip)
                self.wfile.write(body[at : at + size])

    def _whole(self, reply: Reply, request: Mapping[str, Any]) -> None:
        message = {"role": "assistant", "content": reply.text}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        completion = _envelope(request, "chat.completion") | {
            "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}]
        }
        if reply.fault == "empty_choices":
            completion["choices"] = []
        elif reply.fault == "error_event":
            completion = {"error": {"message": "the upstream provider failed", "code": 502}}
        usage = _usage(reply, request)
        if usage is not None:
            completion["usage"] = usage
        text = json.dumps(completion)
        if reply.fault == "cut":
            text = text[: len(text) // 2]
        self._send(Raw(200, text), half=reply.fault == "reset", drip=reply.drip)

    def _stream(self, reply: Reply, request: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events = list(_events(reply, request))
        half = len(events) // 2
        for number, event in enumerate(events):
            if reply.fault in ("reset", "cut", "error_event") and number == half:
                break
            if number:
                self.server.stub.closing.wait(reply.drip)
            self._event(event)
        if reply.fault == "reset":
            return self._reset()
        if reply.fault == "error_event":
            self._event(json.dumps({"error": {"message": "the upstream provider failed", "code": 502}}))
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def _reset(self) -> None:
        """Ends the connection with RST: linger 0 makes close() drop what is unsent."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # shutdown() would send FIN, and close() waits for rfile: so the descriptor itself is closed.
        self.server.stub.closing.wait(0.02)  # what was written should arrive first
        os.close(self.connection.detach())


def _envelope(request: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-stub", "object": kind, "created": 1, "model": str(request.get("model", "stub"))}


def _usage(reply: Reply, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if reply.usage is True:
        prompt = sum(len(str(message.get("content") or "")) for message in request.get("messages", [])) // 4
        output = len((reply.text or "") + reply.reasoning) // 4
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return reply.usage or None


def _events(reply: Reply, request: Mapping[str, Any]) -> Iterator[str]:
    """The data of each server-sent event of a stream."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        if reply.fault == "empty_choices":
            choices = []
        return json.dumps(_envelope(request, "chat.completion.chunk") | {"choices": choices})

    def pieces(text: str) -> Iterator[str]:
        return (text[at : at + reply.chunk] for at in range(0, len(text), reply.chunk))

    copies = 2 if reply.fault == "duplicates" else 1
    yield from [chunk({"role": "assistant", "content": None if reply.text is None else ""})] * copies
    for piece in pieces(reply.reasoning):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(reply.text or ""):
        yield chunk({"content": piece})
    yield from [chunk({}, reply.finish)] * copies
    usage = _usage(reply, request)
    if usage is not None and (request.get("stream_options") or {}).get("include_usage"):
        end = _envelope(request, "chat.completion.chunk") | {"choices": [], "usage": usage}
        yield from [json.dumps(end)] * copies
    yield from ["[DONE]"] * copies


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--script", metavar="FILE", help="JSON: a list of texts, or of objects with the fields of Reply"
    )
    parser.add_argument("--model", action="append", default=[], help="a name that /v1/models lists")
    options = parser.parse_args()
    script: Script = "ok"
    if options.script:
        with open(options.script, encoding="utf-8") as file:
            script = [reply if isinstance(reply, str) else Reply(**reply) for reply in json.load(file)]
    with StubServer(script, models=options.model or ("stub",), port=options.port) as server:
        print(server.url, flush=True)
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
