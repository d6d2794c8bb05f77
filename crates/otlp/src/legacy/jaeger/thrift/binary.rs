//! Thrift's binary protocol (apache/thrift, `doc/specs/thrift-binary-protocol.md`): a cursor over the values of a struct.
//!
//! Nothing is allocated, a length is held against the bytes that are there, and nesting is bounded.

/// Structs and containers in each other that are passed over, the default of Thrift's own readers; `jaeger.thrift` nests
/// five deep.
const MAX_DEPTH: usize = 64;

/// The first byte of a message header, which posted batches do not have.
const STRICT_HEADER: u8 = 0x80;

/// Bytes that are no struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    I8,
    Double,
    I16,
    I32,
    I64,
    /// A text too.
    Binary,
    Struct,
    Map,
    Set,
    List,
    Uuid,
}

impl Kind {
    /// The fewest bytes that a value takes: what a container's length is held against.
    fn min_len(self) -> usize {
        match self {
            Kind::Bool | Kind::I8 | Kind::Struct => 1,
            Kind::I16 => 2,
            Kind::I32 | Kind::Binary => 4,
            Kind::Set | Kind::List => 5,
            Kind::Map => 6,
            Kind::I64 | Kind::Double => 8,
            Kind::Uuid => 16,
        }
    }
}

/// The head of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub id: i16,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    pub fn of(bytes: &'m [u8]) -> Reader<'m> {
        Reader { bytes, at: 0 }
    }

    pub fn broken(&self, what: &'static str) -> Broken {
        Broken { offset: self.at, what }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let taken = self.bytes[self.at..].first_chunk().ok_or_else(|| self.broken("the end, within a value"))?;
        self.at += N;
        Ok(*taken)
    }

    fn kind(&mut self) -> Result<Kind, Broken> {
        let start = self.at;
        let [kind] = self.take()?;
        Ok(match kind {
            2 => Kind::Bool,
            3 => Kind::I8,
            4 => Kind::Double,
            6 => Kind::I16,
            8 => Kind::I32,
            10 => Kind::I64,
            11 => Kind::Binary,
            12 => Kind::Struct,
            13 => Kind::Map,
            14 => Kind::Set,
            15 => Kind::List,
            16 => Kind::Uuid,
            STRICT_HEADER if start == 0 => {
                return Err(Broken { offset: start, what: "the header of a message; expected the bare struct" });
            }
            _ => return Err(Broken { offset: start, what: "a type that does not exist" }),
        })
    }

    /// The next field of the struct; `None` at its end.
    pub fn field(&mut self) -> Result<Option<Field>, Broken> {
        if self.bytes.get(self.at) == Some(&0) {
            self.at += 1;
            return Ok(None);
        }
        let kind = self.kind()?;
        Ok(Some(Field { kind, id: i16::from_be_bytes(self.take()?) }))
    }

    /// Sees that nothing follows.
    pub fn end(&self) -> Result<(), Broken> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.broken("more bytes after the end of the struct")) }
    }

    pub fn bool(&mut self) -> Result<bool, Broken> {
        Ok(self.take::<1>()? != [0])
    }

    pub fn i32(&mut self) -> Result<i32, Broken> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub fn i64(&mut self) -> Result<i64, Broken> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// An i64 or a double, as it is on the wire: in network byte order, as OTLP's ids are.
    pub fn eight(&mut self) -> Result<[u8; 8], Broken> {
        self.take()
    }

    /// A text or bytes.
    pub fn binary(&mut self) -> Result<&'m [u8], Broken> {
        let start = self.at;
        let length = self.i32()?;
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or(Broken { offset: start, what: "a length that is negative or beyond the end" })?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The length of a list of structs. Each of them is to be read next.
    pub fn structs(&mut self) -> Result<usize, Broken> {
        let start = self.at;
        let (kind, length) = self.elements()?;
        if kind == Kind::Struct || length == 0 {
            Ok(length)
        } else {
            Err(Broken { offset: start, what: "a list of another type; expected one of structs" })
        }
    }

    /// A container's length: all that it holds fits the bytes that are there.
    fn length(&mut self, min_len: usize) -> Result<usize, Broken> {
        let start = self.at;
        let length = usize::try_from(self.i32()?).ok();
        let fits = |length: &usize| *length <= (self.bytes.len() - self.at) / min_len;
        length.filter(fits).ok_or(Broken { offset: start, what: "more elements than there are bytes for" })
    }

    /// Passes over a value.
    pub fn skip(&mut self, kind: Kind) -> Result<(), Broken> {
        self.skip_within(kind, MAX_DEPTH)
    }

    fn skip_within(&mut self, kind: Kind, depth: usize) -> Result<(), Broken> {
        let Some(depth) = depth.checked_sub(1) else { return Err(self.broken("values nested too deep")) };
        match kind {
            Kind::Bool | Kind::I8 => self.take::<1>().map(drop),
            Kind::I16 => self.take::<2>().map(drop),
            Kind::I32 => self.take::<4>().map(drop),
            Kind::I64 | Kind::Double => self.take::<8>().map(drop),
            Kind::Uuid => self.take::<16>().map(drop),
            Kind::Binary => self.binary().map(drop),
            Kind::Struct => {
                while let Some(field) = self.field()? {
                    self.skip_within(field.kind, depth)?;
                }
                Ok(())
            }
            Kind::Set | Kind::List => {
                let (kind, length) = self.elements()?;
                (0..length).try_for_each(|_| self.skip_within(kind, depth))
            }
            Kind::Map => self.skip_map(depth),
        }
    }

    /// An empty container may leave its type out.
    fn elements(&mut self) -> Result<(Kind, usize), Broken> {
        if self.bytes[self.at..].first_chunk() == Some(&[0; 5]) {
            self.at += 5;
            return Ok((Kind::Bool, 0));
        }
        let kind = self.kind()?;
        Ok((kind, self.length(kind.min_len())?))
    }

    fn skip_map(&mut self, depth: usize) -> Result<(), Broken> {
        if self.bytes[self.at..].first_chunk() == Some(&[0; 6]) {
            self.at += 6;
            return Ok(());
        }
        let (key, value) = (self.kind()?, self.kind()?);
        let length = self.length(key.min_len() + value.min_len())?;
        (0..length).try_for_each(|_| {
            self.skip_within(key, depth)?;
            self.skip_within(value, depth)
        })
    }
}
