"""Lambda functions that post to Slack. They need only the standard library and boto3."""
