"""Structured answers: what is finished validates, whoever asked and in whatever words."""

import json
import re
from enum import Enum
from typing import Annotated, Literal

import openai
import pytest
from ollama import Client as Ollama
from openai import OpenAI
from pydantic import BaseModel, ConfigDict, Field

QUESTION = [{"role": "user", "content": "Describe a loaf of bread."}]


class Kind(Enum):
    RYE = "rye"
    WHEAT = "wheat"


class Maker(BaseModel):
    model_config = ConfigDict(extra="forbid")

    town: Annotated[str, Field(pattern="^[A-Z][a-z]{1,8}$")]
    since: Annotated[int, Field(ge=1000, le=2026)]


class Loaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind
    grams: Annotated[int, Field(ge=100, le=2000)]
    sliced: bool
    maker: Maker | None
    tags: Annotated[list[Literal["dark", "sour", "fresh"]], Field(max_length=2)]


@pytest.fixture
def client(server):
    return OpenAI(base_url=server.v1, api_key="none", max_retries=0)


@pytest.mark.parametrize("seed", range(8))
def test_a_model_of_pydantic_is_parsed(client, seed):
    answer = client.chat.completions.parse(
        model="fake", messages=QUESTION, response_format=Loaf, seed=seed, max_tokens=400
    )
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Loaf)


def test_a_stream_is_parsed_as_well(client):
    asked = dict(model="fake", messages=QUESTION, response_format=Loaf, seed=3, max_tokens=400)
    with client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    assert isinstance(answer.choices[0].message.parsed, Loaf)


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_response_is_parsed(client, temperature):
    response = client.responses.parse(
        model="fake",
        input="Describe a loaf of bread.",
        text_format=Loaf,
        temperature=temperature,
        max_output_tokens=400,
    )
    assert response.status == "completed"
    assert isinstance(response.output_parsed, Loaf)


def test_a_limit_inside_is_said(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="fake", messages=QUESTION, response_format=Loaf, max_tokens=3
        )


def test_a_schema_that_is_not_supported_is_refused_with_its_path(client):
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=b)"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="fake", messages=QUESTION, response_format=form)
    assert refused.value.param == "response_format"
    assert "properties" in refused.value.message


def test_the_format_of_ollama(server):
    client = Ollama(host=server.address)
    finished = 0
    for seed in range(8):
        options = {"seed": seed, "num_predict": 400}
        asked = dict(format=Loaf.model_json_schema(), options=options)
        answer = client.chat("fake", QUESTION, **asked)
        pieces = list(client.generate("fake", "A loaf?", stream=True, **asked))
        texts = [
            (answer.done_reason, answer.message.content),
            (pieces[-1].done_reason, "".join(piece.response for piece in pieces)),
        ]
        for reason, text in texts:
            assert reason in ("stop", "length")
            if reason == "stop":
                Loaf.model_validate_json(text)
                finished += 1
    assert finished >= 12


def test_any_object_of_json(client):
    answer = client.chat.completions.create(
        model="fake",
        messages=QUESTION,
        response_format={"type": "json_object"},
        seed=5,
        max_tokens=600,
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


GRAMMAR = r"""
start: size " of " bread ("," " " bread)* "."
size: "a slice" | "a loaf" | /[1-9][0-9]?/ " loaves"
bread: "rye" | "wheat" | "spelt"
"""
SENTENCE = (
    r"(a slice|a loaf|[1-9][0-9]? loaves) of (rye|wheat|spelt)(, (rye|wheat|spelt))*\."
)


def test_a_grammar_of_lark(client):
    finished = 0
    for seed in range(6):
        answer = client.chat.completions.create(
            model="fake",
            messages=QUESTION,
            seed=seed,
            max_tokens=200,
            extra_body={"packllm": {"grammar": GRAMMAR}},
        )
        choice = answer.choices[0]
        if choice.finish_reason == "stop":
            assert re.fullmatch(SENTENCE, choice.message.content)
            finished += 1
    assert finished >= 3


def test_a_grammar_that_is_none_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="fake", messages=QUESTION, extra_body={"packllm": {"grammar": "start: nothing"}}
        )
    assert refused.value.param == "packllm.grammar"
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="fake",
            messages=QUESTION,
            response_format={"type": "json_object"},
            extra_body={"packllm": {"grammar": GRAMMAR}},
        )
    assert refused.value.param == "packllm.grammar"
