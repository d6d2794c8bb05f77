"""What programs that share nothing with Verdigris make of a bundle: its DSSE envelopes by securesystemslib, its OSCAL file by
compliance-trestle. Called with the bundle and the verifier key (name+id+base64); prints one line of JSON, or fails."""

import base64
import hashlib
import json
import pathlib
import sys
import tarfile
import tempfile

from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from trestle.core import validator_factory
from trestle.oscal.assessment_results import AssessmentResults

NOTE_KEY_BYTES = 33


def files_of(bundle):
    with tarfile.open(bundle) as archive:
        return {file.name: archive.extractfile(file).read() for file in archive.getmembers()}


def verified_statements(files, verifier_key):
    _, key_id, encoded = verifier_key.strip().split("+", 2)
    typed = base64.b64decode(encoded)
    assert len(typed) == NOTE_KEY_BYTES and typed[0] == 1, "an Ed25519 key of signed-note"
    key = SSlibKey(key_id, "ed25519", "ed25519", {"public": typed[1:].hex()})
    types = []
    for path, content in files.items():
        if not path.startswith("statements/"):
            continue
        envelope = Envelope.from_dict(json.loads(content))
        envelope.verify([key], 1)
        assert envelope.payload_type == "application/vnd.in-toto+json", envelope.payload_type
        statement = json.loads(envelope.payload)
        assert statement["_type"] == "https://in-toto.io/Statement/v1", statement
        plan = statement["subject"][0]
        assert hashlib.sha256(files[plan["name"]]).hexdigest() == plan["digest"]["sha256"], plan
        types.append(statement["predicateType"])
    return types


def resolves(files, path, sha256):
    assert path in files, path
    assert sha256 is None or hashlib.sha256(files[path]).hexdigest() == sha256, path


def read_oscal(files):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "oscal-assessment-results.json"
        path.write_bytes(files[path.name])
        model = AssessmentResults.oscal_read(path)
        for validator in validator_factory.validator_factory.get_all():
            assert validator.model_is_valid(model, True, pathlib.Path(folder)), validator.error_msg()
    result = model.results[0]
    named = 0
    for observation in result.observations:
        for evidence in observation.relevant_evidence:
            resolves(files, evidence.href, evidence.props[0].value)
            for link in evidence.links:
                resolves(files, link.href, None)
            named += 1
    for resource in model.back_matter.resources:
        for link in resource.rlinks:
            resolves(files, link.href, link.hashes[0].value)
    assert result.findings is None, "whether a control is met is for an assessor to say"
    return {"observations": len(result.observations), "evidence": named, "risks": len(result.risks or [])}


def main():
    files = files_of(sys.argv[1])
    told = {"statements": verified_statements(files, sys.argv[2]), "oscal": read_oscal(files)}
    print(json.dumps(told))


main()
