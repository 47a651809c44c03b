"""Studies of what the structure-aware loss does, each one resumable command; see docs/benchmarks.md."""
