"""The programming interface, `/api/v1`: what the pages show and do, for programs with a token."""
