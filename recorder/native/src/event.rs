//! One transaction of the stream, read as recorder/decode/events.py reads it; or left to that.

use std::borrow::Cow;

use crate::base64;
use crate::json::{Odd, Reader, Seen, Take};

type Text<'a> = Cow<'a, str>;

#[derive(Default)]
pub struct Outer<'a> {
    pub request_id: Option<Text<'a>>,
    pub data: Text<'a>,
    pub ts: i64,
}

#[derive(Default)]
pub struct Request<'a> {
    pub method: Text<'a>,
    pub scheme: Option<Text<'a>>,
    pub path: Option<Text<'a>>,
    pub authority: Option<Text<'a>>,
    pub protocol: Option<Text<'a>>,
    pub request_id: Option<Text<'a>>,
    pub user_agent: Option<Text<'a>>,
    pub content_type: Option<Text<'a>>,
    pub headers: Vec<(&'a str, Text<'a>)>,
    pub body: Text<'a>,
}

#[derive(Default)]
pub struct Response<'a> {
    pub status: Option<i64>,
    pub content_type: Option<Text<'a>>,
    pub headers: Vec<(&'a str, Text<'a>)>,
    pub body: Text<'a>,
}

#[derive(Default)]
pub struct Metadata<'a> {
    pub process_id: Option<Text<'a>>,
    pub process_exe: Option<Text<'a>>,
    pub container_name: Option<Text<'a>>,
    pub container_image: Option<Text<'a>>,
    pub pod_name: Option<Text<'a>>,
    pub pod_namespace: Option<Text<'a>>,
    pub bytes_sent: Option<i64>,
    pub bytes_received: Option<i64>,
    pub connection_id: Option<Text<'a>>,
    pub endpoint_id: Option<Text<'a>>,
}

#[derive(Default)]
pub struct Inner<'a> {
    pub request: Request<'a>,
    pub response: Response<'a>,
    pub about: Metadata<'a>,
    pub ts: i64,
    pub duration_ms: Option<i64>,
    pub direction: Option<Text<'a>>,
}

const NO_RESPONSE: i64 = 422;
const MOST_HEADERS: usize = 256;
const PLAUSIBLE_US: i64 = 48 * 3600 * 1_000_000;
const TRACE_HEADERS: [&str; 4] = ["Traceparent", "traceparent", "X-B3-Traceid", "x-b3-traceid"];

impl<'a> Outer<'a> {
    pub fn read(text: &'a str) -> Take<Self> {
        let (mut outer, mut ts, mut data) = (Outer::default(), None, None);
        let (mut first, mut second, mut third) = Default::default();
        let mut reader = Reader::new(text);
        reader.object(|reader, key| match key {
            "data" => once(&mut first, 0).and_then(|()| {
                reader.object(|reader, key| match key {
                    "data" => once(&mut second, 0).and_then(|()| {
                        reader.object(|reader, key| match key {
                            "data" => set(&mut third, 0, &mut data, reader.string()),
                            "type" => {
                                once(&mut third, 1)?;
                                reader.optional(Reader::string).map(|_| ())
                            }
                            "requestId" => {
                                once(&mut third, 2)?;
                                outer.request_id = reader.optional(Reader::string)?;
                                Ok(())
                            }
                            _ => reader.skip(),
                        })
                    }),
                    _ => reader.skip(),
                })
            }),
            "ts" => {
                let moment = reader.string();
                set(&mut first, 1, &mut ts, moment)
            }
            _ => reader.skip(),
        })?;
        reader.end()?;
        outer.data = data.ok_or(Odd)?;
        outer.ts = moment(&ts.ok_or(Odd)?)?;
        Ok(outer)
    }
}

fn once(seen: &mut Seen, key: u32) -> Take<()> {
    seen.once(key)
}

fn set<T>(seen: &mut Seen, key: u32, slot: &mut Option<T>, value: Take<T>) -> Take<()> {
    seen.once(key)?;
    *slot = Some(value?);
    Ok(())
}

