"""What goes to the Hub, and how: traces, students and metrics, one commit each."""
