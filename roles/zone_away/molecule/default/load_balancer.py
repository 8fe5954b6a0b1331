"""Create a load balancer in three zones, with one healthy target in a zone that nobody knows.

Usage: ``load_balancer.py <outputs.json> <file for its ARN>``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3

ec2, elbv2 = boto3.client("ec2"), boto3.client("elbv2")
group = json.loads(Path(sys.argv[1]).read_text())["target_group_arn"]
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/18")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"ap-northeast-2{letter}")["Subnet"][
        "SubnetId"
    ]
    for number, letter in enumerate("abc")
]
arn = elbv2.create_load_balancer(Name="molecule", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
elbv2.modify_load_balancer_attributes(
    LoadBalancerArn=arn, Attributes=[{"Key": "zonal_shift.config.enabled", "Value": "true"}]
)
forward = {"Type": "forward", "TargetGroupArn": group}
elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[forward])
elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.9", "Port": 8000}])
Path(sys.argv[2]).write_text(arn)
