//! Events of a block, read into columns; and the texts of them that redaction has to see.

use std::borrow::Cow;

use crate::columns::{Few, Ints, Texts, Uniques};
use crate::event::{body, Inner, Outer};
use crate::json::{find, Odd, Take};
use crate::named::{Cookies, Named, Verdict};

pub const INTS: usize = 15;
pub const TEXTS: usize = 5;
pub const FEWS: usize = 16;
const PAIR: i64 = FEWS as i64; // kinds of texts: a Few, a header, a Texts, a body
const TEXT: i64 = PAIR + 1;
const BODY: i64 = TEXT + TEXTS as i64;

const MOST_EVENT: usize = 1 << 20;
const INT32: i64 = i32::MAX as i64;
const NAME: &[u8] = b"event: ";
const DATA: &[u8] = b"data: ";
const TRANSACTION: &str = "request.http_transaction";
const CONNECTED: &str = "system.connected";
const SHORTEST: usize = 6; // characters; a header's value that is shorter is no secret
const TELLING: [u8; 4] = [0x1F, 0x28, 0xFF, 0xFE]; // how an encoded body begins
const BETWEEN: &[u8] = b"\n\0&";

/// How much of a block becomes a batch, and how long a body may be that is taken as it is.
#[repr(C)]
pub struct Limits {
    pub events: u64,
    pub bytes: u64,
    pub body: u64,
}

/// The headers of one side: pairs of a name and a value, by their numbers, row by row.
#[derive(Default)]
pub struct Headers {
    pub offsets: Vec<i32>,
    pub pairs: Vec<i32>,
}

/// Texts to be scanned, each behind a separator; which, by kind and owner (a row, or the number of
/// a unique text).
#[derive(Default)]
pub struct Scan {
    pub data: Vec<u8>,
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    pub kinds: Vec<i64>,
    pub owners: Vec<i64>,
}

#[derive(Default)]
pub struct Batch {
    pub ints: [Ints; INTS],
    pub texts: [Texts; TEXTS],
    pub fews: [Few; FEWS],
    pub bodies: [Texts; 2],
    pub looked: [Vec<i64>; 2], // the rows whose bodies may not be what they look like
    pub encodings: [Vec<i64>; 2], // and the pair that names their encoding, or -1
    pub headers: [Headers; 2],
    pub pairs: Uniques, // tagged with twice the number of the name, one more for a response
    pub names: Uniques,
    pub cookie_names: Uniques,
    pub left: Vec<i64>, // of each event that is not taken: place, name's start, start, end
    pub at: usize,
    pub events: usize,
    pub stopped: bool, // what comes next is not written as Qtap writes it
    pub scan: Scan,
    pub named: Named,
    cookies: Vec<Cookies>,
    tags: Vec<u32>, // of the headers of the event in hand
    met: Vec<usize>, // by tag: the last event that had this header
    inner: Vec<u8>,
    plain: [Vec<u8>; 2],
}

/// An event as it is written: its name, which begins at `at`, its data at `start`.
struct Line<'b> {
    name: &'b str,
    data: &'b str,
    at: usize,
    start: usize,
    next: usize,
}

impl Batch {
    /// Read the events of `block` from `at` on, until a limit, the end, or an event that begins a
    /// stream, which is a batch of its own.
    pub fn read(block: &[u8], at: usize, limits: &Limits) -> Batch {
        let mut batch = Batch { at, ..Batch::default() };
        for side in &mut batch.headers {
            side.offsets.push(0);
        }
        while batch.at < block.len() {
            if batch.events as u64 >= limits.events || (batch.at - at) as u64 >= limits.bytes {
                break;
            }
            let Some(line) = plain_event(block, batch.at) else {
                batch.stopped = true;
                break;
            };
            if line.name == CONNECTED && batch.events > 0 {
                break;
            }
            batch.event(&line, limits.body as usize);
            batch.at = line.next;
            if line.name == CONNECTED {
                break;
            }
        }
        batch
    }

    fn event(&mut self, line: &Line, most: usize) {
        let (start, end) = (line.start as i64, (line.start + line.data.len()) as i64);
        let at = [self.events as i64, start, end];
        if line.name != TRANSACTION || self.take(line.data, at, most).is_err() {
            self.left.extend([at[0], line.at as i64, start, end]);
        }
        self.events += 1;
    }

