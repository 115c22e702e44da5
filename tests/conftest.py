"""Its place makes `tests/` importable: `from stub_server import StubServer`."""
