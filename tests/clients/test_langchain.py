import openai
import pytest
from langchain_openai import ChatOpenAI


def model_of(server, **more):
    return ChatOpenAI(base_url=server.v1, api_key="none", model="fake", temperature=0, **more)


def test_an_answer_comes_whole_and_streamed(server):
    model = model_of(server, max_tokens=8)
    whole = model.invoke([("system", "Short."), ("human", "Why is the sky blue?")])
    assert whole.content
    assert whole.usage_metadata["output_tokens"] <= 8
    assert whole.response_metadata["model_name"] == "fake"
    pieces = list(model.stream([("system", "Short."), ("human", "Why is the sky blue?")]))
    assert "".join(piece.content for piece in pieces) == whole.content


def test_several_at_once(server):
    answers = model_of(server, max_tokens=8).batch(["One?", "Two?", "Three?"])
    assert all(answer.content for answer in answers)


def test_tools_are_refused_by_name(server):
    def now() -> str:
        """The time."""

    with pytest.raises(openai.BadRequestError, match="tools is not served"):
        model_of(server).bind_tools([now]).invoke("What time is it?")