    /// Read a transaction into the columns; nothing of it is in them where this fails.
    fn take(&mut self, data: &str, at: [i64; 3], most: usize) -> Take<()> {
        if data.len() > MOST_EVENT {
            return Err(Odd);
        }
        let outer = Outer::read(data)?;
        let mut raw = std::mem::take(&mut self.inner);
        let taken = body(&outer.data, &mut raw).and_then(|()| {
            let inner = Inner::read(std::str::from_utf8(&raw).map_err(|_| Odd)?, outer.ts)?;
            body(&inner.request.body, &mut self.plain[0])?;
            body(&inner.response.body, &mut self.plain[1])?;
            self.push(&outer, &inner, at, most)
        });
        self.inner = raw;
        taken
    }

    fn push(&mut self, outer: &Outer, inner: &Inner, at: [i64; 3], most: usize) -> Take<()> {
        let (request, response, about) = (&inner.request, &inner.response, &inner.about);
        let target = request.path.as_deref().unwrap_or("");
        let authority = request.authority.as_deref().unwrap_or("");
        // Without these the URL tells; gRPC calls come twice; and userinfo goes.
        let is_grpc = request.protocol.as_deref() == Some("grpc");
        let plain = authority.is_ascii() && !authority.contains('@');
        if target.is_empty() || authority.is_empty() || !plain || is_grpc {
            return Err(Odd);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.split_once('#').map_or(path, |(path, _)| path);
        let mirror = request.headers.iter().find(|(name, _)| *name == ":path");
        if mirror.is_some_and(|(_, value)| !mirrors(value, path, query)) {
            return Err(Odd);
        }
        let trace = request.trace_id()?;
        let encodings = [encoding(&request.headers)?, encoding(&response.headers)?];
        self.number_names([&request.headers, &response.headers])?;

        // From here on nothing fails.
        let id = request.request_id.as_deref().filter(|id| !id.is_empty());
        let id = id.or(outer.request_id.as_deref());
        let connection = about.connection_id.as_deref();
        let status = inner.status();
        let sizes = [0, 1].map(|side| Some(self.plain[side].len() as i64).filter(|size| *size > 0));
        let (asked, opened) = (id.and_then(code_of), connection.and_then(code_of));
        let ints = [
            Some(inner.ts),
            Some(outer.ts),
            inner.duration_ms.filter(|ms| status.is_some() && (0..=INT32).contains(ms)),
            status,
            sizes[0],
            sizes[1],
            about.bytes_sent.filter(|size| *size >= 0),
            about.bytes_received.filter(|size| *size >= 0),
            asked.map(|code| code.0),
            asked.map(|code| code.1),
            opened.map(|code| code.0),
            opened.map(|code| code.1),
            Some(at[0]),
            Some(at[1]),
            Some(at[2]),
        ];
        for (column, value) in self.ints.iter_mut().zip(ints) {
            column.push(value);
        }
        let texts = [Some(path), Some(query).filter(|query| !query.is_empty()), id, connection, trace];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.push(value.map(str::as_bytes));
        }
        let scheme = request.scheme.as_deref();
        let host = host_of(authority, scheme);
        let kinds = [request.content_type.as_deref(), response.content_type.as_deref()];
        let fews = [
            inner.direction.as_deref(),
            Some(request.method.as_ref()),
            scheme,
            host.as_deref(),
            request.protocol.as_deref(),
            kinds[0],
            kinds[1],
            request.user_agent.as_deref(),
            about.process_id.as_deref().filter(|id| !id.is_empty()),
            about.process_exe.as_deref(),
            about.container_name.as_deref(),
            about.container_image.as_deref(),
            about.pod_name.as_deref(),
            about.pod_namespace.as_deref(),
            about.endpoint_id.as_deref(),
            Some(authority),
        ];
        for (column, value) in self.fews.iter_mut().zip(fews) {
            column.push(value);
        }
        self.push_headers(0, &request.headers, 0);
        self.push_headers(1, &response.headers, request.headers.len());
        for side in 0..2 {
            self.push_body(side, kinds[side], encodings[side], most);
        }
        Ok(())
    }

