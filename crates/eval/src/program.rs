//! The program that tells whether generated Python does what was asked for.
//!
//! In raw text the answer goes on from the prompt. In a chat it is the first code block, or all of
//! it if there is none; it may repeat the prompt or go on from it. The tests of HumanEval (Chen et
//! al. 2021) define `check(candidate)`.

use super::script::Framing;
use packllm_engine::thought;

/// Prompt, answer and test as one program, which fails unless the test passes.
#[must_use]
pub fn program(
    prompt: &str,
    answer: &str,
    test: &str,
    entry_point: &str,
    framing: Framing,
) -> String {
    let code = match framing {
        Framing::Raw => answer.to_owned(),
        Framing::Chat => block(thought::answer(answer)).to_owned(),
    };
    let whole = format!("def {entry_point}(");
    let defined = match code.contains(&whole) {
        // The answer defines the function itself; the prompt may import what it needs.
        true => format!("{}\n{code}", imports(prompt)),
        false => format!("{prompt}{code}"),
    };
    format!("{defined}\n\n{test}\n\ncheck({entry_point})\n")
}

/// The first fenced block of a text, or all of it. A fence that is not closed ends with the text.
fn block(text: &str) -> &str {
    let Some((_, after)) = text.split_once("```") else {
        return text;
    };
    // The first line names the language.
    let code = after.split_once('\n').map_or("", |(_, code)| code);
    code.split_once("```").map_or(code, |(code, _)| code)
}

/// The lines of a prompt before its last function: imports, and functions that it calls.
fn imports(prompt: &str) -> &str {
    let last = prompt.rfind("\ndef ").map_or(0, |at| at + 1);
    &prompt[..last]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str =
        "import math\n\ndef helper(x):\n    return x\n\ndef f(x):\n    \"\"\"Doc.\"\"\"\n";

    fn built(answer: &str, framing: Framing) -> String {
        program(
            PROMPT,
            answer,
            "def check(c):\n    assert c(1)",
            "f",
            framing,
        )
    }

    #[test]
    fn raw_text_goes_on_from_the_prompt() {
        let program = built("    return x\n", Framing::Raw);
        assert!(program.starts_with(&format!("{PROMPT}    return x\n")));
        assert!(program.ends_with("assert c(1)\n\ncheck(f)\n"));
    }

    #[test]
    fn a_chat_answers_in_a_block() {
        let whole = "Sure!\n```python\ndef f(x):\n    return 2\n```\nIt returns 2.\n```\nno\n```";
        let program = built(whole, Framing::Chat);
        assert!(program.starts_with("import math\n\ndef helper(x):\n    return x\n\n\ndef f(x):"));
        assert!(!program.contains("Doc.") && !program.contains("Sure") && !program.contains("no"));
        // A body alone, a block that was cut off, and no block at all.
        assert!(built("```\n    return 3", Framing::Chat).contains("Doc.\"\"\"\n    return 3"));
        assert!(built("    return 4", Framing::Chat).contains("Doc.\"\"\"\n    return 4"));
        let thought = built(
            "<think>```\nx\n```</think>```\n    return 5\n```",
            Framing::Chat,
        );
        assert!(thought.contains("return 5") && !thought.contains("x\n\n\n"));
    }
}
