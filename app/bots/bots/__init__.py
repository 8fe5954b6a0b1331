"""The Lambda functions that tell Slack: slow queries, new resources, alarms. Standard library and boto3 only."""
