//! Headers that are judged by their names, cookies and credentials: as recorder/redact/names.py
//! does it. What would take a pattern of Python's is Odd, and the header is left to that.

use crate::batch::Scan;
use crate::columns::{Texts, Uniques};
use crate::json::{find, Odd, Take};

/// What a name says of a value, three bytes: the kind of a secret that looks random, that of any
/// other, and flags. The numbers of kinds are recorder/redact/columns.py's, but for these.
const NONE: u8 = 0;
const COOKIE: u8 = 1;
const BEARER: u8 = 2;
const AUTHORIZATION: u8 = 3;
const UNSURE: u8 = 255;
const PLURAL: u8 = 1; // of the name: a number is no secret
const COUNTS: u8 = 2; // visitors, for statistics
const SPECIAL: u8 = 4; // a header that is judged by its name

const MOST_COOKIES: usize = 256;
const LONG_COOKIE: usize = 20;
const HTTP_ONLY_COOKIE: usize = 12;
const LONGEST_WORD: usize = 16; // "required", "same-origin": values that say how it is with a secret
const LONGEST_SCHEME: usize = 17; // AWS4-HMAC-SHA256 and a blank
const LONGEST_ID: usize = 39; // an IPv6 address
const LEVELS: usize = 3; // how often percent encoding is undone
const NEVER: u8 = 0; // what stands in no random value
const BETWEEN: u8 = 1;
const DIGIT: u8 = 2;
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let (mut classes, between, mut at) = ([NEVER; 256], b"_.~+/=%:!*-", 0);
    while at < 128 {
        let byte = at as u8;
        classes[at] = match byte {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => DIGIT + 1,
            b'a'..=b'z' => DIGIT + 2,
            _ => NEVER,
        };
        at += 1;
    }
    at = 0;
    while at < between.len() {
        classes[between[at] as usize] = BETWEEN;
        at += 1;
    }
    classes
}

#[derive(Clone, Copy)]
pub struct Verdict {
    random: u8,
    other: u8,
    flags: u8,
}

impl Verdict {
    pub fn of(verdicts: &[u8], number: usize) -> Verdict {
        match verdicts.get(3 * number..3 * number + 3) {
            Some(&[random, other, flags]) => Verdict { random, other, flags },
            _ => Verdict { random: UNSURE, other: UNSURE, flags: SPECIAL },
        }
    }

    pub fn is_special(self) -> bool {
        self.flags & SPECIAL != 0
    }

    /// The kind of which a value is by the name alone.
    fn kind(self, value: &[u8]) -> Take<u8> {
        if value.is_empty() || (self.random, self.other) == (NONE, NONE) {
            return Ok(NONE);
        }
        let number = |byte: &u8| byte.is_ascii_digit();
        if self.flags & PLURAL != 0 && value.iter().all(number) {
            return Ok(NONE);
        }
        if value.contains(&b' ') || (value.len() < LONGEST_WORD && !value.iter().any(number)) {
            return Err(Odd);
        }
        match if is_opaque(value) { self.random } else { self.other } {
            UNSURE => Err(Odd),
            kind => Ok(kind),
        }
    }
}

/// The cookies of a header: the number of each one's name, where its value begins, and where it ends.
pub struct Cookies {
    pub pair: u32,
    is_set: bool,
    cut: Vec<(u32, usize, usize)>,
}

impl Cookies {
    /// Those of a Cookie or Set-Cookie header, if it is one that a browser or a site may send.
    pub fn read(pair: u32, header: &str, value: &[u8], names: &mut Uniques) -> Option<Cookies> {
        let is_set = header.eq_ignore_ascii_case("set-cookie");
        if !is_set && !header.eq_ignore_ascii_case("cookie") {
            return None;
        }
        let (mut cut, mut start) = (Vec::with_capacity(24), 0);
        while start <= value.len() {
            if cut.len() == MOST_COOKIES {
                return None;
            }
            let more = !is_set || start == 0; // of a Set-Cookie, what is behind the first is one
            let end = if more { find(value, b';', start) } else { None }.unwrap_or(value.len());
            let equals = value[start..end].iter().position(|byte| *byte == b'=');
            let name = &value[start..start + equals.unwrap_or(0)];
            let begin = start + equals.map_or(0, |at| at + 1);
            cut.push((names.number(0, name), begin, end));
            start = end + 1;
        }
        Some(Cookies { pair, is_set, cut })
    }
}

/// A secret in a header, at start..end; `name`: the number of its cookie's, or -1.
struct Hit {
    start: usize,
    end: usize,
    kind: u8,
    name: i64,
}

/// The headers judged by their names: `unsure` those that are left to Python, and `changed` those
/// with secrets. The n-th of these consists of what `sequence` has at offsets[n]..offsets[n + 1]:
/// pieces by their numbers, and secrets, each as -1 less its number. `names`: of the cookie of each
/// secret of the sequence, -1 for none. `secrets` are tagged with their kinds. What is left of
/// cookies is in `rest`, by header: where there is anything in it, the header is left to Python.
#[derive(Default)]
pub struct Named {
    pub unsure: Vec<i64>,
    pub changed: Vec<i64>,
    pub offsets: Vec<i32>,
    pub sequence: Vec<i32>,
    pub names: Vec<i64>,
    pub pieces: Texts,
    pub secrets: Uniques,
    pub rest: Scan,
    hits: Vec<Hit>,
}

