"""Microsoft's presidio-analyzer on a corpus of faker_corpus.py: megabytes of text a second of CPU time, and the share of each class
that it finds. One line of JSON on standard output.

Its recognizers of patterns and of telephone numbers alone: models for names and places are not loaded, which would be many times
slower, and find nothing of what is compared. Each recognizer is called as AnalyzerEngine calls it, without a context, for which it would need the
model; a result of any score counts, which is kind to it. Called with the corpus and, if wanted, a number of lines to take from it by lot.
"""

import json
import logging
import sys
import time
from random import Random
from urllib.parse import unquote

logging.disable(logging.CRITICAL)

from presidio_analyzer.predefined_recognizers import (  # noqa: E402
    CreditCardRecognizer,
    DateRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    NhsRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)

# Class of the corpus to what Presidio calls it. What is not here it has no recognizer for.
ENTITIES = {
    "payment-card": "CREDIT_CARD",
    "payment-card-rare": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "us-ssn": "US_SSN",
    "us-ssn-digits": "US_SSN",
    "nhs-number": "UK_NHS",
    "nhs-number-digits": "UK_NHS",
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "phone-digits": "PHONE_NUMBER",
    "ipv4": "IP_ADDRESS",
    "ipv6": "IP_ADDRESS",
    "birth-date": "DATE_TIME",
}
# What it loads by default for English, of those whose classes are compared.
RECOGNIZERS = [
    CreditCardRecognizer(),
    IbanRecognizer(),
    UsSsnRecognizer(),
    NhsRecognizer(),
    EmailRecognizer(),
    PhoneRecognizer(),
    IpRecognizer(),
    DateRecognizer(),
]


def analyze(text):
    results = []
    for recognizer in RECOGNIZERS:
        results += recognizer.analyze(text, recognizer.supported_entities, None)
    return results


def covers(results, text, value):
    """Whether a result covers the value. In a URL it is encoded: then any result counts that is not the URL's host."""
    at = text.find(value)
    if at < 0:
        return bool(results) and value in unquote(text)
    return any(result.start <= at and result.end >= at + len(value) for result in results)


def main():
    with open(sys.argv[1], encoding="utf-8") as corpus:
        lines = [json.loads(line) for line in corpus]
    if len(sys.argv) > 2:
        lines = Random(1).sample(lines, min(len(lines), int(sys.argv[2])))
    for line in lines[:100]:
        analyze(line["text"])
    begin = time.process_time()
    all_results = [analyze(line["text"]) for line in lines]
    spent_s = time.process_time() - begin
    length = sum(len(line["text"].encode()) for line in lines)
    counts = {}
    for line, results in zip(lines, all_results):
        name = line["class"]
        count = counts.setdefault(name, [0, 0])
        count[1] += 1
        count[0] += bool(results) if name.startswith("identifier") else covers(results, line["text"], line["value"])
    shares = {
        name: found / total
        for name, (found, total) in sorted(counts.items())
        if name in ENTITIES or name.startswith("identifier")
    }
    print(json.dumps({"what": "presidio", "megabytesPerS": length / spent_s / 1e6, "lines": len(lines), "shares": shares}))


main()
