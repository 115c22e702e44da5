"""The stub server as a command of its own; its replies and faults are tested with the client."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import stub_server


def test_a_shell_can_start_it_and_talk_to_it(tmp_path):
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["first", {"text": "second", "usage": None}]))
    command = [sys.executable, stub_server.__file__, "--script", str(script), "--model", "glm"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/models") as models:
            assert json.load(models)["data"][0]["id"] == "glm"
        for expected in ("first", "second"):
            request = urllib.request.Request(f"{url}/chat/completions", b'{"model": "glm", "messages": []}')
            with urllib.request.urlopen(request) as reply:
                assert json.load(reply)["choices"][0]["message"]["content"] == expected
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_it_needs_nothing_but_the_standard_library():
    code = f"import sys; sys.path.insert(0, {str(Path(stub_server.__file__).parent)!r}); import stub_server"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