    /// The tags of all headers, one side after the other. Odd where a header comes twice, or there
    /// are names without end.
    fn number_names(&mut self, sides: [&[(&str, Cow<str>)]; 2]) -> Take<()> {
        self.tags.clear();
        for (side, headers) in sides.into_iter().enumerate() {
            for (name, _) in headers {
                let tag = self.tag(side, name);
                self.met.resize(self.met.len().max(2 * self.names.tags.len()), 0);
                if self.met[tag as usize] == self.events + 1 {
                    return Err(Odd);
                }
                self.met[tag as usize] = self.events + 1;
                self.tags.push(tag);
            }
        }
        Ok(())
    }

    fn tag(&mut self, side: usize, name: &str) -> u32 {
        2 * self.names.number(0, name.as_bytes()) + side as u32
    }

    /// `first`: of their tags, in those of the event.
    fn push_headers(&mut self, side: usize, headers: &[(&str, Cow<str>)], first: usize) {
        for ((name, value), tag) in headers.iter().zip(&self.tags[first..]) {
            let known = self.pairs.tags.len();
            let pair = self.pairs.number(*tag, value.as_bytes());
            if pair as usize == known {
                let names = &mut self.cookie_names;
                self.cookies.extend(Cookies::read(pair, name, value.as_bytes(), names));
            }
            self.headers[side].pairs.push(pair as i32);
        }
        let end = self.headers[side].pairs.len() as i32;
        self.headers[side].offsets.push(end);
    }

    fn push_body(&mut self, side: usize, kind: Option<&str>, encoding: Option<(&str, &str)>, most: usize) {
        let row = self.bodies[side].len() as i64;
        let pair = encoding.map_or(-1, |(name, value)| {
            let tag = self.tag(side, name);
            i64::from(self.pairs.number(tag, value.as_bytes()))
        });
        let body = &self.plain[side];
        let plainly = kind == Some("application/json") && pair < 0 && body.len() <= most;
        if !body.is_empty() && (!plainly || TELLING.contains(&body[0])) {
            self.looked[side].push(row);
            self.encodings[side].push(pair);
        }
        self.bodies[side].push(Some(body.as_slice()).filter(|body| !body.is_empty()));
    }

    /// Judge headers by their names, and put together what has to be scanned. `orders`: a byte for
    /// each name (1 if it is to be scanned as a header of a request, 2 of a response), then the
    /// verdicts on names of headers, a request's and a response's for each, and on those of cookies.
    pub fn collect(&mut self, orders: &[u8], with_bodies: bool) {
        let Batch { scan, named, fews, pairs, texts, bodies, .. } = self;
        (*scan, *named) = (Scan::default(), Named::new());
        for (kind, few) in fews.iter().enumerate() {
            for number in 0..few.uniques.texts.len() {
                scan.add(kind as i64, number, few.uniques.texts.get(number));
            }
        }
        let names = self.names.tags.len();
        let (flags, verdicts) = orders.split_at(names.min(orders.len()));
        let (headers, cookies) = verdicts.split_at((6 * names).min(verdicts.len()));
        let mut cut = self.cookies.iter().peekable();
        for (number, tag) in pairs.tags.iter().enumerate() {
            let (flag, verdict) = (flags.get(*tag as usize / 2), Verdict::of(headers, *tag as usize));
            let value = pairs.texts.get(number);
            let own = cut.next_if(|cookies| cookies.pair as usize == number);
            if verdict.is_special() {
                named.judge(number, value, own, verdict, cookies);
            } else if flag.unwrap_or(&0) & 1 << (tag & 1) != 0 && characters(value) >= SHORTEST {
                scan.add(PAIR, number, value);
            }
        }
        for (kind, texts) in texts.iter().enumerate() {
            scan.all(TEXT + kind as i64, texts);
        }
        for (side, texts) in bodies.iter().enumerate().filter(|_| with_bodies) {
            scan.all(BODY + side as i64, texts);
        }
    }
}

