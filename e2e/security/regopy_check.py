"""What another implementation of Rego (rego-cpp, by its package regopy) denies of the same facts.

Reads one JSON value: `policies`, texts by name, and `inputs`, a list of what the gate hands to its policies. Prints one JSON
value: for each input, for each policy by name, the sorted messages of `data.verdigris.security.deny`. What the
interpreter refuses fails the program, with its words.
"""

import json
import sys

from regopy import Interpreter

QUERY = "data.verdigris.security.deny"


def denials(text, given):
    interpreter = Interpreter()
    interpreter.add_module("policy", text)
    interpreter.set_input(given)
    output = interpreter.query(QUERY)
    if not output.ok():
        raise SystemExit(f"regopy: {output}")
    (result,) = output.results
    (messages,) = result.expressions
    return sorted(messages)


def main():
    asked = json.load(sys.stdin)
    answers = [{name: denials(text, given) for name, text in asked["policies"].items()} for given in asked["inputs"]]
    json.dump(answers, sys.stdout, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
