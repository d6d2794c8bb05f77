//! What a name says of the value beside it: the name of an attribute, of a member in a JSON text, of a query parameter, or
//! the words before a number.

/// A set of things that names say. Bits, because a name may say several (`card.id`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context(u16);

impl Context {
    pub const NONE: Context = Context(0);
    pub const CARD: Context = Context(1);
    pub const SSN: Context = Context(1 << 1);
    pub const NHS: Context = Context(1 << 2);
    pub const NPI: Context = Context(1 << 3);
    pub const PHONE: Context = Context(1 << 4);
    pub const BIRTH: Context = Context(1 << 5);
    /// Any value is a password.
    pub const PASSWORD: Context = Context(1 << 6);
    /// A value that looks random is a secret.
    pub const SECRET: Context = Context(1 << 7);
    pub const AUTHORIZATION: Context = Context(1 << 8);
    /// Identifiers, times, sizes and versions: numbers that are no people's.
    pub const IDENTIFIER: Context = Context(1 << 9);
    /// A list of `key=value` members: W3C Baggage and Trace Context.
    pub const LIST: Context = Context(1 << 10);
    /// Makes a following `key` a secret: it says nothing alone.
    const KEY_PREFIX: Context = Context(1 << 11);
    const KEY: Context = Context(1 << 12);
    /// Four numbers with dots are no address.
    pub const VERSION: Context = Context(1 << 13);

    pub fn has(self, other: Context) -> bool {
        self.0 & other.0 != 0
    }

    pub fn and(self, other: Context) -> Context {
        Context(self.0 | other.0)
    }

    pub fn without(self, other: Context) -> Context {
        Context(self.0 & !other.0)
    }

    /// What all the words of a name say together. Words end at whatever is no letter and no digit, and where a small letter
    /// stands before a capital.
    pub fn of(name: &[u8]) -> Context {
        let mut said = Context::NONE;
        let mut word = Word::default();
        let mut before = Context::NONE;
        let mut small = false;
        for byte in name {
            let begins = byte.is_ascii_uppercase() && small;
            small = byte.is_ascii_lowercase();
            if begins || !byte.is_ascii_alphanumeric() {
                before = word.end(before, &mut said);
            }
            if byte.is_ascii_alphanumeric() {
                word.push(*byte);
            }
        }
        let last = word.end(before, &mut said);
        if said.has(Context::PASSWORD) && !last.has(Context::PASSWORD) {
            // `password.policy` holds no password, and `password_hash` something that looks random.
            said = said.without(Context::PASSWORD).and(Context::SECRET);
        }
        said
    }
}

/// The longest word that says something is `authorization`, 13 bytes; `credentials` of a plural has 11.
const MAX_WORD_LEN: usize = 16;

#[derive(Default)]
struct Word {
    bytes: [u8; MAX_WORD_LEN],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length += 1;
    }

    /// Adds what the word says, and begins the next. What it says by itself comes back.
    fn end(&mut self, before: Context, said: &mut Context) -> Context {
        let length = std::mem::take(&mut self.length);
        if length == 0 {
            return before;
        }
        let mut says = self.bytes.get(..length).map_or(Context::NONE, word);
        if says.has(Context::KEY) && before.has(Context::KEY_PREFIX) {
            says = Context::SECRET;
        }
        *said = said.and(says.without(Context::KEY.and(Context::KEY_PREFIX)));
        says
    }
}

fn word(word: &[u8]) -> Context {
    match word {
        b"card" | b"cards" | b"cardnumber" | b"creditcard" | b"debitcard" | b"credit" | b"debit" | b"cc" | b"ccn"
        | b"pan" | b"visa" | b"mastercard" | b"maestro" | b"amex" | b"unionpay" | b"jcb" | b"diners" => Context::CARD,
        b"ssn" | b"social" | b"socialsecurity" => Context::SSN,
        b"nhs" | b"nhsnumber" => Context::NHS,
        b"npi" => Context::NPI,
        b"phone" | b"phonenumber" | b"telephone" | b"tel" | b"mobile" | b"cell" | b"cellphone" | b"msisdn" | b"fax" => {
            Context::PHONE
        }
        b"dob" | b"birth" | b"birthdate" | b"birthday" | b"dateofbirth" | b"born" => Context::BIRTH,
        b"password" | b"passwd" | b"pwd" | b"passphrase" | b"passcode" => Context::PASSWORD,
        b"secret" | b"token" | b"apikey" | b"credential" | b"credentials" | b"accesskey" | b"privatekey" | b"jwt"
        | b"accesstoken" | b"secretkey" => Context::SECRET,
        b"api" | b"access" | b"private" | b"account" | b"signing" | b"encryption" | b"master" | b"shared" | b"auth" => {
            Context::KEY_PREFIX
        }
        b"key" => Context::KEY,
        b"authorization" => Context::AUTHORIZATION,
        b"version" | b"release" => Context::VERSION.and(Context::IDENTIFIER),
        b"baggage" | b"tracestate" => Context::LIST,
        b"id" | b"ids" | b"uid" | b"uuid" | b"guid" | b"oid" | b"pid" | b"tid" | b"rid" | b"ulid" | b"snowflake"
        | b"trace" | b"span" | b"seq" | b"sequence" | b"offset" | b"timestamp" | b"epoch" | b"time" | b"ts" | b"ns"
        | b"us" | b"ms" | b"nano" | b"nanos" | b"micros" | b"millis" | b"hash" | b"digest" | b"checksum" | b"etag"
        | b"count" | b"size" | b"bytes" | b"duration" | b"traceparent" | b"sha" => Context::IDENTIFIER,
        _ => Context::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Context) {
        assert_eq!(Context::of(name.as_bytes()), expected, "{name}");
    }

    #[test]
    fn names_say_what_their_words_say() {
        check("order.id", Context::IDENTIFIER);
        check("creditCardNumber", Context::CARD);
        check("card_id", Context::CARD.and(Context::IDENTIFIER));
        check("http.request.header.authorization", Context::AUTHORIZATION);
        check("X-Api-Key", Context::SECRET);
        check("routing.key", Context::NONE);
        check("api.version", Context::IDENTIFIER.and(Context::VERSION));
        check("dateOfBirth", Context::BIRTH);
        check("db.password", Context::PASSWORD);
        check("password.policy", Context::SECRET);
        check("aVeryLongWordIsNoneOfThem", Context::NONE);
        check("identity", Context::NONE);
        check("", Context::NONE);
    }
}
