"""What the speaker is told, and that ExaBGP's parser takes what we render."""

import subprocess
import sys
from pathlib import Path

import pytest

from bgp.exabgp_conf import render
from bgp.policy import Stance
from bgp.spec import BgpSpec
from controller.config import load
from controller.config.speaker_spec import NoRoutesError, neighbor_passwords, speaker_spec
from controller.core.model import SiteName

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "configs/tricast.yml"
LAB = ROOT / "lab/containerlab/nodes/tricast.yml"


def test_the_spec_carries_the_policy_and_survives_json() -> None:
    spec = speaker_spec(load(REFERENCE), SiteName("dc1"))
    assert BgpSpec.from_json(spec.to_json()) == spec
    preferred = spec.policy.attributes(Stance.PREFERRED)
    assert preferred is not None
    assert preferred.as_path.asns == (64510, 64510)
    assert [str(community) for community in preferred.communities] == ["64501:200"]
    assert {name: len(prefixes) for name, prefixes in spec.services.items()} == {
        "wallet": 2,
        "lobby": 1,
    }


def test_a_witness_has_no_speaker() -> None:
    with pytest.raises(NoRoutesError, match="site witness has no bgp section"):
        speaker_spec(load(LAB), SiteName("witness"))


def test_passwords_come_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "bgp_provider1").write_text("s3cret\n")
    text = REFERENCE.read_text().replace("/etc/tricast/secrets", str(tmp_path))
    (tmp_path / "tricast.yml").write_text(text)
    passwords = neighbor_passwords(load(tmp_path / "tricast.yml"), SiteName("dc1"))
    assert passwords == {"203.0.113.1": "s3cret", "2001:db8:ff:1::1": "s3cret"}


@pytest.mark.parametrize("site", ["dc1", "dc2"])
def test_exabgp_accepts_the_rendered_file(tmp_path: Path, site: str) -> None:
    spec = speaker_spec(load(LAB), SiteName(site))
    (tmp_path / "exabgp.conf").write_text(render(spec, [sys.executable, "-m", "bgp.speaker"]))
    done = subprocess.run(
        [sys.executable, "-m", "exabgp", "validate", "-nrv", str(tmp_path / "exabgp.conf")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
