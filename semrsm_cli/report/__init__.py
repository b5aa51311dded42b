"""What a run leaves: its folder, tables and figures."""