impl Scan {
    pub fn add(&mut self, kind: i64, owner: usize, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.data.extend_from_slice(BETWEEN);
        self.starts.push(self.data.len() as i64);
        self.data.extend_from_slice(text);
        self.ends.push(self.data.len() as i64);
        self.kinds.push(kind);
        self.owners.push(owner as i64);
    }

    fn all(&mut self, kind: i64, texts: &Texts) {
        for row in 0..texts.len() {
            self.add(kind, row, texts.get(row));
        }
    }
}

/// The event that begins at `at`, if it is a line with its name and one with its data.
fn plain_event(block: &[u8], at: usize) -> Option<Line<'_>> {
    let line = find(block, b'\n', at)?;
    let end = find(block, b'\n', line + 1)?;
    let name = std::str::from_utf8(block[at..line].strip_prefix(NAME)?).ok()?;
    let data = std::str::from_utf8(block[line + 1..end].strip_prefix(DATA)?).ok()?;
    let plain = block.get(end + 1) == Some(&b'\n') && !name.is_empty() && !data.is_empty();
    let (at, start) = (at + NAME.len(), line + 1 + DATA.len());
    plain.then_some(Line { name, data, at, start, next: end + 2 })
}

fn mirrors(value: &str, path: &str, query: &str) -> bool {
    if query.is_empty() {
        return value == path;
    }
    value.strip_prefix(path).and_then(|rest| rest.strip_prefix('?')) == Some(query)
}

/// The header that names the encoding of a body; Odd where it names none.
fn encoding<'h>(headers: &'h [(&'h str, Cow<str>)]) -> Take<Option<(&'h str, &'h str)>> {
    let named = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted);
    match named("Content-Encoding").or_else(|| named("content-encoding")) {
        Some((_, value)) if value.is_empty() => Err(Odd),
        Some((name, value)) => Ok(Some((name, value))),
        None => Ok(None),
    }
}

/// An authority (ASCII, without userinfo) as a host: without default port, lower case.
fn host_of(authority: &str, scheme: Option<&str>) -> Option<String> {
    let mut host = authority.to_ascii_lowercase();
    let port = match scheme {
        Some("https") => ":443",
        Some("http") => ":80",
        _ => "",
    };
    if host.ends_with(port) {
        host.truncate(host.len() - port.len());
    }
    Some(host).filter(|host| !host.is_empty())
}

/// (the process that made an xid, its number); None where it is no xid.
fn code_of(id: &str) -> Option<(i64, i64)> {
    let digits = id.as_bytes();
    if digits.len() != 20 {
        return None;
    }
    let mut value = 0u128;
    for digit in digits {
        let bits = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'v' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 5 | u128::from(bits);
    }
    value >>= 4;
    Some(((value >> 24 & 0xFF_FFFF_FFFF) as i64, (value & 0xFF_FFFF) as i64))
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { events: 100, bytes: 1 << 20, body: 1 << 16 };

    #[test]
    fn what_is_no_transaction_is_left() {
        let block = b"event: a\ndata: {}\n\nevent: request.http_transaction\ndata: {}\n\n";
        let batch = Batch::read(block, 0, &LIMITS);
        assert_eq!((batch.events, batch.at, batch.stopped), (2, block.len(), false));
        assert_eq!(batch.left.len(), 8);
        let stopped = Batch::read(b"event: a\ndata: {}\n\nretry: 3\n\n", 0, &LIMITS);
        assert_eq!((stopped.events, stopped.at, stopped.stopped), (1, 19, true));
    }

    #[test]
    fn any_bytes_end() {
        let mut state = 7u64;
        for size in 0..400 {
            let bytes: Vec<u8> = (0..size)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    b"event: dat\n\"\\{}[],:u0\xff"[(state >> 33) as usize % 22]
                })
                .collect();
            Batch::read(&bytes, 0, &LIMITS);
        }
    }

    #[test]
    fn ids_are_numbers() {
        assert_eq!(code_of("9m4e2mr0ui3e8a215n4g"), Some((416_419_341_352, 4_271_561)));
        assert_eq!(code_of("00000000000000000010"), Some((0, 2)));
        assert_eq!(code_of("w0000000000000000010"), None);
        assert_eq!(code_of("short"), None);
    }
}
