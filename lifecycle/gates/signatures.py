"""Gates on who vouches for the bytes: a signature by a key that the namespace believes."""

from __future__ import annotations

from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from registry.artifacts.signature_checks import believed, doubted, verify


class SignatureValid(Gate):
    """Somebody whose key the namespace believes signed exactly this."""

    name = "signature_valid"
    parameters = (
        Parameter("key", str, default="", help="the name of the key it must be signed with; empty: any"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        by = f"the key {given['key']}" if given["key"] else "a key of this namespace that is not revoked"
        return f"it is signed with {by} (OpenSSF model_signing), and is what was signed"

    def prepare(self, context: Context) -> None:
        verify(context.version.pk)

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        if check := believed(context.version, given["key"]):
            key = check.key
            evidence: dict[str, Any] = {
                "key": key.name if key else "",
                "fingerprint": key.fingerprint if key else "",
                "signature": check.attachment.sha256,
            }
            added = f" {key.name} was added by {key.added_by.get_username()}." if key else ""
            return Finding(Verdict.PASS, f"{check.sentence}{added}", evidence)
        wanted = f"the key {given['key']}" if given["key"] else "a key that this namespace believes"
        accepted = f"Accepted is a signature by OpenSSF model_signing with {wanted} over exactly these files."
        if (said := doubted(context.version)) is None:
            return Finding(Verdict.FAIL, f"{context.version.reference} has no verified signature. {accepted}")
        revoked = said.key is not None and said.key.revoked_at is not None
        withdrawn = f" The key {said.key.name} is revoked." if said.key is not None and revoked else ""
        evidence = {"verdict": said.verdict, "signature": said.attachment.sha256, "revoked": revoked}
        return Finding(Verdict.FAIL, f"{said.sentence}{withdrawn} {accepted}", evidence)