impl Named {
    pub fn new() -> Self {
        Named { offsets: vec![0], ..Named::default() }
    }

    /// Judge a header: its cookies by the verdicts on their names, any other by its own.
    pub fn judge(&mut self, pair: usize, value: &[u8], cookies: Option<&Cookies>, own: Verdict, names: &[u8]) {
        self.hits.clear();
        let judged = match cookies {
            _ if own.random == UNSURE => Err(Odd),
            Some(cookies) => self.cookies(pair, value, cookies, names),
            None => self.whole(value, own),
        };
        let odd = |hit: &Hit| value[hit.start] == b'[' || value[hit.start..hit.end].contains(&b'\\');
        if judged.is_err() || self.hits.iter().any(odd) {
            self.unsure.push(pair as i64);
        } else if !self.hits.is_empty() {
            self.change(pair, value);
        }
    }

    fn change(&mut self, pair: usize, value: &[u8]) {
        let mut done = 0;
        for hit in &self.hits {
            self.sequence.push(self.pieces.len() as i32);
            self.pieces.push(Some(&value[done..hit.start]));
            let secret = self.secrets.number(u32::from(hit.kind), &value[hit.start..hit.end]);
            self.sequence.push(-1 - secret as i32);
            self.names.push(hit.name);
            done = hit.end;
        }
        self.sequence.push(self.pieces.len() as i32);
        self.pieces.push(Some(&value[done..]));
        self.changed.push(pair as i64);
        self.offsets.push(self.sequence.len() as i32);
    }

    /// A header that is a secret from end to end, but for "Bearer ".
    fn whole(&mut self, value: &[u8], own: Verdict) -> Take<()> {
        let is_bearer = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
        let blanks = |text: &[u8]| text.iter().take_while(|byte| b" +".contains(byte)).count();
        let blank = if is_bearer { blanks(&value[6..]) } else { 0 };
        let (start, kind) = if blank > 0 && (own.random, own.other) == (AUTHORIZATION, AUTHORIZATION) {
            (6 + blank, BEARER)
        } else {
            (0, own.kind(value)?)
        };
        let scheme = &value[..value.len().min(LONGEST_SCHEME)];
        let has_scheme = kind == AUTHORIZATION && scheme.iter().any(|byte| b" +".contains(byte));
        if kind == NONE || has_scheme || start == value.len() {
            return Err(Odd);
        }
        self.hits.push(Hit { start, end: value.len(), kind, name: -1 });
        Ok(())
    }

    fn cookies(&mut self, pair: usize, header: &[u8], cookies: &Cookies, verdicts: &[u8]) -> Take<()> {
        let http_only = cookies.is_set && header.windows(8).any(|word| word.eq_ignore_ascii_case(b"httponly"));
        for &(name, begin, end) in &cookies.cut {
            let verdict = Verdict::of(verdicts, name as usize);
            let whole = &header[begin..end];
            let value = trimmed(trimmed(whole, is_blank), |byte| byte == b'"');
            let kind = match verdict.kind(value)? {
                NONE if is_random(value, verdict.flags & COUNTS != 0, http_only) => COOKIE,
                kind => kind,
            };
            if kind == NONE {
                self.leave(pair, whole)?;
                continue;
            }
            if is_blank(value[0]) || is_blank(value[value.len() - 1]) {
                return Err(Odd);
            }
            let start = begin + whole.iter().position(|byte| !is_blank(*byte) && *byte != b'"').ok_or(Odd)?;
            self.hits.push(Hit { start, end: start + value.len(), kind, name: i64::from(name) });
        }
        Ok(())
    }

