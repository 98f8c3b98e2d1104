"""Servers without a model for the clients to ask: see crates/server/examples/fake_server.rs."""

import os
import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager

import pytest


class Server:
    """A fake server that runs, and what it says of itself."""

    def __init__(self, address):
        self.address = address
        self.v1 = f"{address}/v1"

    def metric(self, name):
        with urllib.request.urlopen(f"{self.address}/metrics") as reply:
            found = re.search(rf"^packllm:{name} (\S+)$", reply.read().decode(), re.MULTILINE)
        return float(found.group(1))

    def wait(self, name, value, seconds=10):
        """Waits until a number of /metrics is this."""
        end = time.monotonic() + seconds
        while (now := self.metric(name)) != value:
            assert time.monotonic() < end, f"{name} is {now}, not {value}"
            time.sleep(0.01)


@contextmanager
def serve(*flags):
    line = [os.environ["PACKLLM_FAKE_SERVER"], "--port", "0", "--until-eof", *flags]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        assert process.stdout.readline().strip() == "ready"
        yield Server(address)
    finally:
        process.stdin.close()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.fixture(scope="session")
def server():
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def guarded():
    with serve("--key", "secret") as running:
        yield running


@pytest.fixture
def busy():
    """One answer at a time, slowly, and nobody may wait."""
    with serve("--delay-us", "5000", "--parallel", "1", "--max-queue", "0") as running:
        yield running
