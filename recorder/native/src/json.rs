//! Reading JSON, strictly: whatever is not plainly right is `Odd`, and left to the Python path.

use std::borrow::Cow;

/// Something that this part does not take. It says nothing of whether the event is right.
#[derive(Debug)]
pub struct Odd;

pub type Take<T> = Result<T, Odd>;

const MOST_DEPTH: u32 = 32;
const MOST_DIGITS: usize = 18; // what fits an i64 whatever the digits

pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The keys of an object that came already: which of two values counts is not decided here.
#[derive(Default)]
pub struct Seen(u32);

impl Seen {
    pub fn once(&mut self, key: u32) -> Take<()> {
        if self.0 & 1 << key != 0 {
            return Err(Odd);
        }
        self.0 |= 1 << key;
        Ok(())
    }
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    fn byte(&self, at: usize) -> u8 {
        // No JSON has a 0 outside of strings, and in them it is refused.
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn peek(&mut self) -> u8 {
        while matches!(self.byte(self.at), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
        self.byte(self.at)
    }

    fn expect(&mut self, byte: u8) -> Take<()> {
        if self.peek() != byte {
            return Err(Odd);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Take<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Odd);
        }
        self.at += word.len();
        Ok(())
    }

    /// Nothing but blanks may follow.
    pub fn end(&mut self) -> Take<()> {
        self.peek();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(Odd)
        }
    }

