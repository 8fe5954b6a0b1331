"""Create the resources of other owners: a stopped recorder, its channel, the monitor that AWS creates by itself."""

import boto3

config = boto3.client("config")
config.put_configuration_recorder(
    ConfigurationRecorder={
        "name": "default",
        "roleARN": "arn:aws:iam::000000000000:role/config",
        "recordingGroup": {"allSupported": False, "resourceTypes": ["AWS::IAM::Role"]},
    }
)
config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "theirs"})
boto3.client("ce").create_anomaly_monitor(
    AnomalyMonitor={
        "MonitorName": "Default-Services-Monitor",
        "MonitorType": "DIMENSIONAL",
        "MonitorDimension": "SERVICE",
    }
)
