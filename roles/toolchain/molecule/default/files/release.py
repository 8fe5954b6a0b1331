"""Create a release that only prints its version, and a mirror with a provider.

Usage: ``release.py <folder> <version>``

Writes the SHA-256 of the archive to ``sha256.json``, in the form of the role's ``toolchain_terraform_sha256``.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

from fargate_ops.terraform.binary import current_platform

folder, version, platform = Path(sys.argv[1]), sys.argv[2], current_platform()
archive = folder / f"releases/terraform/{version}/terraform_{version}_{platform}.zip"
archive.parent.mkdir(parents=True)
with zipfile.ZipFile(archive, "w") as release:
    release.writestr("terraform", f"#!/bin/sh\necho '{json.dumps({'terraform_version': version})}'\n")
(folder / "sha256.json").write_text(json.dumps({platform: hashlib.sha256(archive.read_bytes()).hexdigest()}))
provider = folder / f"mirror/registry.terraform.io/hashicorp/aws/6.25.0/{platform}/terraform-provider-aws_v6.25.0"
provider.parent.mkdir(parents=True)
provider.touch()
