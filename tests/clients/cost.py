"""What serving costs: one stream of `packllm serve` against `packllm run`, in turns.

    cost.py --pack tiny --pairs 10 target/release/packllm

Each pair asks both the same question at temperature 0, and compares what they say the answer took
(`predicted_ms`); the median counts, for a machine that others use is never quiet. Then the
server answers several streams at once, as `packllm bench --conversations 4` does.
"""

import argparse
import json
import os
import statistics
import subprocess
import threading
import time
import urllib.request

THINGS = "the sky,bread,a bicycle,salt,the tide,glass,a candle,sleep,thunder,a violin,snow,rust".split(",")


def settings(options):
    return ["--pack", options.pack, "--temp", "0", "--repeat-stop", "off"]


def run(options, question):
    line = [options.packllm, "run", *settings(options), "-n", str(options.tokens), "-p", question]
    told = json.loads(subprocess.run([*line, "--json"], capture_output=True, check=True).stdout)
    return told["timings"]["predicted_ms"], told["text"]


def ask(options, address, question):
    body = {
        "messages": [{"role": "user", "content": question}],
        "max_tokens": options.tokens,
        "stream": True,
    }
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode())
    text, timings = "", None
    with urllib.request.urlopen(request) as reply:
        for line in reply:
            kind, _, data = line.decode().strip().partition(": ")
            # A line without a kind breaks a silence.
            if kind != "data" or data == "[DONE]":
                continue
            piece = json.loads(data)
            timings = piece.get("timings", timings)
            text += piece["choices"][0]["delta"].get("content") or ""
    return timings, text


def pairs(options, address):
    ratios = []
    for i in range(options.pairs):
        question = f"Tell me about {THINGS[i % len(THINGS)]}."
        # Who is first changes, so that a machine that slows down favours nobody.
        if i % 2:
            alone, said = run(options, question)
            timings, text = ask(options, address, question)
        else:
            timings, text = ask(options, address, question)
            alone, said = run(options, question)
        same = "" if text.strip() == said.strip() else ", another text"
        ratios.append(timings["predicted_ms"] / alone)
        print(f"serve {timings['predicted_ms']:.0f} ms, run {alone:.0f} ms: {ratios[-1]:.3f}{same}")
    print(f"median of {options.pairs}: {statistics.median(ratios):.3f}")


def at_once(options, address, streams):
    tokens = []

    def one(i):
        timings, _ = ask(options, address, f"What do you know about {THINGS[i]}?")
        tokens.append(timings["predicted_n"])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(streams)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - start
    print(f"{streams} at once: {sum(tokens) / took:.1f} tokens a second, prompts included")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("packllm")
    parser.add_argument("--pack", default="tiny")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=48)
    options = parser.parse_args()
    line = [options.packllm, "serve", *settings(options), "--port", "0", "--log-format", "off"]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        server.stdout.readline()
        print("load average:", *os.getloadavg())
        pairs(options, address)
        at_once(options, address, 1)
        at_once(options, address, 4)
        print("load average:", *os.getloadavg())
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main()
