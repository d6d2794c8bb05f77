//! What is looked for, and how often it was found.

use serde::{Deserialize, Serialize};

/// A kind of sensitive value. The names are stable: they stand in policies, in what replaces a value, and in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A payment card number: issuer, length and Luhn digit.
    PaymentCard,
    /// An IBAN: the country's structure, and its check digits.
    Iban,
    /// A social security number of the United States.
    UsSsn,
    /// An NHS number of the United Kingdom.
    NhsNumber,
    /// A National Provider Identifier of the United States.
    UsNpi,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A date of birth: a date whose key or neighbour says so.
    BirthDate,
    /// A JSON Web Token.
    Jwt,
    /// A private key in PEM.
    PrivateKey,
    /// A certificate in PEM.
    Certificate,
    /// A key of a cloud or a service, known by its form.
    CloudKey,
    /// The credentials of an `Authorization` header.
    Authorization,
    /// The password in a URL or a data source name.
    UrlPassword,
    /// A value under a key that is named as a secret.
    Secret,
}

impl Class {
    /// All of them, in the order of the enum.
    pub const ALL: [Class; 17] = [
        Class::PaymentCard,
        Class::Iban,
        Class::UsSsn,
        Class::NhsNumber,
        Class::UsNpi,
        Class::Email,
        Class::Phone,
        Class::Ipv4,
        Class::Ipv6,
        Class::BirthDate,
        Class::Jwt,
        Class::PrivateKey,
        Class::Certificate,
        Class::CloudKey,
        Class::Authorization,
        Class::UrlPassword,
        Class::Secret,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Class::PaymentCard => "payment-card",
            Class::Iban => "iban",
            Class::UsSsn => "us-ssn",
            Class::NhsNumber => "nhs-number",
            Class::UsNpi => "us-npi",
            Class::Email => "email",
            Class::Phone => "phone",
            Class::Ipv4 => "ipv4",
            Class::Ipv6 => "ipv6",
            Class::BirthDate => "birth-date",
            Class::Jwt => "jwt",
            Class::PrivateKey => "private-key",
            Class::Certificate => "certificate",
            Class::CloudKey => "cloud-key",
            Class::Authorization => "authorization",
            Class::UrlPassword => "url-password",
            Class::Secret => "secret",
        }
    }

    /// Several of them, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Class::PaymentCard => "card numbers",
            Class::Iban => "IBANs",
            Class::UsSsn => "social security numbers",
            Class::NhsNumber => "NHS numbers",
            Class::UsNpi => "National Provider Identifiers",
            Class::Email => "e-mail addresses",
            Class::Phone => "telephone numbers",
            Class::Ipv4 => "IPv4 addresses",
            Class::Ipv6 => "IPv6 addresses",
            Class::BirthDate => "dates of birth",
            Class::Jwt => "JSON Web Tokens",
            Class::PrivateKey => "private keys",
            Class::Certificate => "certificates",
            Class::CloudKey => "cloud keys",
            Class::Authorization => "credentials of authorization headers",
            Class::UrlPassword => "passwords in URLs",
            Class::Secret => "values under keys of secrets",
        }
    }

    /// Whether the value is a number that people write with and without separators: these are left out of its hash.
    pub(crate) const fn is_number(self) -> bool {
        match self {
            Class::PaymentCard
            | Class::Iban
            | Class::UsSsn
            | Class::NhsNumber
            | Class::UsNpi
            | Class::Phone
            | Class::BirthDate => true,
            Class::Email
            | Class::Ipv4
            | Class::Ipv6
            | Class::Jwt
            | Class::PrivateKey
            | Class::Certificate
            | Class::CloudKey
            | Class::Authorization
            | Class::UrlPassword
            | Class::Secret => false,
        }
    }
}

/// How many values were replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    of_class: [u64; Class::ALL.len()],
    /// Texts that were replaced as a whole because the policy names their key.
    pub by_key: u64,
}

impl Counts {
    /// Of one class.
    pub fn of(&self, class: Class) -> u64 {
        self.of_class[class as usize]
    }

    /// Of all classes and keys.
    pub fn total(&self) -> u64 {
        self.of_class.iter().sum::<u64>() + self.by_key
    }

    /// Takes over what another counted.
    pub fn add(&mut self, other: &Counts) {
        for (mine, theirs) in self.of_class.iter_mut().zip(other.of_class) {
            *mine += theirs;
        }
        self.by_key += other.by_key;
    }

    pub(crate) fn count(&mut self, class: Class) {
        self.of_class[class as usize] += 1;
    }
}
