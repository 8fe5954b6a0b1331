"""Health, readiness and version, for the load balancer and the release."""
