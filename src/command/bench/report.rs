//! The results, as a table and as JSON.

use super::alone::Alone;
use super::conversations::Conversations;
use super::drafting::Drafting;
use super::together::Together;
use super::tune::in_words;
use crate::command::run::milliseconds;
use crate::command::table::Table;
use crate::plural::counted;
use packllm_engine::engine::Answer;
use serde_json::{Value, json};
use std::io::{Result, Write};

pub fn write_table(out: &mut impl Write, members: &[Alone], pack: &Together) -> Result<()> {
    let megabytes = |rss: Option<u64>| rss.map_or("?".to_owned(), |b| (b / 1_000_000).to_string());
    let titles = [
        "member",
        "prompt tok/s",
        "decode tok/s",
        "load ms",
        "first byte ms",
        "memory MB",
    ];
    let mut table = Table::new(&titles, &[1, 2, 3, 4, 5]);
    for m in members {
        table.row([
            m.name.clone(),
            format!("{:.1}", m.prompt_per_second),
            format!("{:.1}", m.decode_per_second),
            format!("{:.0}", milliseconds(m.load_time)),
            format!("{:.0}", milliseconds(m.first_byte)),
            megabytes(m.rss),
        ]);
    }
    table.write(&mut *out)?;
    writeln!(out)?;
    for m in members {
        writeln!(out, "{}: on {}; {}", m.name, m.placement, in_words(&m.pace))?;
    }
    let answer = &pack.answer;
    let evaluations = answer.spent.iter().map(|s| s.tokens.to_string());
    writeln!(
        out,
        "\npack: {:.1} tok/s, prompt {:.0} ms, first byte {:.0} ms, memory {} MB, mixing {:.0} µs a step, {} \
         evaluations for {} tokens",
        pack.tokens_per_second,
        milliseconds(pack.prompt_time),
        milliseconds(pack.first_byte),
        megabytes(pack.rss),
        mix_us(answer),
        evaluations.collect::<Vec<_>>().join(" + "),
        answer.tokens,
    )?;
    writeln!(
        out,
        "overhead over a replay of the same batches: {:+.3} (prompt {:+.3}, with given weights {:+.3}, answer {:+.3})",
        pack.overhead, pack.prompt_overhead, pack.given_overhead, pack.decode_overhead
    )?;
    if let Some(drafting) = &pack.drafting {
        writeln!(out, "{drafting}")?;
    }
    if let Some(conversations) = &pack.conversations {
        write_conversations(out, members, conversations)?;
    }
    Ok(())
}

fn write_conversations(
    out: &mut impl Write,
    members: &[Alone],
    conversations: &Conversations,
) -> Result<()> {
    let Conversations { count, .. } = conversations;
    writeln!(
        out,
        "{}: {:.1} tok/s together, one alone {:.1}, first byte {:.0} ms, overhead over a replay of the same \
         batches {:+.3} (prompts {:+.3})",
        counted(*count, "conversation"),
        conversations.tokens_per_second,
        conversations.one,
        milliseconds(conversations.first_byte),
        conversations.overhead,
        conversations.prompt_overhead,
    )?;
    for (k, member) in members.iter().enumerate() {
        writeln!(
            out,
            "{}: {:.0} of {:.0} batches shared, a batch of {count} costs {:.2} x one of 1, {} out of the KV cache",
            member.name,
            conversations.shared_batches[k],
            conversations.batches[k],
            conversations.batch_cost[k],
            counted(conversations.evictions[k] as usize, "time"),
        )?;
    }
    Ok(())
}

fn mix_us(answer: &Answer) -> f64 {
    answer.mix_time.as_secs_f64() * 1e6 / answer.steps.max(1) as f64
}

pub fn document(members: &[Alone], pack: &Together) -> Value {
    let members: Vec<Value> = members
        .iter()
        .map(|m| {
            json!({
                "name": m.name,
                "placement": m.placement,
                "pace": m.pace,
                "prompt_tokens_per_second": m.prompt_per_second,
                "decode_tokens_per_second": m.decode_per_second,
                "load_ms": milliseconds(m.load_time),
                "first_byte_ms": milliseconds(m.first_byte),
                "rss_bytes": m.rss,
            })
        })
        .collect();
    let answer = &pack.answer;
    json!({
        "members": members,
        "pack": {
            "decode_tokens_per_second": pack.tokens_per_second,
            "prompt_ms": milliseconds(pack.prompt_time),
            "first_byte_ms": milliseconds(pack.first_byte),
            "rss_bytes": pack.rss,
            "mix_us_per_step": mix_us(answer),
            "overhead": pack.overhead,
            "prompt_overhead": pack.prompt_overhead,
            "given_prompt_overhead": pack.given_overhead,
            "decode_overhead": pack.decode_overhead,
            "completion_tokens": answer.tokens,
            "evaluations": answer.spent.iter().map(|s| s.tokens).collect::<Vec<_>>(),
            "replayed_tokens": pack.batch_tokens,
            "drafting": pack.drafting.as_ref().map(Drafting::document),
        },
        "conversations": pack.conversations.as_ref().map(Conversations::document),
    })
}
