"""The application that tests the library."""