    /// Put a cookie's value where it is scanned, and what it reads without its escapes.
    fn leave(&mut self, pair: usize, value: &[u8]) -> Take<()> {
        let mut text = value.to_vec();
        self.rest.add(0, pair, &text);
        for _ in 0..LEVELS {
            if has_entity(&text) {
                return Err(Odd);
            }
            if !text.contains(&b'%') {
                return Ok(());
            }
            let (plain, stray) = unescaped(&text, b' ');
            if stray {
                return Err(Odd);
            }
            text = plain;
            self.rest.add(0, pair, &text);
        }
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

fn trimmed(mut text: &[u8], strip: impl Fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !strip(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !strip(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// Session cookies have any name; what they share is a long random value.
fn is_random(value: &[u8], counts: bool, http_only: bool) -> bool {
    if http_only && value.len() >= HTTP_ONLY_COOKIE && value.iter().any(u8::is_ascii_digit) {
        return true;
    }
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if counts || value.len() < LONG_COOKIE || value.iter().all(hex) {
        return false;
    }
    if value.contains(&b'%') { is_opaque(&unescaped(value, b'+').0) } else { is_opaque(value) }
}

/// Whether a value looks random and is no UUID, ULID, number or time.
fn is_opaque(value: &[u8]) -> bool {
    if !(16..=4096).contains(&value.len()) {
        return false;
    }
    let (mut size, mut digits, mut changes, mut last) = (0, 0, 0, BETWEEN);
    for byte in value {
        match CLASSES[*byte as usize] {
            NEVER => return false,
            BETWEEN => (),
            class => {
                size += 1;
                digits += usize::from(class == DIGIT);
                changes += usize::from(class != last && last != BETWEEN);
                last = class;
            }
        }
    }
    digits >= 2 && 4 * changes >= size && !is_known_id(value)
}

fn is_known_id(value: &[u8]) -> bool {
    let time = |byte: &u8| byte.is_ascii_digit() || b".:TZ+-".contains(byte);
    if value.len() > LONGEST_ID {
        return value.iter().all(time);
    }
    let groups: Vec<&[u8]> = value.splitn(9, |byte| *byte == b'-' || *byte == b':').collect();
    let hex = groups.iter().all(|group| group.iter().all(u8::is_ascii_hexdigit));
    let address = (3..=8).contains(&groups.len()) && groups.iter().all(|group| group.len() <= 4);
    let is_uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    let ulid = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z');
    (hex && is_uuid && !value.contains(&b':'))
        || (hex && address && !value.contains(&b'-'))
        || (value.len() == 26 && matches!(value[0], b'0'..=b'7') && value.iter().all(ulid))
        || value.iter().all(time)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    (*byte? as char).to_digit(16).map(|digit| digit as u8)
}

/// A text with its percent encoding undone and `plus` for +; and whether a % stands for itself.
fn unescaped(text: &[u8], plus: u8) -> (Vec<u8>, bool) {
    let (mut plain, mut at, mut stray) = (Vec::with_capacity(text.len()), 0, false);
    while at < text.len() {
        let end = find(text, b'%', at).unwrap_or(text.len());
        plain.extend(text[at..end].iter().map(|byte| if *byte == b'+' { plus } else { *byte }));
        at = end;
        while text.get(at) == Some(&b'%') {
            let code = digit(text.get(at + 1)).zip(digit(text.get(at + 2)));
            plain.push(code.map_or(b'%', |(high, low)| high << 4 | low));
            at += if code.is_some() { 3 } else { 1 };
            stray |= code.is_none();
        }
    }
    (plain, stray)
}

fn has_entity(text: &[u8]) -> bool {
    let begins = |rest: &[u8]| match rest {
        [b'#', next, ..] => next.is_ascii_digit() || matches!(next, b'x' | b'X'),
        _ => rest.starts_with(b"lt;") || rest.starts_with(b"quot;"),
    };
    let mut at = 0;
    while let Some(found) = find(text, b'&', at) {
        at = found + 1;
        if begins(&text[at..]) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Verdict = Verdict { random: NONE, other: NONE, flags: SPECIAL };

    fn judged(header: &str, verdicts: &[u8]) -> Named {
        let mut names = Uniques::default();
        let cookies = Cookies::read(0, "Cookie", header.as_bytes(), &mut names);
        let mut named = Named::new();
        named.judge(0, header.as_bytes(), cookies.as_ref(), PLAIN, verdicts);
        named
    }

    #[test]
    fn cookies_are_cut_where_they_are_secret() {
        let sure = [9, 9, 0].repeat(9);
        let named = judged("a= \"x1 y1\" ;b=x1", &sure);
        assert_eq!(named.unsure, [0]); // a blank may be a message's
        let named = judged("a= \"x1\" ; b=x1;c=", &sure);
        assert_eq!((named.changed, named.offsets, named.sequence), (vec![0], vec![0, 5], vec![0, -1, 1, -1, 2]));
        assert_eq!((named.names, named.secrets.texts.get(0)), (vec![0, 1], &b"x1"[..]));
        let pieces: Vec<&[u8]> = (0..3).map(|at| named.pieces.get(at)).collect();
        assert_eq!(pieces, [&b"a= \""[..], b"\" ; b=", b";c="]);
        assert_eq!(judged("a=1;b=2%3D", &[0; 6]).rest.data, b"\n\0&1\n\0&2%3D\n\0&2=");
    }

    #[test]
    fn what_may_read_in_another_way_is_left() {
        for value in ["a=x&lt;%31", "a=%", "a=%%41", "a=%26%2334;"] {
            assert_eq!(judged(value, &[0; 3]).unsure, [0], "{value}");
        }
        for value in ["[redacted:token:0123456789ab]", "a\\/b1", "required", "not 1"] {
            assert_eq!(judged(&format!("a={value}"), &[9, 9, 0]).unsure, [0], "{value}");
        }
        assert_eq!(judged(&"a;".repeat(256), &[0; 3]).unsure, [0]);
        assert!(judged("a=1", &[9, 9, PLURAL]).unsure.is_empty());
    }
}
