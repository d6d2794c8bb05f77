"""Valid sensitive values from PyPI's faker, one JSON object a line on standard output: what detectors must find. After them
identifiers (`identifier-uuid4`, …), which they must leave.

`{"class": "payment-card", "value": "4111…", "key": "app.field", "form": "bare"}`: `key` is the name that the value stands
under. Each value comes in one of four forms: bare, in a sentence, in a JSON text, in a URL's query. What cannot be told from an
identifier without its name (see docs/redaction.md) has a key that says so.

Called with the number of values a class (2000) and a seed (1). The same arguments give the same bytes.
"""

import base64
import json
import sys
import uuid
from random import Random
from urllib.parse import quote

from faker import Faker

LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL"]
# What is issued today, and of which faker makes numbers: a Maestro of faker has 12 digits, a Visa also 13 and 19.
CARDS = ["visa16", "mastercard", "amex", "discover", "diners", "jcb16"]
RARE_CARDS = ["visa13", "visa19", "maestro", "jcb15"]
FORMS = {
    "bare": lambda name, value: value,
    "sentence": lambda name, value: f"the customer gave {value} yesterday",
    "json": lambda name, value: json.dumps({"n": 1, name: value, "ok": True}),
    "query": lambda name, value: f"https://shop.example.com/a?x=1&{name}={quote(value, safe='')}&y=2",
}
# Under the name of a secret a value counts, and in a sentence there is no name.
NAMED = {"birth-date", "us-npi", "us-ssn-digits", "nhs-number-digits", "secret", "payment-card-rare", "phone-digits"}


def luhn_digit(digits):
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def nhs(dice):
    while True:
        digits = [dice.randrange(10) for _ in range(9)]
        check = (11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1))) % 11) % 11
        if check < 10 and any(digits):
            return "".join(map(str, digits)) + str(check)


def npi(dice):
    body = dice.choice("12") + "".join(dice.choice("0123456789") for _ in range(8))
    return body + luhn_digit("80840" + body)


def token(dice, length):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    while True:
        text = "".join(dice.choice(letters) for _ in range(length))
        if any(letter.isdigit() for letter in text):
            return text


def jwt(faker, dice):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": faker.user_name()}), token(dice, 43)])


def cloud_key(dice):
    upper = lambda length: "".join(dice.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(length - 1)) + "7"
    kinds = [
        lambda: "AKIA" + upper(16),
        lambda: "ASIA" + upper(16),
        lambda: "AIza" + token(dice, 35),
        lambda: "ghp_" + token(dice, 36),
        lambda: "github_pat_" + token(dice, 22) + "_" + token(dice, 59),
        lambda: f"xoxb-{dice.randrange(10**11, 10**12)}-" + token(dice, 24),
        lambda: "sk_live_" + token(dice, 24),
        lambda: "npm_" + token(dice, 36),
    ]
    return dice.choice(kinds)()


def grouped(value):
    return " ".join(value[at : at + 4] for at in range(0, len(value), 4))


def makers(fakers, dice):
    """Class, name of the member or parameter, and what makes a value."""
    us, gb = fakers["en_US"], fakers["en_GB"]
    any_faker = lambda: fakers[dice.choice(LOCALES)]
    card = lambda: us.credit_card_number(dice.choice(CARDS))
    return {
        "payment-card": ("field", lambda: dice.choice([lambda value: value, grouped])(card())),
        "payment-card-rare": ("card", lambda: us.credit_card_number(dice.choice(RARE_CARDS))),
        "iban": ("field", lambda: dice.choice([lambda value: value, grouped])(any_faker().iban())),
        "us-ssn": ("field", us.ssn),
        "us-ssn-digits": ("ssn", lambda: us.ssn().replace("-", "")),
        "nhs-number": ("field", lambda: (lambda value: f"{value[:3]} {value[3:6]} {value[6:]}")(nhs(dice))),
        "nhs-number-digits": ("nhs_number", lambda: nhs(dice)),
        "us-npi": ("npi", lambda: npi(dice)),
        "email": ("field", lambda: any_faker().email()),
        "phone": ("field", lambda: us.numerify(dice.choice(["+1-2##-###-####", "(3##) ###-####", "4##-5##-####", "+44 20 #### ####"]))),
        "phone-digits": ("phone", us.basic_phone_number),
        "ipv4": ("field", us.ipv4),
        "ipv6": ("field", us.ipv6),
        "birth-date": ("date_of_birth", lambda: us.date_of_birth().isoformat()),
        "jwt": ("field", lambda: jwt(us, dice)),
        "cloud-key": ("field", lambda: cloud_key(dice)),
        "authorization": ("field", lambda: "Bearer " + token(dice, 32)),
        "url-password": ("field", lambda: f"postgres://{us.user_name()}:{token(dice, 12)}@db.example.org:5432/app"),
        "secret": ("password", lambda: token(dice, 20)),
    }


def identifiers(dice):
    """Class and what makes one: no value of a person looks like these, and one in a thousand may be touched."""
    epoch_s = lambda: dice.randrange(1_577_836_800, 1_893_456_000)
    return {
        "identifier-hex16": lambda: f"{dice.getrandbits(64):016x}",
        "identifier-hex32": lambda: f"{dice.getrandbits(128):032x}",
        "identifier-u64": lambda: str(dice.getrandbits(64)),
        "identifier-snowflake": lambda: str(dice.randrange(1_200_000_000_000, 1_900_000_000_000) << 20),
        "identifier-epoch-ms": lambda: str(epoch_s() * 1_000 + dice.randrange(1_000)),
        "identifier-epoch-us": lambda: str(epoch_s() * 1_000_000 + dice.randrange(1_000_000)),
        "identifier-epoch-ns": lambda: str(epoch_s() * 1_000_000_000 + dice.randrange(1_000_000_000)),
        "identifier-uuid4": lambda: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    }


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    dice = Random(seed)
    Faker.seed(seed)
    fakers = {locale: Faker(locale) for locale in LOCALES}
    for name, (member, make) in makers(fakers, dice).items():
        for number in range(count):
            value = make()
            form = list(FORMS)[number % len(FORMS)]
            key = "app.field"
            if name in NAMED and form in ("bare", "sentence"):
                # A word of a sentence under a password's name makes the whole sentence one.
                key = f"user.{member}"
            # Characters that are part of the value would be encoded: what is measured is the detector.
            if form == "query" and name == "url-password":
                form = "bare"
            text = FORMS[form](member, value)
            line = {"class": name, "value": value, "key": key, "form": form, "text": text}
            print(json.dumps(line, ensure_ascii=False))
    for name, make in identifiers(dice).items():
        for number in range(count):
            value = make()
            form = list(FORMS)[number % len(FORMS)]
            text = FORMS[form]("ref", value)
            print(json.dumps({"class": name, "value": value, "key": "app.field", "form": form, "text": text}))


main()
