//! Numbers: groups of digits with one separator between them, and which detector takes them.

use crate::class::Class;
use crate::context::Context;
use crate::scan::{Scan, is_word};
use crate::{address, card, date, national, phone};

/// The most groups that a value has: five pairs of a French telephone number, and three in front.
const MAX_GROUPS: usize = 8;

/// The most digits that a value has: a card's 19.
pub(crate) const MAX_DIGITS: usize = 19;

/// Digits that stand together, and what else stands beside them.
pub(crate) struct Number {
    /// Start and end of each group.
    groups: [(usize, usize); MAX_GROUPS],
    count: usize,
    /// What stands between the first two groups, 0 if there is one alone.
    pub separator: u8,
    /// Whether another separator and digits follow.
    pub goes_on: bool,
}

impl Number {
    /// The groups that begin here with the same separator between them.
    fn read(bytes: &[u8], start: usize) -> Number {
        let mut number = Number { groups: [(0, 0); MAX_GROUPS], count: 0, separator: 0, goes_on: false };
        let mut at = start;
        loop {
            let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            number.groups[number.count] = (at, at + length);
            number.count += 1;
            at += length;
            let Some([separator @ (b' ' | b'-' | b'.' | b'/'), b'0'..=b'9']) = bytes.get(at..at + 2) else { break };
            if number.count == MAX_GROUPS || (number.count > 1 && *separator != number.separator) {
                number.goes_on = true;
                break;
            }
            if length > MAX_DIGITS {
                break;
            }
            number.separator = *separator;
            at += 1;
        }
        number
    }

    pub fn groups(&self) -> &[(usize, usize)] {
        &self.groups[..self.count]
    }

    /// The lengths of the groups.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.groups().iter().map(|(start, end)| end - start)
    }

    /// Whether the groups have these lengths.
    pub fn is(&self, lengths: &[usize]) -> bool {
        self.lengths().eq(lengths.iter().copied())
    }

    /// The first groups alone.
    pub fn first(&self, count: usize) -> Number {
        let goes_on = self.goes_on || count < self.count;
        let separator = if count > 1 { self.separator } else { 0 };
        Number { groups: self.groups, count: count.min(self.count), separator, goes_on }
    }

    pub fn start(&self) -> usize {
        self.groups[0].0
    }

    pub fn end(&self) -> usize {
        self.groups[self.count - 1].1
    }

    /// Its digits, if they are not more than any value has.
    pub fn digits(&self, bytes: &[u8]) -> Option<Digits> {
        let mut digits = Digits { values: [0; MAX_DIGITS], count: 0 };
        for (start, end) in self.groups() {
            for byte in &bytes[*start..*end] {
                *digits.values.get_mut(digits.count)? = byte - b'0';
                digits.count += 1;
            }
        }
        Some(digits)
    }
}

/// The values of digits, 19 at most.
pub(crate) struct Digits {
    values: [u8; MAX_DIGITS],
    count: usize,
}

impl Digits {
    pub fn values(&self) -> &[u8] {
        &self.values[..self.count]
    }

    /// The number that the first digits make: fewer than ten of them.
    pub fn leading(&self, count: usize) -> u32 {
        self.values().iter().take(count).fold(0, |number, digit| number * 10 + u32::from(*digit))
    }
}

/// How a number stands in the text.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// It is the part of a word, a decimal or an address.
    pub inside: bool,
    /// A dash or dot joins it to a word.
    pub joined: bool,
    /// It is the whole text.
    pub whole: bool,
}

