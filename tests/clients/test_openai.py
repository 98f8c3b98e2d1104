import threading

import openai
import pytest
from openai import OpenAI

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
# A seed whose answer goes on for hundreds of tokens; others end at once.
LONG = 3


def client_of(server, **more):
    return OpenAI(base_url=server.v1, api_key="none", **more)


@pytest.fixture
def client(server):
    return client_of(server)


def test_an_answer_comes_whole(client):
    answer = client.chat.completions.create(
        model="fake", messages=QUESTION, max_tokens=12, temperature=0
    )
    assert answer.object == "chat.completion"
    assert answer.model == "fake"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens <= 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0


def test_a_stream_is_the_same_answer_with_its_usage(client):
    question = [{"role": "user", "content": "Does a stream say the same?"}]
    asked = dict(model="fake", messages=question, max_tokens=8, temperature=0)
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert deltas[0].role == "assistant" and deltas[0].content is None
    assert "".join(d.content or "" for d in deltas) == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_the_helper_for_streams_gathers_one(client):
    # The helper takes no answer that a limit has cut.
    asked = dict(model="fake", messages=QUESTION, stop="d", temperature=0)
    with client.chat.completions.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content


def test_choices_and_logprobs(client):
    answer = client.chat.completions.create(
        model="fake", messages=QUESTION, max_tokens=6, n=2, logprobs=True, top_logprobs=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        scored = choice.logprobs.content
        assert "".join(one.token for one in scored) == choice.message.content
        assert all(one.logprob <= 0 and len(one.top_logprobs) <= 3 for one in scored)


def test_a_text_goes_on(client):
    answer = client.completions.create(model="fake", prompt="The bread", max_tokens=8, echo=True)
    assert answer.choices[0].text.startswith("The bread")
    pieces = client.completions.create(model="fake", prompt="The", max_tokens=8, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces)


def test_responses_whole_and_streamed(client):
    response = client.responses.create(model="fake", input="Why?", max_output_tokens=16)
    assert response.output_text
    assert response.usage.output_tokens <= 16
    events = list(
        client.responses.create(model="fake", input="Why?", max_output_tokens=16, stream=True)
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"
    assert events[-1].response.output_text == text
    with client.responses.stream(model="fake", input="To its end", temperature=0) as stream:
        assert any(event.type == "response.output_text.delta" for event in stream)


def test_models(client):
    assert [model.id for model in client.models.list()] == ["fake"]
    assert client.models.retrieve("fake").owned_by == "packllm"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_what_the_pack_tells_of_itself(client):
    answer = client.chat.completions.create(
        model="fake", messages=QUESTION, max_tokens=4, extra_body={"packllm": {"attribution": True}}
    )
    assert [member["name"] for member in answer.packllm["members"]] == ["left", "right"]


def test_errors_are_of_their_kinds(client, guarded):
    def ask(**more):
        return client.chat.completions.create(model="fake", messages=QUESTION, **more)

    with pytest.raises(openai.BadRequestError) as refused:
        ask(top_p=2)
    assert refused.value.param == "top_p"
    assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as refused:
        ask(tools=[{"type": "function", "function": {"name": "f"}}])
    assert refused.value.code == "unsupported_parameter"
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="fake", messages=[{"role": "user", "content": "a" * 20_000}]
        )
    assert refused.value.code == "context_length_exceeded"
    with pytest.raises(openai.AuthenticationError):
        client_of(guarded).models.list()
    assert OpenAI(base_url=guarded.v1, api_key="secret").models.list().data
    with pytest.raises(openai.InternalServerError) as refused:
        client.with_options(max_retries=0).embeddings.create(model="fake", input="a")
    assert refused.value.status_code == 501


def long_stream(server):
    return client_of(server).chat.completions.create(
        model="fake", messages=QUESTION, max_tokens=3000, temperature=1, seed=LONG, stream=True
    )


def test_who_is_turned_away_comes_again(busy):
    stream = long_stream(busy)
    next(stream)
    with pytest.raises(openai.InternalServerError) as refused:
        client_of(busy, max_retries=0).chat.completions.create(
            model="fake", messages=QUESTION, max_tokens=2
        )
    assert refused.value.status_code == 503
    assert refused.value.response.headers["retry-after"] == "2"
    # The place becomes free while the client waits to ask again.
    timer = threading.Timer(0.5, stream.close)
    timer.start()
    answer = client_of(busy, max_retries=2).chat.completions.create(
        model="fake", messages=QUESTION, max_tokens=2
    )
    timer.join()
    assert answer.choices[0].message.content


def test_a_stream_that_is_closed_stops_its_answer(busy):
    stream = long_stream(busy)
    next(stream)
    assert busy.metric("requests_processing") == 1
    stream.close()
    busy.wait("requests_processing", 0, seconds=2)


def test_an_answer_that_timed_out_is_not_made_three_times(busy):
    client = client_of(busy, timeout=0.05, max_retries=2)
    with pytest.raises(openai.APIError):
        client.chat.completions.create(
            model="fake", messages=QUESTION, max_tokens=3000, seed=LONG
        )
    busy.wait("requests_processing", 0, seconds=2)
    assert busy.metric("tokens_predicted_total") == 0


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_stops_its_answer(busy):
    import asyncio

    async with openai.AsyncOpenAI(base_url=busy.v1, api_key="none") as client:
        asking = asyncio.create_task(
            client.chat.completions.create(
                model="fake", messages=QUESTION, max_tokens=3000, seed=LONG
            )
        )
        while await asyncio.to_thread(busy.metric, "requests_processing") == 0:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await asyncio.to_thread(busy.wait, "requests_processing", 0, 2)
