"""What a FastAPI application needs to run on this platform."""