impl Scan<'_> {
    /// A value that begins with the digit here.
    pub fn number(&mut self, start: usize) -> bool {
        let number = Number::read(self.bytes, start);
        self.work += number.end() - start;
        let single = number.first(1);
        if number.separator == 0 && number.end() - start < 7 {
            return false;
        }
        let found = self.grouped(&number).or_else(|| self.bare(&single));
        match found {
            Some((class, end)) => {
                self.hit(class, start, end);
                true
            }
            None => false,
        }
    }

    /// A value with separators.
    fn grouped(&mut self, number: &Number) -> Option<(Class, usize)> {
        if number.separator == 0 {
            return None;
        }
        if let Some(count) = card::groups_of_a_card(number) {
            let card = number.first(count);
            let place = self.place(&card);
            let follows = card.goes_on && number.separator != b' ';
            if !place.inside && !place.joined && !follows && card::card(&card.digits(self.bytes)?).is_some() {
                return Some((Class::PaymentCard, card.end()));
            }
        }
        if date::is_dated(number) {
            let date = number.first(3);
            let goes_on = self.byte(date.end()).is_some_and(|byte| byte.is_ascii_digit());
            if !goes_on && date::is_date(&date, self.bytes) && self.near(date.start()).said.has(Context::BIRTH) {
                return Some((Class::BirthDate, date.end()));
            }
        }
        let place = self.place(number);
        if place.inside || place.joined {
            return None;
        }
        if number.separator == b'.' && address::is_ipv4(number, self.bytes) {
            let own = self.own(number, place);
            return (!own.has(Context::VERSION)).then_some((Class::Ipv4, number.end()));
        }
        if number.goes_on {
            return None;
        }
        let digits = number.digits(self.bytes)?;
        if national::is_grouped_ssn(number, &digits) {
            return Some((Class::UsSsn, number.end()));
        }
        if national::is_grouped_nhs(number, &digits) {
            return Some((Class::NhsNumber, number.end()));
        }
        phone::is_national(number, self.bytes).then(|| (Class::Phone, phone::with_extension(self.bytes, number.end())))
    }

    /// A value of digits alone. What could be an identifier as well is one, unless the words beside it say otherwise.
    fn bare(&mut self, number: &Number) -> Option<(Class, usize)> {
        let digits = number.digits(self.bytes)?;
        let place = self.place(number);
        let (count, end) = (digits.values().len(), number.end());
        if place.inside || count < 7 {
            return None;
        }
        let form = card::card(&digits);
        let could_be_card = form.is_some_and(|form| form == card::Form::Common || count >= 12);
        if !could_be_card && !(7..=15).contains(&count) {
            return None;
        }
        let near = self.near(number.start());
        let is_named = |context| near.said.has(context);
        let own = self.own(number, place);
        match form {
            Some(_) if is_named(Context::CARD) => return Some((Class::PaymentCard, end)),
            Some(card::Form::Common) if !place.joined && !own.has(Context::IDENTIFIER) => {
                return Some((Class::PaymentCard, end));
            }
            Some(card::Form::Common | card::Form::Rare) | None => {}
        }
        match count {
            9 if is_named(Context::SSN) && national::is_ssn(&digits) => return Some((Class::UsSsn, end)),
            10 if is_named(Context::NHS) && national::is_nhs(&digits) => return Some((Class::NhsNumber, end)),
            10 if is_named(Context::NPI) && national::is_npi(&digits) => return Some((Class::UsNpi, end)),
            8 if is_named(Context::BIRTH) && date::is_compact(&digits) => return Some((Class::BirthDate, end)),
            _ => {}
        }
        let is_phone = (7..=15).contains(&count) && is_named(Context::PHONE) && !own.has(Context::IDENTIFIER);
        is_phone.then(|| (Class::Phone, phone::with_extension(self.bytes, end)))
    }

    /// What the number's own name says: the word that it follows, and the text's key where the text is nothing else.
    fn own(&mut self, number: &Number, place: Place) -> Context {
        let adjacent = self.near(number.start()).adjacent;
        if place.whole { self.key.and(adjacent) } else { adjacent }
    }

    fn place(&self, number: &Number) -> Place {
        let (start, end) = (number.start(), number.end());
        let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let (left, right) = (self.before(start), self.byte(end));
        let further_left = || self.before(start.saturating_sub(1));
        let further_right = || self.byte(end + 1);
        let extension = phone::with_extension(self.bytes, end) > end;
        let is_email = right == Some(b'@');
        let decimal_left =
            matches!(left, Some(b'.' | b',')) && further_left().is_some_and(|byte| byte.is_ascii_digit());
        let decimal_right = right == Some(b'.') && further_right().is_some_and(|byte| byte.is_ascii_digit());
        let base64 = matches!(left, Some(b'+' | b'/'))
            && further_left().is_some_and(is_word)
            && matches!(right, Some(b'+' | b'/' | b'='));
        let inside = (right.is_some_and(is_word) && !extension) || is_email || decimal_left || decimal_right || base64;
        let joined = (matches!(left, Some(b'-' | b'.')) && alphanumeric(further_left()))
            || (matches!(right, Some(b'-')) && alphanumeric(further_right()));
        let whole = start <= self.content.start && end >= self.content.end;
        Place { inside, joined, whole }
    }
}
