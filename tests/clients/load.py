"""Load: many clients for some minutes, a third of whose requests are broken off at random.

    load.py --clients 64 --seconds 300 -- fake_server --port 0 --until-eof --parallel 8

The server is started here: its first line is its address, after the second it is ready. What
must hold: each request has an answer or an error; afterwards nobody is answered or waits, and what
members still hold is no more than a conversation that rests for each that may be active; in the
last minute the server has no more memory than in the second.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlparse

# A route, and what its whole answer and its stream end with.
ROUTES = [
    ("/v1/chat/completions", b"}", b"data: [DONE]\n\n"),
    ("/v1/messages", b"}", b'{"type":"message_stop"}\n\n'),
    ("/api/chat", b"}", b"}\n"),
]


def body(route, tokens, streams):
    text = f"Question {random.randrange(50)}: why is the sky blue?"
    asked = {"messages": [{"role": "user", "content": text}], "stream": streams}
    if route.startswith("/api/"):
        return {**asked, "options": {"num_predict": tokens}}
    return {**asked, "max_tokens": tokens}


async def ask(address, most, seen):
    """One request; counts how it ended and when its first byte came."""
    route, end, end_of_stream = random.choice(ROUTES)
    streams = random.random() < 0.7
    data = json.dumps(body(route, random.randint(1, most), streams)).encode()
    head = f"POST {route} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
    patience = random.expovariate(8) if random.random() < 1 / 3 else None
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        async with asyncio.timeout(patience):
            first = await reader.read(1)
            seen.first.append(time.monotonic() - start)
            reply = first + await reader.read()
        status = reply.split(b" ", 2)[1].decode()
        if status != "200":
            seen.ends[f"status {status}"] += 1
        else:
            # Chunks of a stream end with one that is empty.
            whole = reply.removesuffix(b"\r\n0\r\n\r\n").endswith(end_of_stream if streams else end)
            seen.ends["answered" if whole else "broken off"] += 1
    except TimeoutError:
        seen.ends["hung up"] += 1
    except OSError as error:
        seen.ends[f"no reply: {type(error).__name__}"] += 1
    finally:
        writer.close()


class Seen:
    def __init__(self):
        self.ends, self.first, self.memory = Counter(), [], []


async def client(address, most, until, seen):
    while time.monotonic() < until:
        await ask(address, most, seen)


def resident(process):
    """MB of the process that are in memory."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


async def watch(process, until, seen):
    start = time.monotonic()
    while time.monotonic() < until:
        seen.memory.append((time.monotonic() - start, resident(process)))
        await asyncio.sleep(0.5)


async def idle(address):
    """Waits until nobody is answered or waits."""
    for _ in range(200):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /metrics HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n".encode())
        text = (await reader.read()).decode()
        writer.close()
        numbers = re.findall(r"^packllm:requests_(?:processing|deferred) (\S+)$", text, re.M)
        if [float(n) for n in numbers] == [0.0, 0.0]:
            return
        await asyncio.sleep(0.05)
    sys.exit("answers go on though all clients have gone")


async def load(options, process, address):
    seen, until = Seen(), time.monotonic() + options.seconds
    clients = (client(address, options.tokens, until, seen) for _ in range(options.clients))
    await asyncio.gather(watch(process.pid, until, seen), *clients)
    await idle(address)
    return seen


def report(seen, seconds):
    for end, count in sorted(seen.ends.items()):
        print(f"{end}: {count}")
    first = sorted(seen.first)
    at = lambda share: 1000 * first[min(len(first) - 1, int(share * len(first)))]
    print(f"first byte: p50 {at(0.5):.0f} ms, p99 {at(0.99):.0f} ms")
    highest = lambda low, high: max(mb for t, mb in seen.memory if low <= t < high)
    if seconds >= 180:
        second, last = highest(60, 120), highest(seconds - 60, seconds)
        print(f"memory: {second:.1f} MB in the second minute, {last:.1f} MB in the last")
        if last > 1.05 * second:
            sys.exit("memory grows")
    else:
        print(f"memory: at most {highest(0, seconds):.1f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--tokens", type=int, default=32, help="most tokens of an answer")
    parser.add_argument("--rests", type=int, default=8, help="conversations that may rest")
    parser.add_argument("server", nargs="+")
    options = parser.parse_args()
    process = subprocess.Popen(
        options.server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        address = urlparse(process.stdout.readline().strip())
        process.stdout.readline()
        seen = asyncio.run(load(options, process, address))
        process.stdin.close()
        held = []
        if "--until-eof" in options.server:
            held = process.stdout.readlines()
        else:
            process.terminate()
        code = process.wait(60)
    finally:
        process.kill()
    report(seen, options.seconds)
    print(*held, sep="", end="")
    if any(int(n) > options.rests for line in held for n in re.findall(r"\d+", line)):
        sys.exit("members hold what nobody needs")
    wrong = [end for end in seen.ends if end.startswith(("broken", "no reply", "status 4", "status 500"))]
    if wrong or not seen.ends["answered"] or code != 0:
        sys.exit(f"not every request had an answer or an error: {wrong}, exit code {code}")


if __name__ == "__main__":
    main()
