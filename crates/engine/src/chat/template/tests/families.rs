//! What the templates of the model families write, as their documentation shows it.

use super::*;

/// The conversation's rendering, without folding.
#[track_caller]
fn assert_renders(source: &str, expected: &str) {
    let rendered = template(source)
        .render(&conversation(), true, now())
        .unwrap();
    assert_eq!(rendered.text, expected);
    assert!(!rendered.system_folded);
}

#[test]
fn chatml() {
    let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
        <|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n\
        <|im_start|>assistant\n";
    for source in [CHATML, SMOLLM2, QWEN25, QWEN3] {
        assert_renders(source, expected);
    }
}

#[test]
fn default_system_prompts_appear_where_there_is_none() {
    let messages = [Message::user("Hi")];
    let text = template(SMOLLM2)
        .render(&messages, false, now())
        .unwrap()
        .text;
    assert_eq!(
        text,
        "<|im_start|>system\nYou are a helpful model.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    );
}

#[test]
fn llama() {
    assert_renders(
        LLAMA2,
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] 1+1? [/INST]",
    );
    assert_renders(
        LLAMA3,
        "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n",
    );
}

#[test]
fn mistral_gemma_3_phi_and_command_r() {
    assert_renders(
        MISTRAL_V3,
        "<s>[INST] Hi[/INST] Hello!</s>[INST] Be brief.\n\n1+1?[/INST]",
    );
    assert_renders(
        GEMMA3,
        "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n\
         <start_of_turn>user\n1+1?<end_of_turn>\n<start_of_turn>model\n",
    );
    assert_renders(
        PHI3,
        "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello!<|end|>\n\
         <|user|>\n1+1?<|end|>\n<|assistant|>\n",
    );
    assert_renders(
        COMMAND_R,
        "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello!<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|USER_TOKEN|>1+1?<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    );
}

#[test]
fn thoughts_are_dropped_as_the_templates_say() {
    let mut messages = conversation();
    messages[2].content = "<think>\nA greeting.\n</think>\n\nHello!".to_owned();
    let deepseek = template(DEEPSEEK_R1)
        .render(&messages, true, now())
        .unwrap()
        .text;
    assert_eq!(
        deepseek,
        "<s>Be brief.<｜User｜>Hi<｜Assistant｜>\n\nHello!<｜end▁of▁sentence｜>\
         <｜User｜>1+1?<｜Assistant｜><think>\n"
    );
    let qwen = template(QWEN3)
        .render(&messages[..3], false, now())
        .unwrap()
        .text;
    assert!(
        qwen.ends_with("assistant\n<think>\nA greeting.\n</think>\n\nHello!<|im_end|>\n"),
        "{qwen}"
    );
    let qwen = template(QWEN3).render(&messages, true, now()).unwrap().text;
    assert!(
        qwen.contains("<|im_start|>assistant\nHello!<|im_end|>\n"),
        "{qwen}"
    );
}

#[test]
fn system_messages_are_folded_where_they_are_refused_or_ignored() {
    let refused = template(MISTRAL_V1)
        .render(&conversation(), true, now())
        .unwrap();
    assert!(refused.system_folded);
    assert_eq!(
        refused.text,
        "<s>[INST] Be brief.\n\nHi [/INST]Hello!</s> [INST] 1+1? [/INST]"
    );

    let refused = template(GEMMA2)
        .render(&conversation(), true, now())
        .unwrap();
    assert!(refused.system_folded);
    assert!(
        refused
            .text
            .starts_with("<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n")
    );

    let ignored = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}.";
    let mut messages = conversation();
    messages[0].content = ".".to_owned(); // the text is in the markup, the message is not
    let ignored = template(ignored).render(&messages, true, now()).unwrap();
    assert_eq!(
        (ignored.text.as_str(), ignored.system_folded),
        ("[.\n\nHi][Hello!][1+1?].", true)
    );

    messages[0].content = "\n".to_owned();
    let blank = template(GEMMA2).render(&messages, true, now()).unwrap();
    assert!(
        blank
            .text
            .starts_with("<s><start_of_turn>user\nHi<end_of_turn>\n")
    );
}

#[test]
fn later_forms_of_the_families() {
    assert_renders(
        LLAMA32,
        "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n\
         Today Date: 07 Mar 2024\n\nBe brief.<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n",
    );
    assert_renders(
        MISTRAL_V7,
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello!</s>[INST]1+1?[/INST]",
    );
    assert_renders(
        DEEPSEEK_V31,
        "<s>Be brief.<｜User｜>Hi<｜Assistant｜></think>Hello!<｜end▁of▁sentence｜>\
         <｜User｜>1+1?<｜Assistant｜></think>",
    );
    assert_renders(
        COMMAND_R7B,
        "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># System Preamble\n# Default Preamble\n\
         - Your name is Command.\n\n# Developer Preamble\nBe brief.<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>Hello!<|END_RESPONSE|><|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|USER_TOKEN|>1+1?<|END_OF_TURN_TOKEN|>\
         <|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    );
    let alone = template(MISTRAL_V7).render(&[Message::user("Hi")], true, now());
    assert_eq!(
        alone.unwrap().text,
        "<s>[SYSTEM_PROMPT]You are a model.Today is 2024-03-07.\n[/SYSTEM_PROMPT][INST]Hi[/INST]"
    );
}
