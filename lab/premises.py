"""What the parts of one lab share: its folder, addresses, passwords and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.addresses import Addresses
from lab.certificates import Certificates


@dataclass(frozen=True)
class Premises:
    """One lab's ground.

    Attributes:
        state: the folder in which everything of it lies, absolute.
        addresses: its loopback network, ports and range for containers.
        passwords: name → password.
        certificates: its authority and what that signed.
        control: whether its vCenter opens the control port that counts calls and throws switches, for benches.
    """

    state: Path
    addresses: Addresses
    passwords: dict[str, str]
    certificates: Certificates
    control: bool = False
