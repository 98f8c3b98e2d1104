import os
import subprocess
import sys

import pytest


@pytest.fixture
def llm(server, tmp_path):
    """The command line as docs/clients.md sets it up."""
    settings = f"- model_id: starter\n  model_name: starter\n  api_base: {server.v1}\n"
    (tmp_path / "extra-openai-models.yaml").write_text(settings)

    def run(*arguments):
        line = [sys.executable, "-m", "llm", *arguments]
        environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
        return subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("flags", [(), ("--no-stream",)])
def test_a_question_is_answered(llm, flags):
    told = llm("-m", "starter", "-o", "max_tokens", "8", *flags, "Why is the sky blue?")
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip()


def test_a_conversation_goes_on(llm):
    assert llm("-m", "starter", "-o", "max_tokens", "8", "Hello").returncode == 0
    told = llm("-c", "And now?")
    assert told.returncode == 0 and told.stdout.strip(), told.stderr


def test_an_error_is_shown(llm):
    told = llm("-m", "starter", "-o", "temperature", "2", "-o", "presence_penalty", "1", "Hello")
    assert told.returncode != 0
    assert "presence_penalty is not served" in told.stderr
