"""What streams say is what /openapi.json says: schemathesis does not read the data of events."""

import json
import urllib.request

import jsonschema_rs
import pytest

QUESTION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}
OPENAI = {
    "stream": True,
    "max_tokens": 8,
    "n": 2,
    "stream_options": {"include_usage": True},
    "packllm": {"attribution": True},
}
OLLAMA = {"options": {"num_predict": 8}, "packllm": {"attribution": True}}
CASES = [
    ("/v1/chat/completions", "Chunk", {**QUESTION, **OPENAI, "logprobs": True, "top_logprobs": 2}),
    ("/v1/completions", "TextCompletion", {**OPENAI, "prompt": "The", "logprobs": 2, "echo": True}),
    ("/api/chat", "OllamaChatAnswer", {**QUESTION, **OLLAMA}),
    ("/api/generate", "OllamaGenerateAnswer", {**OLLAMA, "prompt": "Why?"}),
]


@pytest.mark.parametrize(("route", "schema", "asked"), CASES)
def test_pieces_are_of_their_schema(server, route, schema, asked):
    with urllib.request.urlopen(f"{server.address}/openapi.json") as reply:
        components = json.load(reply)["components"]
    wanted = {"$ref": f"#/components/schemas/{schema}", "components": components}
    validator = jsonschema_rs.validator_for(wanted)
    request = urllib.request.Request(server.address + route, json.dumps(asked).encode())
    with urllib.request.urlopen(request) as reply:
        lines = [line.decode().removeprefix("data: ").strip() for line in reply]
    pieces = [line for line in lines if line and line != "[DONE]"]
    assert len(pieces) > 2
    for piece in pieces:
        validator.validate(json.loads(piece))
