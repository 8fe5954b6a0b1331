"""Set auto scaling's limits to those of the inventory and the schedule."""

from __future__ import annotations

from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.ecs.schedule import Capacity, capacity_at
from fargate_ops.release.context import Context


def capacity_now(c: Context) -> Capacity:
    """Return the limits of the number of tasks that are scheduled for now."""
    return capacity_at(c.stack.scalable_target, c.now())


def set_limits(c: Context, *, preview: bool = False) -> bool:
    """Register the limits scheduled for now and resume the schedule, if the target differs. Return whether it did.

    Terraform creates the target with the schedule suspended, so that it never starts the placeholder's tasks. A
    scheduled action that fires in between would be overwritten, and for weeks no other would follow: so the schedule is
    read again afterwards.
    """
    target = ScalableTarget(c.clients.client("application-autoscaling"), c.stack.scalable_target)
    registered, wanted = target.registered(), capacity_now(c)
    current, suspended = registered or (None, {})
    if resumes := bool(registered and registered.is_schedule_suspended):
        c.say(f"{'would resume' if preview else 'resume'} scheduled scaling")
    if current == wanted and not resumes:
        c.say(f"auto scaling's limits are {wanted}")
        return False
    were = f"{current.minimum} to {current.maximum}" if current else "none"
    c.say(f"{'would set' if preview else 'set'} auto scaling's limits to {wanted} (were: {were})")
    while not preview and (current != wanted or resumes):
        target.register(wanted, suspended)
        current, wanted, resumes = wanted, capacity_now(c), False
    return True
