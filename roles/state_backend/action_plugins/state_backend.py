"""Create a bucket that must exist before Terraform runs. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.bucket import Bucket, ensure

DOCUMENTATION = r"""
module: state_backend
short_description: Create the bucket for state, ledger and locks, or one for an AWS service's deliveries
description:
  - Creates a missing bucket, or adopts one of the same account, and corrects settings that differ. Never deletes
    anything.
  - Makes the calls itself, because C(amazon.aws.s3_bucket) has no lifecycle rules and no check of the owner.
options:
  bucket: {type: str, required: true, description: "Name of the bucket."}
  region: {type: str, required: true, description: "The bucket's region."}
  account_id: {type: str, required: true, description: "The account that must own it."}
  kms_key: {type: str, required: true, description: "ARN of a KMS key that encrypts it; empty for S3's own key."}
  noncurrent_days: {type: int, required: true, description: "Days for which an old version stays at least."}
  noncurrent_versions: {type: int, required: true, description: "How many of the newest old versions stay forever."}
  locks_prefix: {type: str, required: true, description: "Prefix of locks, whose old versions expire after a day."}
  writer: {type: str, required: true, description: "The AWS service that may deliver into it, or empty."}
  tags: {type: dict, required: true, description: "Tags of the bucket; other tags stay."}
"""

RETURN = r"""
changes: {description: "Changes made, or in check mode those to make.", type: list, elements: str, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = Bucket(name=args.pop("bucket"), **args)
        if silence := self.silence():
            self.say(
                f"  whether s3://{wanted.name} exists is not known yet: {silence}; it would be made if it does not"
            )
            return {"changed": True, "changes": ["bucket"]}
        changes = ensure(self.session(wanted.region).client("s3"), wanted, preview=self.preview)
        verb = "would set" if self.preview else "set"
        if changes:
            self.say(f"  s3://{wanted.name}: {verb} {', '.join(changes)}")
        else:
            self.note(f"  s3://{wanted.name}: nothing to change")
        return {"changed": bool(changes), "changes": changes}