    fn null(&mut self) -> Take<bool> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        self.word("null")?;
        Ok(true)
    }

    /// The value, or None where it is null.
    pub fn optional<T>(&mut self, value: impl FnOnce(&mut Self) -> Take<T>) -> Take<Option<T>> {
        if self.null()? {
            return Ok(None);
        }
        value(self).map(Some)
    }

    /// An object: `field` is called with each key (none of which is escaped), and takes its value.
    pub fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Take<()>) -> Take<()> {
        self.expect(b'{')?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            match self.string()? {
                Cow::Borrowed(key) => {
                    self.expect(b':')?;
                    field(self, key)?;
                }
                Cow::Owned(_) => return Err(Odd),
            }
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Odd),
            }
            if self.peek() != b'"' {
                return Err(Odd);
            }
        }
    }

    pub fn string(&mut self) -> Take<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = plain_end(self.text.as_bytes(), start);
        if self.byte(self.at) == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut whole = String::from(&self.text[start..self.at]);
        loop {
            match self.byte(self.at) {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Owned(whole));
                }
                b'\\' => self.escape(&mut whole)?,
                _ => return Err(Odd), // a control character, or the end
            }
            let start = self.at;
            self.at = plain_end(self.text.as_bytes(), start);
            whole.push_str(&self.text[start..self.at]);
        }
    }

    fn escape(&mut self, whole: &mut String) -> Take<()> {
        let letter = self.byte(self.at + 1);
        self.at += 2;
        whole.push(match letter {
            b'"' | b'\\' | b'/' => letter as char,
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if !(0xD800..0xE000).contains(&high) {
                    char::from_u32(high).ok_or(Odd)?
                } else {
                    self.word("\\u")?;
                    let low = self.hex()?;
                    if high >= 0xDC00 || !(0xDC00..0xE000).contains(&low) {
                        return Err(Odd);
                    }
                    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(Odd)?
                }
            }
            _ => return Err(Odd),
        });
        Ok(())
    }

    fn hex(&mut self) -> Take<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value << 4 | (self.byte(self.at) as char).to_digit(16).ok_or(Odd)?;
            self.at += 1;
        }
        Ok(value)
    }

    /// A whole number as JSON writes them, without fraction and exponent.
    pub fn int(&mut self) -> Take<i64> {
        let negative = self.peek() == b'-';
        if negative {
            self.at += 1;
        }
        let start = self.at;
        let mut value = 0i64;
        while self.byte(self.at).is_ascii_digit() && self.at - start < MOST_DIGITS {
            value = value * 10 + i64::from(self.byte(self.at) - b'0');
            self.at += 1;
        }
        let digits = self.at - start;
        let leading = self.byte(start) == b'0' && (digits > 1 || negative);
        let more = matches!(self.byte(self.at), b'.' | b'e' | b'E' | b'0'..=b'9');
        if digits == 0 || leading || more {
            return Err(Odd);
        }
        Ok(if negative { -value } else { value })
    }

    /// What comes next as text: a string, or a whole number that is not negative.
    pub fn string_or_int(&mut self) -> Take<Cow<'a, str>> {
        if self.peek() == b'"' {
            return self.string();
        }
        let value = self.int()?;
        if value < 0 {
            return Err(Odd);
        }
        Ok(Cow::Owned(value.to_string()))
    }

    /// Pass over any value.
    pub fn skip(&mut self) -> Take<()> {
        self.skip_at(MOST_DEPTH)
    }

    fn skip_at(&mut self, depth: u32) -> Take<()> {
        if depth == 0 {
            return Err(Odd);
        }
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(|reader, _| reader.skip_at(depth - 1)),
            b'[' => self.list(depth),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: u32) -> Take<()> {
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_at(depth - 1)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Odd),
            }
        }
    }

    fn number(&mut self) -> Take<()> {
        if self.byte(self.at) == b'-' {
            self.at += 1;
        }
        let start = self.at;
        let digits = self.digits()?;
        if self.byte(start) == b'0' && digits > 1 {
            return Err(Odd);
        }
        if self.byte(self.at) == b'.' {
            self.at += 1;
            self.digits()?;
        }
        // One with an exponent may be too large for a float; nobody writes sizes so.
        if matches!(self.byte(self.at), b'e' | b'E') {
            return Err(Odd);
        }
        Ok(())
    }

    fn digits(&mut self) -> Take<usize> {
        let start = self.at;
        while self.byte(self.at).is_ascii_digit() {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(Odd),
            digits if digits > MOST_DIGITS => Err(Odd),
            digits => Ok(digits),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where the first quote, backslash or control character stands from `at` on; else the end.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        let special = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let special = special & HIGHS;
        if special != 0 {
            // The lowest mark is exact; a borrow can make a false one only above it.
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] >= 0x20 && bytes[at] != b'"' && bytes[at] != b'\\' {
        at += 1;
    }
    at
}

/// Where `byte` stands first from `at` on.
pub fn find(bytes: &[u8], byte: u8, mut at: usize) -> Option<usize> {
    let wanted = ONES * u64::from(byte);
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default()) ^ wanted;
        let marks = word.wrapping_sub(ONES) & !word & HIGHS;
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    (at..bytes.len()).find(|&at| bytes[at] == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_where_they_end() {
        for text in ["\"\"", "\"abcdefghijklmnop\"", "\"äöü\u{1F600} and more of it\""] {
            let read = Reader::new(text).string().unwrap();
            assert_eq!(read, &text[1..text.len() - 1]);
        }
        let mut reader = Reader::new("\"a\\u00e4\\ud83d\\ude00\\n\\/\"");
        assert_eq!(reader.string().unwrap(), "aä\u{1F600}\n/");
        for text in ["\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\x\"", "\"a\nb\"", "\"\\u12"] {
            assert!(Reader::new(text).string().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_whole_and_plain() {
        assert_eq!(Reader::new("0").int().unwrap(), 0);
        assert_eq!(Reader::new(" -12,").int().unwrap(), -12);
        assert_eq!(Reader::new("999999999999999999").int().unwrap(), 999_999_999_999_999_999);
        for text in ["", "-", "01", "-0", "1.0", "1e3", "9999999999999999999", "a"] {
            assert!(Reader::new(text).int().is_err(), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_left_alone() {
        let deep = "[".repeat(100_000);
        assert!(Reader::new(&deep).skip().is_err());
        assert!(Reader::new("[{\"a\": [1, -2.5, null, true, \"\\n\"]}]").skip().is_ok());
    }
}
