//! Writes GGUF version 3.

const ALIGNMENT: usize = 32;

/// Collects metadata and tensors.
#[derive(Default)]
pub(super) struct Writer {
    entries: Vec<u8>,
    entry_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
    /// Of a split model: this file and the number of files. Tensors are dealt out in turn.
    share: Option<(u64, u64)>,
    offered: u64,
}

impl Writer {
    /// Writes a file of a split model.
    pub(super) fn of_share(part: u64, of: u64) -> Self {
        Self {
            share: Some((part, of)),
            ..Self::default()
        }
    }

    pub(super) fn tensor_count(&self) -> u64 {
        self.tensor_count
    }

    pub(super) fn i32(&mut self, key: &str, number: i32) {
        self.key(key, 5);
        self.entries.extend(number.to_le_bytes());
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key, 8);
        string(&mut self.entries, text);
    }

    pub(super) fn u16(&mut self, key: &str, number: u16) {
        self.key(key, 2);
        self.entries.extend(number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, key: &str, number: u32) {
        self.key(key, 4);
        self.entries.extend(number.to_le_bytes());
    }

    pub(super) fn f32(&mut self, key: &str, number: f32) {
        self.key(key, 6);
        self.entries.extend(number.to_le_bytes());
    }

    pub(super) fn bool(&mut self, key: &str, truth: bool) {
        self.key(key, 7);
        self.entries.push(u8::from(truth));
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[&str]) {
        self.array(key, 8, texts.len());
        texts
            .iter()
            .for_each(|text| string(&mut self.entries, text));
    }

    pub(super) fn i32s(&mut self, key: &str, numbers: &[i32]) {
        self.array(key, 5, numbers.len());
        self.entries
            .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    pub(super) fn f32s(&mut self, key: &str, numbers: &[f32]) {
        self.array(key, 6, numbers.len());
        self.entries
            .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, 9);
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend((len as u64).to_le_bytes());
    }

    fn key(&mut self, key: &str, kind: u32) {
        string(&mut self.entries, key);
        self.entries.extend(kind.to_le_bytes());
        self.entry_count += 1;
    }

    /// Adds a tensor, contiguous dimension first, as f16 if `half` and as f32 otherwise.
    pub(super) fn tensor(&mut self, name: &str, dims: &[u32], values: &[f32], half: bool) {
        self.offered += 1;
        if self
            .share
            .is_some_and(|(part, of)| (self.offered - 1) % of != part)
        {
            return;
        }
        pad(&mut self.data);
        string(&mut self.tensors, name);
        self.tensors.extend((dims.len() as u32).to_le_bytes());
        for &dim in dims {
            self.tensors.extend(u64::from(dim).to_le_bytes());
        }
        self.tensors.extend(u32::from(half).to_le_bytes());
        self.tensors.extend((self.data.len() as u64).to_le_bytes());
        self.tensor_count += 1;
        if half {
            self.data
                .extend(values.iter().flat_map(|&value| f16(value).to_le_bytes()));
        } else {
            self.data
                .extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }

    /// The file.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend(self.tensor_count.to_le_bytes());
        file.extend(self.entry_count.to_le_bytes());
        file.extend(self.entries);
        file.extend(self.tensors);
        if self.tensor_count > 0 {
            pad(&mut file);
            file.extend(self.data);
        }
        file
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// The nearest half-precision number; too small ones become zero.
fn f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    if value.is_nan() {
        return 0x7e00;
    }
    // Half a unit in the last of ten places is added, so that cutting off rounds.
    let magnitude = (bits & 0x7fff_ffff) + 0x1000;
    let exponent = (magnitude >> 23) as i32 - 127 + 15;
    match exponent {
        ..=0 => sign,
        1..=30 => sign | ((exponent as u16) << 10) | ((magnitude >> 13) as u16 & 0x3ff),
        _ => sign | 0x7c00,
    }
}
