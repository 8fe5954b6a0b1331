"""Health, readiness and version: what the load balancer and the release ask."""
