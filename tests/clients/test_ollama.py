import ollama
import pytest
from ollama import Client

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
OPTIONS = {"num_predict": 8, "temperature": 0}


@pytest.fixture
def client(server):
    return Client(host=server.address)


def test_a_chat_comes_whole_and_streamed(client):
    whole = client.chat("fake", QUESTION, options=OPTIONS)
    assert whole.done and whole.done_reason == "length"
    assert whole.eval_count <= 8 and whole.total_duration > 0
    pieces = list(client.chat("fake", QUESTION, options=OPTIONS, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces[:-1]] == [False] * (len(pieces) - 1)
    assert pieces[-1].done and pieces[-1].eval_count == whole.eval_count


def test_a_text_is_answered_whole_and_streamed(client):
    whole = client.generate("fake", "Why is the sky blue?", options=OPTIONS)
    pieces = client.generate("fake", "Why is the sky blue?", options=OPTIONS, stream=True)
    assert "".join(piece.response for piece in pieces) == whole.response
    assert whole.response
    assert client.generate("fake", "The", raw=True, options=OPTIONS).response


def test_the_pack_is_found(client):
    listed = client.list().models
    assert [model.model for model in listed] == ["fake"]
    assert listed[0].details.format == "gguf"
    shown = client.show("fake")
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo["packllm.context_length"] == 4096
    assert [model.name for model in client.ps().models] == ["fake"]


def test_errors_are_texts(client):
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat("fake", QUESTION, options={"top_p": 2})
    assert refused.value.status_code == 400
    assert "top_p" in refused.value.error
    with pytest.raises(ollama.ResponseError) as refused:
        client.embed("fake", "a")
    assert refused.value.status_code == 501
