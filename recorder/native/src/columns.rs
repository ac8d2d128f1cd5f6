//! Columns as Arrow lays them out in memory, built row by row.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A bit a row, set where there is a value.
#[derive(Default)]
pub struct Valid {
    pub bits: Vec<u8>,
    rows: usize,
}

impl Valid {
    pub fn push(&mut self, valid: bool) {
        if self.rows % 8 == 0 {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(valid) << (self.rows % 8);
        }
        self.rows += 1;
    }
}

#[derive(Default)]
pub struct Ints {
    pub values: Vec<i64>,
    pub valid: Valid,
}

impl Ints {
    pub fn push(&mut self, value: Option<i64>) {
        self.values.push(value.unwrap_or(0));
        self.valid.push(value.is_some());
    }
}

/// Texts or bytes, one after the other. There is room for 2 GB: a batch is bounded far below that.
pub struct Texts {
    pub offsets: Vec<i32>,
    pub data: Vec<u8>,
    pub valid: Valid,
}

impl Default for Texts {
    fn default() -> Self {
        Texts { offsets: vec![0], data: Vec::new(), valid: Valid::default() }
    }
}

impl Texts {
    pub fn push(&mut self, value: Option<&[u8]>) {
        self.data.extend_from_slice(value.unwrap_or_default());
        self.offsets.push(self.data.len() as i32);
        self.valid.push(value.is_some());
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn get(&self, at: usize) -> &[u8] {
        &self.data[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }
}

const FREE: u32 = u32::MAX;

/// Different texts, each once. `tags`: what else tells them apart.
pub struct Uniques {
    pub texts: Texts,
    pub tags: Vec<u32>,
    table: Vec<u32>,
    hashes: Vec<u64>,
    seeds: (u64, u64),
}

impl Default for Uniques {
    fn default() -> Self {
        let state = RandomState::new(); // of this process: nobody can build texts that collide
        let seed = |number: u64| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(number);
            hasher.finish()
        };
        Uniques {
            texts: Texts::default(),
            tags: Vec::new(),
            table: vec![FREE; 64],
            hashes: Vec::new(),
            seeds: (seed(1), seed(2)),
        }
    }
}

impl Uniques {
    /// The number of a text, given in the order in which they are met.
    pub fn number(&mut self, tag: u32, text: &[u8]) -> u32 {
        let hash = self.hash(tag, text);
        let mut slot = hash as usize & (self.table.len() - 1);
        while self.table[slot] != FREE {
            let known = self.table[slot];
            let at = known as usize;
            if self.hashes[at] == hash && self.tags[at] == tag && self.texts.get(at) == text {
                return known;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
        let number = self.tags.len() as u32;
        self.table[slot] = number;
        self.texts.push(Some(text));
        self.tags.push(tag);
        self.hashes.push(hash);
        if self.tags.len() * 2 > self.table.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let size = self.table.len() * 4;
        self.table.clear();
        self.table.resize(size, FREE);
        for (number, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & (size - 1);
            while self.table[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = number as u32;
        }
    }

    fn hash(&self, tag: u32, text: &[u8]) -> u64 {
        let mut hash = folded(self.seeds.0 ^ u64::from(tag), text.len() as u64 ^ self.seeds.1);
        let mut chunks = text.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            hash = folded(hash ^ word, self.seeds.1);
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        folded(hash ^ u64::from_le_bytes(last), self.seeds.0)
    }
}

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b | 1);
    (product >> 64) as u64 ^ product as u64
}

/// A column of few different texts: the number of each, and the texts.
#[derive(Default)]
pub struct Few {
    pub numbers: Vec<i32>,
    pub valid: Valid,
    pub uniques: Uniques,
}

impl Few {
    pub fn push(&mut self, value: Option<&str>) {
        self.numbers.push(value.map_or(0, |text| self.uniques.number(0, text.as_bytes()) as i32));
        self.valid.push(value.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_once() {
        let mut uniques = Uniques::default();
        let texts: Vec<String> = (0..5000).map(|n| format!("text {}", n % 1000)).collect();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(uniques.number(1, text.as_bytes()), (n % 1000) as u32);
        }
        assert_eq!(uniques.number(2, b"text 1"), 1000);
        assert_eq!(uniques.texts.get(999), b"text 999");
    }
}
