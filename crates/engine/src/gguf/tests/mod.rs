//! A file in the making, and tests by subject.

mod footprint;
mod hostile;
mod reading;
mod refusal;
mod split;

use std::io::Cursor;

use super::*;

/// A GGUF file in the making.
#[derive(Clone, Default)]
struct Draft {
    entries: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: u64,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Draft {
    fn entry(mut self, key: &str, kind: u32, value: &[u8]) -> Draft {
        self.entries
            .push([&string(key)[..], &kind.to_le_bytes(), value].concat());
        self
    }

    fn u32(self, key: &str, number: u32) -> Draft {
        self.entry(key, 4, &number.to_le_bytes())
    }

    fn text(self, key: &str, text: &str) -> Draft {
        self.entry(key, 8, &string(text))
    }

    fn array(self, key: &str, kind: u32, len: u64, elements: &[u8]) -> Draft {
        self.entry(
            key,
            9,
            &[&kind.to_le_bytes()[..], &len.to_le_bytes(), elements].concat(),
        )
    }

    fn tokens(self, count: u32) -> Draft {
        let texts: Vec<u8> = (0..count)
            .flat_map(|id| string(&format!("{id:x}")))
            .collect();
        self.array("tokenizer.ggml.tokens", 8, count.into(), &texts)
    }

    /// A tensor of `bytes` bytes of data, placed where the next has to be.
    fn tensor(self, name: &str, dims: &[u64], kind: u32, bytes: u64) -> Draft {
        let offset = self.data.next_multiple_of(32);
        self.tensor_at(name, dims, kind, offset, bytes)
    }

    fn tensor_at(mut self, name: &str, dims: &[u64], kind: u32, offset: u64, bytes: u64) -> Draft {
        let mut tensor = [&string(name)[..], &(dims.len() as u32).to_le_bytes()].concat();
        dims.iter().for_each(|dim| tensor.extend(dim.to_le_bytes()));
        tensor.extend(kind.to_le_bytes());
        tensor.extend(offset.to_le_bytes());
        self.tensors.push(tensor);
        self.data = offset + bytes;
        self
    }

    /// The header, padded to where the data starts.
    fn head(&self) -> Vec<u8> {
        let mut bytes = [b"GGUF".as_slice(), &3u32.to_le_bytes()].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        bytes.extend(self.entries.concat());
        bytes.extend(self.tensors.concat());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    }

    fn file(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.resize(bytes.len() + self.data as usize, 0);
        bytes
    }

    fn fault(&self) -> String {
        fault(&self.file())
    }
}

fn read(bytes: &[u8]) -> Result<Header, Fault> {
    reader::parse(Cursor::new(bytes), bytes.len() as u64)
}

fn fault(bytes: &[u8]) -> String {
    read(bytes).expect_err("the file is bad").to_string()
}

fn refusal(draft: Draft) -> String {
    let error = read(&draft.file()).expect("the file is intact").member();
    error.expect_err("no member").fault.to_string()
}

/// A small llama, complete as far as the header goes.
fn llama() -> Draft {
    network("llama", 2, 64, 4)
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.chat_template", "{{ messages }}")
        .tokens(10)
        .tensor("token_embd.weight", &[64, 10], 0, 2560)
        .tensor("blk.0.attn_q.weight", &[64, 64], 1, 8192)
        .tensor("blk.1.attn_q.weight", &[64, 64], 2, 2304)
        .tensor("output_norm.weight", &[64], 0, 256)
}

fn network(architecture: &str, layers: u32, embedding: u32, heads: u32) -> Draft {
    let key = |suffix: &str| format!("{architecture}.{suffix}");
    Draft::default()
        .text("general.architecture", architecture)
        .u32(&key("block_count"), layers)
        .u32(&key("context_length"), 2048)
        .u32(&key("embedding_length"), embedding)
        .u32(&key("attention.head_count"), heads)
}
