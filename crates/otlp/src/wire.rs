//! The protobuf wire format: a cursor over the fields of one message, and the writers of what we write ourselves.
//!
//! The cursor checks framing alone (lengths, varints, groups). What a field means, and whether its type is the
//! expected one, is the caller's: a known number with an unexpected wire type is an unknown field, as protobuf has it.

use std::convert::Infallible;

/// Groups (wire types 3 and 4, which OTLP does not use) may nest this deep, as deep as prost lets messages nest.
const MAX_GROUP_DEPTH: usize = 100;

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "malformed OTLP message at byte {offset}: {what}; expected a protobuf message as the OTLP specification has it"
)]
pub struct Malformed {
    /// Where, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// One field of a message, with its place in the whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'m> {
    pub number: u32,
    pub value: Value<'m>,
    /// Where the field's key begins, in bytes from the start of the request.
    pub start: usize,
    /// Where the field's value ends.
    pub end: usize,
}

/// A field's value, by wire type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'m> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'m [u8]),
    /// A group: nothing that is read here has this type.
    Skipped,
}

/// A cursor over the fields of one message.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'m> {
    bytes: &'m [u8],
    /// Where `bytes` begins in the request, so that errors and fields have the request's offsets.
    base: usize,
    at: usize,
}

impl<'m> Fields<'m> {
    /// The fields of a whole request.
    pub fn of(message: &'m [u8]) -> Fields<'m> {
        Fields { bytes: message, base: 0, at: 0 }
    }

    /// The next field; `None` at the end of the message.
    #[inline]
    pub fn read(&mut self) -> Result<Option<Field<'m>>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.base + self.at;
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            3 => self.skip_group(number)?,
            _ => self.value(wire_type)?,
        };
        Ok(Some(Field { number, value, start, end: self.base + self.at }))
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let start = self.at;
        let key = u32::try_from(self.varint()?).map_err(|_| self.malformed(start, "a field number above 2^29 - 1"))?;
        if key < 8 {
            return Err(self.malformed(start, "field number 0"));
        }
        Ok((key >> 3, (key & 7) as u8))
    }

    #[inline]
    fn value(&mut self, wire_type: u8) -> Result<Value<'m>, Malformed> {
        let start = self.at;
        match wire_type {
            0 => Ok(Value::Varint(self.varint()?)),
            1 => {
                let (eight, _) = self.take(8)?.as_chunks();
                Ok(Value::Fixed64(u64::from_le_bytes(eight[0])))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| self.malformed(start, "a length beyond the end"))?;
                Ok(Value::Bytes(self.take(length)?))
            }
            4 => Err(self.malformed(start, "the end of a group that did not begin")),
            5 => {
                let (four, _) = self.take(4)?.as_chunks();
                Ok(Value::Fixed32(u32::from_le_bytes(four[0])))
            }
            _ => Err(self.malformed(start, "a wire type that does not exist (6 or 7)")),
        }
    }

    /// Skips to the end of the group whose start was just read. A loop with its own stack, so that the bytes cannot
    /// overflow ours.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<Value<'m>, Malformed> {
        let mut open = [number; MAX_GROUP_DEPTH];
        let mut depth = 1;
        while depth > 0 {
            let start = self.at;
            let (number, wire_type) = self.key()?;
            match wire_type {
                3 => {
                    *open.get_mut(depth).ok_or_else(|| self.malformed(start, "groups nested too deep"))? = number;
                    depth += 1;
                }
                4 if open[depth - 1] == number => depth -= 1,
                4 => return Err(self.malformed(start, "the end of another group than the one that began")),
                _ => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(Value::Skipped)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'m [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or_else(|| self.malformed(self.at, "a length beyond the end"))?;
        self.at += length;
        Ok(taken)
    }

    /// At most ten bytes; the tenth holds bit 63 alone.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.malformed(start, "a varint that the end cuts off"));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed(start, "a varint above 64 bits"))
    }

    #[cold]
    fn malformed(&self, at: usize, what: &'static str) -> Malformed {
        Malformed { offset: self.base + at, what }
    }
}

/// The last length-delimited field of this number, 1 to 15: in protobuf the last one counts. Every field is walked over,
/// and fails as in [`Fields::read`].
///
/// This is where a scan spends its time, so the encodings that nearly every field has (a key of one byte, a length of at
/// most two, a varint of one) are read without the general cursor, which reads all others.
#[inline]
pub(crate) fn last_bytes<'m>(message: Fields<'m>, number: u32) -> Result<Option<&'m [u8]>, Malformed> {
    let Fields { bytes, base, mut at } = message;
    let wanted = (number << 3 | 2) as u8;
    let mut last = None;
    while let Some(&key) = bytes.get(at) {
        let next = match (key & 7, bytes.get(at + 1), bytes.get(at + 2)) {
            _ if !(0x08..0x80).contains(&key) => None,
            (2, Some(&length), _) if length < 0x80 => Some((at + 2, at + 2 + usize::from(length))),
            (2, Some(&low), Some(&high)) if high < 0x80 => {
                let length = usize::from(low & 0x7f) | usize::from(high) << 7;
                Some((at + 3, at + 3 + length))
            }
            (0, Some(&value), _) if value < 0x80 => Some((at + 2, at + 2)),
            (1, ..) => Some((at + 9, at + 9)),
            (5, ..) => Some((at + 5, at + 5)),
            _ => None,
        };
        match next {
            Some((start, end)) if end <= bytes.len() => {
                if key == wanted {
                    last = bytes.get(start..end);
                }
                at = end;
            }
            Some(_) | None => {
                let mut strict = Fields { bytes, base, at };
                match strict.read()? {
                    Some(Field { number: read, value: Value::Bytes(value), .. }) if read == number => {
                        last = Some(value)
                    }
                    Some(_) | None => {}
                }
                at = strict.at;
            }
        }
    }
    Ok(last)
}

impl<'m> Field<'m> {
    /// The fields of the submessage, if the field is length-delimited.
    #[inline]
    pub fn fields(&self) -> Option<Fields<'m>> {
        match self.value {
            Value::Bytes(bytes) => Some(Fields { bytes, base: self.end - bytes.len(), at: 0 }),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) | Value::Skipped => None,
        }
    }
}

/// How many bytes [`put_varint`] appends.
pub(crate) fn varint_len(value: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    (value | 1).ilog2() as usize / 7 + 1
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number << 3 | u32::from(wire_type)));
}

pub(crate) fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, 0);
    put_varint(out, value);
}

pub(crate) fn put_bytes_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a length-delimited field whose length is known only after its content: it is put in front of that then.
/// What is written moves once for each message around it: in JSON at most 128 times, and some eight times in practice.
pub(crate) fn put_delimited<E>(
    number: u32,
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_key(out, number, 2);
    let start = out.len();
    content(out)?;
    let end = out.len();
    let length = (end - start) as u64;
    put_varint(out, length);
    out[start..].rotate_right(varint_len(length));
    Ok(())
}

/// [`put_delimited`], of content that is always written.
pub(crate) fn put_message(number: u32, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let Ok(()) = put_delimited(number, out, |out| {
        content(out);
        Ok::<(), Infallible>(())
    });
}

pub(crate) fn put_fixed64_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, 1);
    out.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests;
