"""`easearch doctor`: what is installed, what this host can measure, and what each means."""

from __future__ import annotations

from dataclasses import asdict

from easearch.cli.options import Json
from easearch.cli.output import print_json, working


def doctor(as_json: Json = False) -> None:
    """Tell what is installed and what this host can measure. Nothing is changed or fetched."""
    with working():
        from easearch.cli.checkup import checkup

        findings = checkup()
    if as_json:
        print_json(
            {"ok": all(one.ok for one in findings), "findings": [asdict(f) for f in findings]}
        )
        return
    for one in findings:
        print(f"{one.name}: {'' if one.ok else 'PROBLEM: '}{one.value}")
        print(f"  {one.means}")
