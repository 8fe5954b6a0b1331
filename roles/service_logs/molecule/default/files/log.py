"""Write two lines of one task to a new log group: ``log.py <group>``."""

import sys
import time

import boto3

logs, where = boto3.client("logs"), {"logGroupName": sys.argv[1]}
logs.create_log_group(**where)
where |= {"logStreamName": "api/api/0123456789abcdef"}
logs.create_log_stream(**where)
now = int(time.time() * 1000)
lines = ["INFO listening", "ERROR no connection"]
logs.put_log_events(**where, logEvents=[{"timestamp": now, "message": line} for line in lines])
