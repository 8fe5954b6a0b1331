"""Make a bucket that has to exist before Terraform runs. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.bucket import Bucket, ensure

DOCUMENTATION = r"""
module: state_backend
short_description: Make the bucket of state, ledger and locks, or one into which an AWS service delivers
description:
  - Creates what is missing and corrects what differs. Adopts a bucket of the same account. Deletes nothing, ever.
  - C(amazon.aws.s3_bucket) has no lifecycle rules and no check of the owner, so the calls are made here.
options:
  bucket: {type: str, required: true, description: "Name of the bucket."}
  region: {type: str, required: true, description: "Its region."}
  account_id: {type: str, required: true, description: "The account that has to own it."}
  kms_key: {type: str, required: true, description: "ARN of a KMS key; empty for S3's own."}
  noncurrent_days: {type: int, required: true, description: "Days that an old version stays at least."}
  noncurrent_versions: {type: int, required: true, description: "Old versions that stay for ever."}
  locks_prefix: {type: str, required: true, description: "Prefix of lock objects, whose old versions go the next day."}
  writer: {type: str, required: true, description: "The AWS service that may deliver into it."}
  tags: {type: dict, required: true, description: "Tags of the bucket; others stay."}
"""

RETURN = r"""
changes: {description: What was changed, or would be in check mode., type: list, elements: str, returned: success}
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
        self.say(f"  s3://{wanted.name}: " + (f"{verb} {', '.join(changes)}" if changes else "as it has to be"))
        return {"changed": bool(changes), "changes": changes}