impl<'a> Inner<'a> {
    pub fn read(text: &'a str, outer_ts: i64) -> Take<Self> {
        let mut inner = Inner::default();
        let (mut seen, mut ts) = (Seen::default(), None);
        let mut reader = Reader::new(text);
        reader.object(|reader, key| {
            match key {
                "request" => {
                    seen.once(0)?;
                    inner.request = Request::read(reader)?;
                }
                "response" => {
                    seen.once(1)?;
                    inner.response = reader.optional(Response::read)?.unwrap_or_default();
                }
                "metadata" => {
                    seen.once(2)?;
                    inner.about = reader.optional(Metadata::read)?.unwrap_or_default();
                }
                "transaction_time" => {
                    seen.once(3)?;
                    ts = reader.optional(Reader::string)?;
                }
                "duration_ms" => {
                    seen.once(4)?;
                    inner.duration_ms = reader.optional(Reader::int)?;
                }
                "direction" => {
                    seen.once(5)?;
                    inner.direction = reader.optional(Reader::string)?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.end()?;
        seen.once(0).err().ok_or(Odd)?; // there is no transaction without its request
        inner.ts = ts.map_or(Ok(outer_ts), |text| moment(&text))?;
        if (inner.ts - outer_ts).abs() > PLAUSIBLE_US {
            return Err(Odd);
        }
        Ok(inner)
    }

    /// None where no response was seen.
    pub fn status(&self) -> Option<i64> {
        let status = self.response.status.filter(|status| (1..1000).contains(status))?;
        (status != NO_RESPONSE || !self.response.headers.is_empty()).then_some(status)
    }
}

impl<'a> Request<'a> {
    fn read(reader: &mut Reader<'a>) -> Take<Self> {
        let (mut own, mut seen) = (Request::default(), Seen::default());
        reader.object(|reader, key| {
            match key {
                "method" => {
                    seen.once(0)?;
                    own.method = reader.string()?;
                }
                "url" => {
                    seen.once(1)?;
                    reader.string()?;
                }
                "scheme" => text(&mut seen, 2, &mut own.scheme, reader)?,
                "path" => text(&mut seen, 3, &mut own.path, reader)?,
                "authority" => text(&mut seen, 4, &mut own.authority, reader)?,
                "protocol" => text(&mut seen, 5, &mut own.protocol, reader)?,
                "request_id" => text(&mut seen, 6, &mut own.request_id, reader)?,
                "user_agent" => text(&mut seen, 7, &mut own.user_agent, reader)?,
                "content_type" => text(&mut seen, 8, &mut own.content_type, reader)?,
                "headers" => {
                    seen.once(9)?;
                    own.headers = headers(reader)?;
                }
                "body" => {
                    seen.once(10)?;
                    own.body = reader.optional(Reader::string)?.unwrap_or_default();
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(own)
    }

    /// The first trace id that a header names.
    pub fn trace_id(&self) -> Take<Option<&str>> {
        for wanted in TRACE_HEADERS {
            if let Some(value) = value_of(&self.headers, wanted) {
                if !value.is_ascii() {
                    return Err(Odd);
                }
                let mut parts = value.split('-');
                let second = parts.nth(1);
                return Ok(Some(match (second, parts.count()) {
                    (Some(part), 2) => part,
                    _ => &value[..value.len().min(64)],
                }));
            }
        }
        Ok(None)
    }
}

impl<'a> Response<'a> {
    fn read(reader: &mut Reader<'a>) -> Take<Self> {
        let (mut own, mut seen) = (Response::default(), Seen::default());
        reader.object(|reader, key| {
            match key {
                "status" => {
                    seen.once(0)?;
                    own.status = reader.optional(Reader::int)?;
                }
                "content_type" => text(&mut seen, 1, &mut own.content_type, reader)?,
                "headers" => {
                    seen.once(2)?;
                    own.headers = headers(reader)?;
                }
                "body" => {
                    seen.once(3)?;
                    own.body = reader.optional(Reader::string)?.unwrap_or_default();
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        // How a gRPC call ended has rules of its own.
        let kind = own.content_type.as_deref().unwrap_or("");
        let is_grpc = kind.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case("application/grpc"));
        if is_grpc || !kind.is_ascii() || own.headers.iter().any(|(name, _)| *name == "Grpc-Status") {
            return Err(Odd);
        }
        Ok(own)
    }
}

impl<'a> Metadata<'a> {
    fn read(reader: &mut Reader<'a>) -> Take<Self> {
        let (mut own, mut seen) = (Metadata::default(), Seen::default());
        reader.object(|reader, key| {
            match key {
                "process_id" => {
                    seen.once(0)?;
                    own.process_id = reader.optional(Reader::string_or_int)?;
                }
                "process_exe" => text(&mut seen, 1, &mut own.process_exe, reader)?,
                "container_name" => text(&mut seen, 2, &mut own.container_name, reader)?,
                "container_image" => text(&mut seen, 3, &mut own.container_image, reader)?,
                "pod_name" => text(&mut seen, 4, &mut own.pod_name, reader)?,
                "pod_namespace" => text(&mut seen, 5, &mut own.pod_namespace, reader)?,
                "bytes_sent" => {
                    seen.once(6)?;
                    own.bytes_sent = reader.optional(Reader::int)?;
                }
                "bytes_received" => {
                    seen.once(7)?;
                    own.bytes_received = reader.optional(Reader::int)?;
                }
                "connection_id" => text(&mut seen, 8, &mut own.connection_id, reader)?,
                "endpoint_id" => text(&mut seen, 9, &mut own.endpoint_id, reader)?,
                "qrec" => return Err(Odd), // an export of ours tells more of a row
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(own)
    }
}

fn text<'a>(
    seen: &mut Seen,
    key: u32,
    slot: &mut Option<Text<'a>>,
    reader: &mut Reader<'a>,
) -> Take<()> {
    seen.once(key)?;
    *slot = reader.optional(Reader::string)?;
    Ok(())
}

fn headers<'a>(reader: &mut Reader<'a>) -> Take<Vec<(&'a str, Text<'a>)>> {
    let read = |reader: &mut Reader<'a>| {
        let mut headers = Vec::with_capacity(24);
        reader.object(|reader, name| {
            if headers.len() == MOST_HEADERS {
                return Err(Odd);
            }
            headers.push((name, reader.string()?));
            Ok(())
        })?;
        Ok(headers)
    };
    Ok(reader.optional(read)?.unwrap_or_default())
}

/// The value of a header, if it is not empty.
pub fn value_of<'h>(headers: &'h [(&str, Text)], wanted: &str) -> Option<&'h str> {
    let (_, value) = headers.iter().find(|(name, _)| *name == wanted)?;
    Some(value.as_ref()).filter(|value| !value.is_empty())
}

/// Put what a body stands for in place of what `out` holds.
pub fn body(text: &str, out: &mut Vec<u8>) -> Take<()> {
    out.clear();
    base64::decode(text.as_bytes(), out)
}

/// An RFC 3339 time in microseconds since 1970: from then to 2100, with a zone.
fn moment(text: &str) -> Take<i64> {
    let bytes = text.as_bytes();
    let number = |at: usize, digits: usize| -> Take<i64> {
        let part = bytes.get(at..at + digits).ok_or(Odd)?;
        part.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')).ok_or(Odd)
        })
    };
    let marked = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if !(marked(4, b'-') && marked(7, b'-') && marked(10, b'T') && marked(13, b':') && marked(16, b':')) {
        return Err(Odd);
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let real = (1970..2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let (fraction, at) = if marked(19, b'.') { fraction(&bytes[20..])? } else { (0, 19) };
    let offset = match bytes.get(at..) {
        Some(b"Z") => 0,
        Some([sign @ (b'+' | b'-'), _, _, b':', _, _]) => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return Err(Odd);
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return Err(Odd),
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset;
    if !real || seconds < 0 {
        return Err(Odd);
    }
    Ok(seconds * 1_000_000 + fraction)
}

/// Microseconds, rounded by the seventh digit alone; and where the digits end in the text.
fn fraction(bytes: &[u8]) -> Take<(i64, usize)> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 12 {
        return Err(Odd);
    }
    let digit = |at: usize| if at < digits { i64::from(bytes[at] - b'0') } else { 0 };
    let micros = (0..6).fold(0, |value, at| value * 10 + digit(at));
    Ok((micros + i64::from(digit(6) >= 5), 20 + digits))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 => 29, // between 1970 and 2100
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = (year - 1970) * 365 + (year - 1969) / 4;
    (1..month).fold(before, |days, month| days + days_in(year, month)) + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_microseconds() {
        assert_eq!(moment("1970-01-01T00:00:00Z").unwrap(), 0);
        assert_eq!(moment("2026-11-22T12:00:00Z").unwrap(), 1_795_348_800_000_000);
        assert_eq!(moment("2026-11-22T14:00:00.123456789+02:00").unwrap(), 1_795_348_800_123_457);
        assert_eq!(moment("2024-02-29T23:59:59.9999999Z").unwrap(), 1_709_251_200_000_000);
        assert_eq!(moment("2000-03-01T00:00:00Z").unwrap(), 951_868_800_000_000);
        for text in ["", "2026-11-22", "2026-11-22T12:00:00", "2026-02-29T12:00:00Z",
            "2026-11-22T24:00:00Z", "2026-11-22T12:00:60Z", "2026-11-22T12:00:00.Z",
            "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2026-11-22T12:00:00Zz", "äöü6-11-22T1"]
        {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
