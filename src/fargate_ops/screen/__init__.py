"""What a command shows: one line a step, then the outcome; Ansible's own output goes to the log."""
