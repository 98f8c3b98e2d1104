import anthropic
import pytest
from anthropic import Anthropic

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


@pytest.fixture
def client(server):
    return Anthropic(base_url=server.address, api_key="none")


def test_a_message_comes_whole(client):
    message = client.messages.create(model="fake", max_tokens=12, messages=QUESTION, system="Short.")
    assert message.type == "message" and message.role == "assistant"
    assert message.model == "fake"
    assert message.content[0].text
    assert message.stop_reason in ("max_tokens", "end_turn")
    assert message.usage.output_tokens <= 12


def test_a_stream_is_the_same_message(client):
    question = [{"role": "user", "content": "Does a stream say the same?"}]
    asked = dict(model="fake", max_tokens=8, messages=question, extra_body={"temperature": 0})
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_tokens_are_counted_as_they_are_read(client):
    counted = client.messages.count_tokens(model="fake", messages=QUESTION)
    message = client.messages.create(model="fake", max_tokens=1, messages=QUESTION)
    usage = message.usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_errors_are_of_their_kinds(client, guarded):
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(model="fake", max_tokens=4, messages=QUESTION, extra_body={"top_p": 2})
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.AuthenticationError):
        Anthropic(base_url=guarded.address, api_key="none").messages.create(
            model="fake", max_tokens=4, messages=QUESTION
        )


def test_a_stream_that_is_closed_stops_its_answer(busy):
    client = Anthropic(base_url=busy.address, api_key="none")
    # The likeliest answer is a long one.
    asked = dict(model="fake", max_tokens=3000, messages=QUESTION, extra_body={"temperature": 0})
    with client.messages.stream(**asked) as stream:
        next(stream.text_stream)
        assert busy.metric("requests_processing") == 1
    busy.wait("requests_processing", 0, seconds=2)
