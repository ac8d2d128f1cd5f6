//! Base64 as Go writes it: the standard alphabet, padded, nothing between the letters.

use crate::json::{Odd, Take};

const NONE: u8 = 0xFF;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < 64 {
        values[letters[at] as usize] = at as u8;
        at += 1;
    }
    values
}

const fn shifted(by: u32) -> [u32; 256] {
    let mut table = [u32::MAX; 256]; // no value sets a bit above 24
    let mut at = 0;
    while at < 256 {
        if VALUES[at] != NONE {
            table[at] = (VALUES[at] as u32) << by;
        }
        at += 1;
    }
    table
}

static FIRST: [u32; 256] = shifted(18);
static SECOND: [u32; 256] = shifted(12);
static THIRD: [u32; 256] = shifted(6);
static FOURTH: [u32; 256] = shifted(0);

/// Put what `text` stands for at the end of `out`.
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> Take<()> {
    if text.len() % 4 != 0 {
        return Err(Odd);
    }
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let whole = &text[..if padding > 0 { text.len() - 4 } else { text.len() }];
    let start = out.len();
    out.resize(start + whole.len() / 4 * 3, 0);
    let mut bad = 0;
    for (four, three) in whole.chunks_exact(4).zip(out[start..].chunks_exact_mut(3)) {
        let bits = FIRST[four[0] as usize]
            | SECOND[four[1] as usize]
            | THIRD[four[2] as usize]
            | FOURTH[four[3] as usize];
        bad |= bits;
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    if padding > 0 {
        let four = &text[text.len() - 4..];
        let third = if padding == 2 { 0 } else { THIRD[four[2] as usize] };
        let bits = FIRST[four[0] as usize] | SECOND[four[1] as usize] | third;
        bad |= bits;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    if bad >> 24 != 0 {
        return Err(Odd);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_is_padded_and_nothing_else() {
        for (text, plain) in [("", ""), ("QQ==", "A"), ("QUI=", "AB"), ("QUJD", "ABC"), ("QUJDRA==", "ABCD")] {
            let mut out = Vec::new();
            decode(text.as_bytes(), &mut out).unwrap();
            assert_eq!(out, plain.as_bytes());
        }
        for text in ["QQ", "QQ=", "====", "=QQ=", "Q===", "QU-_", "QU J", "QUJD=UJD", "QQ==QQ=="] {
            assert!(decode(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }
}
