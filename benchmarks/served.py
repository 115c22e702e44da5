"""The suite, asked of a server of llama.cpp's: for the local models' files on a machine with a GPU, where
methods that read a whole text come to an end.

    llama-server -m qwen2.5-coder-0.5b-instruct-q4_k_m.gguf -ngl 99 -fa on -np 32 -c 524288 --port 8080
    python -m benchmarks.served 0.5b-gpu=http://127.0.0.1:8080 run --preset quick -m 0.5b-gpu --method direct

NAME=ADDRESS is the model, and what follows a command of `llm rlm bench`.  Profile, window, temperature and
length of a reply are those of the model `local`; the server counts tokens."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import llm
from llm.default_plugins.openai_models import AsyncChat, Chat

from llm_rlm.local_model import Local
from rlm_bench.commands import bench
from rlm_core.local import LocalLM

LIKE = LocalLM()


class _Served:
    needs_key = None
    strategy, window = Local.strategy, Local.window
    concurrency = 16

    def build_kwargs(self, prompt: llm.Prompt, stream: bool) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().build_kwargs(prompt, stream)  # type: ignore[misc]
        return {"temperature": LIKE.temperature, "max_tokens": LIKE.max_tokens, **kwargs}

    def tokens(self, text: str, **options: Any) -> int:
        request = urllib.request.Request(
            f"{self.api_base.removesuffix('/v1')}/tokenize",  # type: ignore[attr-defined]
            json.dumps({"content": text}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return len(json.load(reply)["tokens"])


class Served(_Served, Chat):
    """A model of the server's."""


class AsyncServed(_Served, AsyncChat):
    """A model of the server's."""


class Plugin:
    def __init__(self, name: str, address: str):
        self.name, self.address = name, f"{address.rstrip('/')}/v1"

    @llm.hookimpl
    def register_models(self, register: Any) -> None:
        register(*(kind(self.name, api_base=self.address) for kind in (Served, AsyncServed)))


if __name__ == "__main__":
    if len(sys.argv) < 3 or "=" not in sys.argv[1]:
        sys.exit((__doc__ or "").strip())
    llm.plugins.pm.register(Plugin(*sys.argv[1].split("=", 1)))
    bench(sys.argv[2:], prog_name="python -m benchmarks.served NAME=ADDRESS")
